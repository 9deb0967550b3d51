"""The whole service over MongoDB: a random life, what clients at once are told, and crashes."""

import shutil
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

from aiba_adapters.mongo import MongoStore
from aiba_domain.ports import Store
from aiba_domain.testing import Capability, HistoryContract
from aiba_domain.testing.crash_matrix import Depth, run_matrix, table
from aiba_domain.testing.crash_matrix.contract import CELLS
from aiba_domain.testing.crash_matrix.matrix import Cell, Matrix, opened
from aiba_domain.testing.machines import ArenaMachine
from aiba_entry.cli.crash_matrix_parts import opened as opened_store
from aiba_entry.cli.crash_matrix_parts import parts, quick_folder
from tests.support.mongo import open_mongo, server_uri


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


STORE_PORTS: Final = ("Reader", "Store", "UnitOfWork")
"""The ports whose calls come to the database."""

FEW: Final = ("OpenSession", "a check of health", "a stop in good order", "a look around")
"""Scenarios that make most calls of those ports: each is lived through in seconds."""

SHARE: Final = (
    "Reader.balances",
    "Reader.battles_of",
    "Reader.broker",
    "Reader.emitted",
    "Reader.guild_of",
    "Reader.player",
    "Reader.remembered",
    "Reader.session",
)
"""The reads that are struck, each by one of the faults in turn; a soak strikes at all."""


def share() -> list[Cell]:
    """Return the cells that are struck each time: whatever commits by every kind of fault."""
    found: list[Cell] = []
    cells = [cell for cell in CELLS if cell.call.partition(".")[0] in STORE_PORTS]
    by_call = [tuple(each) for _, each in groupby(cells, key=lambda cell: cell.call)]
    read = 0
    for of_call in by_call:
        if of_call[0].call in SHARE:
            found.append(of_call[read % len(of_call)])
            read += 1
        elif not of_call[0].call.startswith("Reader."):
            found += of_call
    return found


@pytest.fixture(name="matrix", scope="module")
def _matrix() -> Iterator[Matrix]:
    with (
        quick_folder() as folder,
        opened_store("mongo", server_uri()) as open_folder,
        opened(
            open_folder,
            parts("mongo"),
            scenarios=FEW,
            depth=Depth.SHORT,
            folder=folder,
        ) as matrix,
    ):
        yield matrix


@pytest.mark.parametrize("cell", share(), ids=str)
def test_everything_recovers(matrix: Matrix, cell: Cell) -> None:
    """Whatever strikes at the store: in the end all is as if nothing had."""
    scenario, strike = next(matrix.strikes(cell))
    assert matrix.failure_of(scenario, strike) is None


@pytest.mark.soak
def test_everything_recovers_from_every_cell() -> None:
    """Every call of every port is struck in every way."""
    with quick_folder() as folder, opened_store("mongo", server_uri()) as open_folder:
        report = run_matrix(open_folder, parts=parts("mongo"), depth=Depth.SHORT, folder=folder)
    assert report.is_passed, table(report)
