"""The audit of the ledger: what it seals and finds as the ledger grows."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_adapters.memory import MemoryStore
from aiba_domain.application.ledger_auditor import LedgerAuditor
from aiba_domain.application.upkeep import SERVICE
from aiba_domain.economy.commands import ChangePolicy
from aiba_domain.economy.ledger import Posting
from aiba_domain.errors import DomainError
from aiba_domain.instants import day_key
from aiba_domain.ledger_audit.chain import (
    Batch,
    Checkpoint,
    broken_link,
    follows,
    hash_of,
    sealed_part,
)
from aiba_domain.ledger_audit.commands import OUT_OF_ORDER, RecordAudit
from aiba_domain.ledger_audit.findings import FindingKind, LedgerStanding
from aiba_domain.ledger_audit.rows import Row, encoded
from aiba_domain.money import Currency
from aiba_domain.ports import Reader, Store, UnitOfWork
from aiba_domain.testing.contracts.samples import movement
from aiba_domain.testing.doubles import NOON
from aiba_domain.testing.playground import Playground

DAY = "2026-01-01"
ROW = Row(1, NOON, "AIBA", 5, "chain", "player:1", "r", "a", "l", "s", "i")


@dataclass(slots=True)
class Desk:
    """A store, the auditor of it, and a pipeline to write what it seals."""

    play: Playground
    auditor: LedgerAuditor = field(init=False)

    def __post_init__(self) -> None:
        """Begin with an auditor that seals at once."""
        self.start_over()

    def start_over(self) -> None:
        """Have another auditor, as another process would."""
        self.auditor = LedgerAuditor(
            store=self.play.store, clock=self.play.clock, seal_after_ms=0, size=3
        )

    def post(self, *postings: Posting, at: int = NOON) -> None:
        """Post in one unit."""

        async def work(unit: UnitOfWork) -> None:
            await unit.write(at=at, postings=postings)

        self.play.run(self.play.store.transact(work))

    def go_round(self) -> LedgerStanding:
        """Go round once."""

        async def breathe() -> None:
            return

        return self.play.run(self.auditor.go_round(self.play.pipeline, breathe))

    def kinds(self) -> set[FindingKind]:
        """Return what kinds of things a round has found."""
        return {finding.kind for finding in self.go_round().findings}

    def checkpoints(self) -> list[Checkpoint]:
        """Return the chain."""

        async def look(read: Reader) -> list[Checkpoint]:
            return list(await read.checkpoints(after=0, limit=10**6))

        return self.play.run(self.play.store.read(look))


def change_policy(desk: Desk, **changes: object) -> None:
    """Change the policy from now on."""
    desk.play.operate(ChangePolicy(changes=changes))


@pytest.fixture(name="desk")
def _desk() -> Iterator[Desk]:
    play = Playground(_open_memory)
    yield Desk(play)
    play.close()


async def _open_memory() -> Store:
    return MemoryStore()


def test_what_is_new_is_sealed_and_followed_by_the_next(desk: Desk) -> None:
    """Each round seals what came since; whoever begins anew follows the chain and goes on."""
    for number in range(1, 8):
        desk.post(movement(number), movement(number, "chain", "treasury"))
        assert desk.go_round().is_sound
        if number % 3 == 0:
            desk.start_over()
    standing = desk.go_round()
    assert (standing.entries, standing.behind_ms) == (14, 0)
    sealed = desk.checkpoints()
    assert broken_link(sealed) is None
    assert [each.first for each in sealed] == [1, *(each.last + 1 for each in sealed[:-1])]
    assert sealed[-1].last == 14
    assert standing.head == sealed[-1].hash
    for held in (each.held for each in sealed):
        assert sum(root.get("NEUR", 0) for root in held.values()) == 0
    report = desk.play.audit()
    assert (report.checkpoints, report.sealed, report.head) == (len(sealed), 14, standing.head)


def test_a_batch_waits_until_it_is_full_or_old(desk: Desk) -> None:
    """Few new entries aren't sealed at once, so that a quiet service makes few checkpoints."""
    desk.auditor = LedgerAuditor(
        store=desk.play.store, clock=desk.play.clock, seal_after_ms=1_000, size=3
    )
    desk.post(movement(1), at=desk.play.clock.now())
    standing = desk.go_round()
    assert (standing.checkpoints, standing.entries) == (1, 1)  # the first of all waits for nothing
    desk.post(movement(1), at=desk.play.clock.now())
    standing = desk.go_round()
    assert (standing.checkpoints, standing.entries) == (1, 2)
    desk.post(movement(1), movement(1), at=desk.play.clock.now())
    assert desk.go_round().checkpoints == 2
    desk.post(movement(1), at=desk.play.clock.now())
    desk.play.clock.advance(999)
    assert (desk.go_round().checkpoints, desk.go_round().behind_ms) == (2, 999)
    desk.play.clock.advance(1)
    assert desk.go_round().checkpoints == 3


def test_the_standing_is_there_for_everybody(desk: Desk) -> None:
    """What a round found can be read by other processes; when it last passed outlives a restart."""
    desk.post(movement(1))
    standing = desk.go_round()
    assert desk.play.run(desk.play.store.read(lambda read: read.ledger_standing())) == standing
    assert standing.passed_at == desk.play.clock.now()
    desk.start_over()
    desk.post(movement(5, f"emission:{DAY}:a", "player:1", Currency.AIBA))
    desk.post(movement(10**7, f"emission:{DAY}:a", "player:1", Currency.AIBA))
    desk.play.clock.advance(5)
    found = desk.go_round()
    assert not found.is_sound
    assert found.passed_at == standing.passed_at
    assert found.at == standing.at + 5


def test_a_cap_is_found_that_was_passed(desk: Desk) -> None:
    """More than any policy of the day allowed, in all or in an arena; other currencies are free."""
    change_policy(desk, daily_cap_aiba=100, daily_cap_aiba_by_arena={"a": 60})
    today = desk.play.clock.now()
    later = today + 86_400_000 * 3
    day = "2026-01-04"
    desk.post(movement(10**9, f"emission:{day}:a", "player:1", Currency.STARS), at=later)
    desk.post(movement(60, f"emission:{day}:a", "player:1", Currency.AIBA), at=later)
    desk.post(movement(40, f"emission:{day}:b", "player:1", Currency.AIBA), at=later)
    assert desk.go_round().is_sound
    desk.post(movement(1, f"emission:{day}:b", "player:1", Currency.AIBA), at=later)
    desk.post(movement(61, "emission:2026-01-05:a", "player:1", Currency.AIBA), at=later)
    found = desk.go_round().findings
    assert [finding.kind for finding in found] == [FindingKind.CAP] * 2
    assert found[0].text.startswith(f"emission:{day}:b: the day emitted 101 AIBA of 100")
    assert "the arena emitted 61 AIBA of 60" in found[1].text


def test_a_cap_that_was_lowered_binds_what_comes_after(desk: Desk) -> None:
    """A day on which the cap was lowered may have emitted as much as before."""
    day, now = day_key(desk.play.clock.now()), desk.play.clock.now()
    desk.post(movement(900, f"emission:{day}:a", "player:1", Currency.AIBA), at=now)
    change_policy(desk, daily_cap_aiba=10)
    assert desk.go_round().is_sound


def test_money_out_of_a_sink_is_found(desk: Desk) -> None:
    """A sink only grows, and an emission only gives."""
    desk.post(movement(5, "chain", f"sink:{DAY}:r:a"))
    desk.post(movement(5, f"sink:{DAY}:r:a", "chain"))
    assert desk.kinds() == {FindingKind.SINK}


def test_money_may_pass_through_within_a_unit(desk: Desk) -> None:
    """Only between units must nobody owe."""
    desk.post(movement(5, "player:1", "treasury"), movement(5, "chain", "player:1"))
    assert desk.go_round().is_sound


def test_checkpoints_that_do_not_follow_are_refused(desk: Desk) -> None:
    """Two who seal at once: the second is refused; what was sent twice is taken once."""
    batch = Batch()
    batch.add([ROW])
    sealed = batch.seal(None, {}, 0, NOON)
    for _ in range(2):
        desk.play.run(desk.play.pipeline.execute(SERVICE, RecordAudit(checkpoints=(sealed,))))
    assert desk.checkpoints() == [sealed]
    other = batch.seal(None, {}, 0, NOON + 1)
    for wrong in (other, replace(sealed, number=2), replace(sealed, number=2, hash="0" * 64)):
        answer = desk.play.run(
            desk.play.pipeline.execute(SERVICE, RecordAudit(checkpoints=(wrong,)))
        )
        with pytest.raises(DomainError) as refused:
            answer.reply()
        assert refused.value.code == OUT_OF_ORDER


@given(data=st.data())
def test_a_checkpoint_vouches_for_every_field_of_itself(data: st.DataObject) -> None:
    """Whatever it seals is changed, it isn't the one that its hash tells of."""
    batch = Batch()
    batch.add([ROW, ROW._replace(number=2)])
    sealed = batch.seal(None, {"player": {"AIBA": 10}, "chain": {"AIBA": -10}}, 0, NOON)
    assert follows(sealed, None)
    name = data.draw(st.sampled_from([*sealed_part(sealed)]))
    other = replace(sealed, **{name: _another(getattr(sealed, name))})
    assert hash_of(other) != sealed.hash
    assert not follows(other, None)


def _another(value: Any) -> Any:  # noqa: ANN401 - of any field
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return value[:-1] + ("0" if value[-1] != "0" else "1")
    if isinstance(value, tuple):
        return (*value, "0" * 64)
    name, first = next(iter(value.items()))
    return {**value, name: _another(first)}


@given(values=st.lists(st.integers() | st.text() | st.none() | st.floats(allow_nan=False)))
def test_what_is_hashed_is_json(values: list[Any]) -> None:
    """The bytes are those that anybody's JSON encoder writes, whatever somebody has stored."""
    assert encoded(tuple(values)) == json.dumps(values, separators=(",", ":")).encode("ascii")
