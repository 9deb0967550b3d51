"""Which store the settings mean, as something that can be backed up, restored and migrated."""

from pathlib import Path

from aiba_adapters.backups import Backups
from aiba_adapters.backups.sqlite import SqliteBackups
from aiba_adapters.system.clock import SystemClock
from aiba_entry.settings import Settings
from aiba_entry.stores import StoreUnusable, database_path


def backups_of(settings: Settings, *, into: Path | None = None) -> Backups:
    """Return the backups of the settings' store, or of one in another data directory.

    Raises StoreUnusable for a kind of store that has none.
    """
    if settings.mongo_uri is not None:
        raise StoreUnusable(
            "backups of the database of MONGO_URI are taken with its own tools (mongodump --oplog)"
        )
    path = database_path(settings)
    return SqliteBackups(path if into is None else into / path.name, now=SystemClock().now)
