"""One run of a unit of work: a transaction, and what is known of its commit."""

import contextlib
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

import pymongo
from pymongo import AsyncMongoClient
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError, OperationFailure, PyMongoError

from aiba_adapters.mongo.documents import Documents
from aiba_adapters.mongo.emitting import Common, Terms
from aiba_adapters.mongo.failures import (
    UNAUTHORIZED,
    Failure,
    is_cut,
    is_unknown,
    kind_of,
    text_of,
    trouble_of,
)
from aiba_adapters.mongo.shapes.money import UnitShape
from aiba_adapters.mongo.transaction import DURABLE, Transaction
from aiba_adapters.mongo.unit_of_work import MongoUnitOfWork, void_marker
from aiba_adapters.mongo.waiting import Patience
from aiba_adapters.mongo_meter import Meter, Resolved, Trouble
from aiba_domain.errors import InvariantViolation
from aiba_domain.ports import Unavailable

T = TypeVar("T")
Client = AsyncMongoClient[dict[str, Any]]
Work = Callable[[MongoUnitOfWork], Awaitable[T]]

_LEAST_LOOK_S: Final = 1.0
"""How long the last look for a marker may take, also when patience is nearly over."""


class OutcomeUnknown(Unavailable):
    """The server went away during a commit, and was not back in time to say what came of it.

    Unlike other Unavailables something may have happened: repeat the command under its key.
    """


class Again(Exception):  # noqa: N818 - no error: the unit is run again
    """A unit took no effect and may be run again; `cause` is its failure if nobody does."""

    def __init__(self, failure: Failure, trouble: Trouble, cause: Exception) -> None:
        super().__init__(str(cause))
        self.failure = failure
        self.trouble = trouble
        self.cause = cause


class Attempts:
    """Runs units of work, once each."""

    def __init__(
        self,
        client: Client,
        documents: Documents,
        common: Common,
        patience: Patience,
        meter: Meter,
    ) -> None:
        """Work on a client; `patience` is for the outcome of a commit."""
        self._client = client
        self._documents = documents
        self._common = common
        self._patience = patience
        self._meter = meter
        self._abandoned: list[Any] = []
        """Sessions whose transaction may still be open: the connection broke during it."""

    async def once(self, work: Work[T], terms: Terms) -> T:
        """Run `work` in one transaction, and return its result after the commit.

        Raises Again if nothing happened and another run may do better, and OutcomeUnknown.
        """
        await self._end_abandoned()
        async with self._client.start_session() as session:
            await Transaction.start(session)
            unit = MongoUnitOfWork(
                Transaction(session, self._documents),
                self._documents,
                unit_id=uuid.uuid4().hex,
                terms=terms,
                common=self._common,
            )
            try:
                result = await _run(unit, work, with_history=terms.with_history)
            except BaseException:
                if is_cut(unit.failure):
                    self._abandoned.append(session.session_id)
                with contextlib.suppress(PyMongoError):  # the server ends it by itself
                    await session.abort_transaction()
                raise
            finally:
                unit.close()
            await self._commit(session, unit)
            unit.committed()
            return result

    async def _end_abandoned(self) -> None:
        """End what units left open whose connection broke: it would be in the way of the next try.

        The word to undo it may have been lost too, and the driver doesn't tell.
        """
        sessions, self._abandoned = self._abandoned, []
        if not sessions:
            return
        try:
            await self._kill(sessions)
        except PyMongoError as error:
            self._abandoned += sessions
            raise _meaning(error) from error

    async def _kill(self, sessions: list[Any]) -> None:
        """Let the server end sessions; where we may not ask, it ends them by itself in time."""
        try:
            await self._client.admin.command("killSessions", sessions)
        except OperationFailure as error:
            if error.code != UNAUTHORIZED:
                raise

    async def _commit(self, session: AsyncClientSession, unit: MongoUnitOfWork) -> None:
        """Commit, and return only if that is known to have taken effect.

        The driver asks a second time by itself, so that what it reports last may hide that the
        first time was carried out: whatever went wrong, the marker decides.
        """
        waiting = self._patience.begin()
        asked_again = False
        while True:
            try:
                await session.commit_transaction()
            except PyMongoError as error:
                if not unit.has_written:
                    raise _meaning(error) from error
                if is_unknown(error) and not waiting.is_over:
                    await waiting.once()
                    asked_again = True
                    continue
                await self._look_up(session, unit.id, error)
                return
            if asked_again:
                self._meter.lost_commit(Resolved.CONFIRMED)
            return

    async def _look_up(self, session: AsyncClientSession, unit_id: str, lost: PyMongoError) -> None:
        """Return if a unit was committed; raise Again if it wasn't and never will be.

        Where its marker isn't, another is put in its place, so that a commit which is still on its
        way fails. Raises OutcomeUnknown if the server doesn't come back in time.
        """
        waiting = self._patience.begin()
        while True:
            with contextlib.suppress(PyMongoError), pymongo.timeout(waiting.left_s(_LEAST_LOOK_S)):
                await self._end(session)
                is_committed = await self._is_committed(unit_id)
                if is_committed:
                    self._meter.lost_commit(Resolved.FOUND)
                    return
                if is_committed is not None:
                    self._meter.lost_commit(Resolved.UNDONE)
                    raise _meaning(lost) from lost
            if waiting.is_over:
                break
            await waiting.once()
        self._meter.lost_commit(Resolved.UNKNOWN)
        msg = f"whether the unit was committed is not known: {text_of(lost)}"
        raise OutcomeUnknown(msg) from lost

    async def _end(self, session: AsyncClientSession) -> None:
        """End what is left of a session's transaction, which its marker would have to wait for."""
        await self._kill([session.session_id])

    async def _is_committed(self, unit_id: str) -> bool | None:
        """Tell whether a unit was committed; None while a majority doesn't have what tells it."""
        markers = self._documents.collection(UnitShape).with_options(write_concern=DURABLE)
        try:
            await markers.insert_one(dict(void_marker(unit_id)))
        except DuplicateKeyError:
            stored = await markers.find_one({"_id": unit_id})
            return None if stored is None else not stored.get("void", False)
        return False


async def _run(unit: MongoUnitOfWork, work: Work[T], *, with_history: bool) -> T:
    """Run `work` up to its commit; what undid it counts, whatever the work made of that."""
    try:
        if with_history:
            await unit.fetch_history()
        result = await work(unit)
        if unit.failure is None:
            await unit.finish()
    except Exception as error:
        meaning = _meaning(unit.failure or error)
        if meaning is error:
            raise
        raise meaning from error
    if unit.failure is not None:
        raise _meaning(unit.failure) from unit.failure
    return result


def _meaning(error: Exception) -> Exception:
    """Return what an error that ended a unit means to whoever runs it."""
    driver = error.__cause__ if isinstance(error, InvariantViolation) else error
    if not isinstance(driver, PyMongoError):
        return error
    kind = kind_of(driver)
    if kind is Failure.OTHER:
        return Unavailable(text_of(driver))
    cause: Exception = Unavailable(text_of(driver))
    if isinstance(error, InvariantViolation):
        cause = error
    elif kind is Failure.DUPLICATE:
        cause = InvariantViolation("a key is taken")
    return Again(kind, trouble_of(driver), cause)
