"""The steps that bring the store of the settings to this build's schema: a plan, then the taking.

A server takes them itself when it opens an embedded store. The command lets an operator see them
first and take them at a time of their own.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aiba_adapters.sqlite import presence
from aiba_adapters.sqlite.schema import STEPS, Pending, SchemaTooNew, Tell, migrate, pending
from aiba_adapters.sqlite.store import connect
from aiba_entry.settings import Settings
from aiba_entry.stores import StoreUnusable, database_path


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
        raise StoreUnusable("the schema of MONGO_URI is made by `aiba mongo init`")
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
