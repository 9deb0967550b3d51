"""The store in memory keeps the contract of stores."""

from pathlib import Path

from aiba_adapters.memory import MemoryStore
from aiba_domain.testing.contracts import Capability, StoreContract


class TestMemoryStore(StoreContract):
    """The contract over memory."""

    capabilities = frozenset({Capability.SERIALIZABLE})

    async def open_store(self, folder: Path) -> MemoryStore:  # noqa: ARG002 - it leaves no file
        """Open an empty store."""
        return MemoryStore()
