"""No secret is told by real processes: services, signers, and the commands beside them."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import redis
from bson.raw_bson import RawBSONDocument
from pymongo import MongoClient
from pymongo.database import Database

from aiba_domain.fairness.epochs import epoch_secret
from aiba_entry.cli.import_legacy import UNDECIDED
from tests.contract.hostile.canaries import CANARIES, LEGACY_WORD, MONGO_WORD, PROVIDER_PATH, WATCH
from tests.contract.hostile.operating import ELSEWHERE, Operator, commands
from tests.contract.hostile.stage import (
    BESIDE_URL,
    HAS_CHAIN,
    PAGES,
    Cast,
    Life,
    Told,
    ask_signer,
    mongo_user,
    spoil_signer,
)
from tests.contract.process.support import Server, rows, until
from tests.support import mongo, softhsm
from tests.support.watch import Watch

HEALTHY: Final = 0
DEAD: Final = "SELECT id FROM letters WHERE died_at IS NOT NULL"
"""Asks for the letters that Telegram won't take, with its reasons."""


@dataclass(frozen=True, slots=True)
class Lived:
    """What is left of a service that came to its end: what was told, by whom, and the files."""

    told: Told
    ran: list[str]
    folders: list[Path]
    private: dict[str, str]


@pytest.fixture(name="cast", scope="module")
def _cast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cast]:
    cast = Cast(tmp_path_factory.mktemp("canaries"))
    yield cast
    cast.close()


@pytest.fixture(name="on_sqlite", scope="module")
def _on_sqlite(cast: Cast) -> Lived:
    """Live with the embedded store, every secret in a file, a chain, and the key at a signer."""
    told = Told()
    if HAS_CHAIN:
        cast.start_chain()
    folder = cast.folder
    signer_environ = cast.signer_environment()
    keeper = Operator(signer_environ, folder / "keeper", told)
    keeper.run("signer", "init", "--network", "testnet", "--new-key")
    signer = cast.start_signer(signer_environ)
    server = Server(folder / "data", cast.on_sqlite()).wait_until_ready()
    try:
        operator = Operator(server.environ, folder / "operator", told)
        life = Life(server, told)
        with server.client() as http:
            life.go(http, control=cast.control if HAS_CHAIN else None)
            until(lambda: bool(rows(server.database, DEAD)))
            operator.looks()
            operator.changes(life.broker_id)
            operator.rotates(cast.secrets)
            operator.restores(folder / "restored")
            life.crashes(http)
        ask_signer(signer_environ, told)
        life.ends()
    finally:
        server.kill()
    spoil_signer(signer_environ, signer)
    assert signer.stop() == HEALTHY
    told.add("signer's log", signer.text)
    # What was spoilt is nobody's leak.
    Path(signer_environ["ORACLE_SIGNER_POLICY"]).unlink()
    keeper.looks_after_signer()
    told.add("chain's log", cast.chain_said())
    ran = [*operator.ran, *keeper.ran]
    places = ("data", "restored", "operator/backup", "signer", "keeper", "redis")
    return Lived(told, ran, [folder / place for place in places], life.private)


@pytest.fixture(name="on_mongo", scope="module")
def _on_mongo(cast: Cast) -> Iterator[Lived]:
    """Live with MongoDB, every secret in the environment, and a provider that only fails."""
    told = Told()
    folder = cast.folder
    own = folder / "mongo-operator"
    uri, end = mongo.empty_uri()
    with mongo_user(uri, MONGO_WORD) as ours, mongo_user(uri, LEGACY_WORD) as theirs:
        environ = cast.on_mongo(ours(urlsplit(uri).path[1:]))
        server = Server(folder / "unused", environ).wait_until_ready()
        try:
            operator = Operator(environ, own, told)
            life = Life(server, told)
            with server.client() as http:
                life.go(http, control=None)
            operator.run("mongo", "init")
            operator.run("mongo", "check")
            operator.run("doctor", "--live", "--json", codes=(0, 78))
            operator.run("audit", "--json")
            operator.run("backup", str(own / "backup"), "--json")
            before = theirs(f"{urlsplit(uri).path[1:]}-before")
            (folder / "source").write_text(before)
            _put_player(before)
            look = ("--dry-run", "--report", str(own / "report.json"))
            source = ("--from-file", str(folder / "source"))
            operator.run("import-legacy", *source, *look, codes=(UNDECIDED,))
            with mongo.failing(uri, ["find", "aggregate"], errorCode=13):
                life.asks_in_vain()
            life.ends()
            (folder / "dump").write_bytes(_dump(uri))
            _drop(before)
        finally:
            server.kill()
    yield Lived(told, operator.ran, [own, folder / "unused", folder / "dump"], life.private)
    end()


@pytest.mark.parametrize("lived", ["on_sqlite", "on_mongo"])
def test_nothing_of_a_service_tells_one(lived: str, request: pytest.FixtureRequest) -> None:
    """Neither logs at DEBUG, answers, pages, metrics, commands, dumps and files, nor a crash."""
    found: Lived = request.getfixturevalue(lived)
    assert found.told.found() == set()
    assert [str(each) for each in WATCH.in_files(found.folders)] == []


@pytest.mark.parametrize(("lived", "epoch"), [("on_sqlite", 2), ("on_mongo", 1)])
def test_what_is_somebodys_own_is_told_to_nobody_else(
    lived: str, epoch: int, request: pytest.FixtureRequest
) -> None:
    """Tokens and launch data are kept nowhere; the open epoch's secret isn't even told."""
    found: Lived = request.getfixturevalue(lived)
    private = Watch(found.private)
    assert len(private.names) == 3
    assert found.told.found(private, but=["answers"]) == set()
    assert private.in_files(found.folders) == []
    promised = Watch({"open epoch": epoch_secret(CANARIES["BATTLE_SEED_SECRET"], epoch)})
    assert found.told.found(promised) == set()
    assert promised.in_files(found.folders) == []


def test_hashes_of_passwords_leave_the_store_in_backups_alone(cast: Cast, on_sqlite: Lived) -> None:
    """Whoever reads logs, answers, exports or a command's output can't begin to guess."""
    kept = (cast.folder / "data" / "aiba.db").read_bytes()
    kept += (cast.folder / "restored" / "aiba.db").read_bytes()
    hashes = {*re.findall(rb"\$2b\$04\$([./A-Za-z0-9]{53})", kept)}
    assert len(hashes) >= 2
    watch = Watch({f"hash {each!r}": each.decode() for each in hashes})
    assert on_sqlite.told.found(watch) == set()
    ledger = cast.folder / "operator" / "ledger.jsonl"
    assert watch.in_files([ledger, cast.folder / "redis", cast.folder / "signer"]) == []


def test_what_was_listened_to_was_there(cast: Cast, on_sqlite: Lived, on_mongo: Lived) -> None:
    """Every secret was used where it belongs, and every place that could tell has said a lot."""
    assert cast.echo.was_told(CANARIES["TELEGRAM_BOT_TOKEN"])
    assert b"repeats the token" in on_sqlite.told.by_place["aiba outbox"]
    assert cast.echo.was_told(CANARIES["TON_API_KEY"])
    assert cast.echo.was_told(PROVIDER_PATH)
    if HAS_CHAIN:
        assert cast.provider.was_told(CANARIES["TON_API_KEY"])
    for lived in (on_sqlite, on_mongo):
        told = lived.told.by_place
        log = told["log"].decode()
        lines = [json.loads(line) for line in log.splitlines() if line]
        assert {"info", "warning"} <= {line["level"] for line in lines}
        assert "Traceback" in log
        assert all(len(told[page]) > 100 for page in PAGES)
        assert all(len(told[place]) > 100_000 for place in ("answers", "/metrics", "/openapi.json"))
    assert len(on_sqlite.told.by_place["signer's log"]) > 1_000
    assert any(
        file.is_file() for folder in on_mongo.folders for file in [folder, *folder.rglob("*")]
    )


def test_every_command_was_run(on_sqlite: Lived, on_mongo: Lived) -> None:
    """A new command fails this test until it is run among canaries, or has a reason not to be."""
    every = set(commands())
    ran = {
        each
        for each in every
        for line in (*on_sqlite.ran, *on_mongo.ran)
        if line == each or line.startswith(f"{each} ")
    }
    assert every - ran == set(ELSEWHERE)


def test_a_signer_with_a_token_doesnt_tell_its_pin(cast: Cast) -> None:
    """Neither while it runs, nor where the PIN opens nothing."""
    told = Told()
    module = softhsm.module()
    environ = cast.signer_environment("hsm")
    keeper = Operator(environ, cast.folder / "hsm-keeper", told)
    keeper.run("signer", "init", "--network", "testnet", "--new-key")
    environ = cast.in_token(environ, module)
    if module is not None:
        signer = cast.start_signer(environ, "hsm")
        ask_signer(environ, told)
        assert signer.stop() == HEALTHY
        told.add("signer's log", signer.text)
        told.add("signer's refusal", cast.refused_signer(environ))
    nowhere = {"ORACLE_SIGNER_PKCS11_MODULE": "/none"}
    Operator(environ, cast.folder / "hsm-nowhere", told).run(
        "signer", "serve", codes=(78,), changes=nowhere
    )
    assert told.found() == set()
    assert WATCH.in_files([cast.folder / "hsm", cast.folder / "hsm-keeper"]) == []


def test_a_service_that_cannot_start_tells_none(cast: Cast, on_sqlite: Lived) -> None:
    """The store was damaged under it, so it crashes: the traceback is a line like all others."""
    del on_sqlite
    server = Server(cast.folder / "data", cast.on_sqlite())
    assert server.wait() == 1
    told = server.printed.read_text() + server.logged.read_text()
    assert [line["event"] for line in server.log_lines()] == ["crashed"]
    assert "Traceback" in told
    assert WATCH.heard(told) == []


@pytest.mark.parametrize("database", [0, 1])
def test_redis_is_told_no_secret_but_its_password(
    database: int, cast: Cast, on_sqlite: Lived, on_mongo: Lived
) -> None:
    """Keys and values are digests and counts; each service has a database of its own."""
    del on_sqlite, on_mongo
    given: dict[str, Any] = {"port": cast.redis.port, "username": "other", "password": BESIDE_URL}
    client: Any
    with redis.Redis(**given, db=database) as client:
        kept = {key: client.hgetall(key) for key in client.scan_iter()}
    assert kept
    assert WATCH.heard(repr(kept)) == []


def _put_player(uri: str) -> None:
    """Let there be something to import."""
    client: MongoClient[dict[str, Any]]
    with MongoClient(uri) as client:
        database: Database[dict[str, Any]] = client.get_default_database()
        database["users"].insert_one({"telegramId": "501", "aibaBalance": 5, "neurBalance": 7})


def _drop(uri: str) -> None:
    client: MongoClient[dict[str, Any]]
    with MongoClient(uri) as client:
        client.drop_database(client.get_default_database().name)


def _dump(uri: str) -> bytes:
    """Return all that a server's databases of the services hold."""
    client: MongoClient[RawBSONDocument]
    with MongoClient(uri, document_class=RawBSONDocument) as client:
        database = client.get_default_database()
        return b"\n".join(
            bytes(document.raw)
            for name in database.list_collection_names()
            for document in database[name].find()
        )
