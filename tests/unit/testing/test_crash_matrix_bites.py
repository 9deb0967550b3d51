"""Faults that are planted in stores, signers, memories and rules: each is found by a named cell."""

import itertools
from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import pytest

from aiba_adapters.memory import MemoryStore
from aiba_adapters.signing.memory_protection import MemoryProtection
from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.application.pipeline import Answer, Pipeline
from aiba_domain.application.upkeep import SERVICE
from aiba_domain.application.withdrawals import Withdrawals
from aiba_domain.claims.claim import ChainView, Claim, ClaimState
from aiba_domain.claims.commands import SettleClaim, decide_settlement
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.claims.ports import SignedClaim
from aiba_domain.decision import Accepted, Command, Principal, Record
from aiba_domain.economy.commands import ClaimDaily, decide_daily
from aiba_domain.economy.ledger import Posting
from aiba_domain.ports import Reader, Remembered, Scope, Store, Unavailable, UnitOfWork
from aiba_domain.signing.model import Network
from aiba_domain.signing.ports import ProtectionStore
from aiba_domain.testing.chain import ModelSigner
from aiba_domain.testing.crash_matrix import Cell, Fault, Isolated, OpenStore, Parts, run_matrix
from aiba_entry.cli.crash_matrix_parts import opener, parts

T = TypeVar("T")
R = TypeVar("R")


class Through:
    """A store that passes everything on; each planted fault changes one thing."""

    def __init__(self, inner: Store) -> None:
        """Stand in front of `inner`."""
        self.inner = inner

    async def transact(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run a unit of work."""
        return await self.inner.transact(work)

    async def read(self, work: Callable[[Reader], Awaitable[T]]) -> T:
        """Read."""
        return await self.inner.read(work)

    async def check(self) -> None:
        """Check."""
        await self.inner.check()

    async def close(self) -> None:
        """Stay open, as if the state were elsewhere."""


class Unit:
    """A unit of work whose answers are kept elsewhere."""

    def __init__(self, inner: UnitOfWork, answers: dict[Scope, Remembered]) -> None:
        """Keep answers in `answers`."""
        self._inner = inner
        self._answers = answers

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the unit has there
        return getattr(self._inner, name)

    async def remembered(self, scope: Scope) -> Remembered | None:
        """Look for an answer."""
        return self._answers.get(scope)

    async def write(self, *, at: int, remember: Remembered | None = None, **parts: Any) -> None:
        """Write all but the answer, and keep that."""
        await self._inner.write(at=at, **parts)
        if remember is not None:
            self._answers[remember.scope] = remember


class ForgetfulStore(Through):
    """Keeps its answers in the process: they are gone when that dies."""

    def __init__(self, inner: Store) -> None:
        """Begin with no answer."""
        super().__init__(inner)
        self._answers: dict[Scope, Remembered] = {}

    async def transact(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run a unit of work."""
        return await self.inner.transact(lambda unit: work(Unit(unit, self._answers)))


class HalfStore(Through):
    """Commits the postings of a unit before its records, so that a unit can fail in between."""

    async def transact(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run a unit of work; its postings stay, whatever becomes of it."""
        written: list[tuple[int, Sequence[Posting]]] = []

        async def noted(unit: UnitOfWork) -> T:
            written.clear()
            return await work(_Noting(unit, written))

        try:
            result = await self.inner.transact(noted)
        except Exception:
            for at, postings in written:
                await self.inner.transact(partial(_post, at, postings))
            raise
        return result


async def _post(at: int, postings: Sequence[Posting], unit: UnitOfWork) -> None:
    await unit.write(at=at, postings=postings)


class _Noting:
    def __init__(self, inner: UnitOfWork, written: list[tuple[int, Sequence[Posting]]]) -> None:
        self._inner = inner
        self._written = written

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the unit has there
        return getattr(self._inner, name)

    async def write(
        self,
        *,
        at: int,
        postings: Sequence[Posting] = (),
        changed: Sequence[Record] = (),
        removed: Sequence[Record] = (),
        remember: Remembered | None = None,
    ) -> None:
        await self._inner.write(
            at=at, postings=postings, changed=changed, removed=removed, remember=remember
        )
        self._written.append((at, postings))


class RestlessSigner(ModelSigner):
    """Signs the same terms in another way each time."""

    _numbers = itertools.count()

    async def sign(self, terms: ClaimTerms) -> SignedClaim:
        """Sign, and never the same."""
        signed = await super().sign(terms)
        return replace(signed, payload=b64encode(f"{next(self._numbers)}".encode()).decode())


class HastyWithdrawals(Withdrawals):
    """Takes a chain that doesn't answer for one that has let the claim expire."""

    async def _settle(self, claim: Claim) -> Claim:
        try:
            return await super()._settle(claim)
        except Unavailable:
            seen = ChainView(seqno=0, time_s=claim.terms.valid_until_s + 3_600)
            answer = await self._pipeline.execute(
                SERVICE, SettleClaim(claim_id=claim.id, seen=seen)
            )
            return answer.reply().claim


class EagerPipeline(Pipeline):
    """Issues a command again by itself when the store doesn't answer, under another key."""

    async def execute(
        self, principal: Principal, command: Command[R], key: object = None
    ) -> Answer[R]:
        """Execute once or twice."""
        try:
            return await super().execute(principal, command, key)
        except Unavailable:
            return await super().execute(principal, command, f"{key}-again" if key else None)


def pay_daily_again(state: Any, command: ClaimDaily, context: Any) -> Any:  # noqa: ANN401 - a decider
    """Pay the daily reward without a mark that it was paid."""
    outcome = decide_daily(state, command, context)
    return replace(outcome, changed=()) if isinstance(outcome, Accepted) else outcome


def settle_again(state: Any, command: SettleClaim, context: Any) -> Any:  # noqa: ANN401 - a decider
    """Settle a claim that is settled as if it weren't."""
    if state is not None and not state.claim.is_open:
        state = replace(state, claim=replace(state.claim, state=ClaimState.RESERVED))
    return decide_settlement(state, command, context)


@dataclass
class LostMemory:
    """An isolated signer's memory that is empty whenever it is opened."""

    opened: list[ProtectionStore] = field(default_factory=list)

    async def open(self, _folder: Path) -> ProtectionStore:
        """Open a memory."""
        self.opened.append(MemoryProtection(network=Network.TESTNET))
        return self.opened[-1]


def over(kind: Callable[[Store], Store]) -> OpenStore:
    """Return what opens a planted store; what lies under it outlives the process."""
    under: dict[Path, MemoryStore] = {}

    async def open_store(folder: Path) -> Store:
        return kind(under.setdefault(folder, MemoryStore()))

    return open_store


def with_rule(kind: type[Command[Any]], decide: Callable[..., Any]) -> Parts:
    """Return parts in which a command is decided by another rule."""
    return Parts(handlers={**HANDLERS, kind: replace(HANDLERS[kind], decide=decide)})


def lost_memory() -> Parts:
    """Return parts whose isolated signer forgets what it has signed."""
    sound = parts("memory")
    assert isinstance(sound.isolated, Isolated)
    isolated = replace(sound.isolated, open_memory=LostMemory().open, log=lambda _folder: ())
    return replace(sound, isolated=isolated)


PLAIN = opener("memory")
BY_DEFAULT = Parts()
REOPENS = Parts(reopens=True)


@dataclass(frozen=True, kw_only=True)
class Planted:
    """Where a fault is planted, and the cell and the scenario that find it."""

    cell: Cell
    scenario: str
    open_store: OpenStore = PLAIN
    parts: Parts = BY_DEFAULT


def cell(call: str, fault: Fault) -> Cell:
    """Return a cell."""
    return Cell(call=call, fault=fault)


PLANTED = {
    "answers die with the process": Planted(
        open_store=over(ForgetfulStore),
        parts=REOPENS,
        cell=cell("Store.transact", Fault.CRASH_AFTER),
        scenario="Train",
    ),
    "a failed unit's money is kept": Planted(
        open_store=over(HalfStore),
        parts=REOPENS,
        cell=cell("UnitOfWork.write", Fault.TIMED_OUT),
        scenario="RunBattle",
    ),
    "a signer signs in two ways": Planted(
        parts=Parts(make_signer=RestlessSigner),
        cell=cell("Signer.sign", Fault.DUPLICATED),
        scenario="a withdrawal, paid",
    ),
    "a timeout of the chain is a refund": Planted(
        parts=Parts(withdrawals=HastyWithdrawals),
        cell=cell("ChainReader.view", Fault.TIMED_OUT),
        scenario="a withdrawal, paid",
    ),
    "a lost answer is a second command": Planted(
        parts=Parts(pipeline=EagerPipeline),
        cell=cell("Store.transact", Fault.TIMED_OUT),
        scenario="Upgrade",
    ),
    "a reward without its mark": Planted(
        parts=with_rule(ClaimDaily, pay_daily_again),
        cell=cell("Store.transact", Fault.DUPLICATED),
        scenario="ClaimDaily without a key",
    ),
    "a settled claim is settled again": Planted(
        parts=with_rule(SettleClaim, settle_again),
        cell=cell("Store.transact", Fault.DUPLICATED),
        scenario="SettleClaim without a key",
    ),
    "a signer's memory dies with the process": Planted(
        parts=lost_memory(),
        cell=cell("ProtectionStore.transact", Fault.CRASH_AFTER),
        scenario="an isolated signer, locked and unlocked",
    ),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_fault_is_found_by_its_cell(name: str) -> None:
    """Where nothing strikes all is well, and the cell fails."""
    planted = PLANTED[name]
    report = run_matrix(
        planted.open_store, parts=planted.parts, only={planted.cell}, scenarios={planted.scenario}
    )
    (verdict,) = report.verdicts
    assert verdict.failures, f"{planted.cell} passes in {verdict.runs} runs"
    assert not any("without a fault:" in text for text in verdict.failures), verdict.failures


def test_the_same_cells_pass_where_nothing_is_planted() -> None:
    """What they find is what was planted."""
    report = run_matrix(
        over(Through),
        parts=replace(parts("memory"), reopens=True),
        only={planted.cell for planted in PLANTED.values()},
        scenarios={planted.scenario for planted in PLANTED.values()},
    )
    assert report.failed == ()
    assert report.is_passed
