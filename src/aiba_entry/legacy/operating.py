"""An import as an operator asks for it: the settings' store, opened once it can't be the source."""

import time

from aiba_adapters.legacy.source import LegacySource
from aiba_adapters.mongo.fitness import Unfit
from aiba_adapters.steps import Tell
from aiba_domain.ports import Unavailable
from aiba_entry.legacy.importing import Result, Wish, run_import
from aiba_entry.legacy.writing import ImportRefused
from aiba_entry.settings import Settings
from aiba_entry.stores import open_store

_MS = 1_000_000


async def operate(settings: Settings, uri: str, wish: Wish, tell: Tell) -> Result:
    """Import the database of a URI into the settings' store, or look at it for a dry run.

    Raises ImportRefused, StoreUnusable and Unavailable; no text repeats a URI.
    """
    now = time.time_ns() // _MS
    with _opened(uri, "the source") as source:
        if settings.mongo_uri:
            refuse_same_place(source, settings.mongo_uri)
        if wish.dry_run:
            return await run_import(source, None, wish, now=now, tell=tell)
        store = await open_store(settings)
        try:
            return await run_import(source, store, wish, now=now, tell=tell)
        finally:
            await store.close()


def refuse_same_place(source: LegacySource, uri: str) -> None:
    """Raise ImportRefused if a URI leads to the source's database, whatever it calls its server."""
    with _opened(uri, "the store") as target:
        name, server = source.identity()
        other_name, other_server = target.identity()
    if name == other_name and server & other_server:
        raise ImportRefused("the source and MONGO_URI are the same database")


def _opened(uri: str, which: str) -> LegacySource:
    try:
        return LegacySource(uri)
    except Unfit as unfit:
        raise Unavailable(f"{which}: {'; '.join(unfit.problems)}") from None
