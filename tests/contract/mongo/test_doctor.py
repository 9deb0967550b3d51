"""What the doctor finds by asking a database that is there."""

import asyncio

from aiba_adapters.mongo import make_schema
from aiba_entry.readiness.judgment import examine
from aiba_entry.readiness.live import look
from tests.support.mongo import empty_uri

ONE_SERVER = {"live_store_few_members"}


def found(uri: str) -> set[str]:
    """Return the codes of what is found."""
    _, settings = examine({"APP_ENV": "test", "MONGO_URI": uri})
    assert settings is not None
    return {finding.code for finding in asyncio.run(look(settings))} - ONE_SERVER


def test_a_database_is_unfit_until_it_is_made_ready() -> None:
    """Without its schema it is told, nothing is made by asking, and then nothing is found."""
    uri, end = empty_uri()
    try:
        assert found(uri) == {"live_store_unfit"}
        assert found(uri) == {"live_store_unfit"}
        asyncio.run(make_schema(uri))
        assert found(uri) == set()
    finally:
        end()
