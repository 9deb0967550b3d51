"""Who may change the schema or put back a backup: one process at a time, by a fenced lease.

Everything that it writes is in a transaction that also writes the lease under its own number. So
one that was taken for dead, and isn't, can commit nothing any more once another has the turn.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeVar

from pymongo import ReadPreference
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError, OperationFailure, PyMongoError

from aiba_adapters.mongo.documents import Collection, Database
from aiba_adapters.mongo.transaction import DURABLE, SNAPSHOT

T = TypeVar("T")

COLLECTION: Final = "steps"
"""Holds the steps that were taken by their numbers, and beside them the notes of who is at it."""

LEASE_MS: Final = 20_000
"""How long after its last sign of life a process is taken for dead."""

_TURN: Final = "turn"
_RENEW_S: Final = 4.0
_LOOK_S: Final = 0.2


class TurnTaken(Exception):  # noqa: N818 - a refusal
    """Another process has the turn; the text says what it does."""


class TurnLost(Exception):  # noqa: N818 - a refusal
    """This process was taken for dead and another has the turn; nothing of it counts any more."""


class Turn:
    """The right to change a database's schema; `notes` is the collection of steps and notes."""

    def __init__(
        self, session: AsyncClientSession, notes: Collection, number: int, now: Callable[[], int]
    ) -> None:
        """Hold the turn under a number that nobody else has."""
        self._session = session
        self._number = number
        self._now = now
        self.notes = notes

    @classmethod
    @contextlib.asynccontextmanager
    async def taken(
        cls, database: Database, *, doing: str, now: Callable[[], int], patience_ms: int = 0
    ) -> AsyncIterator["Turn"]:
        """Take the turn, and give it back at the end. `now` is the instant in ms.

        Waits for one who has died to be found dead, and `patience_ms` for one who hasn't. Raises
        TurnTaken.
        """
        notes = database[COLLECTION].with_options(write_concern=DURABLE)
        async with database.client.start_session() as session:
            fields = {"doing": doing, "session": session.session_id}
            number = await _acquire(notes, fields, now, patience_ms)
            try:
                yield cls(session, notes, number, now)
            finally:
                with contextlib.suppress(PyMongoError):  # it runs out by itself
                    await notes.update_one({"_id": _TURN, "number": number}, {"$set": {"until": 0}})

    async def batch(self, work: Callable[[AsyncClientSession], Awaitable[T]]) -> T:
        """Do `work` in one transaction, which is committed only while this has the turn.

        It may be done again from the start, so it looks within the transaction how far it has come.
        """

        async def fenced(session: AsyncClientSession) -> T:
            await self._renew(session)
            return await work(session)

        return await self._session.with_transaction(
            fenced,
            read_concern=SNAPSHOT,
            write_concern=DURABLE,
            read_preference=ReadPreference.PRIMARY,
        )

    @contextlib.asynccontextmanager
    async def kept(self) -> AsyncIterator[None]:
        """Keep the turn during long work that is no transaction."""
        await self._renew(None)
        renewing = asyncio.create_task(self._renew_again())
        try:
            yield
        finally:
            renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError, PyMongoError, TurnLost):
                await renewing
        await self._renew(None)

    async def _renew_again(self) -> None:
        while True:
            await asyncio.sleep(_RENEW_S)
            await self._renew(None)

    async def _renew(self, session: AsyncClientSession | None) -> None:
        found = await self.notes.update_one(
            {"_id": _TURN, "number": self._number},
            {"$set": {"until": self._now() + LEASE_MS}},
            session=session,
        )
        if found.matched_count != 1:
            msg = "another process has taken over"
            raise TurnLost(msg)


async def _acquire(
    notes: Collection, fields: dict[str, Any], now: Callable[[], int], patience_ms: int
) -> int:
    """Take the turn and return its number; whoever renews a lease isn't dead."""
    deadline, seen = now() + patience_ms, None
    while True:
        there = await notes.find_one({"_id": _TURN})
        at = now()
        new = {**fields, "until": at + LEASE_MS}
        if there is None:
            with contextlib.suppress(DuplicateKeyError):
                await notes.insert_one({"_id": _TURN, "number": 1, **new})
                return 1
            continue
        until = int(there["until"])
        if until <= at:
            await _end(notes, there.get("session"))
            number = int(there["number"]) + 1
            found = await notes.update_one(
                {"_id": _TURN, "number": there["number"]}, {"$set": {**new, "number": number}}
            )
            if found.matched_count == 1:
                return number
            continue
        seen = until if seen is None else seen
        if until != seen and at >= deadline:
            msg = f"another process is at it: {there['doing']}"
            raise TurnTaken(msg)
        await asyncio.sleep(_LOOK_S)


async def _end(notes: Collection, session_id: object) -> None:
    """End the transaction of one who died in it, which others would have to wait for."""
    if session_id is not None:
        with contextlib.suppress(OperationFailure):  # not allowed to: the server ends it in time
            await notes.database.client.admin.command("killSessions", [session_id])
