"""How a store is opened: one client for one event loop, a fit server, a known schema."""

import contextlib
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final

from pymongo import AsyncMongoClient
from pymongo.errors import ConfigurationError, InvalidName, PyMongoError

from aiba_adapters.mongo import migrations, schema
from aiba_adapters.mongo.attempts import Client
from aiba_adapters.mongo.documents import Database, Documents
from aiba_adapters.mongo.failures import text_of
from aiba_adapters.mongo.fitness import Unfit, advice, server_problems, transaction_problems
from aiba_adapters.mongo.leases import CapLeases
from aiba_adapters.mongo.monitoring import listeners
from aiba_adapters.mongo.shares import AT_ONCE
from aiba_adapters.mongo.store import PATIENCE_MS, MongoStore
from aiba_adapters.mongo.turns import TurnLost, TurnTaken
from aiba_adapters.mongo_meter import Meter, Unmetered
from aiba_adapters.steps import SchemaTooNew
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


def connect(
    uri: str, meter: Meter | None = None, *, is_patient: bool = False
) -> tuple[Client, Database]:
    """Make a client for the running event loop, which tells a meter of itself; name its database.

    A patient one waits for an answer as long as the connection lives: to make an index takes long.
    Raises Unfit for a URI that is none or names no database; no text repeats the URI.
    """
    given = uri.lower()
    options: dict[str, Any] = {
        name: value for name, value in DEFAULTS.items() if f"{name.lower()}=" not in given
    }
    if is_patient:
        options["socketTimeoutMS"] = 0
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
    name: str | None = None,
    create: bool = False,
    caps: CapLeases | None = None,
    patience_ms: int = PATIENCE_MS,
    meter: Meter | None = None,
) -> MongoStore:
    """Open the store for the running event loop, of the URI's database or one of another name.

    Raises Unfit naming everything that the server lacks or that the schema isn't, and Unavailable
    if no primary answers. With `create` what the schema lacks is made first. A `meter` is told what
    the store does from here on.
    """
    client, database = connect(uri, meter)
    if name is not None:
        database = client[name]
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
    client, database = connect(uri, is_patient=True)
    try:
        _refuse(await server_problems(client))
        with _said():
            made = await migrations.initialise(database, now=now)
        await _require_fit(client, database, create=False)
    except PyMongoError as error:
        raise Unavailable(text_of(error)) from error
    else:
        return made
    finally:
        await client.close()


@contextlib.asynccontextmanager
async def opened(uri: str, *, name: str | None = None) -> AsyncIterator[Database]:
    """Give a fit server's database, the URI's or one of another name, whatever its schema is.

    Raises as `open_store` does; what the driver says meanwhile is Unavailable.
    """
    client, database = connect(uri, is_patient=True)
    try:
        _refuse(await server_problems(client))
        yield database if name is None else client[name]
    except PyMongoError as error:
        raise Unavailable(text_of(error)) from error
    finally:
        await client.close()


async def _require_fit(client: Client, database: Database, *, create: bool) -> None:
    unfit = await server_problems(client)
    found = await _problems(database)
    if create and found and not unfit:
        with _said():
            await migrations.initialise(database, now=now)
        found = await _problems(database)
    unfit += found
    if not unfit:
        unfit = await transaction_problems(database)
    _refuse(unfit)


async def _problems(database: Database) -> list[str]:
    return await migrations.problems(database) + await schema.problems(database)


def _refuse(unfit: list[str]) -> None:
    if unfit:
        raise Unfit(unfit)


@contextlib.contextmanager
def _said() -> Iterator[None]:
    """Say of a database whose schema can't be brought up to date why it is so."""
    try:
        yield
    except (SchemaTooNew, TurnTaken, TurnLost) as error:
        raise Unfit([str(error)]) from error


def now() -> int:
    """Return the instant in ms, by which processes judge each other's leases."""
    return time.time_ns() // 1_000_000


async def advice_for(uri: str) -> list[str]:
    """Return what of a server's settings an operator had better know. Raises Unavailable."""
    client, _ = connect(uri)
    try:
        return await advice(client)
    except PyMongoError as error:
        raise Unavailable(text_of(error)) from error
    finally:
        await client.close()
