"""What a server must be able to do before any money is trusted to it."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pymongo import AsyncMongoClient
from pymongo.errors import OperationFailure

from aiba_adapters.mongo.documents import Database
from aiba_adapters.mongo.shapes.work import HealthShape
from aiba_adapters.mongo.transaction import DURABLE, SNAPSHOT, cluster_time

_LEAST_WIRE_VERSION: Final = 21
_LEAST_VERSION: Final = "MongoDB 7.0"

LIFETIME_S: Final = 60
"""How long the server lets a transaction live at the most, which is its default."""


class Unfit(Exception):  # noqa: N818 - named for the state of the server
    """The server or its database can't be used; `problems` says why, one by one."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


async def server_problems(client: "AsyncMongoClient[dict[str, Any]]") -> list[str]:
    """Return what the server says of itself that doesn't do."""
    hello: Mapping[str, Any] = await client.admin.command("hello")
    found = []
    if "setName" not in hello and hello.get("msg") != "isdbgrid":
        found.append("it is a standalone server: transactions need a replica set")
    if not hello.get("logicalSessionTimeoutMinutes"):
        found.append("it has no sessions")
    if int(hello.get("maxWireVersion", 0)) < _LEAST_WIRE_VERSION:
        found.append(f"it is older than {_LEAST_VERSION}")
    return found


async def advice(client: "AsyncMongoClient[dict[str, Any]]") -> list[str]:
    """Return what of the server's settings an operator had better know; nothing refuses a start."""
    name = "transactionLifetimeLimitSeconds"
    unseen = f"whether {name} is {LIFETIME_S} or less can't be seen"
    try:
        found = await client.admin.command({"getParameter": 1, name: 1})
    except OperationFailure:
        return [f"{unseen}: it isn't permitted"]
    if name not in found:
        return [f"{unseen}: the server doesn't say"]
    if int(found[name]) <= LIFETIME_S:
        return []
    note = (
        f"{name} is {found[name]}: what a process had written that dies between its writes and"
        f" their commit stays locked for so long, and entries count as settled before; set"
        f" {LIFETIME_S}"
    )
    return [note]


async def transaction_problems(database: Database) -> list[str]:
    """Return what of durable snapshot transactions the server can't do, by trying."""
    health = database[HealthShape.collection]
    try:
        await health.with_options(write_concern=DURABLE).update_one(
            {"_id": "start"}, {"$inc": {"at": 1}}, upsert=True
        )
    except OperationFailure as error:
        return [
            f"it refuses journaled majority writes: {error.details and error.details['errmsg']}"
        ]
    async with database.client.start_session() as session:
        await session.start_transaction(read_concern=SNAPSHOT, write_concern=DURABLE)
        try:
            await health.update_one({"_id": "start"}, {"$inc": {"at": 1}}, session=session)
        except OperationFailure as error:
            if error.has_error_label("TransientTransactionError"):
                return []  # another process starts at the same moment, in a transaction
            return [f"it has no snapshot transactions: {error.details and error.details['errmsg']}"]
        finally:
            if session.in_transaction:
                await session.abort_transaction()
        if cluster_time(session) is None:
            return ["it tells no cluster time"]
    return []
