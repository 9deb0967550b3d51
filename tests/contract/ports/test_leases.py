"""Leases kept in a store: in memory, and in a file that several processes share."""

from pathlib import Path

from aiba_adapters.memory import MemoryStore
from aiba_adapters.sqlite import SqliteStore
from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.application.leases import StoreLeases
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.outage import Clock
from aiba_domain.ports import Store
from aiba_domain.testing.contracts import Capability, LeasesContract
from aiba_domain.testing.doubles import FixedSeeds, Tally


class LeasesOf(StoreLeases):
    """The leases of a store that is opened for them alone."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Keep them in `store`."""
        self.store = store
        super().__init__(
            Pipeline(
                store=store, clock=clock, seeds=FixedSeeds(), observer=Tally(), handlers=HANDLERS
            )
        )


class TestMemoryLeases(LeasesContract):
    """The leases of one process."""

    capabilities = frozenset({Capability.SERIALIZABLE})

    async def open_leases(self, folder: Path, clock: Clock) -> LeasesOf:
        """Open leases in memory."""
        del folder
        return LeasesOf(MemoryStore(), clock)


class TestSqliteLeases(LeasesContract):
    """The leases of the processes on one file."""

    capabilities = frozenset({Capability.SERIALIZABLE, Capability.SHARED, Capability.REOPEN})

    async def open_leases(self, folder: Path, clock: Clock) -> LeasesOf:
        """Open the leases of the file in a folder."""
        return LeasesOf(SqliteStore(folder / "arena.db"), clock)

    async def release(self, adapter: LeasesOf) -> None:
        """Close the file."""
        await adapter.store.close()
