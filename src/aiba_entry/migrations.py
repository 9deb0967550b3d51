"""The steps that bring the store of the settings to this build's schema: a plan, then the taking.

A server takes them itself when it opens an embedded store, and the command lets an operator see
them first. On MongoDB a server in production takes none: it refuses to start until they are taken.
"""

import contextlib
import sqlite3
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from aiba_adapters.sqlite import presence
from aiba_adapters.sqlite.schema import STEPS, migrate, pending
from aiba_adapters.sqlite.store import connect
from aiba_adapters.steps import Pending, SchemaTooNew, Tell
from aiba_domain.ports import Unavailable
from aiba_entry.settings import Settings
from aiba_entry.stores import MONGO_MISSING, StoreUnusable, database_path


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Where a store is, `at` None if there is no store yet, and the steps up to `newest`."""

    at: int | None
    newest: int
    steps: Sequence[Pending]


class Migrations(Protocol):
    """The migrations of one kind of store."""

    async def plan(self) -> Plan:
        """Return what would be done, changing nothing. Raises StoreUnusable."""
        ...

    async def take(self, *, tell: Tell) -> None:
        """Take every step; can be repeated, also after a death at any point.

        Raises StoreUnusable, also while a server works on a store that it mustn't be changed under.
        """
        ...


def migrations_of(settings: Settings) -> Migrations:
    """Return the migrations of the settings' store. Raises StoreUnusable."""
    if settings.mongo_uri is not None:
        return MongoMigrations(settings.mongo_uri)
    return SqliteMigrations(database_path(settings))


class SqliteMigrations:
    """The migrations of the database at a path."""

    def __init__(self, path: Path) -> None:
        """Work for the database at `path`, which is never made."""
        self._path = path

    async def plan(self) -> Plan:
        """List the steps that the database has yet to take."""
        if not self._path.exists():
            return Plan(at=None, newest=len(STEPS), steps=())
        with self._said():
            uri = f"{self._path.absolute().as_uri()}?mode=rw"
            with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
                steps = pending(connection)
        return Plan(at=len(STEPS) - len(steps), newest=len(STEPS), steps=steps)

    async def take(self, *, tell: Tell) -> None:
        """Take them alone: a server of an earlier build would go on writing as it knows how to."""
        try:
            with (
                self._said(),
                presence.alone(self._path.parent),
                contextlib.closing(connect(self._path)) as connection,
            ):
                migrate(connection, tell=tell)
        except BlockingIOError:
            raise StoreUnusable(f"{self._path} is in use: stop what works on it first") from None

    @contextlib.contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, SchemaTooNew) as error:
            raise StoreUnusable(f"{self._path} can't be migrated: {error}") from error


class MongoMigrations:
    """The migrations of the database that a URI names; a new one has yet to take every step."""

    def __init__(self, uri: str) -> None:
        """Work for the database of `uri`, which no text repeats."""
        self._uri = uri

    async def plan(self) -> Plan:
        """List the steps that the database has yet to take."""
        async with self._database() as database:
            from aiba_adapters.mongo import migrations  # noqa: PLC0415 - an extra

            steps = await migrations.pending(database)
            newest = len(migrations.STEPS)
            return Plan(at=newest - len(steps), newest=newest, steps=steps)

    async def take(self, *, tell: Tell) -> None:
        """Take them, one process at a time; a dead one's turn runs out by itself."""
        async with self._database() as database:
            from aiba_adapters.mongo import connecting, migrations  # noqa: PLC0415 - an extra

            await migrations.take(database, now=connecting.now, tell=tell)

    @contextlib.asynccontextmanager
    async def _database(self) -> AsyncIterator[Any]:
        """Give the driver's database, of a package that needn't be installed."""
        try:
            from aiba_adapters import mongo  # noqa: PLC0415 - an extra, and slow to import
        except ImportError as error:
            raise StoreUnusable(MONGO_MISSING) from error
        place = "the database of MONGO_URI"
        try:
            async with mongo.opened(self._uri) as database:
                yield database
        except (mongo.Unfit, mongo.TurnTaken, mongo.TurnLost, SchemaTooNew) as error:
            raise StoreUnusable(f"{place} can't be migrated: {error}") from error
        except Unavailable as error:
            raise StoreUnusable(f"{place} doesn't answer: {error}") from error
