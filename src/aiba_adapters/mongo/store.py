"""The store on MongoDB: each unit of work is one snapshot transaction, committed by a majority.

Units run at once, also those of other processes. Where two are in each other's way the later one
runs again from the start, on the new state. A commit whose answer was lost is looked up by the
marker that the unit wrote in its transaction.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar, cast

import pymongo
from pymongo.errors import PyMongoError

from aiba_adapters.mongo import migrations
from aiba_adapters.mongo.attempts import Again, Attempts, Client, Work
from aiba_adapters.mongo.berths import Berth
from aiba_adapters.mongo.documents import Documents
from aiba_adapters.mongo.emitting import Common, Terms
from aiba_adapters.mongo.failures import Failure, text_of
from aiba_adapters.mongo.grants import Granting
from aiba_adapters.mongo.leases import CapLeases, Portions, RoomWanted
from aiba_adapters.mongo.ledger import LedgerWanted
from aiba_adapters.mongo.merging import merge_before
from aiba_adapters.mongo.shapes.money import AccountShape
from aiba_adapters.mongo.shapes.work import HealthShape, LockShape
from aiba_adapters.mongo.shares import AT_ONCE, Places, share_of
from aiba_adapters.mongo.transaction import DURABLE
from aiba_adapters.mongo.waiting import Patience, Waiting
from aiba_adapters.mongo_meter import Meter, Unmetered
from aiba_domain.ports import Reader, Unavailable, UnitOfWork

T = TypeVar("T")

PATIENCE_MS: Final = 10_000
"""How long a unit is tried again before it is Unavailable."""

_DRAIN_S: Final = 2.0
"""How long a closing store tries to give back what it has no use for."""

_WAITS: Final = 3
"""How often a unit is granted room that others gather before it can spend it; then it gathers."""

_HEALTH: Final = "check"


@dataclass(slots=True)
class Counts:
    """What a store has run since it was opened.

    `units` counts units of work and reads, `runs` how often they were run, `conflicts` how often
    one was run again because another was first, and `waits` how often because it waited for room
    under a cap.
    """

    units: int = 0
    runs: int = 0
    conflicts: int = 0
    waits: int = 0


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

        `caps` keeps the daily emission caps, by room in portions if it isn't given.
        `meter` is told of units that run again, and of commits whose answer was lost.
        """
        self.patience = Patience(patience_ms / 1_000)
        self.counts = Counts()
        self._client = client
        self._documents = documents
        self._health = documents.collection(HealthShape).with_options(write_concern=DURABLE)
        self._meter = meter or Unmetered()
        self.caps = caps or Portions()
        self._attempts = Attempts(
            client, documents, Common(caps=self.caps), self.patience, self._meter
        )
        self._berth = Berth(documents.collection(LockShape))
        self._granting = Granting(self.caps, self._attempts, self.patience)
        self._merged_before = ""
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
        return await self._to_its_end(work, only_reads=True)

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
        """Let every accepted unit end, give back room and berth, then close the connections."""
        self._closed = True
        while self._under_way:
            await asyncio.wait(self._under_way)
        await self._give_back()
        await self._client.close()
        self._documents.release()

    def _check_open(self) -> None:
        if self._closed:
            msg = "the store is closed"
            raise Unavailable(msg)

    async def _give_back(self) -> None:
        """Give back what a process that ends has no use for, if the server is there.

        What stays is gathered when it is needed, and the berth is free after a while.
        """
        berth = self._berth.number
        with contextlib.suppress(PyMongoError, Unavailable), pymongo.timeout(_DRAIN_S):
            await self._granting.give_back(
                berth * AT_ONCE, lambda key: share_of(key) // AT_ONCE == berth
            )
            await self._berth.leave()

    async def _to_its_end(self, work: Work[T], *, only_reads: bool = False) -> T:
        """Run a unit that goes on to its end, whoever stops waiting for it."""
        self._check_open()
        task = asyncio.create_task(self._run(work, only_reads=only_reads))
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        return await asyncio.shield(task)

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # told to whoever waited, or nobody did

    async def _run(self, work: Work[T], *, only_reads: bool) -> T:
        async with self._room:
            self.counts.units += 1
            await self._berth.hold()
            with self._places.taken() as place:
                waiting = self.patience.begin()
                run = _Run(place=place, only_reads=only_reads, waiting=waiting)
                while not run.has_met_others:
                    done, result = await self._once(work, run)
                    if done:
                        return cast("T", result)
                return await self._in_turn(work, run)

    async def _in_turn(self, work: Work[T], run: "_Run") -> T:
        """Run units that met others one after another, so that they don't meet again."""
        async with self._turn:
            run.waiting = self.patience.begin()  # nobody is refused for the sake of the others
            while True:
                done, result = await self._once(work, run)
                if done:
                    return cast("T", result)

    async def _once(self, work: Work[T], run: "_Run") -> tuple[bool, T | None]:
        """Run a unit once; tell whether it is done, else it shall be run again."""
        self.counts.runs += 1
        terms = Terms(
            share=self._berth.number * AT_ONCE + run.place,
            only_reads=run.only_reads,
            with_history=run.with_history,
            gathers=frozenset(run.gathers),
        )
        try:
            return True, await self._attempts.once(work, terms)
        except LedgerWanted:
            run.with_history = True
        except RoomWanted as wish:
            self.counts.waits += 1
            run.waits += 1
            if not await self._granting.ask(wish, terms.share) or run.waits > _WAITS:
                run.gathers.add(wish.day)
            self._merge_before(wish.day)
        except Again as again:
            await self._judge(again, run)
        return False, None

    def _merge_before(self, day: str) -> None:
        """Put the shares of the days before together, beside everything else, once for a day.

        What isn't done when the store is closed, or fails, is left for the next day.
        """
        if day <= self._merged_before:
            return
        self._merged_before = day
        share = self._berth.number * AT_ONCE + AT_ONCE - 1

        async def run(work: Work[None]) -> None:
            self._check_open()
            await self._granting.done(work, share)

        accounts = self._documents.collection(AccountShape)
        task = asyncio.create_task(merge_before(day, accounts, run))
        self._under_way.add(task)
        task.add_done_callback(self._ended)

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
        self._berth.doubt()
        run.has_met_others = True


@dataclass(slots=True, kw_only=True)
class _Run:
    """What is known of a unit between its runs."""

    place: int
    only_reads: bool
    waiting: Waiting
    gathers: set[str] = field(default_factory=set)
    waits: int = 0
    with_history: bool = False
    has_seen_duplicate: bool = False
    has_met_others: bool = False
