"""Whoever takes the audit up goes on from sealed balances, and looks at all again slowly."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiba_adapters.memory import MemoryStore
from aiba_adapters.memory.audit_reads import AuditReads
from aiba_adapters.memory.state import State
from aiba_domain.application import ledger_head, ledger_reread
from aiba_domain.application.audit import audit_store
from aiba_domain.application.ledger_auditor import DISTRUST_MS, LedgerAuditor
from aiba_domain.ledger_audit.balances import (
    AUDIT_STATE,
    Audited,
    AuditState,
    from_text,
    modulo,
    part_of,
    seal_of,
    to_text,
)
from aiba_domain.ledger_audit.chain import Checkpoint
from aiba_domain.ledger_audit.findings import FindingKind, LedgerStanding
from aiba_domain.ledger_audit.rows import LedgerPage
from aiba_domain.money import Currency
from aiba_domain.ports import Store, UnitOfWork
from aiba_domain.testing.contracts.samples import movement
from aiba_domain.testing.playground import Playground

DAY = "2026-01-01"
SIZE = 2
ACCOUNTS = ("chain", "player:1", "player:2", "player:3", "treasury")


async def _open() -> Store:
    return MemoryStore()


async def _breathe() -> None:
    return


class Desk:
    """A store in memory, whose state can be tampered with, and a worker at a time."""

    def __init__(self) -> None:
        """Begin with an empty ledger."""
        self.play = Playground(_open)
        store = self.play.store
        assert isinstance(store, MemoryStore)
        self.state: State = store._state
        self.begin_anew()

    def begin_anew(self) -> None:
        """Have another worker, as another process would."""
        self.auditor = LedgerAuditor(
            store=self.play.store, clock=self.play.clock, seal_after_ms=0, size=SIZE
        )

    def close(self) -> None:
        """Close the store."""
        self.play.close()

    def post(self, count: int, at: int = 1) -> None:
        """Post entries, each in a unit of its own, among few accounts."""

        async def work(unit: UnitOfWork) -> None:
            for number in range(count):
                credit = f"player:{1 + number % 3}"
                await unit.write(at=at + number, postings=[movement(number + 1, "chain", credit)])

        self.play.run(self.play.store.transact(work))

    def go_round(self) -> LedgerStanding:
        """Go round once."""
        return self.play.run(self.auditor.go_round(self.play.pipeline, _breathe))

    def texts(self) -> list[str]:
        """Go round once, and return what was found."""
        return [finding.text for finding in self.go_round().findings]

    def own(self, account: str) -> Audited:
        """Return the audit's own balances of an account."""
        found = self.state.records[Audited][account]
        assert isinstance(found, Audited)
        return found

    def forge(self, account: str, held: dict[str, int]) -> None:
        """Change the audit's own balances of an account."""
        self.state.records[Audited][account] = replace(self.own(account), held=held)

    def audit_state(self) -> AuditState:
        """Return how far the own balances have come."""
        found = self.state.records[AuditState][AUDIT_STATE]
        assert isinstance(found, AuditState)
        return found

    def faults(self) -> tuple[str, ...]:
        """Audit all at one moment."""
        return self.play.run(audit_store(self.play.store)).faults


@pytest.fixture(name="desk")
def _desk() -> Iterator[Desk]:
    with closing(Desk()) as desk:
        yield desk


@pytest.fixture(name="read")
def _read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return what will be the numbers of all entries that are read."""
    numbers: list[int] = []
    real = AuditReads.ledger

    async def ledger(self: AuditReads, after: str, *, limit: int, settled: bool) -> LedgerPage:
        page = await real(self, after, limit=limit, settled=settled)
        numbers.extend(row.number for row in page.rows)
        return page

    monkeypatch.setattr(AuditReads, "ledger", ledger)
    return numbers


def test_the_own_balances_are_those_of_the_last_checkpoint(desk: Desk) -> None:
    """Each account's, and their sum; they are sealed, and what isn't sealed isn't in them."""
    desk.auditor = LedgerAuditor(store=desk.play.store, clock=desk.play.clock, size=SIZE)
    desk.post(5, at=desk.play.clock.now())
    standing = desk.go_round()
    assert (standing.entries, standing.checkpoints) == (5, 2)
    held = {each: dict(desk.own(each).held) for each in ACCOUNTS[:4]}
    assert held == {
        "chain": {"NEUR": -10},
        "player:1": {"NEUR": 1 + 4},
        "player:2": {"NEUR": 2},
        "player:3": {"NEUR": 3},
    }
    state = desk.audit_state()
    total = modulo(sum(part_of(account, each) for account, each in held.items()))
    assert (state.checkpoint, from_text(state.total)) == (2, total)
    last = desk.state.records[Checkpoint][2]
    assert isinstance(last, Checkpoint)
    assert last.balances == seal_of(total)


def test_whoever_takes_it_up_reads_no_sealed_entry_but_the_last(
    desk: Desk, read: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """But those of the last checkpoint, and of one as every round has one to look at again."""
    monkeypatch.setattr("aiba_domain.application.ledger_auditor.RECHECKED", 1)
    desk.post(20)
    assert desk.go_round().is_sound
    desk.begin_anew()
    desk.post(3, at=50)
    read.clear()
    standing = desk.go_round()
    assert (standing.entries, standing.checkpoints, standing.is_sound) == (23, 12, True)
    assert set(read) == {3, 4, 19, 20, 21, 22, 23}


def test_balances_are_let_go_of_and_fetched_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a memory of no account at all the same is sealed, and a debt and a cap are found."""
    other = Desk()
    for each in (desk, other):
        if each is desk:
            monkeypatch.setattr(ledger_head, "KEPT", 0)
        else:
            monkeypatch.undo()
        for turn in range(4):
            each.post(3, at=10 * turn)
            assert each.go_round().is_sound
    assert [each.hash for each in _chain(desk)] == [each.hash for each in _chain(other)]
    other.play.close()
    monkeypatch.setattr(ledger_head, "KEPT", 0)

    async def work(unit: UnitOfWork) -> None:
        for turn in (1, 2):
            posting = movement(600_000, f"emission:{DAY}:a", "player:9", Currency.AIBA)
            await unit.write(at=turn, postings=[posting])
            await unit.write(at=turn, postings=[movement(1), movement(1)])

    desk.play.run(desk.play.store.transact(work))
    assert {finding.kind for finding in desk.go_round().findings} == {FindingKind.CAP}
    desk.begin_anew()
    assert {finding.kind for finding in desk.go_round().findings} == {FindingKind.CAP}


def _chain(desk: Desk) -> list[Checkpoint]:
    return [
        each for each in desk.state.records[Checkpoint].values() if isinstance(each, Checkpoint)
    ]


@settings(max_examples=40)
@given(data=st.data())
def test_forged_balances_of_its_own_are_found(data: st.DataObject) -> None:
    """Whatever of them is changed is found by whoever takes over and at one moment; then mended."""
    with closing(Desk()) as desk:
        _forge_and_find(desk, data)


def _forge_and_find(desk: Desk, data: st.DataObject) -> None:
    desk.post(data.draw(st.integers(1, 9)))
    assert desk.go_round().is_sound
    head = desk.go_round().head
    before = dict(desk.state.records[Audited]), desk.audit_state()
    match data.draw(
        st.sampled_from(("balance", "account", "gone", "round", "state", "total", "checkpoint"))
    ):
        case "balance":
            account = data.draw(st.sampled_from(sorted(map(str, before[0]))))
            amount = data.draw(st.integers(1, 9))
            held = desk.own(account).held
            desk.forge(account, {**held, "NEUR": held["NEUR"] + amount})
        case "account":
            forged = Audited(account="player:77", round=before[1].round, held={"AIBA": 1})
            desk.state.records[Audited]["player:77"] = forged
        case "gone":
            del desk.state.records[Audited][data.draw(st.sampled_from(sorted(map(str, before[0]))))]
        case "round":
            desk.state.records[Audited]["chain"] = replace(desk.own("chain"), round=9)
        case "state":
            del desk.state.records[AuditState][AUDIT_STATE]
        case "total":
            total = data.draw(st.sampled_from((to_text(7), "nonsense", "")))
            desk.state.records[AuditState][AUDIT_STATE] = replace(before[1], total=total)
        case _:
            number = data.draw(st.integers(1, 9).filter(lambda each: each != before[1].checkpoint))
            desk.state.records[AuditState][AUDIT_STATE] = replace(before[1], checkpoint=number)
    if AUDIT_STATE not in desk.state.records[AuditState]:
        assert desk.faults() == ("the audit's own balances aren't there",)
    elif desk.audit_state() == before[1]:
        assert desk.faults() == (
            f"the audit's own balances aren't those of checkpoint {before[1].checkpoint}",
        )
    desk.begin_anew()
    assert [finding.kind for finding in desk.go_round().findings] == [FindingKind.CHAIN]
    assert desk.audit_state().round > before[1].round
    desk.play.clock.advance(DISTRUST_MS)
    standing = desk.go_round()
    assert (standing.is_sound, standing.head) == (True, head)
    assert desk.faults() == ()


def test_an_old_entry_that_is_changed_is_found_by_a_worker_that_goes_on(desk: Desk) -> None:
    """It took nothing on trust: within a pass over all checkpoints the running service knows."""
    desk.post(40)
    assert desk.go_round().is_sound
    desk.begin_anew()
    old = desk.state.entries[2]
    desk.state.entries[2] = replace(old, posting=replace(old.posting, reason="other"))
    found: list[str] = []
    for _ in range(5):
        found = desk.texts()
        if found:
            break
    assert found == [
        "checkpoint 2 sealed the entries 3 to 4; what is there is another from entry 3 on"
    ]
    desk.post(2, at=99)
    assert desk.go_round().checkpoints == 20  # nothing is sealed over it
    desk.state.entries[2] = old
    assert [bool(desk.texts()) for _ in range(6)][-1] is False
    assert desk.go_round().checkpoints == 21


def test_both_balances_changed_alike_are_found_from_the_entries(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stored one and the audit's own agree, while the worker runs; its entries tell."""
    monkeypatch.setattr(ledger_reread, "SLICE", 2)
    desk.post(12)
    assert desk.go_round().is_sound
    for account, by in (("player:1", 5), ("player:2", -5)):
        held = desk.own(account).held["NEUR"] + by
        desk.forge(account, {"NEUR": held})
        desk.state.balances[account, Currency.NEUR] = held
    assert all("own balance of" in each for each in desk.texts())
    passes = [desk.texts() for _ in range(12)]
    desk.play.clock.advance(DISTRUST_MS)
    passes.append(desk.texts())
    wrong = [each for found in passes for each in found]
    assert any("the audit's own balance of player:" in each for each in wrong)
    assert passes[-1] == [
        "player:1 stores 27 NEUR, its history says 22",
        "player:2 stores 21 NEUR, its history says 26",
    ]


def test_all_accounts_get_their_turn(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each pass makes the balances of some accounts anew; after some passes it was all of them."""
    monkeypatch.setattr(ledger_reread, "SLICE", 1)
    desk.post(8)
    seen: set[str] = set()
    real = ledger_reread.Reread.to_check

    def to_check(self: ledger_reread.Reread) -> Iterator[Any]:
        for names in real(self):
            seen.update(names)
            yield names

    monkeypatch.setattr(ledger_reread.Reread, "to_check", to_check)
    for _ in range(8):
        assert desk.go_round().is_sound
    assert seen == set(ACCOUNTS[:4])


def test_where_a_pass_was_is_taken_up(desk: Desk) -> None:
    """A worker that is begun anew each day still comes to the end of a long ledger."""
    desk.post(20)
    standing = desk.go_round()
    assert (standing.reread, standing.rechecked) == (4, 4)
    for reread in (8, 2, 6):
        desk.begin_anew()
        desk.play.clock.advance(60_000)
        standing = desk.go_round()
        assert (standing.reread, standing.is_sound) == (reread, True)
