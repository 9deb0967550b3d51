"""Reading a whole database as it was at one moment, for as long as the server remembers that.

The server keeps the past for a window (`minSnapshotHistoryWindowInSeconds`, 300 s), and a snapshot
session reads any collection as it was when it first read. A server that doesn't hold still for such
a session is read in one snapshot transaction, which may last for
`transactionLifetimeLimitSeconds` (60 s).
"""

import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Final

from bson.codec_options import CodecOptions
from bson.raw_bson import RawBSONDocument
from pymongo import ReadPreference
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import OperationFailure

from aiba_adapters.mongo.documents import Database
from aiba_adapters.mongo.shapes.work import HealthShape
from aiba_adapters.mongo.transaction import DURABLE, SNAPSHOT
from aiba_domain.outage import Unavailable

WINDOW: Final = "minSnapshotHistoryWindowInSeconds"
LIFETIME: Final = "transactionLifetimeLimitSeconds"

_GONE: Final = frozenset((239, 246, 251, 290))
"""SnapshotTooOld, SnapshotUnavailable, NoSuchTransaction, TransactionExceededLifetimeLimit."""

_PROBE: Final[Mapping[str, Any]] = {"_id": "backup"}
_RAW: Final[CodecOptions[RawBSONDocument]] = CodecOptions(document_class=RawBSONDocument)

Sort = Sequence[tuple[str, int]]


async def documents(
    database: Database,
    collection: str,
    where: Mapping[str, Any],
    sort: Sort,
    *,
    session: AsyncClientSession | None = None,
) -> AsyncIterator[RawBSONDocument]:
    """Go through the documents that fit, each as its bytes; at one moment only in a session."""
    stored: AsyncCollection[Any] = database.get_collection(
        collection, codec_options=_RAW, read_preference=ReadPreference.PRIMARY
    )
    async for document in stored.find(where, session=session, sort=sort):
        yield document


class Pinned:
    """A database as it was at one moment."""

    def __init__(self, database: Database, session: AsyncClientSession, limit: str) -> None:
        """Read in a session that has begun; `limit` names what bounds how long it may go on."""
        self.session = session
        self._database = database
        self._limit = limit
        self._began = time.monotonic()

    async def documents(
        self, collection: str, where: Mapping[str, Any], sort: Sort
    ) -> AsyncIterator[RawBSONDocument]:
        """Go through the documents that fit, each as its bytes. Raises Unavailable."""
        try:
            async for document in documents(
                self._database, collection, where, sort, session=self.session
            ):
                yield document
        except OperationFailure as error:
            if error.code in _GONE:
                raise Unavailable(await self._gone()) from error
            raise

    async def _gone(self) -> str:
        lasted = time.monotonic() - self._began
        set_to = None
        with contextlib.suppress(OperationFailure):  # not everybody may ask for it
            answer = await self._database.client.admin.command({"getParameter": 1, self._limit: 1})
            set_to = answer.get(self._limit)
        return (
            f"after {lasted:.0f} s the server has let go of the state that was being read:"
            f" its {self._limit}{'' if set_to is None else f', now {set_to},'} must be longer than"
            " this takes"
        )


@contextlib.asynccontextmanager
async def pinned(database: Database) -> AsyncIterator[Pinned]:
    """Pin a database to one moment: all that was acknowledged before is in it."""
    client = database.client
    async with client.start_session(snapshot=True) as session:
        if await _holds_still(database, session):
            yield Pinned(database, session, WINDOW)
            return
    async with client.start_session() as session:
        await session.start_transaction(
            read_concern=SNAPSHOT, read_preference=ReadPreference.PRIMARY
        )
        await database[HealthShape.collection].find_one(_PROBE, session=session)
        try:
            yield Pinned(database, session, LIFETIME)
        finally:
            with _ended():
                await session.abort_transaction()


async def _holds_still(database: Database, session: AsyncClientSession) -> bool:
    """Tell whether a session goes on seeing what it saw first, by a write of our own."""
    health = database.get_collection(
        HealthShape.collection, write_concern=DURABLE, read_preference=ReadPreference.PRIMARY
    )
    seen = []
    try:
        for _ in range(2):
            await health.update_one(_PROBE, {"$inc": {"at": 1}}, upsert=True)
            seen.append(await health.find_one(_PROBE, session=session))
    except OperationFailure:
        return False
    return seen[0] == seen[1]


@contextlib.contextmanager
def _ended() -> Iterator[None]:
    """Leave a transaction that the server may have ended by itself."""
    with contextlib.suppress(OperationFailure):
        yield
