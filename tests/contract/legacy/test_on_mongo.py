"""Imports from a real server's wire: read only, the same on every store, and never from itself."""

import asyncio
import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bson.raw_bson import RawBSONDocument
from click.testing import CliRunner, Result
from pymongo import MongoClient
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)

from aiba_adapters.legacy.source import LegacySource
from aiba_adapters.memory import MemoryStore
from aiba_adapters.sqlite import SqliteStore
from aiba_domain.battle.commands import RunBattle
from aiba_domain.battle.resolve import Emission
from aiba_domain.legacy.findings import RULES, Code
from aiba_domain.ports import Store
from aiba_domain.testing.playground import Playground
from aiba_entry.cli.import_legacy import import_legacy
from aiba_entry.legacy.operating import refuse_same_place
from aiba_entry.legacy.writing import ImportRefused
from tests.contract.legacy.support import ALL, NOW, Died, Dying, imported, wish
from tests.support.mongo import empty_uri, open_mongo
from tests.support.node_layout import FAULTS, MASTER, MemorySource, at, planted, sound, write

READS = {"find", "getMore", "listCollections", "count", "killCursors", "endSessions", "hello"}
SECRET = "correct-horse-battery"


class _Heard(CommandListener):
    """Notes which commands are sent."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def started(self, event: CommandStartedEvent) -> None:
        self.names.add(event.command_name)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """Nothing to note."""

    def failed(self, event: CommandFailedEvent) -> None:
        """Nothing to note."""


@pytest.fixture(name="source_uri", scope="module")
def _source_uri() -> Iterator[str]:
    """Give a database with every fault that an import survives."""
    uri, end = empty_uri()
    write(uri, planted(*(FAULTS.keys() - {Code.TOTAL_TOO_LARGE, Code.LEDGER_MALFORMED})))
    yield uri
    end()


def bytes_of(uri: str) -> dict[str, list[bytes]]:
    """Return every row of a database, as its bytes."""
    client: MongoClient[RawBSONDocument]
    with MongoClient(uri, document_class=RawBSONDocument) as client:
        database = client.get_default_database()
        return {
            name: [bytes(row.raw) for row in database[name].find().sort("_id")]
            for name in sorted(database.list_collection_names())
        }


def test_the_same_state_on_every_store_by_reading_alone(source_uri: str, tmp_path: Path) -> None:
    """Memory, SQLite and MongoDB end with one hash, and the source with the bytes it had."""
    before, heard = bytes_of(source_uri), _Heard()

    async def state(kind: str) -> str:
        folder = tmp_path / kind
        folder.mkdir()
        store: Store = MemoryStore()
        if kind == "sqlite":
            store = SqliteStore(folder / "aiba.db")
        elif kind == "mongo":
            store = await open_mongo(folder)
        with LegacySource(source_uri, event_listeners=[heard]) as source:
            result = await imported(source, store, wish(folder))
        await store.close()
        assert not result.changed
        assert result.proof is not None
        assert result.proof.faults == []
        return result.proof.state

    states = {asyncio.run(state(kind)) for kind in ("memory", "sqlite", "mongo")}
    assert len(states) == 1
    assert heard.names <= READS
    assert bytes_of(source_uri) == before


@pytest.mark.parametrize(("at", "after_commit"), [(9, False), (14, True)])
def test_killed_and_resumed_on_mongo(
    source_uri: str, tmp_path: Path, at: int, *, after_commit: bool
) -> None:
    """The second process goes on where the first one died, and ends where one alone would."""

    async def life() -> tuple[str, int]:
        store = await open_mongo(tmp_path)
        with LegacySource(source_uri) as source:
            with pytest.raises(Died):
                await imported(source, Dying(store, at, after_commit=after_commit), wish(tmp_path))
            result = await imported(source, store, wish(tmp_path), now=NOW + 1)
        await store.close()
        assert result.proof is not None
        assert result.proof.faults == []
        return result.proof.state, result.written

    twice, rest = asyncio.run(life())
    assert rest
    assert twice == asyncio.run(alone(source_uri, tmp_path / "memory"))


async def alone(source_uri: str, folder: Path) -> str:
    """Return the state that an import of the first instant has in memory."""
    with LegacySource(source_uri) as source:
        result = await imported(source, MemoryStore(), wish(folder))
    assert result.proof is not None
    return result.proof.state


@pytest.mark.parametrize(("left", "paid"), [(0, Emission.CAP_EXCEEDED), (10**6, Emission.GRANTED)])
def test_the_caps_of_the_day_hold_over_the_cut(tmp_path: Path, left: int, paid: Emission) -> None:
    """What was emitted there on the day is emitted here, however the store keeps its caps."""
    rows = sound()
    (emitted,) = (day["emittedAiba"] for day in rows["economydays"])
    rows["economyconfigs"][0]["dailyCapAiba"] = emitted + left
    noon = int(at(180).timestamp() * 1_000)

    async def opened() -> Store:
        store = await open_mongo(tmp_path)
        await imported(MemorySource(rows), store, wish(tmp_path), now=noon)
        return store

    site = Playground(opened, now=noon)
    mine = site.read(lambda read: read.brokers_of("100"))[0].id
    command = RunBattle(broker_id=mine, mode_key="prediction")
    battle = site.play("100", command, "new").reply().battle
    assert battle.receipt.outcome.proposed_aiba
    assert battle.receipt.grant.aiba_emission is paid
    site.close()


def test_source_and_store_are_never_one_database(source_uri: str) -> None:
    """By another name of the same server it is the same database all the same."""
    alias = source_uri.replace("127.0.0.1", "localhost")
    with LegacySource(source_uri) as source:
        for uri in (source_uri, alias):
            with pytest.raises(ImportRefused, match="same database"):
                refuse_same_place(source, uri)
        refuse_same_place(source, source_uri.replace("/aiba_", "/other_"))


def command(folder: Path, *words: str) -> Result:
    """Run the command on an embedded store in a folder."""
    env = {"APP_ENV": "dev", "AIBA_DATA_DIR": str(folder), "MONGO_URI": None}
    return CliRunner().invoke(import_legacy, ["--jetton-master", MASTER, *words], env=env)


def test_the_command_asks_then_imports_then_has_nothing_to_do(
    source_uri: str, tmp_path: Path
) -> None:
    """Its exit codes tell the three apart, and its report what was found."""
    report = tmp_path / "report.json"
    asked = command(tmp_path, "--from", source_uri, "--report", str(report))
    assert asked.exit_code == 3
    undecided = json.loads(report.read_text())["undecided"]
    assert {Code.USER_TWICE, Code.CLAIM_SEQNO_TWICE} <= set(undecided) <= ALL
    words = [word for code in undecided for word in ("--accept", code)]
    done = command(tmp_path, "--from", source_uri, "--report", str(report), *words)
    assert (done.exit_code, done.output.splitlines()[-1]) == (0, "proven")
    told = json.loads(report.read_text())
    assert told["proof"]["holds"]
    assert all(book["agrees"] for book in told["proof"]["books"])
    again = command(tmp_path, "--from", source_uri)
    assert again.exit_code == 0
    assert again.output.startswith("nothing to do")
    assert source_uri not in asked.output + done.output + again.output + report.read_text()


def test_a_process_that_is_killed_while_it_writes_goes_on(source_uri: str, tmp_path: Path) -> None:
    """SIGKILL at a unit of work: the same command ends the import, and has nothing to do then."""
    words = ["--from", source_uri, "--jetton-master", MASTER, "--batch", "3"]
    asked = sorted(code for code in ALL if RULES[code].decision)
    words += [word for code in asked for word in ("--accept", code)]
    environ = {**os.environ, "APP_ENV": "dev", "AIBA_DATA_DIR": str(tmp_path)}
    environ.pop("MONGO_URI", None)
    program = [sys.executable, "-m", "aiba_entry.cli", "import-legacy", *words]
    with subprocess.Popen(  # noqa: S603 - this repository's own command
        program, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as first:
        while notes_in(tmp_path) < 10:
            assert first.poll() is None
        first.kill()
    left = notes_in(tmp_path)
    second = command(tmp_path, *words)
    assert second.exit_code == 0
    (written,) = re.findall(r"written now: (\d+) of (\d+) units", second.output)
    assert 0 < int(written[0]) <= int(written[1]) - left + 1
    assert command(tmp_path, *words).output.startswith("nothing to do")


def notes_in(folder: Path) -> int:
    """Count the notes of an embedded store, 0 while there is none to look into."""
    try:
        uri = f"file:{folder / 'aiba.db'}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as connection:
            query = "SELECT COUNT(*) FROM answers WHERE command = 'legacy.import'"
            return int(connection.execute(query).fetchone()[0])
    except sqlite3.OperationalError:
        return 0


def test_no_text_repeats_a_password(tmp_path: Path) -> None:
    """Neither where nothing answers nor where the URI is none."""
    for uri in (
        f"mongodb://op:{SECRET}@127.0.0.1:1/aiba?serverSelectionTimeoutMS=1",
        f"mongodb://op:{SECRET}@127.0.0.1:1/?serverSelectionTimeoutMS=1",
        f"mongodb://op:{SECRET}@@/aiba",
    ):
        told = command(tmp_path, "--from", uri)
        assert told.exit_code == 1
        assert SECRET not in told.output + repr(told.exception)
