"""The schema: brought up to date step by step, and guarding what must never change."""

import asyncio
import json
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from aiba_adapters.codec import encode
from aiba_adapters.sqlite import SqliteStore
from aiba_adapters.sqlite.operator_reads import FLAGGED, HOLDERS, LEADERS, MOVEMENTS
from aiba_adapters.sqlite.schema import STEPS, migrate
from aiba_adapters.sqlite.store import connect
from aiba_adapters.sqlite.unit_of_work import SqliteUnitOfWork
from aiba_adapters.steps import SchemaTooNew
from aiba_domain.instants import DAY, day_key
from aiba_domain.money import Currency
from aiba_domain.payments.model import Purpose, UsedPayment
from aiba_domain.ports import Leader, Totals
from aiba_domain.testing.contracts.samples import AT
from aiba_domain.testing.contracts.store import broker, movement, player, refusal
from tests.support.stores import sqlite_desk

STEPS_NAME = "aiba_adapters.sqlite.schema.STEPS"
REST = "reason, arena, league, source_type, source_id FROM entries"


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    """Give the path of a database with an entry, a record, a payment's use and an answer."""
    path = tmp_path / "arena.db"
    with sqlite_desk(path) as (desk, _):
        use = UsedPayment(hash="a" * 64, purpose=Purpose.GIFT, player_id="1", at=0)
        desk.write(movement(5), changed=(player("1"), use), remember=refusal("k"))
    return path


@pytest.fixture(name="raw")
def _raw(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection of the package's own kind, past the store."""
    connection = connect(path)
    yield connection
    connection.close()


def version(connection: sqlite3.Connection) -> int:
    """Return the schema version of a database."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def tables(connection: sqlite3.Connection) -> set[str]:
    """Return the names of a database's tables."""
    rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    return {name for (name,) in rows}


def test_new_file_gets_the_newest_schema(raw: sqlite3.Connection) -> None:
    """Opening a new file takes every step and makes one policy."""
    assert version(raw) == len(STEPS)
    assert raw.execute("SELECT version FROM policies").fetchall() == [(1,)]


def test_migrating_again_changes_nothing(raw: sqlite3.Connection) -> None:
    """A database that is up to date is left as it is."""
    before = list(raw.iterdump())
    assert migrate(raw) == len(STEPS)
    assert not raw.in_transaction
    assert list(raw.iterdump()) == before


def test_the_sums_of_claims_are_made_for_a_database_that_has_none(tmp_path: Path) -> None:
    """Claims of the version before count as they did, by player and in all, and go on counting."""
    raw = connect(tmp_path / "arena.db")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(STEPS_NAME, STEPS[:3])
        assert migrate(raw) == 3
    big = 2**63 - 1
    rows = [("a", "1", big, 1), ("b", "1", big, 1), ("c", "2", 7, 1), ("d", "2", 9, 0)]

    def insert(claim_id: str, player_id: str, amount: int, counts: int) -> None:
        raw.execute(
            "INSERT INTO claims VALUES (?, ?, 'v', ?, '1', ?, 0, '2026-01-01', 0, ?, '')",
            (claim_id, player_id, claim_id, amount, counts),
        )

    for row in rows:
        insert(*row)
    assert migrate(raw) == len(STEPS)
    unit = SqliteUnitOfWork(raw)

    def claimed() -> list[int]:
        days = [(day, who) for day in ("2026-01-01", "2026-01-02") for who in (None, "1", "2")]
        return [asyncio.run(unit.claimed(day, who)) for day, who in days]

    assert claimed() == [2 * big + 7, 2 * big, 7, 0, 0, 0]
    raw.execute("UPDATE claims SET counts = 0 WHERE id IN ('a', 'c')")
    insert("e", "2", 1, 1)
    assert claimed() == [big + 1, big, 1, 0, 0, 0]
    raw.close()


def test_a_reservation_reads_a_day_s_sum_in_one_step(raw: sqlite3.Connection) -> None:
    """However many claims a day has: one row is sought by its key."""
    plan = raw.execute(
        "EXPLAIN QUERY PLAN SELECT high, low FROM claim_days WHERE day = ? AND player_id = ?",
        ("2026-01-01", ""),
    ).fetchall()
    assert [row[3] for row in plan] == [
        "SEARCH claim_days USING PRIMARY KEY (day=? AND player_id=?)"
    ]


def test_players_and_brokers_of_the_version_before_are_found_and_counted(tmp_path: Path) -> None:
    """Also those that nobody writes again: by flags, by age, by the day they were seen on."""
    raw = connect(tmp_path / "arena.db")
    before = next(place for place, step in enumerate(STEPS) if "seen_day" in str(step))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(STEPS_NAME, STEPS[:before])
        assert migrate(raw) == before
    rows = 2_500
    players = [replace(player(f"{row}"), anomaly_flags=row % 2) for row in range(rows)]
    raw.executemany(
        "INSERT INTO players VALUES (?, ?, NULL)", [(one.id, encode(one)) for one in players]
    )
    old = replace(broker("old", created_at=AT - 1), anomaly_flags=3)
    for one in (old, broker("new")):
        raw.execute("INSERT INTO brokers VALUES (?, ?, ?)", (one.id, one.owner_id, encode(one)))
    raw.execute("INSERT INTO battles VALUES ('b', '1', ?, ?)", (AT, _fought("b", "1", 5)))
    raw.execute("INSERT INTO accounts VALUES ('player:1', 'NEUR', 5)")
    assert migrate(raw) == len(STEPS)
    unit = SqliteUnitOfWork(raw)

    async def look() -> None:
        totals = await unit.totals(day_key(AT))
        assert totals == Totals(players=rows, players_seen=rows, battles=1, battles_fought=1)
        assert len(await unit.flagged_players(least=1, limit=rows)) == rows // 2
        assert await unit.flagged_brokers(least=1, limit=9) == [old]
        newest = await unit.latest_brokers(minted=None, limit=9)
        assert [each.id for each in newest] == ["new", "old"]
        assert await unit.balances("player:1") == {Currency.NEUR: 5}
        await unit.write(at=AT, changed=(players[0].seen(None, AT + DAY),))
        totals = await unit.totals(day_key(AT))
        assert (totals.players, totals.players_seen) == (rows, rows - 1)

    asyncio.run(look())
    raw.close()


def _fought(battle_id: str, player_id: str, score: int) -> str:
    """Return a battle's body, as far as the database looks into it."""
    scored = {"receipt": {"outcome": {"score": score}}}
    return json.dumps({"id": battle_id, "player_id": player_id, **scored})


@pytest.mark.parametrize("deaths", [0, 6])
def test_scores_and_badges_of_the_version_before_are_found(tmp_path: Path, deaths: int) -> None:
    """Each battle counts once, wherever a migration dies, and goes on counting afterwards."""
    raw = connect(tmp_path / "arena.db")
    before = next(place for place, step in enumerate(STEPS) if "player_badges" in str(step))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(STEPS_NAME, STEPS[:before])
        assert migrate(raw) == before
    rows = 2_500
    raw.executemany(
        "INSERT INTO battles VALUES (?, ?, 0, ?)",
        [
            (f"{row:05}", f"{row % 2}", _fought(f"{row:05}", f"{row % 2}", row % 4))
            for row in range(rows)
        ],
    )
    worn = [replace(player("0"), badges=("top_leader", "x")), player("1")]
    raw.executemany(
        "INSERT INTO players (id, body) VALUES (?, ?)", [(one.id, encode(one)) for one in worn]
    )

    for _ in range(deaths):
        told: list[int] = []

        def die_of_the_second(_name: str, done: int, _total: int, told: list[int] = told) -> None:
            told.append(done)
            if len(told) > 1:
                raise ConnectionAbortedError

        with pytest.raises(ConnectionAbortedError):
            migrate(raw, tell=die_of_the_second)
    assert migrate(raw) == len(STEPS)
    unit = SqliteUnitOfWork(raw)

    async def look() -> None:
        sums = [sum(row % 4 for row in range(rows) if row % 2 == who) for who in (0, 1)]
        ranked = [Leader(player_id="1", score=sums[1]), Leader(player_id="0", score=sums[0])]
        assert await unit.leaders(limit=9) == ranked
        assert await unit.badge_holders("top_leader", limit=9) == worn[:1]
        raw.execute("INSERT INTO battles VALUES ('z', '0', 0, ?)", (_fought("z", "0", 10**6),))
        assert (await unit.leaders(limit=1))[0].score == sums[0] + 10**6

    asyncio.run(look())
    raw.close()


@pytest.mark.parametrize(
    ("query", "step"),
    [
        (MOVEMENTS, "USING INDEX entries_by_debit"),
        (MOVEMENTS, "USING INDEX entries_by_credit"),
        (FLAGGED.format("players"), "USING INDEX players_flagged"),
        (FLAGGED.format("brokers"), "USING INDEX brokers_flagged"),
        ("SELECT body FROM brokers ORDER BY created_at DESC, id DESC LIMIT 9", "brokers_by_age"),
        ("SELECT body FROM brokers WHERE nft = 'x'", "brokers_by_nft"),
        (LEADERS, "USING COVERING INDEX scores_by_rank"),
        (HOLDERS, "player_badges USING PRIMARY KEY (badge=?)"),
        ("SELECT body FROM flags WHERE subject = 'x' ORDER BY at DESC, id DESC", "flags_by_time"),
    ],
)
def test_what_operators_ask_is_found_by_an_index(
    raw: sqlite3.Connection, query: str, step: str
) -> None:
    """No question reads a whole table, nor sorts what it found."""
    named = {"account": "player:1", "limit": 9}
    values: Any = named if ":account" in query else (1,) * query.count("?")
    plan = [row[3] for row in raw.execute(f"EXPLAIN QUERY PLAN {query}", values)]
    assert any(step in line for line in plan), plan
    scans = [line for line in plan if line.startswith("SCAN") and "INDEX" not in line]
    assert all("(subquery" in line for line in scans), plan


def test_a_newer_file_is_refused_untouched(path: Path, raw: sqlite3.Connection) -> None:
    """A file of a later version is not opened, nor changed."""
    raw.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    before = list(raw.iterdump())
    with pytest.raises(SchemaTooNew, match=f"{len(STEPS) + 1}"):
        SqliteStore(path)
    assert list(raw.iterdump()) == before
    raw.execute(f"PRAGMA user_version = {len(STEPS)}")
    with sqlite_desk(path) as (desk, _):
        assert desk.balance("player:1") == 5


def test_a_step_that_fails_half_way_is_undone_and_can_be_taken_again(
    raw: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step is whole or absent: what its first statements did goes when a later one fails."""
    with monkeypatch.context() as patch:
        patch.setattr(STEPS_NAME, (*STEPS, "CREATE TABLE next (id);\nINSERT INTO nowhere (id);\n"))
        with pytest.raises(sqlite3.OperationalError):
            migrate(raw)
    assert not raw.in_transaction
    assert version(raw) == len(STEPS)
    assert "next" not in tables(raw)
    monkeypatch.setattr(STEPS_NAME, (*STEPS, "CREATE TABLE next (id);\n"))
    assert migrate(raw) == len(STEPS) + 1
    assert "next" in tables(raw)
    assert raw.execute("SELECT amount FROM entries").fetchall() == [(5,)]


def test_a_crash_in_the_middle_of_a_step_leaves_the_step_before(
    path: Path, raw: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The files as they are half-way through a step open at the version before it."""
    wreck = tmp_path / "wreck"
    wreck.mkdir()

    def crash() -> None:
        for file in path.parent.glob("arena.db*"):
            if not file.name.endswith("-shm"):
                shutil.copy(file, wreck)

    raw.create_function("crash", 0, crash)
    step = "CREATE TABLE next (id);\nSELECT crash();\nCREATE TABLE last (id);\n"
    with monkeypatch.context() as patch:
        patch.setattr(STEPS_NAME, (*STEPS, step))
        assert migrate(raw) == len(STEPS) + 1
    connection = connect(wreck / "arena.db")
    assert version(connection) == len(STEPS)
    assert not {"next", "last"} & tables(connection)
    connection.close()
    with sqlite_desk(wreck / "arena.db") as (desk, _):
        assert desk.balance("player:1") == 5


def test_d53_concurrent_first_use_makes_one_policy(tmp_path: Path) -> None:
    """Eight openings of a new file at once all succeed on one schema with one policy."""
    path = tmp_path / "new" / "arena.db"

    def opened(_number: int) -> int:
        store = SqliteStore(path)
        count = store._reader.execute("SELECT count(*) FROM policies").fetchone()[0]
        store._thread.shutdown()
        store._reader.close()
        store._writer.close()
        return int(count)

    switch = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(opened, range(8))) == [1] * 8
    finally:
        sys.setswitchinterval(switch)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET amount = 6",
        "UPDATE OR REPLACE entries SET number = 2",
        "DELETE FROM entries",
        f"REPLACE INTO entries SELECT number, at, currency, 6, debit, credit, {REST}",
        "UPDATE answers SET body = '{}'",
        "DELETE FROM answers",
        "REPLACE INTO answers SELECT principal, command, key, '', 1, body, at FROM answers",
        "UPDATE payments SET body = '{}'",
        "DELETE FROM payments",
        "REPLACE INTO payments SELECT hash, '{}' FROM payments",
    ],
)
def test_ledger_answers_and_payments_are_append_only(
    raw: sqlite3.Connection, statement: str
) -> None:
    """No statement on the store's own kind of connection changes what was once written."""
    before = list(raw.iterdump())
    with pytest.raises(sqlite3.IntegrityError):
        raw.execute(statement)
    assert list(raw.iterdump()) == before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE accounts SET balance = -1 WHERE name = 'player:1'",
        "INSERT INTO accounts VALUES ('treasury', 'NEUR', -1)",
        "INSERT INTO accounts VALUES ('sink:2026-01-01:a:b', 'NEUR', -1)",
        f"INSERT INTO entries SELECT NULL, at, currency, 0, debit, credit, {REST}",
        f"INSERT INTO entries SELECT NULL, at, currency, 1, debit, debit, {REST}",
    ],
)
def test_schema_itself_refuses_what_no_ledger_holds(
    raw: sqlite3.Connection, statement: str
) -> None:
    """A guarded account below 0, an entry of nothing and one from an account to itself."""
    with pytest.raises(sqlite3.IntegrityError):
        raw.execute(statement)


class _Contended(sqlite3.Connection):
    """A connection to a file that others are turning the log on for, too."""

    refusals = 3

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        if "journal_mode" in sql and self.refusals:
            self.refusals -= 1
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = sqlite3.SQLITE_BUSY
            raise error
        return super().execute(sql, *parameters)


def test_d53_opening_waits_for_others_that_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changing to the log is refused at once while another does it, so opening tries again."""
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=_Contended))
    with sqlite_desk(tmp_path / "arena.db") as (desk, _):
        desk.run(desk.store.check())
