"""The crash matrix on the memory store, with this project's own front door and isolated signer."""

from pathlib import Path

from aiba_domain.ports import Store
from aiba_domain.testing.crash_matrix.contract import CrashMatrixContract
from aiba_entry.cli.crash_matrix_parts import opener, parts


class TestMemory(CrashMatrixContract):
    """What moves money is struck each time."""

    parts = parts("memory")

    async def open_store(self, folder: Path) -> Store:
        """Open a store."""
        return await opener("memory")(folder)
