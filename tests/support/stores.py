"""Stores for tests: how to open each adapter, and the SQLite store at a desk."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from aiba_adapters.memory import MemoryStore
from aiba_adapters.sqlite import SqliteStore
from aiba_domain.ports import Store
from aiba_domain.testing.contracts.store import Desk

STORES: Final = ("memory", "sqlite")
"""The adapters that a test of the whole core runs on."""


def opener(kind: str, folder: Path) -> Callable[[], Awaitable[Store]]:
    """Return what opens a store; SQLite's is the same file each time."""

    async def open_memory() -> Store:
        return MemoryStore()

    async def open_sqlite() -> Store:
        return SqliteStore(folder / "arena.db")

    return open_memory if kind == "memory" else open_sqlite


@contextmanager
def sqlite_desk(path: Path) -> Iterator[tuple[Desk, SqliteStore]]:
    """Open a file for one test, and close it afterwards."""
    with asyncio.Runner() as runner:

        async def opened() -> SqliteStore:
            return SqliteStore(path)

        store = runner.run(opened())
        yield Desk(runner, store), store
        runner.run(store.close())
