"""The whole service over MongoDB: a random life, what clients at once are told, and crashes."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp

import pytest
from hypothesis import HealthCheck, settings

from aiba_adapters.mongo import MongoStore
from aiba_domain.ports import Store
from aiba_domain.testing import Capability, HistoryContract
from aiba_domain.testing.crash_matrix import Depth, run_matrix, table
from aiba_domain.testing.crash_matrix.contract import CELLS
from aiba_domain.testing.crash_matrix.matrix import Cell, Matrix, opened
from aiba_domain.testing.machines import ArenaMachine
from aiba_entry.cli.crash_matrix_parts import parts, quick_folder
from tests.support.mongo import open_mongo


class MongoArena(ArenaMachine):
    """The service over a database, which is opened again now and then."""

    survives_reopening = True

    def __init__(self) -> None:
        """Give each run a database of its own."""
        self._folder = Path(mkdtemp())
        super().__init__()

    async def open_store(self) -> Store:
        """Open this run's database."""
        return await open_mongo(self._folder)

    def teardown(self) -> None:
        """Close the store and forget the database's name."""
        super().teardown()
        shutil.rmtree(self._folder)


TestMongoArena = MongoArena.TestCase
TestMongoArena.settings = settings(
    max_examples=max(1, settings().max_examples * 3 // 100),
    stateful_step_count=30,
    suppress_health_check=[HealthCheck.too_slow],
)


class TestMongoHistory(HistoryContract):
    """Clients of one database: of one store, of several, and of several processes."""

    capabilities = frozenset({Capability.SERIALIZABLE, Capability.SHARED})

    async def open_store(self, folder: Path) -> MongoStore:
        """Open a database, an empty one for a new folder."""
        return await open_mongo(folder)


PARTS = replace(parts("sqlite"), is_in_folder=False)
"""After a crash the database is opened again; it isn't in the folder."""

SHORTLY = [
    cell for cell in CELLS if cell.call.startswith("Store.") or cell.call == "UnitOfWork.write"
]
"""The cells in which the store itself is struck."""


SCENARIOS = ("ReserveClaim", "a look around", "a check of health", "a stop in good order")
"""Few that together make every call of the store: each is lived through in seconds."""


async def open_folder(folder: Path) -> Store:
    """Open the database of a folder."""
    return await open_mongo(folder)


@pytest.fixture(name="matrix", scope="module")
def _matrix() -> Iterator[Matrix]:
    with (
        quick_folder() as folder,
        opened(open_folder, PARTS, scenarios=SCENARIOS, depth=Depth.SHORT, folder=folder) as matrix,
    ):
        yield matrix


@pytest.mark.parametrize("cell", SHORTLY, ids=str)
def test_everything_recovers(matrix: Matrix, cell: Cell) -> None:
    """Whatever strikes at the store: in the end all is as if nothing had."""
    scenario, strike = next(matrix.strikes(cell))
    assert matrix.failure_of(scenario, strike) is None


@pytest.mark.soak
def test_everything_recovers_from_every_cell() -> None:
    """Every call of every port is struck."""
    with quick_folder() as folder:
        report = run_matrix(open_folder, parts=PARTS, depth=Depth.SHORT, folder=folder)
    assert report.is_passed, table(report)
