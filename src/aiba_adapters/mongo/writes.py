"""The writes of one unit of work, kept back and sent by few commands.

MongoDB 8.0 and newer takes them all by one command (`bulkWrite`), older ones by one for each
collection.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final

from pymongo import AsyncMongoClient, DeleteOne, InsertOne, ReplaceOne, UpdateOne
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import DuplicateKeyError, OperationFailure

from aiba_adapters.mongo.documents import Documents
from aiba_adapters.mongo.failures import DUPLICATE
from aiba_adapters.mongo.shapes.base import Shape

AT_A_TIME: Final = 1_000
"""How many writes one `bulkWrite` has at the most."""

_BULK_WRITE: Final = 25
"""The wire version of MongoDB 8.0."""

Document = dict[str, Any]


class Kind(Enum):
    """What a write does to the document with its id."""

    INSERT = auto()
    """Add `stored`; there must be none."""
    PUT = auto()
    """Write `stored` in its place, if there is one."""
    CHANGE = auto()
    """Apply the update operators in `stored`."""
    REMOVE = auto()


@dataclass(frozen=True, slots=True)
class Write:
    """One write, of the document with the id `key`; `upsert` makes one where there is none."""

    kind: Kind
    shape: type[Shape]
    key: object
    stored: Mapping[str, Any] = field(default_factory=dict)
    upsert: bool = False

    def in_bulk(self, place: int) -> Document:
        """Return the operation of the command `bulkWrite`, on its namespace number `place`."""
        if self.kind is Kind.INSERT:
            return {"insert": place, "document": self.stored}
        if self.kind is Kind.REMOVE:
            return {"delete": place, "filter": {"_id": self.key}}
        return {
            "update": place,
            "filter": {"_id": self.key},
            "updateMods": self.stored,
            "upsert": self.upsert,
        }

    def in_collection(self) -> "InsertOne[Document] | ReplaceOne[Document] | UpdateOne | DeleteOne":
        """Return the driver's operation on a collection."""
        if self.kind is Kind.INSERT:
            return InsertOne(dict(self.stored))
        if self.kind is Kind.REMOVE:
            return DeleteOne({"_id": self.key})
        if self.kind is Kind.PUT:
            return ReplaceOne({"_id": self.key}, dict(self.stored), upsert=self.upsert)
        return UpdateOne({"_id": self.key}, self.stored, upsert=self.upsert)


def has_bulk_write(client: "AsyncMongoClient[Document]") -> bool:
    """Tell whether all servers that a client knows have the command `bulkWrite`."""
    servers = client.topology_description.server_descriptions().values()
    known = [each.max_wire_version for each in servers if each.is_server_type_known]
    return bool(known) and min(known) >= _BULK_WRITE


async def send(session: AsyncClientSession, documents: Documents, writes: Sequence[Write]) -> None:
    """Send writes within a session's transaction; those to one collection in their order.

    Raises PyMongoError for the first that fails.
    """
    if has_bulk_write(session.client):
        for first in range(0, len(writes), AT_A_TIME):
            await _send_at_once(session, documents, writes[first : first + AT_A_TIME])
        return
    groups: defaultdict[type[Shape], list[Any]] = defaultdict(list)
    for write in writes:
        groups[write.shape].append(write.in_collection())
    for shape, operations in groups.items():
        await documents.collection(shape).bulk_write(operations, session=session)


async def _send_at_once(
    session: AsyncClientSession, documents: Documents, writes: Sequence[Write]
) -> None:
    places = {
        shape: place for place, shape in enumerate(dict.fromkeys(write.shape for write in writes))
    }
    answer = await session.client.admin.command(
        {
            "bulkWrite": 1,
            "ops": [write.in_bulk(places[write.shape]) for write in writes],
            "nsInfo": [{"ns": documents.collection(shape).full_name} for shape in places],
            "errorsOnly": True,
        },
        session=session,
    )
    if answer["nErrors"]:
        error = answer["cursor"]["firstBatch"][0]
        kind = DuplicateKeyError if error["code"] == DUPLICATE else OperationFailure
        raise kind(error.get("errmsg", ""), error["code"], error)
