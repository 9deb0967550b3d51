"""A store that is moved to the other kind and back, by its backups, is the same store."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from aiba_adapters.backups import BackupRefused, check, manifest_of, take
from aiba_adapters.backups import manifest as manifests
from aiba_adapters.backups.moving import MongoAsSqlite, SqliteAsMongo, _parts, move
from aiba_adapters.backups.sqlite import FILE, SqliteBackups
from aiba_adapters.mongo.documents import RECORDS
from aiba_adapters.mongo.shares import SHARES
from aiba_adapters.sqlite import SqliteStore
from aiba_adapters.sqlite.schema import STEPS, migrate
from aiba_adapters.sqlite.store import connect
from aiba_domain.application.audit import audit_store
from aiba_domain.application.ledger_auditor import LedgerAuditor
from aiba_domain.instants import day_key
from aiba_domain.moderation.commands import SetBadges
from aiba_domain.moderation.leader_commands import LEADER_BADGE
from aiba_domain.money import MAX_AMOUNT
from aiba_domain.ports import Reader, Store
from aiba_domain.testing.contracts.store import movement
from aiba_domain.testing.playground import Playground
from aiba_entry.cli.main import main
from tests.contract.backups.support import AT, backups_at, silent, write
from tests.contract.mongo.places import Place
from tests.contract.process.support import environment
from tests.support.arena import fight, set_up, starter
from tests.unit.claims.support import LATE_S, Bank

PLAYERS: Final = ("1", "2", "3")


@pytest.fixture(name="origin", scope="module")
def _origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give a backup of an embedded store with claims in every state, and much money."""
    folder = tmp_path_factory.mktemp("origin")

    async def open_store() -> Store:
        return SqliteStore(folder / "data" / FILE)

    bank = Bank(Playground(open_store))
    for player in PLAYERS:
        bank.open(player, aiba=100)
    bank.send(bank.claim("1", 10))
    bank.settle()
    bank.claim("2", 20)
    bank.wait(LATE_S)
    bank.settle()
    bank.claim("3", 30)
    set_up(bank.play)
    for player in PLAYERS:
        fight(bank.play, player, starter(bank.play, player), "b")
    bank.play.operate(SetBadges(player_id="9", badges=(LEADER_BADGE, "early")))

    async def more(store: Store) -> None:
        for number in range(4, 8):
            await write(store, number)
        rich = (movement(MAX_AMOUNT - 10**9, "operator:rich", "treasury"),)
        await store.transact(lambda unit: unit.write(at=AT, postings=rich))

    bank.play.run(more(bank.play.store))
    auditor = LedgerAuditor(store=bank.play.store, clock=bank.play.clock, seal_after_ms=0, size=9)
    assert bank.play.run(auditor.go_round(bank.play.pipeline, _breathe)).checkpoints
    backups = SqliteBackups(folder / "data" / FILE, now=bank.play.clock.now)
    asyncio.run(take(backups, folder / "backup", tell=silent))
    bank.play.close()
    return folder / "backup"


async def _breathe() -> None:
    return


async def seen(store: Store) -> tuple[object, ...]:
    """Return what the core can ask of a store that was moved."""
    report = await audit_store(store)
    assert report.is_sound, report.faults
    assert report.checkpoints

    async def look(read: Reader) -> tuple[object, ...]:
        claims = [
            claim
            for player in PLAYERS
            for claim in await read.claims_of(player, before=None, limit=99)
        ]
        return (
            report.head,
            manifests.head_of(read.entries()),
            dict(await read.accounts()),
            claims,
            [await read.claimed(day_key(each.created_at), each.player_id) for each in claims],
            [await read.claimed(day_key(each.created_at), None) for each in claims],
            [await read.player(f"{number}") for number in range(9)],
            [await read.movements(f"player:{number}", limit=9) for number in range(9)],
            [await read.open_claims(after=None, limit=9)],
            await read.policies(before=None, limit=9),
            await read.epochs(),
            await read.leaders(limit=9),
            [await read.badge_holders(badge, limit=9) for badge in (LEADER_BADGE, "early")],
        )

    return await store.read(look)


def seen_in(folder: Path) -> tuple[object, ...]:
    """Look at the embedded store of a data directory."""

    async def work() -> tuple[object, ...]:
        store = SqliteStore(folder / FILE)
        try:
            return await seen(store)
        finally:
            await store.close()

    return asyncio.run(work())


def test_a_store_is_the_same_on_the_other_kind_and_back(
    origin: Path, places: Callable[[], Place], tmp_path: Path
) -> None:
    """By `aiba restore` alone: ledger, claims, sums, records and answers are what they were."""
    place = places()

    def aiba(*words: object, **more: str) -> Result:
        environ = environment(tmp_path / "data", **more)
        done = CliRunner().invoke(main, [str(each) for each in words], env=environ)
        assert done.exit_code == 0, done.output
        return done

    (tmp_path / "data").mkdir()
    aiba("restore", origin)
    before = seen_in(tmp_path / "data")
    moved = aiba("restore", origin, MONGO_URI=place.uri)
    assert manifest_of(origin).ledger.digest in moved.output
    assert place.with_store(seen) == before
    aiba("backup", tmp_path / "of-mongo", MONGO_URI=place.uri)
    told = manifest_of(tmp_path / "of-mongo"), manifest_of(origin)
    assert (told[0].store, told[0].ledger) == ("mongo", told[1].ledger)
    assert told[0].rows["answers"] == told[1].rows["answers"] > 0
    aiba("restore", tmp_path / "of-mongo", "--replace")
    assert seen_in(tmp_path / "data") == before
    asyncio.run(take(backups_at(tmp_path / "data"), tmp_path / "again", tell=silent))
    derived = {"claim_days": 0}  # a day on which all was given back has a row of 0, or none
    again = manifest_of(tmp_path / "again").rows
    assert {**again, **derived} == {**told[1].rows, **derived}


def test_what_is_moved_is_the_same_bytes_each_time(origin: Path, tmp_path: Path) -> None:
    """So a restore that was killed finds the same backup, and goes on."""
    one, other = tmp_path / "one", tmp_path / "other"
    assert asyncio.run(move(origin, one, tell=silent)) == asyncio.run(
        move(origin, other, tell=silent)
    )


def test_every_kind_of_record_is_moved(tmp_path: Path) -> None:
    """A table of the collection's name, with its key first and the record as its body."""
    connection = connect(tmp_path / FILE)
    assert migrate(connection) == len(STEPS)
    for shape in RECORDS.values():
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({shape.collection})")]
        assert "body" in columns[1:], shape.collection
    connection.close()


@pytest.mark.parametrize("kind", [SqliteAsMongo, MongoAsSqlite])
def test_a_ledger_that_comes_out_otherwise_is_refused(
    origin: Path, tmp_path: Path, kind: type[Any]
) -> None:
    """Whatever went wrong on the way."""
    source = origin
    manifest = check(origin, backups_at(tmp_path), tell=silent)
    if kind is MongoAsSqlite:
        source = tmp_path / "moved"
        manifest = asyncio.run(move(origin, source, tell=silent))
    changed = replace(manifest, ledger=manifests.head_of(()))
    with pytest.raises(BackupRefused, match="ledger doesn't come out"):
        asyncio.run(take(kind(source, changed), tmp_path / "backup", tell=silent))
    assert not (tmp_path / "backup").exists()


@given(balance=st.integers(-MAX_AMOUNT, MAX_AMOUNT), shares=st.integers(1, SHARES))
def test_a_balance_in_parts_is_the_balance(balance: int, shares: int) -> None:
    """No part is above the bound, and none has another sign."""
    most = max(MAX_AMOUNT // shares, abs(balance) // 50, 1)
    parts = list(_parts(balance, most))
    assert sum(parts) == balance
    assert all(abs(part) <= most and part * balance >= 0 for part in parts)
