"""Which store the settings mean, as something that can be backed up, restored and migrated."""

import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from aiba_adapters.backups import Backups, Manifest, Tell, check, manifest_of
from aiba_adapters.backups.sqlite import SqliteBackups
from aiba_adapters.system.clock import SystemClock
from aiba_entry.settings import Settings
from aiba_entry.stores import MONGO_MISSING, StoreUnusable, database_path


def backups_of(settings: Settings, *, into: Path | None = None) -> Backups:
    """Return the backups of the settings' store, or of one in another data directory.

    Raises StoreUnusable where the driver of MONGO_URI isn't installed.
    """
    if settings.mongo_uri is not None:
        try:
            from aiba_adapters.backups.mongo import MongoBackups  # noqa: PLC0415 - an extra
        except ImportError as error:
            raise StoreUnusable(MONGO_MISSING) from error
        return MongoBackups(settings.mongo_uri, now=SystemClock().now)
    path = database_path(settings)
    return SqliteBackups(path if into is None else into / path.name, now=SystemClock().now)


@contextlib.asynccontextmanager
async def suited(
    source: Path, backups: Backups, *, tell: Tell
) -> AsyncIterator[tuple[Path, Manifest]]:
    """Check a backup and give it, made into one of this kind of store where it is of the other.

    Raises BackupRefused, and StoreUnusable where the driver of MongoDB isn't installed.
    """
    if manifest_of(source).store == backups.kind:
        yield source, check(source, backups, tell=tell)
        return
    try:
        from aiba_adapters.backups import moving  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise StoreUnusable(MONGO_MISSING) from error
    with tempfile.TemporaryDirectory(prefix="aiba-move-") as folder:
        moved = Path(folder) / "moved"
        await moving.move(source, moved, tell=tell)
        yield moved, check(moved, backups, tell=tell)
