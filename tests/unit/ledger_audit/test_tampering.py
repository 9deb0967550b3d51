"""Whatever is changed in the database behind the store's back is found, and nothing else is."""

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiba_adapters.sqlite import SqliteStore
from aiba_domain.application.audit import audit_store
from aiba_domain.application.ledger_auditor import LedgerAuditor
from aiba_domain.ledger_audit.findings import FindingKind
from aiba_domain.money import Currency
from aiba_domain.ports import Store, UnitOfWork
from aiba_domain.testing.contracts.samples import movement
from aiba_domain.testing.doubles import NOON
from aiba_domain.testing.playground import Playground

DAY = "2026-01-01"
POSTED = (
    movement(5),
    movement(3, "player:1", "treasury"),
    movement(4, "chain", "player:2", Currency.AIBA),
    movement(2, f"emission:{DAY}:a", "player:2"),
    movement(1, "player:2", f"sink:{DAY}:r:a"),
    movement(6, "chain", "player:3"),
    movement(1, "player:3", "player:1"),
)
SIZE = 2
SEALED = 6
"""The last entry that a checkpoint covers; one comes after it."""

VALUES = {
    "at": st.integers(0, 2**40),
    "amount": st.integers(1, 9),
    "currency": st.sampled_from([*(each.value for each in Currency), "GOLD"]),
    "debit": st.sampled_from(["chain", "player:1", "player:9", "treasury", "nobody"]),
    "credit": st.sampled_from(["chain", "player:1", "player:9", "treasury", "nobody"]),
    **dict.fromkeys(("reason", "arena", "league", "source_type", "source_id"), st.text(max_size=3)),
}


@dataclass(slots=True)
class Site:
    """A copy of an embedded store's file that somebody writes to."""

    path: Path
    runner: asyncio.Runner

    def change(self, statement: str, *values: object) -> int:
        """Change what the triggers keep from being changed; return how many rows it was."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            for table in ("entries", "checkpoints"):
                for name in (f"{table}_stay", f"{table}_remain"):
                    connection.execute(f"DROP TRIGGER IF EXISTS {name}")
            return connection.execute(statement, values).rowcount

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Return what a query finds."""
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(query).fetchall()

    def faults(self) -> tuple[str, ...]:
        """Audit it at one moment, by a process that wasn't there before."""

        async def work() -> tuple[str, ...]:
            store = SqliteStore(self.path)
            try:
                return (await audit_store(store)).faults
            finally:
                await store.close()

        return self.runner.run(work())


async def _breathe() -> None:
    return


def _auditor(play: Playground) -> LedgerAuditor:
    return LedgerAuditor(store=play.store, clock=play.clock, seal_after_ms=10**15, size=SIZE)


@pytest.fixture(name="original", scope="module")
def _original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sealed") / "aiba.db"

    async def opened() -> Store:
        return SqliteStore(path)

    async def post(unit: UnitOfWork) -> None:
        for posting in POSTED:
            await unit.write(at=NOON, postings=[posting])

    play = Playground(opened)
    play.run(play.store.transact(post))
    standing = play.run(_auditor(play).go_round(play.pipeline, _breathe))
    assert standing.is_sound
    assert (standing.checkpoints, standing.entries) == (SEALED // SIZE, len(POSTED))
    play.close()
    return path


@pytest.fixture(name="runner", scope="module")
def _runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(name="site")
def _site(original: Path, tmp_path: Path, runner: asyncio.Runner) -> Site:
    path = tmp_path / "copy" / "aiba.db"
    path.parent.mkdir()
    shutil.copyfile(original, path)
    return Site(path, runner)


def test_nothing_is_wrong_where_nothing_was_changed(site: Site) -> None:
    """The chain, the entries and the balances agree."""
    assert site.faults() == ()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_changed_field_is_found(site: Site, original: Path, data: st.DataObject) -> None:
    """In a sealed entry any field, and the audit names checkpoint and entry."""
    shutil.copyfile(original, site.path)
    number = data.draw(st.integers(1, SEALED))
    column = data.draw(st.sampled_from(sorted(VALUES)))
    value = data.draw(VALUES[column])
    ((before, debit, credit),) = site.rows(
        f"SELECT {column}, debit, credit FROM entries WHERE number = {number}"  # noqa: S608 - our own
    )
    if value == before or (column in {"debit", "credit"} and value in {debit, credit}):
        return
    assert site.change(f"UPDATE entries SET {column} = ? WHERE number = ?", value, number) == 1  # noqa: S608 - our own
    first = site.faults()[0]
    assert first.startswith(f"checkpoint {(number + 1) // SIZE} sealed the entries")
    assert f"another from entry {number} on" in first


@pytest.mark.parametrize("number", range(1, SEALED + 1))
def test_an_entry_that_was_taken_out_is_found(site: Site, number: int) -> None:
    """Its own checkpoint is named, and none after it."""
    assert site.change("DELETE FROM entries WHERE number = ?", number) == 1
    chain = [each for each in site.faults() if each.startswith("checkpoint")]
    assert next(each.split()[1] for each in chain) == str((number + 1) // SIZE)
    assert all("sealed" not in each for each in chain[1:])


def test_entries_that_changed_places_are_found(site: Site) -> None:
    """The same entries in another order aren't the same ledger."""
    for before, after in ((2, 99), (4, 2), (99, 4)):
        site.change("UPDATE entries SET number = ? WHERE number = ?", after, before)
    faults = site.faults()
    assert any("another from entry 2 on" in each for each in faults)
    assert any("another from entry 4 on" in each for each in faults)


@pytest.mark.parametrize("number", [-7, 0])
def test_an_entry_that_was_put_before_all_is_found(site: Site, number: int) -> None:
    """Also one under a number that no entry has."""
    site.change(
        "INSERT INTO entries SELECT ?, at, currency, amount, debit, credit, reason, arena, league,"
        " source_type, source_id FROM entries WHERE number = 1",
        number,
    )
    assert site.faults()


def test_an_unsealed_entry_is_held_against_the_balances(site: Site) -> None:
    """What no checkpoint covers yet is still found where it moves money."""
    site.change("UPDATE entries SET amount = 2 WHERE number = ?", SEALED + 1)
    assert site.faults() == (
        "player:1 stores 3 NEUR, its history says 4",
        "player:3 stores 5 NEUR, its history says 4",
    )


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (
            "UPDATE accounts SET balance = balance + 1 WHERE name = 'player:2' AND currency='AIBA'",
            ("player:2 stores 5 AIBA, its history says 4", "AIBA sums to 1"),
        ),
        (
            "DELETE FROM accounts WHERE name = 'treasury'",
            ("treasury stores 0 NEUR, its history says 3", "NEUR sums to -3"),
        ),
        (
            "INSERT INTO accounts VALUES ('player:66', 'STARS', 8)",
            ("player:66 stores 8 STARS, its history says 0", "STARS sums to 8"),
        ),
        (
            "UPDATE accounts SET balance = 'all' WHERE name = 'treasury'",
            ("treasury stores 0 NEUR, its history says 3", "NEUR sums to -3"),
        ),
        (
            "INSERT INTO accounts VALUES ('claims', 'AIBA', 1)",
            (
                "claims stores 1 AIBA, its history says 0",
                "AIBA sums to 1",
                "claims stores 1 AIBA, withdrawals under way come to 0",
            ),
        ),
    ],
)
def test_a_changed_balance_is_found(site: Site, statement: str, found: tuple[str, ...]) -> None:
    """Each account is compared with its entries, whoever else has as much less."""
    assert site.change(statement) == 1
    assert site.faults() == found


@pytest.mark.parametrize("name", ["first", "last", "at", "entries", "marks", "before", "hash"])
def test_a_changed_checkpoint_is_found(site: Site, name: str) -> None:
    """Whatever of it is changed; the entries are still what they were."""
    ((text,),) = site.rows("SELECT body FROM checkpoints WHERE number = 2")
    body = json.loads(str(text))
    value = body[name]
    is_number = isinstance(value, int)
    body[name] = value + 1 if is_number else ("1" if value[0] != "1" else "0") + value[1:]
    site.change("UPDATE checkpoints SET body = ? WHERE number = 2", json.dumps(body))
    assert any("checkpoint 2 " in each for each in site.faults())


@pytest.mark.parametrize("body", ["nonsense", "{}", '{"number": "2"}', 7, b"\xff"])
def test_what_cannot_be_read_is_found(site: Site, body: object) -> None:
    """A checkpoint, or what the audit goes on from, that is no record any more: by its name."""
    site.change("UPDATE checkpoints SET body = ? WHERE number = 2", body)
    assert site.faults()[:2] == (
        "checkpoint 2 can't be read",
        "checkpoint 3 doesn't follow the one before it",
    )
    for table, key in (("audited", "account = 'player:2'"), ("audit_state", "name = 'ledger'")):
        assert site.change(f"UPDATE {table} SET body = ? WHERE {key}", body) == 1  # noqa: S608 - our own
        assert any("the audit's own balances" in each for each in site.faults())


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_chain_that_was_cut_off_is_found(site: Site, cut: int) -> None:
    """Checkpoints gone from the end are missed by the balances that were stored with them."""
    site.change("DELETE FROM checkpoints WHERE number > ?", SEALED // SIZE - cut)
    assert site.faults() == ("the audit's own balances aren't those of checkpoint 3",)


@pytest.mark.parametrize("first", range(1, len(POSTED) + 1))
def test_an_end_that_was_cut_off_is_found(site: Site, first: int) -> None:
    """Entries gone from the end, one or all, sealed or not."""
    site.change("DELETE FROM entries WHERE number >= ?", first)
    assert site.faults()


def test_a_checkpoint_that_was_taken_out_is_found(site: Site) -> None:
    """A gap in the chain is one, though the next may be read in its place."""
    site.change("DELETE FROM checkpoints WHERE number = 2")
    assert any("doesn't follow" in each for each in site.faults())


def test_the_worker_finds_what_was_changed_behind_its_back(
    original: Path, tmp_path: Path, runner: asyncio.Runner
) -> None:
    """Within as many rounds as it takes to go through all batches, and it is over when mended."""
    path = tmp_path / "aiba.db"
    shutil.copyfile(original, path)
    site = Site(path, runner)

    async def opened() -> Store:
        return SqliteStore(path)

    play = Playground(opened)
    auditor = _auditor(play)

    def found() -> set[FindingKind]:
        standing = play.run(auditor.go_round(play.pipeline, _breathe))
        return {finding.kind for finding in standing.findings}

    assert found() == set()
    site.change("UPDATE entries SET reason = 'other' WHERE number = 3")
    assert found() == {FindingKind.CHAIN}
    assert auditor.found_by_kind[FindingKind.CHAIN] == 1
    site.change("UPDATE entries SET reason = (SELECT reason FROM entries LIMIT 1) WHERE number = 3")
    assert found() == set()
    site.change("UPDATE accounts SET balance = balance + 1 WHERE name = 'treasury'")
    assert found() == {FindingKind.BALANCE, FindingKind.IMBALANCE}
    site.change("UPDATE accounts SET balance = balance - 1 WHERE name = 'treasury'")
    assert found() == set()
    play.close()
