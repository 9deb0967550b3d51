"""Leases kept in a store: in memory, and in a file that several processes share."""

from pathlib import Path

from aiba_adapters.sqlite import SqliteStore
from aiba_domain.outage import Clock
from aiba_domain.testing.contracts import Capability, LeasesContract
from tests.support.leases import LeasesOf, memory_leases


class TestMemoryLeases(LeasesContract):
    """The leases of one process."""

    capabilities = frozenset({Capability.SERIALIZABLE})

    async def open_leases(self, folder: Path, clock: Clock) -> LeasesOf:
        """Open leases in memory."""
        del folder
        return memory_leases(clock)


class TestSqliteLeases(LeasesContract):
    """The leases of the processes on one file."""

    capabilities = frozenset({Capability.SERIALIZABLE, Capability.SHARED, Capability.REOPEN})

    async def open_leases(self, folder: Path, clock: Clock) -> LeasesOf:
        """Open the leases of the file in a folder."""
        return LeasesOf(SqliteStore(folder / "arena.db"), clock)

    async def release(self, adapter: LeasesOf) -> None:
        """Close the file."""
        await adapter.store.close()
