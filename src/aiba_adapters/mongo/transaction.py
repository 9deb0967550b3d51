"""One transaction of the driver: its session, what failed in it, and when it began.

What a unit writes is kept back until it reads or ends, and then sent by few commands. So a unit
holds what it writes to for a moment only, which makes it unlikely that its process dies just then.
"""

import contextlib
from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Any, Final

from bson import Timestamp
from pymongo import ReadPreference, WriteConcern
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from aiba_adapters.mongo.documents import Collection, Documents
from aiba_adapters.mongo.shapes.base import Shape
from aiba_adapters.mongo.shapes.work import HealthShape
from aiba_adapters.mongo.writes import Kind, Write, send

DURABLE: Final = WriteConcern(w="majority", j=True)
"""On the disk of a majority of the replica set."""

SNAPSHOT: Final = ReadConcern("snapshot")
"""One state that a majority has."""

Stored = dict[str, Any]


class Transaction:
    """Commands within one snapshot transaction. The first failure is kept: it has undone it all."""

    def __init__(self, session: AsyncClientSession, documents: Documents) -> None:
        """Work in a session whose transaction has been started."""
        self._session = session
        self._documents = documents
        self._pending: list[Write] = []
        self.failure: PyMongoError | None = None
        self.stamp: Timestamp | None = None

    @staticmethod
    async def start(session: AsyncClientSession) -> None:
        """Start a session's transaction; the first command begins it on the server."""
        await session.start_transaction(
            read_concern=SNAPSHOT, write_concern=DURABLE, read_preference=ReadPreference.PRIMARY
        )

    async def begin(self) -> None:
        """See that the transaction has begun on the server, which it does by a read."""
        if self.stamp is None:
            with self._noted():
                await self._in(HealthShape).find_one({}, session=self._session)

    async def one(
        self, shape: type[Shape], where: Mapping[str, Any], **options: Any
    ) -> Stored | None:
        """Return the first document that fits."""
        await self.flush()
        with self._noted():
            return await self._in(shape).find_one(where, session=self._session, **options)

    async def all(
        self, shape: type[Shape], where: Mapping[str, Any], **options: Any
    ) -> list[Stored]:
        """Return all documents that fit."""
        await self.flush()
        with self._noted():
            found = self._in(shape).find(where, session=self._session, **options)
            return await found.to_list()

    async def count(self, shape: type[Shape], where: Mapping[str, Any]) -> int:
        """Return how many documents fit."""
        await self.flush()
        with self._noted():
            return await self._in(shape).count_documents(where, session=self._session)

    async def size(self, shape: type[Shape]) -> int:
        """Return how many documents a collection has, by its own count of them.

        Not of this transaction's state but of the newest, which nothing has to be read for.
        """
        async with await self._in(shape).aggregate([{"$collStats": {"count": {}}}]) as found:
            stats: Any = await found.next()
        return int(stats["count"])

    async def each(
        self, shape: type[Shape], where: Mapping[str, Any], **options: Any
    ) -> AsyncGenerator[Stored, None]:
        """Go through the documents that fit."""
        await self.flush()
        with self._noted():
            async for stored in self._in(shape).find(where, session=self._session, **options):
                yield stored

    def insert(self, shape: type[Shape], stored: Stored) -> None:
        """Add a document."""
        self._pending.append(Write(Kind.INSERT, shape, stored["_id"], stored))

    def put(self, shape: type[Shape], stored: Stored) -> None:
        """Write a document in place of the one with its id, if there is one."""
        self._pending.append(Write(Kind.PUT, shape, stored["_id"], stored, upsert=True))

    def remove(self, shape: type[Shape], key: object) -> None:
        """Remove a document."""
        self._pending.append(Write(Kind.REMOVE, shape, key))

    def change(
        self, shape: type[Shape], key: object, how: Mapping[str, Any], *, upsert: bool
    ) -> None:
        """Change a document by update operators; with `upsert` it is made if it isn't there."""
        self._pending.append(Write(Kind.CHANGE, shape, key, how, upsert=upsert))

    async def flush(self) -> None:
        """Send what was kept back."""
        if not self._pending:
            return
        pending, self._pending = self._pending, []
        await self.begin()
        with self._noted():
            await send(self._session, self._documents, pending)

    def _in(self, shape: type[Shape]) -> Collection:
        return self._documents.collection(shape)

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        """Keep the cluster's time at the first answer, and the first failure."""
        try:
            yield
        except PyMongoError as failure:
            self.failure = self.failure or failure
            raise
        if self.stamp is None:
            self.stamp = cluster_time(self._session)


def cluster_time(session: AsyncClientSession) -> Timestamp | None:
    """Return the latest cluster time that the session has heard of."""
    told = session.cluster_time
    return told["clusterTime"] if told else None
