"""Leases in a store of their own."""

from aiba_adapters.memory import MemoryStore
from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.application.leases import StoreLeases
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.outage import Clock
from aiba_domain.ports import Store
from aiba_domain.testing.doubles import FixedSeeds, SettableClock, Tally


class LeasesOf(StoreLeases):
    """The leases of a store that was opened for them alone."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """Keep them in `store`."""
        self.store = store
        self.pipeline = Pipeline(
            store=store, clock=clock, seeds=FixedSeeds(), observer=Tally(), handlers=HANDLERS
        )
        super().__init__(self.pipeline)


def memory_leases(clock: Clock | None = None) -> LeasesOf:
    """Return leases in memory, at a time that stands still unless a clock is given."""
    return LeasesOf(MemoryStore(), clock or SettableClock())
