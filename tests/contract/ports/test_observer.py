"""Observers take every event, and over both stores what took effect is told as promised."""

from pathlib import Path

from aiba_adapters.memory import MemoryStore
from aiba_adapters.sqlite import SqliteStore
from aiba_domain.testing.contracts import Capability, ObserverContract, OutboxContract
from aiba_domain.testing.doubles import Tally
from aiba_entry.metering import MetricsObserver, make_metrics


class TestMetricsObserver(ObserverContract):
    """Events as metrics."""

    def make_observer(self) -> MetricsObserver:
        """Make it with metrics of its own."""
        return MetricsObserver(make_metrics(("prediction",)))


class TestTally(ObserverContract):
    """The observer of tests."""

    def make_observer(self) -> Tally:
        """Make it."""
        return Tally()


class TestMemoryOutbox(OutboxContract):
    """What is told over the store in memory."""

    capabilities = frozenset({Capability.SERIALIZABLE})

    async def open_store(self, folder: Path) -> MemoryStore:  # noqa: ARG002 - it leaves no file
        """Open an empty store."""
        return MemoryStore()


class TestSqliteOutbox(OutboxContract):
    """What is told over a file."""

    capabilities = frozenset({Capability.SERIALIZABLE})

    async def open_store(self, folder: Path) -> SqliteStore:
        """Open a new file."""
        return SqliteStore(folder / "arena.db")
