"""Imports of the service before: sound data comes over whole, faulty data by rule, once."""

import asyncio
import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import bson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiba_adapters.memory import MemoryStore
from aiba_adapters.sqlite import SqliteStore
from aiba_domain.application.audit import audit_store
from aiba_domain.battle.model import Battle
from aiba_domain.brokers.model import Broker
from aiba_domain.economy.ledger import TREASURY, player_account
from aiba_domain.legacy.findings import NEVER, RULES, Code
from aiba_domain.legacy.history import history
from aiba_domain.money import Currency
from aiba_domain.players.model import new_player
from aiba_domain.ports import Reader, Store
from aiba_entry.legacy import report
from aiba_entry.legacy.importing import Result
from aiba_entry.legacy.writing import ImportRefused
from tests.contract.legacy.support import ALL, NOW, Died, Dying, Lying, Write, imported, wish
from tests.support.node_layout import (
    FAULTS,
    Fault,
    MemorySource,
    Rows,
    broker,
    planted,
    sound,
    user,
)

NOTES = {Code.WALLET_UNPROVEN, Code.STAKE_HELD, Code.PENDING_HELD}
"""What is told of sound rows too."""
PLANTS = [(code, plant) for code, plants in FAULTS.items() for plant in plants]


def run_on(rows: Rows, store: Store | None, folder: Path, **how: object) -> Result:
    """Import rows from memory."""
    return asyncio.run(imported(MemorySource(rows), store, wish(folder, **how)))  # type: ignore[arg-type]


def test_sound_rows_come_over_whole_and_need_no_decision(tmp_path: Path) -> None:
    """Each book agrees to the unit, every record is there, and nobody has to accept anything."""
    result = run_on(sound(), MemoryStore(), tmp_path, accepted=frozenset())
    assert result.found.tallies.keys() == NOTES
    assert result.proof is not None
    assert result.proof.faults == []
    assert result.found.corrections == {}
    read_back = result.proof.counts
    assert {name: n for name, n in result.planned.items() if name != "Posting"} == read_back
    assert result.proof.entries == result.planned["Posting"]


def test_every_kind_of_finding_has_a_case() -> None:
    """A kind without a planted fault could be dead."""
    assert FAULTS.keys() | NOTES == set(Code) == RULES.keys()


@pytest.mark.parametrize(("code", "plant"), PLANTS, ids=lambda each: getattr(each, "name", ""))
def test_each_fault_is_found_and_decided_by_the_operator(
    code: Code, plant: Fault, tmp_path: Path
) -> None:
    """It is reported; nothing is written before its rule is accepted, then all is proven."""
    rows = sound()
    plant(rows)
    store = MemoryStore()
    refused = run_on(rows, store, tmp_path, accepted=ALL - {code})
    tally = refused.found.tallies[code]
    assert tally.count
    assert tally.examples
    assert (code in refused.undecided) == (RULES[code].decision or code in NEVER)
    if not refused.undecided:
        assert report.outcome(refused) == "proven"
        assert asyncio.run(audit_store(store)).faults == ()
        return
    assert asyncio.run(store.read(lambda read: read.accounts())) == {}
    accepted = run_on(rows, store, tmp_path)
    assert report.outcome(accepted) == ("undecided" if code in NEVER else "proven")
    assert asyncio.run(audit_store(store)).faults == ()


def test_d01_duplicate_rows_are_one_player_and_a_debt_is_named(tmp_path: Path) -> None:
    """The balances of both rows are summed; what is below 0 is a debt, and no unit is made."""
    rows = sound()
    rows["users"].append(user(60, "105", aibaBalance=-2_000))
    store = MemoryStore()
    assert report.outcome(run_on(rows, store, tmp_path)) == "proven"
    accounts = asyncio.run(store.read(lambda read: read.accounts()))
    assert (player_account("105"), Currency.AIBA) not in accounts
    assert accounts["legacy:debt:players:105", Currency.AIBA] == 1_005 - 2_000
    assert accounts[TREASURY, Currency.AIBA] == 5_000


def test_the_history_is_readable_and_moves_no_balance(tmp_path: Path) -> None:
    """Every applied row is told again with its id, amount, reason, source and instant."""
    store, rows = MemoryStore(), sound()
    run_on(rows, store, tmp_path)

    async def look(read: Reader) -> list[tuple[object, ...]]:
        told = history((entry.at, entry.posting) for entry in read.entries())
        return [
            (row.id, row.player_id, row.credit, row.amount, row.reason, row.source_id, row.at)
            for row in told
        ]

    assert sorted(asyncio.run(store.read(look))) == sorted(
        (
            str(row["_id"]),
            row["telegramId"],
            row["direction"] == "credit",
            row["amount"],
            row["reason"],
            row["sourceId"],
            int(row["createdAt"].timestamp() * 1_000),
        )
        for row in rows["ledgerentries"]
    )


def test_nothing_is_dropped_silently(tmp_path: Path) -> None:
    """What has no place is in the archive, which its hash seals and nobody else may read."""
    rows = planted(Code.BROKER_NO_OWNER, Code.COLLECTION_UNKNOWN)
    result = run_on(rows, None, tmp_path, dry_run=True)
    archive = tmp_path / "archive.jsonl"
    lines = [json.loads(line) for line in archive.read_text().splitlines()]
    kept = {(each["collection"], each["why"]) for each in lines}
    assert {("brokers", "finding"), ("tournaments", "no place"), ("referrals", "no place")} <= kept
    assert {"wallet": sound()["users"][0]["wallet"]}.items() <= next(
        each["document"] for each in lines if each["collection"] == "users"
    ).items()
    assert len(lines) == sum(result.aside.values())
    assert archive.stat().st_mode & 0o077 == 0
    assert len(result.archive) == 64


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    """The store stays unused, and the report says what an import would do."""
    store = MemoryStore()
    result = run_on(sound(), store, tmp_path, dry_run=True)
    assert report.outcome(result) == "dry run"
    assert result.units
    assert run_on(sound(), store, tmp_path).written == result.units


def test_a_second_import_changes_nothing_and_says_so(tmp_path: Path) -> None:
    """What is proven is not even read again."""
    store = MemoryStore()
    first = run_on(sound(), store, tmp_path)
    before = asyncio.run(store.read(lambda read: read.accounts()))
    again = run_on({}, store, tmp_path)
    assert report.outcome(again) == "nothing to do"
    assert first.proof is not None
    assert again.earlier == first.proof.state
    assert asyncio.run(store.read(lambda read: read.accounts())) == before


def test_a_store_that_was_used_is_refused(tmp_path: Path) -> None:
    """Money or players of its own are nothing to mix with."""
    store = MemoryStore()
    rows = sound()
    with pytest.raises(Died):
        asyncio.run(
            imported(MemorySource(rows), Dying(store, 3, after_commit=True), wish(tmp_path))
        )
    rows["users"][0]["aibaBalance"] += 1
    with pytest.raises(ImportRefused, match="isn't as it was"):
        run_on(rows, store, tmp_path)
    used = MemoryStore()
    asyncio.run(used.transact(lambda uow: uow.write(at=NOW, changed=(new_player("1", None, NOW),))))
    with pytest.raises(ImportRefused, match="it has players"):
        run_on(rows, used, tmp_path)


def test_a_source_that_changes_is_refused(tmp_path: Path) -> None:
    """Whoever still writes to it would lose what they write."""
    moving = MemorySource(sound(), lambda rows: rows["users"][0].update(aibaBalance=1))
    store = MemoryStore()
    result = asyncio.run(imported(moving, store, wish(tmp_path)))
    assert report.outcome(result) == "the source changes"
    assert asyncio.run(store.read(lambda read: read.accounts())) == {}


def test_a_moment_that_the_server_forgets_is_read_row_after_row(tmp_path: Path) -> None:
    """A large source takes longer than a server keeps a snapshot; the state is the same."""
    whole = run_on(sound(), MemoryStore(), tmp_path)
    slow = MemorySource(sound(), forgets=30)
    result = asyncio.run(imported(slow, MemoryStore(), wish(tmp_path)))
    assert (whole.snapshot, result.snapshot) == (True, False)
    assert state_of(result) == state_of(whole)


def test_rows_that_the_server_deletes_by_itself_are_no_change(tmp_path: Path) -> None:
    """Run keys have a time to live, which goes on when the service before has stopped."""
    rows = sound()
    moving = MemorySource(rows, lambda rows: rows.update(actionrunkeys=[]))
    assert report.outcome(asyncio.run(imported(moving, MemoryStore(), wish(tmp_path)))) == "proven"


def _without_battles(words: Write) -> Write:
    kept = tuple(each for each in words.get("changed", ()) if not isinstance(each, Battle))
    return {**words, "changed": kept}


def _weaker_brokers(words: Write) -> Write:
    changed = (
        replace(each, level=1) if isinstance(each, Broker) else each
        for each in words.get("changed", ())
    )
    return {**words, "changed": tuple(changed)}


def _one_more(words: Write) -> Write:
    moved = (replace(each, amount=each.amount + 1) for each in words.get("postings", ()))
    return {**words, "postings": tuple(moved)}


def _without_keys(words: Write) -> Write:
    note = words.get("remember")
    is_key = note is not None and note.scope.principal.startswith("player:")
    return {**words, "remember": None} if is_key else words


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (_without_battles, "a Battle of"),
        (_weaker_brokers, "a Broker of"),
        (_one_more, "players AIBA: the source has"),
        (_without_keys, "a key of"),
    ],
)
def test_a_store_that_holds_something_else_is_not_proven(
    spoil: Callable[[Write], Write], fault: str, tmp_path: Path
) -> None:
    """The proof reads what is there, so whatever differs is found, and the import isn't ended."""
    store = MemoryStore()
    lying = Lying(store, spoil)
    result = asyncio.run(imported(MemorySource(sound()), lying, wish(tmp_path)))
    assert report.outcome(result) == "not proven"
    assert result.proof is not None
    assert any(each.startswith(fault) for each in result.proof.faults)
    again = asyncio.run(imported(MemorySource(sound()), store, wish(tmp_path)))
    assert (again.written, report.outcome(again)) == (0, "not proven")


AMOUNTS = (
    st.integers(-(10**6), 10**9)
    | st.floats(-1e6, 1e12)
    | st.sampled_from([float("nan"), float("inf"), "12", None, 2.0**61, 1e300, True])
)
CODES = st.sets(st.sampled_from(sorted(FAULTS.keys() - {Code.TOTAL_TOO_LARGE})), max_size=5)


@st.composite
def databases(draw: st.DrawFn) -> Rows:
    """Draw a database: faults in any company, and more users with any balances."""
    rows = planted(*sorted(draw(CODES)))
    ids = st.sampled_from(["100", "200", "201", " 200", 201, 7.0, "", None])
    for number in range(draw(st.integers(0, 4))):
        more = user(200 + number, draw(ids), neurBalance=draw(AMOUNTS), aibaBalance=draw(AMOUNTS))
        rows["users"].append(more)
    for number in range(draw(st.integers(0, 2))):
        rows["brokers"].append(broker(300 + number, draw(ids), level=draw(AMOUNTS)))  # type: ignore[arg-type]
    return rows


def state_of(result: Result) -> str:
    """Return the hash of what was proven, which must be without faults."""
    assert result.proof is not None
    assert result.proof.faults == []
    return result.proof.state


@settings(max_examples=8)
@given(rows=databases(), data=st.data())
def test_an_import_killed_anywhere_ends_as_one_that_was_not(
    rows: Rows, data: st.DataObject
) -> None:
    """Whatever the database, and wherever it died: the same state, once."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = run_on(rows, MemoryStore(), folder)
        expected = state_of(whole)
        at = data.draw(st.integers(1, whole.units + 2), label="dies in")
        after = data.draw(st.booleans(), label="after the commit")
        on_disk = data.draw(st.booleans(), label="sqlite")

        # Without a note that it began, the next one begins anew, at its own instant.
        late = 0 if (at, after) == (1, False) else 1_000

        async def life() -> str:
            store: Store = SqliteStore(folder / "aiba.db") if on_disk else MemoryStore()
            dying = Dying(store, at, after_commit=after)
            with pytest.raises(Died):
                await imported(MemorySource(rows), dying, wish(folder))
            result = await imported(MemorySource(rows), store, wish(folder), now=NOW + late)
            state = result.earlier or state_of(result)
            await store.close()
            return state

        assert asyncio.run(life()) == expected


def test_the_source_is_not_touched(tmp_path: Path) -> None:
    """The rows are afterwards, byte for byte, what they were."""
    rows = sound()
    before = {name: [bson.encode(row) for row in each] for name, each in rows.items()}
    run_on(rows, MemoryStore(), tmp_path)
    assert {name: [bson.encode(row) for row in each] for name, each in rows.items()} == before
