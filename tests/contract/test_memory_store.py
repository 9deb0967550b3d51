"""The store in memory keeps the contract of stores."""

from pathlib import Path

from aiba_adapters.memory import MemoryStore
from aiba_domain.ports import Store
from aiba_domain.testing.contracts import StoreContract


class TestMemoryStore(StoreContract):
    """The contract over memory."""

    async def open_store(self, folder: Path) -> Store:  # noqa: ARG002 - it leaves nothing on disk
        """Open an empty store."""
        return MemoryStore()
