"""The crash matrix on the memory store, with this project's own front door and isolated signer."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from aiba_domain.ports import Store
from aiba_domain.testing.crash_matrix.contract import CrashMatrixContract
from aiba_entry.cli.crash_matrix_parts import opener, parts, quick_folder


class TestMemory(CrashMatrixContract):
    """What moves money is struck each time."""

    parts = parts("memory")

    @pytest.fixture(name="matrix_folder", scope="class")
    @classmethod
    def _matrix_folder(cls) -> Iterator[Path]:
        with quick_folder() as folder:
            yield folder

    async def open_store(self, folder: Path) -> Store:
        """Open a store."""
        return await opener("memory")(folder)
