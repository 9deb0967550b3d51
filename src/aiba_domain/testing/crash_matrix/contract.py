"""The matrix as pytest tests, one for each cell: subclass, and say how to open a store."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from aiba_domain.ports import Store
from aiba_domain.testing.crash_matrix.calls import calls, reason_against
from aiba_domain.testing.crash_matrix.matrix import Cell, Depth, Matrix, Status, cells, opened
from aiba_domain.testing.crash_matrix.parts import Parts

CELLS = tuple(cell for cell in cells() if reason_against(calls()[cell.call], cell.fault) is None)
"""The cells that can be struck."""


class CrashMatrixContract(ABC):
    """Subclass as `Test...` and say how to open the store of a folder, empty at first.

    `parts` is what beside the store is the author's own, and whether opening a folder again finds
    what was answered. What isn't declared is skipped, and not passed. `depth` says how often each
    cell is run. The fixture `matrix_folder` may be overridden: processes die here, not machines, so
    a folder in memory is as good and faster.
    """

    parts: ClassVar[Parts] = Parts()
    depth: ClassVar[Depth] = Depth.USUAL

    @abstractmethod
    async def open_store(self, folder: Path) -> Store:
        """Open the store of a folder; a durable one opens the same data again."""

    @pytest.fixture(name="matrix_folder", scope="class")
    @classmethod
    def _matrix_folder(cls, tmp_path_factory: pytest.TempPathFactory) -> Path:
        return tmp_path_factory.mktemp("crash-matrix")

    @pytest.fixture(name="matrix", scope="class")
    @classmethod
    def _matrix(cls, matrix_folder: Path) -> Iterator[Matrix]:
        with opened(cls().open_store, cls.parts, depth=cls.depth, folder=matrix_folder) as matrix:
            yield matrix

    @pytest.mark.parametrize("cell", CELLS, ids=str)
    def test_everything_recovers(self, matrix: Matrix, cell: Cell) -> None:
        """Whatever strikes at the call: in the end all is as if nothing had."""
        verdict = matrix.judge(cell)
        if verdict.status is Status.NOT_DECLARED:
            pytest.skip(f"not declared: {verdict.reason}")
        assert not verdict.failures, "\n".join(verdict.failures)
