"""Which store the settings mean, and how it is opened."""

import sqlite3
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from aiba_adapters.mongo_meter import Meter
from aiba_adapters.sqlite import SqliteStore
from aiba_adapters.steps import SchemaTooNew
from aiba_domain.ports import Store, Unavailable
from aiba_entry.disks import DATABASE as DATABASE  # noqa: PLC0414 - of the store, to others
from aiba_entry.settings import Settings

MONGO_MISSING: Final = "MONGO_URI needs the driver: pip install 'aiba-arena[mongo]'"
"""What is said where the extra isn't installed."""


class StoreUnusable(Exception):  # noqa: N818 - named for the state of the store
    """The store can't be opened; the text says where it is and what is wrong."""


@runtime_checkable
class Replicated(Protocol):
    """A store with one primary among several servers."""

    async def primary(self) -> str | None:
        """Return the primary's address, None if there is none."""
        ...


def database_path(settings: Settings) -> Path:
    """Return where the settings keep the embedded database."""
    return settings.data_dir / DATABASE


def place_of(settings: Settings) -> str:
    """Say where the store is, without a secret."""
    return "the database of MONGO_URI" if settings.mongo_uri else str(database_path(settings))


def has_store(settings: Settings) -> bool:
    """Tell whether there may be data already."""
    return bool(settings.mongo_uri) or database_path(settings).exists()


async def open_store(settings: Settings, meter: Meter | None = None) -> Store:
    """Open the store for the running event loop; MongoDB tells `meter` of itself.

    Raises StoreUnusable, and Unavailable.
    """
    if settings.mongo_uri:
        return await _open_mongo(settings, settings.mongo_uri, meter)
    return _open_sqlite(database_path(settings))


def _open_sqlite(path: Path) -> SqliteStore:
    try:
        return SqliteStore(path)
    except OSError as error:
        raise StoreUnusable(f"{path} can't be opened: {error.strerror}") from error
    except (sqlite3.Error, SchemaTooNew) as error:
        raise StoreUnusable(f"{path} can't be opened: {error}") from error


async def _open_mongo(settings: Settings, uri: str, meter: Meter | None) -> Store:
    """Open MongoDB. Only in development is what its schema lacks made without being asked for."""
    try:
        from aiba_adapters import mongo  # noqa: PLC0415 - an extra, and slow to import
    except ImportError as error:
        raise StoreUnusable(MONGO_MISSING) from error
    try:
        return await mongo.open_store(uri, create=not settings.is_prod, meter=meter)
    except mongo.Unfit as unfit:
        raise StoreUnusable(_unfit(unfit.problems)) from unfit
    except Unavailable as error:
        raise StoreUnusable(f"the database of MONGO_URI doesn't answer: {error}") from error


def _unfit(problems: tuple[str, ...]) -> str:
    lines = "".join(f"\n- {problem}" for problem in problems)
    hint = "\n`aiba mongo init` makes what is missing" if "is missing" in lines else ""
    return f"the database of MONGO_URI can't be used:{lines}{hint}"
