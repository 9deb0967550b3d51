"""What is opened is fit and known, or it is said at once what isn't."""

import asyncio
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from pymongo import ASCENDING, MongoClient
from pymongo.database import Database

from aiba_adapters.mongo import MongoStore, Unfit, open_store
from aiba_adapters.mongo.connecting import connect
from aiba_adapters.mongo.documents import SHAPES
from aiba_adapters.mongo.migrations import STEPS
from aiba_domain.ports import Unavailable
from aiba_entry.cli.main import main
from tests.support.mongo import (
    Server,
    empty_uri,
    is_real,
    with_database,
)
from tests.support.mongo_proxy import proxy_to

SECRET = "hunter2-hunter2"


async def opened(uri: str, *, create: bool = False) -> MongoStore:
    """Open and close a store."""
    store = await open_store(uri, create=create)
    await store.check()
    await store.close()
    return store


def problems(uri: str) -> tuple[str, ...]:
    """Return what a database is refused for."""
    with pytest.raises(Unfit) as caught:
        asyncio.run(opened(uri))
    return caught.value.problems


@pytest.fixture(name="uri")
def _uri() -> Iterator[str]:
    """Return the URI of a database that isn't there yet."""
    uri, end = empty_uri()
    yield uri
    end()


@pytest.fixture(name="database")
def _database(uri: str) -> Iterator[Database[dict[str, Any]]]:
    """Return a database that was made ready."""
    asyncio.run(opened(uri, create=True))
    client: MongoClient[dict[str, Any]]
    with MongoClient(uri) as client:
        yield client.get_default_database()


def test_a_new_database_is_refused_with_every_collection_named(uri: str) -> None:
    """Nothing is made at a start that isn't told to."""
    first, *others = problems(uri)
    assert first.startswith("step 1 isn't taken: create collection players and ")
    missing = [f"the collection {shape.collection} is missing" for shape in SHAPES]
    assert others[len(STEPS) - 1 :] == missing
    assert problems(uri) == (first, *others)


def test_a_missing_other_and_foreign_index_are_named_at_once(
    database: Database[dict[str, Any]], uri: str
) -> None:
    """A missing one, one that differs, and a unique one that isn't ours; others are welcome."""
    database.claims.drop_index("in_flight")
    database.players.drop_index("by_wallet")
    database.players.create_index([("wallet", ASCENDING)], name="by_wallet")
    database.brokers.create_index([("body.level", ASCENDING)], name="theirs", unique=True)
    database.brokers.create_index([("body.speed", ASCENDING)], name="reports")
    found = problems(uri)
    assert len(found) == 3
    assert "the index players.by_wallet is another" in found[0]
    assert found[1:] == (
        "the unique index brokers.theirs is not one of ours",
        "the index claims.in_flight is missing",
    )


def test_making_the_schema_again_makes_what_is_missing_only(
    database: Database[dict[str, Any]], uri: str
) -> None:
    """After a crash in the middle, or an upgrade, the rest is made."""
    database.drop_collection("locks")
    database.claims.drop_index("by_seqno")
    database.policies.delete_many({})
    asyncio.run(opened(uri, create=True))
    asyncio.run(opened(uri))
    assert database.policies.count_documents({}) == 1


def test_many_may_make_the_schema_at_once(uri: str) -> None:
    """Processes that start together don't stop each other."""

    async def together() -> None:
        await asyncio.gather(*(opened(uri, create=True) for _ in range(4)))

    asyncio.run(together())
    asyncio.run(opened(uri))


@pytest.mark.skipif(is_real(), reason="the server that was given is a replica set")
def test_a_standalone_server_is_refused(tmp_path: Path) -> None:
    """Without a replica set there are no transactions to rely on."""
    with Server(tmp_path, "--standalone") as server:
        found = problems(with_database(server.uri, "aiba"))
    assert "it is a standalone server: transactions need a replica set" in found


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("mongodb://db.example", "the URI names no database, as in mongodb://host/aiba"),
        (f"mongodb://a:{SECRET}@/aiba", "the URI is not one of MongoDB"),
        (f"http://a:{SECRET}@db/aiba", "the URI is not one of MongoDB"),
        (f"mongodb://a:{SECRET}@db:port/aiba", "the URI is not one of MongoDB"),
    ],
)
def test_a_faulty_uri_is_refused_without_repeating_it(uri: str, problem: str) -> None:
    """The driver's own words would hold the password."""
    found = problems(uri)
    assert found == (problem,)
    assert SECRET not in repr(found)


@pytest.mark.usefixtures("strays")
def test_nobody_at_home_is_unavailable_and_tells_no_password() -> None:
    """A server that doesn't answer is said to be away."""
    with proxy_to("mongodb://127.0.0.1:9/") as proxy:
        proxy.down()
        uri = with_database(proxy.uri, "aiba").replace("//", f"//a:{SECRET}@")
        with pytest.raises(Unavailable) as caught:
            asyncio.run(opened(f"{uri}&serverSelectionTimeoutMS=50"))
    assert SECRET not in str(caught.value)


@pytest.fixture(name="aiba")
def _aiba(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., "click.testing.Result"]:
    """Run a command on the database."""
    for name in [name for name in os.environ if name.startswith(("ARENA_", "TON_", "ORACLE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("APP_ENV", "test")
    monkeypatch.setenv("AIBA_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("MONGO_URI", uri)

    def run(*words: str) -> "click.testing.Result":
        return CliRunner().invoke(main, words)

    return run


def test_the_commands_make_the_schema_and_check_it(
    aiba: Callable[..., "click.testing.Result"],
) -> None:
    """`check` says what is missing until `init` has made it; a second one finds nothing to do."""
    before = aiba("mongo", "check")
    assert before.exit_code == 1
    assert "- the collection players is missing" in before.output
    assert "made players.by_wallet" in aiba("mongo", "init").output
    assert aiba("mongo", "init").output == "nothing was missing\n"
    after = aiba("mongo", "check")
    assert after.exit_code == 0
    assert after.output.startswith("fit; the primary is 127.0.0.1:") or is_real()


def test_the_other_commands_work_on_it(aiba: Callable[..., "click.testing.Result"]) -> None:
    """Seed epochs, policy, moderation and audit; the second command finds what the first left."""
    assert '"number": 2' in aiba("seed", "rotate").output
    assert aiba("policy", "show").exit_code == 0
    assert '"by": "cli"' in aiba("mod", "ban-player", "42", "--reason", "r").output
    audited = aiba("audit")
    assert audited.exit_code == 0
    assert audited.output.endswith("sound\n")


def test_a_schema_is_made_however_long_an_index_takes() -> None:
    """The service's own bound, and the URI's, would end the wait for an index of a large ledger."""

    async def bounds() -> list[float | None]:
        clients = [
            connect("mongodb://db/aiba?socketTimeoutMS=5000", is_patient=each)[0]
            for each in (False, True)
        ]
        found = [client.options.pool_options.socket_timeout for client in clients]
        for client in clients:
            await client.close()
        return found

    assert asyncio.run(bounds()) == [5.0, None]
