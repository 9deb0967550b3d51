"""The crash matrix on SQLite: each cell, and the write of every command."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aiba_domain.ports import Store
from aiba_domain.testing.crash_matrix import Depth, run_matrix, table
from aiba_domain.testing.crash_matrix.contract import CrashMatrixContract
from aiba_entry.cli.crash_matrix_parts import opener, parts, quick_folder


class TestSqlite(CrashMatrixContract):
    """After a crash the files are opened again."""

    parts = parts("sqlite")
    depth = Depth.SHORT

    @pytest.fixture(name="matrix_folder", scope="class")
    @classmethod
    def _matrix_folder(cls) -> Iterator[Path]:
        with quick_folder() as folder:
            yield folder

    async def open_store(self, folder: Path) -> Store:
        """Open the store of a folder."""
        return await opener("sqlite")(folder)


@pytest.mark.soak
@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_every_time_in_every_scenario(store: str) -> None:
    """Every call is struck each time that any scenario makes it."""
    with quick_folder() as folder:
        report = run_matrix(opener(store), parts=parts(store), depth=Depth.FULL, folder=folder)
    assert report.is_passed, table(report)
