"""Databases of a MongoDB that are made for a run of the harness, used again, and dropped."""

import asyncio
import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit, urlunsplit

import click

from aiba_domain.ports import Store
from aiba_entry.stores import MONGO_MISSING

_NOTE: Final = "mongo-database"
_SCHEMA: Final = "steps"
"""The collection that says which steps a database's schema has taken."""
_FIRST_POLICY: Final = {"_id": {"$ne": 1}}


class Scratch:
    """Opens the database of a folder, an empty one at first, as if the folder held it.

    A copy of the folder of a closed store opens as a copy of its database. The database of a folder
    that is gone is emptied and given to another one: making one takes longer.
    """

    def __init__(self, uri: str, prefix: str) -> None:
        """Make databases whose names begin with `prefix` on the server of a URI that names none."""
        self._uri = uri
        self._prefix = prefix
        self._taken: dict[str, Path] = {}

    async def open(self, folder: Path) -> Store:
        """Open the store of a folder."""
        from aiba_adapters import mongo  # noqa: PLC0415 - an extra, and slow to import

        note = folder / _NOTE
        origin, name = json.loads(note.read_text()) if note.exists() else ("", "")
        if origin != str(folder):
            source, name = name, self._free() or f"{self._prefix}{secrets.token_hex(6)}"
            if name not in self._taken:
                await mongo.make_schema(_with_database(self._uri, name))
            if name in self._taken or source:
                await self._fill(name, source)
            self._taken[name] = folder
            note.write_text(json.dumps([str(folder), name]))
        return await mongo.open_store(_with_database(self._uri, name))

    def _free(self) -> str | None:
        """Return a database whose folder is gone."""
        return next((name for name, of in self._taken.items() if not of.exists()), None)

    async def _fill(self, name: str, source: str) -> None:
        """Let a database hold what another one holds, or nothing but the first policy."""
        client = _connect(self._uri)
        try:
            database = client[name]

            async def refill(collection: str) -> None:
                if collection == _SCHEMA:
                    return
                keep = _FIRST_POLICY if collection == "policies" and not source else {}
                await database[collection].delete_many(keep)
                held = await client[source][collection].find().to_list() if source else []
                if held:
                    await database[collection].insert_many(held)

            await asyncio.gather(*map(refill, await database.list_collection_names()))
        finally:
            await client.close()


@contextmanager
def scratch(uri: str) -> Iterator[str]:
    """Give a prefix for names of databases; those that have got it are dropped at the end."""
    prefix = f"aiba_scratch_{secrets.token_hex(4)}_"
    try:
        yield prefix
    finally:
        asyncio.run(_drop(uri, prefix))


def check_uri(uri: str | None) -> str:
    """Return the URI of a server to make databases on. Raises UsageError for another one."""
    if not uri:
        raise click.UsageError("--store mongo needs --mongo-uri, the server to make databases on")
    try:
        parts = urlsplit(uri)
        is_server = parts.scheme in {"mongodb", "mongodb+srv"} and bool(parts.netloc)
    except ValueError:
        is_server = False
    if not is_server or parts.path not in {"", "/"}:
        raise click.UsageError("--mongo-uri names a server and no database: mongodb://host/")
    return uri


async def _drop(uri: str, prefix: str) -> None:
    client = _connect(uri)
    try:
        for name in await client.list_database_names():
            if name.startswith(prefix):
                await client.drop_database(name)
    finally:
        await client.close()


def _connect(uri: str) -> Any:  # noqa: ANN401 - the type is the extra's
    try:
        from pymongo import AsyncMongoClient  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise click.ClickException(MONGO_MISSING) from error
    return AsyncMongoClient(uri, w="majority")


def _with_database(uri: str, name: str) -> str:
    return urlunsplit(urlsplit(uri)._replace(path=f"/{name}"))
