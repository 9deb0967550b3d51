"""The store on MongoDB: each unit of work is one snapshot transaction, committed by a majority.

Units run at once, also those of other processes. Where two are in each other's way the later one
runs again from the start, on the new state. A commit whose answer was lost is looked up by the
marker that the unit wrote in its transaction.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pymongo.errors import PyMongoError

from aiba_adapters.mongo import migrations
from aiba_adapters.mongo.attempts import Again, Attempts, Client, Work
from aiba_adapters.mongo.documents import Documents, HealthShape
from aiba_adapters.mongo.failures import Failure, text_of
from aiba_adapters.mongo.leases import CapLeases, OneByOne
from aiba_adapters.mongo.ledger import LedgerWanted
from aiba_adapters.mongo.shares import Places
from aiba_adapters.mongo.transaction import DURABLE
from aiba_adapters.mongo.waiting import Patience, Waiting
from aiba_adapters.mongo_meter import Meter, Unmetered
from aiba_domain.ports import Reader, Unavailable, UnitOfWork

T = TypeVar("T")

AT_ONCE: Final = 64
"""How many units and reads of one store are under way at the most; the others wait."""

PATIENCE_MS: Final = 10_000
"""How long a unit is tried again before it is Unavailable."""

_HEALTH: Final = "check"


@dataclass(slots=True)
class Counts:
    """What a store has run since it was opened.

    `units` counts units of work and reads, `runs` how often they were run, `conflicts` how often
    one was run again because another was first.
    """

    units: int = 0
    runs: int = 0
    conflicts: int = 0


class MongoStore:
    """A durable store for any number of processes, used by the event loop it was opened in.

    An answered unit of work is in the journal of a majority of the replica set.
    """

    def __init__(
        self,
        client: Client,
        documents: Documents,
        *,
        caps: CapLeases | None = None,
        patience_ms: int = PATIENCE_MS,
        meter: Meter | None = None,
    ) -> None:
        """Work on a client, which the store closes, and on documents bound to its database.

        `caps` keeps the daily emission caps; without it emitting units are committed one by one.
        `meter` is told of units that run again, and of commits whose answer was lost.
        """
        self.patience = Patience(patience_ms / 1_000)
        self.counts = Counts()
        self._client = client
        self._documents = documents
        self._health = documents.collection(HealthShape).with_options(write_concern=DURABLE)
        self._meter = meter or Unmetered()
        self._attempts = Attempts(client, documents, caps or OneByOne(), self.patience, self._meter)
        self._room = asyncio.Semaphore(AT_ONCE)
        self._turn = asyncio.Lock()
        self._places = Places()
        self._under_way: set[asyncio.Task[Any]] = set()
        self._closed = False

    async def transact(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run `work` in a transaction, again where another was first; return after the commit."""
        return await self._to_its_end(work)

    async def read(self, work: Callable[[Reader], Awaitable[T]]) -> T:
        """Run `work` against a snapshot that a majority has; again if the snapshot is lost."""
        return await self._to_its_end(work)

    async def check(self) -> None:
        """Write to the journal of a majority, of a database that isn't being restored."""
        self._check_open()
        change = {"$set": {"at": time.time_ns() // 1_000_000}}
        try:
            await self._health.update_one({"_id": _HEALTH}, change, upsert=True)
            unready = await migrations.unready(self._health.database)
        except PyMongoError as error:
            raise Unavailable(text_of(error)) from error
        if unready:
            raise Unavailable("; ".join(unready))

    async def primary(self) -> str | None:
        """Return the address of the primary that is written to, None if there is none."""
        address = await self._client.primary
        return f"{address[0]}:{address[1]}" if address else None

    async def close(self) -> None:
        """Let every accepted unit end, then close the connections."""
        self._closed = True
        while self._under_way:
            await asyncio.wait(self._under_way)
        await self._client.close()
        self._documents.release()

    def _check_open(self) -> None:
        if self._closed:
            msg = "the store is closed"
            raise Unavailable(msg)

    async def _to_its_end(self, work: Work[T]) -> T:
        """Run a unit that goes on to its end, whoever stops waiting for it."""
        self._check_open()
        task = asyncio.create_task(self._run(work))
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # told to whoever waited, or nobody did

    async def _run(self, work: Work[T]) -> T:
        async with self._room:
            self.counts.units += 1
            with self._places.taken() as place:
                run = _Run(place=place, waiting=self.patience.begin())
                while not run.has_met_others:
                    try:
                        return await self._once(work, run)
                    except LedgerWanted:
                        run.with_history = True
                    except Again as again:
                        await self._judge(again, run)
                return await self._in_turn(work, run)

    async def _in_turn(self, work: Work[T], run: "_Run") -> T:
        """Run units that met others one after another, so that they don't meet again."""
        async with self._turn:
            run.waiting = self.patience.begin()  # nobody is refused for the sake of the others
            while True:
                try:
                    return await self._once(work, run)
                except LedgerWanted:
                    run.with_history = True
                except Again as again:
                    await self._judge(again, run)

    async def _once(self, work: Work[T], run: "_Run") -> T:
        self.counts.runs += 1
        run.share = self._places.share(run.place)
        return await self._attempts.once(work, run.share, with_history=run.with_history)

    async def _judge(self, again: Again, run: "_Run") -> None:
        """Return when a unit shall be run again; raise its failure if it shan't."""
        if again.failure is Failure.DUPLICATE:
            if run.has_seen_duplicate:
                raise again.cause  # by a fresh snapshot too
            run.has_seen_duplicate = True
        if run.waiting.is_over:
            raise again.cause
        self._meter.retry(again.trouble)
        if again.failure is Failure.AWAY:
            await run.waiting.once()
            return
        if run.has_met_others:
            await run.waiting.once()
        self.counts.conflicts += 1
        self._places.leave(run.place, run.share)
        run.has_met_others = True


@dataclass(slots=True, kw_only=True)
class _Run:
    """What is known of a unit between its runs."""

    place: int
    waiting: Waiting
    share: int = 0
    with_history: bool = False
    has_seen_duplicate: bool = False
    has_met_others: bool = False
