"""How a store is opened: one client for one event loop, a fit server, a known schema."""

from collections.abc import Mapping
from typing import Any, Final

from pymongo import AsyncMongoClient
from pymongo.errors import ConfigurationError, InvalidName, PyMongoError

from aiba_adapters.mongo.attempts import Client
from aiba_adapters.mongo.documents import Database, Documents
from aiba_adapters.mongo.failures import text_of
from aiba_adapters.mongo.fitness import Unfit, server_problems, transaction_problems
from aiba_adapters.mongo.leases import CapLeases
from aiba_adapters.mongo.monitoring import listeners
from aiba_adapters.mongo.schema import initialise, problems
from aiba_adapters.mongo.store import AT_ONCE, PATIENCE_MS, MongoStore
from aiba_adapters.mongo_meter import Meter, Unmetered
from aiba_domain.ports import Unavailable

DEFAULTS: Final[Mapping[str, Any]] = {
    "serverSelectionTimeoutMS": 3_000,
    "connectTimeoutMS": 3_000,
    "socketTimeoutMS": 20_000,
    "maxPoolSize": AT_ONCE + 8,
    "appname": "aiba-arena",
}
"""The driver's options where the URI doesn't say otherwise."""

_OURS: Final[Mapping[str, Any]] = {
    "w": "majority",
    "journal": True,
    "readConcernLevel": "majority",
    "tz_aware": True,
}


def connect(uri: str, meter: Meter | None = None) -> tuple[Client, Database]:
    """Make a client for the running event loop, which tells a meter of itself; name its database.

    Raises Unfit for a URI that is none or names no database; no text repeats the URI.
    """
    given = uri.lower()
    options: dict[str, Any] = {
        name: value for name, value in DEFAULTS.items() if f"{name.lower()}=" not in given
    }
    if meter is not None:
        options["event_listeners"] = listeners(meter)
    try:
        client: Client = AsyncMongoClient(uri, **options, **_OURS)
    except (PyMongoError, ValueError, TypeError):
        # What the driver says of a faulty URI may repeat its password.
        raise Unfit(["the URI is not one of MongoDB"]) from None
    try:
        return client, client.get_default_database()
    except (ConfigurationError, InvalidName):
        raise Unfit(["the URI names no database, as in mongodb://host/aiba"]) from None


async def open_store(
    uri: str,
    *,
    create: bool = False,
    caps: CapLeases | None = None,
    patience_ms: int = PATIENCE_MS,
    meter: Meter | None = None,
) -> MongoStore:
    """Open the store for the running event loop.

    Raises Unfit naming everything that the server lacks or that the schema isn't, and Unavailable
    if no primary answers. With `create` what the schema lacks is made first. A `meter` is told what
    the store does from here on.
    """
    client, database = connect(uri, meter)
    try:
        await _require_fit(client, database, create=create)
        documents = await Documents.bind(database)
    except PyMongoError as error:
        await client.close()
        raise Unavailable(text_of(error)) from error
    except BaseException:
        await client.close()
        raise
    return MongoStore(
        client, documents, caps=caps, patience_ms=patience_ms, meter=meter or Unmetered()
    )


async def make_schema(uri: str) -> list[str]:
    """Make the collections and indexes that a database lacks; return the names of what was made.

    Raises as `open_store` does, also for what is there and other than declared.
    """
    client, database = connect(uri)
    try:
        await _refuse(await server_problems(client))
        made = await initialise(database)
        await _require_fit(client, database, create=False)
    except PyMongoError as error:
        raise Unavailable(text_of(error)) from error
    else:
        return made
    finally:
        await client.close()


async def _require_fit(client: Client, database: Database, *, create: bool) -> None:
    unfit = await server_problems(client)
    if create and not unfit:
        await initialise(database)
    unfit += await problems(database)
    if not unfit:
        unfit = await transaction_problems(database)
    await _refuse(unfit)


async def _refuse(unfit: list[str]) -> None:
    if unfit:
        raise Unfit(unfit)
