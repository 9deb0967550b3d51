"""Our protection stores keep the contract of protection stores."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiba_adapters.signing.memory_protection import MemoryProtection
from aiba_adapters.signing.protection import SqliteProtection
from aiba_domain.signing.model import Network
from aiba_domain.testing.contracts import Capability, ProtectionStoreContract
from tests.support.signers import Files


class TestMemoryProtection(ProtectionStoreContract):
    """The store of simulations."""

    async def open_store(self, folder: Path) -> MemoryProtection:  # noqa: ARG002 - it keeps no file
        """Make it."""
        return MemoryProtection(network=Network.TESTNET)


def files_in(folder: Path) -> Files:
    """Return a folder's store and log, made while it is empty."""
    return Files(folder, fresh=not (folder / "store").exists())


class TestSqliteProtection(ProtectionStoreContract):
    """The store of the service."""

    capabilities = frozenset(
        {
            Capability.REOPEN,
            Capability.DURABLE,
            Capability.SHARED,
            Capability.FAULTS,
            Capability.BACKUPS,
        }
    )

    async def open_store(self, folder: Path) -> SqliteProtection:
        """Open the files, made in an empty folder."""
        return files_in(folder).open()

    @contextlib.contextmanager
    def outage(self, adapter: SqliteProtection) -> Iterator[None]:
        """Fill the disk of the log."""

        def full(*_given: object) -> None:
            raise OSError(28, "No space left on device")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(adapter._file._log, "append", full)
            yield

    def lose(self, folder: Path) -> None:
        """Unlink the store."""
        files_in(folder).store.unlink()

    def damage(self, folder: Path) -> None:
        """Add a row to it."""
        with contextlib.closing(sqlite3.connect(files_in(folder).store)) as connection, connection:
            connection.execute("INSERT INTO usage VALUES ('v', 'lifetime', 1)")

    def copy(self, folder: Path) -> dict[str, bytes]:
        """Copy the store's folder."""
        return files_in(folder).backup()

    def put_back(self, folder: Path, copy: dict[str, bytes]) -> None:
        """Put a copy in its place."""
        files_in(folder).restore(copy)
