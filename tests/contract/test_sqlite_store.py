"""The store on SQLite keeps the contract of stores, and what SQLite adds: durability."""

from pathlib import Path

from aiba_adapters.sqlite import SqliteStore
from aiba_domain.ports import Store
from aiba_domain.testing.contracts import StoreContract


class TestSqliteStore(StoreContract):
    """The contract over one file."""

    async def open_store(self, folder: Path) -> Store:
        """Open a new file."""
        return SqliteStore(folder / "arena.db")
