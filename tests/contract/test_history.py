"""What clients at once are told by each store has an order that explains it."""

from pathlib import Path

import pytest

from aiba_adapters.memory import MemoryStore
from aiba_adapters.sqlite import SqliteStore
from aiba_domain.testing import Capability, HistoryContract, check_history
from aiba_domain.testing.history import Beside
from tests.support.stores import STORES

SOAKED = 400


class TestMemoryHistory(HistoryContract):
    """Clients of the store in memory."""

    capabilities = frozenset({Capability.SERIALIZABLE})

    async def open_store(self, folder: Path) -> MemoryStore:  # noqa: ARG002 - it leaves no file
        """Open an empty store."""
        return MemoryStore()


class TestSqliteHistory(HistoryContract):
    """Clients of one file: of one store, of several, and of several processes."""

    capabilities = frozenset({Capability.SERIALIZABLE, Capability.SHARED})

    async def open_store(self, folder: Path) -> SqliteStore:
        """Open a file, a new one in an empty folder."""
        return SqliteStore(folder / "arena.db")


async def open_memory(_folder: Path) -> MemoryStore:
    """Open an empty store."""
    return MemoryStore()


async def open_sqlite(folder: Path) -> SqliteStore:
    """Open a file."""
    return SqliteStore(folder / "arena.db")


@pytest.mark.soak
@pytest.mark.parametrize("kind", STORES)
def test_histories_have_an_order_whatever_is_drawn(
    kind: str, request: pytest.FixtureRequest
) -> None:
    """Hundreds of longer histories, other ones with another `--hypothesis-seed`; one is named."""
    chosen = request.config.getoption("--hypothesis-seed")
    first = int(chosen) * SOAKED if str(chosen).isdigit() else 100
    opener = open_memory if kind == "memory" else open_sqlite
    ways = [Beside.TASKS] if kind == "memory" else [Beside.TASKS, Beside.THREADS]
    for beside in ways:
        check_history(
            opener,
            seeds=range(first, first + SOAKED),
            beside=beside,
            clients=12,
            requests=10,
            accounts=4,
            losses=25,
        )


@pytest.mark.soak
def test_histories_of_processes_have_an_order() -> None:
    """The same for several processes on one file."""
    check_history(open_sqlite, seeds=range(20), beside=Beside.PROCESSES, losses=25)
