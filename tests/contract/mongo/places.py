"""Databases that a test backs up, restores and drills."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from pymongo import MongoClient
from pymongo.database import Database

from aiba_adapters.backups import Manifest, check, take
from aiba_adapters.backups.mongo import MongoBackups
from aiba_adapters.mongo import MongoStore, open_store
from aiba_domain.application.audit import audit_store
from aiba_domain.ports import Reader
from tests.contract.backups.support import AT, silent, write

T = TypeVar("T")


class Place:
    """A database of a test's own; `clock` is what its backups are told of the time."""

    def __init__(self, uri: str) -> None:
        """Stand for the database that a URI names."""
        self.uri = uri
        self.clock = [AT]
        self.client: MongoClient[dict[str, Any]] = MongoClient(uri)
        self.database: Database[dict[str, Any]] = self.client.get_default_database()

    @property
    def backups(self) -> MongoBackups:
        """The backups of this database."""
        return MongoBackups(self.uri, now=lambda: self.clock[0])

    def with_store(self, work: Callable[[MongoStore], Coroutine[Any, Any, T]]) -> T:
        """Open the store as production does, work on it, and close it."""

        async def opened() -> T:
            store = await open_store(self.uri)
            try:
                return await work(store)
            finally:
                await store.close()

        return asyncio.run(opened())

    def make(self, units: int) -> None:
        """Make the schema, and so many units."""

        async def work() -> None:
            store = await open_store(self.uri, create=True)
            for number in range(units):
                await write(store, number)
            await store.close()

        asyncio.run(work())

    def backup(self, target: Path, tell: Callable[[str, int, int], None] = silent) -> Manifest:
        """Take a backup."""
        return asyncio.run(take(self.backups, target, tell=tell))

    def restore(
        self, source: Path, *, at: int = AT, tell: Callable[[str, int, int], None] = silent
    ) -> None:
        """Check a backup and put it back."""
        self.clock[0] = at
        manifest = check(source, self.backups, tell=silent)
        asyncio.run(self.backups.load(source, manifest, replace=False, tell=tell))

    def units(self) -> int:
        """Check that the store holds whole units from the first one on; return how many."""

        async def work(store: MongoStore) -> int:
            report = await audit_store(store)
            assert report.is_sound, report.faults

            async def look(read: Reader) -> None:
                for number in range(report.entries):
                    balances = await read.balances(f"player:{number}")
                    assert list(balances.values()) == [number + 1]
                    assert await read.player(f"{number}") is not None

            await store.read(look)
            return report.entries

        return self.with_store(work)

    def names(self) -> set[str]:
        """Return the names of the server's databases that begin as this one's."""
        return {
            name
            for name in self.client.list_database_names()
            if name.startswith(self.database.name)
        }
