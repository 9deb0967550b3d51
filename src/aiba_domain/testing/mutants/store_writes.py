"""Faults of what a store writes and remembers: lost, doubled, torn, forgotten, mixed up."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Final, TypeVar

from aiba_domain.claims.claim import Claim
from aiba_domain.decision import Refused
from aiba_domain.economy.ledger import Posting, may_go_negative
from aiba_domain.instants import DAY
from aiba_domain.payments.model import UsedPayment
from aiba_domain.ports import Remembered, Scope, Store, UnitOfWork
from aiba_domain.testing.contracts import (
    ClaimsContract,
    IdempotencyContract,
    LedgerContract,
    RecordsContract,
    UnitOfWorkContract,
)
from aiba_domain.testing.mutants.model import Mutant
from aiba_domain.testing.mutants.properties import (
    ContractProperty,
    RuleProperty,
)
from aiba_domain.testing.mutants.rules import claims, keys
from aiba_domain.testing.mutants.wrapping import PassingStore, PassingUnit, in_front, of_units

T = TypeVar("T")
Effects = dict[str, Any]

_FEW_DAYS: Final = 7 * DAY


# What is written.


class _LosesRecords(PassingUnit):
    def altered(self, effects: Effects) -> Effects:
        return {**effects, "changed": tuple(effects.get("changed", ()))[:-1]}


class _PostsTwice(PassingUnit):
    def altered(self, effects: Effects) -> Effects:
        return {**effects, "postings": tuple(effects.get("postings", ())) * 2}


class _RemovesNothing(PassingUnit):
    def altered(self, effects: Effects) -> Effects:
        return {**effects, "removed": ()}


class _ForgetsRefusals(PassingUnit):
    def altered(self, effects: Effects) -> Effects:
        kept: Remembered | None = effects.get("remember")
        is_refusal = kept is not None and isinstance(kept.outcome, Refused)
        return {**effects, "remember": None} if is_refusal else effects


class _RemembersNothing(PassingUnit):
    def altered(self, effects: Effects) -> Effects:
        return {**effects, "remember": None}


class _Upserts(PassingUnit):
    """A debit that finds too little makes a second account, which owes."""

    async def write(self, **effects: Any) -> None:
        postings: list[Posting] = []
        for posting in effects.get("postings", ()):
            held = (await self.inner.balances(posting.debit)).get(posting.currency, 0)
            is_short = held < posting.amount and not may_go_negative(posting.debit)
            second = "emission:1970-01-01:upsert"
            postings.append(replace(posting, debit=second) if is_short else posting)
        await self.inner.write(**{**effects, "postings": postings})


class _DropsSecondFlights(PassingUnit):
    async def write(self, **effects: Any) -> None:
        changed = [
            record for record in effects.get("changed", ()) if not await self._is_second(record)
        ]
        await self.inner.write(**{**effects, "changed": changed})

    async def _is_second(self, record: object) -> bool:
        if not isinstance(record, Claim) or not record.is_open:
            return False
        flying = await self.inner.open_claim(record.terms.vault, record.terms.recipient)
        return flying is not None and flying.id != record.id


class _DropsTakenSeqnos(PassingUnit):
    async def write(self, **effects: Any) -> None:
        changed = [
            record for record in effects.get("changed", ()) if not await self._is_taken(record)
        ]
        await self.inner.write(**{**effects, "changed": changed})

    async def _is_taken(self, record: object) -> bool:
        if not isinstance(record, Claim) or not record.is_open:
            return False
        terms = record.terms
        return terms.seqno <= await self.inner.confirmed_seqno(terms.vault, terms.recipient)


class _Tears(PassingStore):
    """A unit that fails leaves a part of what it wrote."""

    part: str

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.written: list[Effects] = []

    def unit(self, inner: UnitOfWork) -> object:
        return _Notes(inner, self.written)

    async def transact(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        self.written.clear()
        try:
            return await super().transact(work)
        except BaseException:
            for effects in self.written:
                torn = self.torn(effects)
                await self.inner.transact(
                    lambda unit, torn=torn: unit.write(at=0, **torn)  # type: ignore[misc]
                )
            raise

    def torn(self, effects: Effects) -> Effects:
        """Return what stays."""
        return {self.part: effects.get(self.part, ())}


class _Notes(PassingUnit):
    def __init__(self, inner: UnitOfWork, written: list[Effects]) -> None:
        super().__init__(inner)
        self._written = written

    async def write(self, **effects: Any) -> None:
        self._written.append(effects)
        await self.inner.write(**effects)


class _KeepsPostings(_Tears):
    part = "postings"


class _KeepsRecords(_Tears):
    part = "changed"


class _KeepsUses(_Tears):
    """The payment is used up in a unit of its own, before what it pays for is there."""

    def torn(self, effects: Effects) -> Effects:
        used = [each for each in effects.get("changed", ()) if isinstance(each, UsedPayment)]
        return {"changed": used}


# What is remembered.


class _Remembering(PassingStore):
    """Keeps its own notes of all answers, beside the store's."""

    kind: type["_Notebook"]

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.notes: dict[object, Remembered] = {}

    def unit(self, inner: UnitOfWork) -> object:
        return self.kind(inner, self.notes)


class _Notebook(PassingUnit):
    def __init__(self, inner: UnitOfWork, notes: dict[object, Remembered]) -> None:
        super().__init__(inner)
        self.notes = notes

    def place(self, scope: Scope) -> object:
        """Return under what an answer is found."""
        return scope

    async def remembered(self, scope: Scope) -> Remembered | None:
        return self.notes.get(self.place(scope))

    async def write(self, **effects: Any) -> None:
        await self.inner.write(**effects)
        kept: Remembered | None = effects.get("remember")
        if kept is not None:
            self.notes[self.place(kept.scope)] = kept


class _AnyPrincipal(_Notebook):
    def place(self, scope: Scope) -> object:
        return scope.command, scope.key


class _AnyCommand(_Notebook):
    def place(self, scope: Scope) -> object:
        return scope.principal, scope.key


class _LastAnswer(_Notebook):
    async def write(self, **effects: Any) -> None:
        kept: Remembered | None = effects.pop("remember", None)
        await self.inner.write(**effects)
        if kept is not None:
            self.notes[kept.scope] = kept


class _ShortMemory(_Notebook):
    """Answers are dropped after a week, by the date of the latest write."""

    async def write(self, **effects: Any) -> None:
        kept: Remembered | None = effects.pop("remember", None)
        await self.inner.write(**effects)
        for place, one in [*self.notes.items()]:
            if one.at < effects["at"] - _FEW_DAYS:
                del self.notes[place]
        if kept is not None:
            self.notes[kept.scope] = kept


class _AcrossPlayers(_Remembering):
    kind = _AnyPrincipal


class _AcrossCommands(_Remembering):
    kind = _AnyCommand


class _Replacing(_Remembering):
    kind = _LastAnswer


class _Forgetful(_Remembering):
    kind = _ShortMemory


_KEEPS: Final = ContractProperty(suite=UnitOfWorkContract, test="test_unit_keeps_all_it_wrote")
_GUARDED: Final = ContractProperty(
    suite=LedgerContract,
    test="test_guarded_account_never_goes_below_zero",
    arguments=("player:1",),
)

WRITE_MUTANTS: Final = (
    Mutant(
        id="lost-write",
        breaks="the last record of a write is not kept",
        plant=of_units(_LosesRecords),
        killed_by=_KEEPS,
    ),
    Mutant(
        id="double-apply",
        breaks="every posting is applied twice",
        plant=of_units(_PostsTwice),
        killed_by=ContractProperty(suite=LedgerContract, test="test_accounts_lists_every_balance"),
        defects=("D-42",),
    ),
    Mutant(
        id="torn-posting",
        breaks="a unit that fails leaves its postings, without their records",
        plant=in_front(_KeepsPostings),
        killed_by=ContractProperty(
            suite=UnitOfWorkContract, test="test_unit_that_raises_keeps_nothing", arguments=(1,)
        ),
        defects=("D-43",),
    ),
    Mutant(
        id="torn-record",
        breaks="a unit that fails leaves its records, without their postings",
        plant=in_front(_KeepsRecords),
        killed_by=_GUARDED,
        defects=("D-41", "D-80"),
    ),
    Mutant(
        id="used-before-delivered",
        breaks="a payment in TON is used up though what it pays for was not made",
        plant=in_front(_KeepsUses),
        killed_by=RuleProperty(rule=claims.a_payment_survives_a_crash),
        defects=("D-46",),
    ),
    Mutant(
        id="upsert-debit",
        breaks="a debit of more than there is makes a second account that owes",
        plant=of_units(_Upserts),
        killed_by=_GUARDED,
        defects=("D-01",),
    ),
    Mutant(
        id="unscoped-player",
        breaks="an idempotency key is shared by all players",
        plant=in_front(_AcrossPlayers),
        killed_by=ContractProperty(
            suite=IdempotencyContract,
            test="test_answers_are_remembered_per_principal_command_and_key",
        ),
        defects=("D-81",),
    ),
    Mutant(
        id="unscoped-command",
        breaks="an idempotency key is shared by all commands",
        plant=in_front(_AcrossCommands),
        killed_by=ContractProperty(
            suite=IdempotencyContract,
            test="test_answers_are_remembered_per_principal_command_and_key",
        ),
    ),
    Mutant(
        id="answer-replaced",
        breaks="a second answer under a key takes the place of the first",
        plant=in_front(_Replacing),
        killed_by=ContractProperty(
            suite=IdempotencyContract, test="test_first_answer_is_never_replaced"
        ),
    ),
    Mutant(
        id="answer-ttl",
        breaks="an answer is forgotten after seven days",
        plant=in_front(_Forgetful),
        killed_by=RuleProperty(rule=keys.answers_are_kept_for_ever),
        defects=("D-06",),
    ),
    Mutant(
        id="answer-forgotten",
        breaks="no answer is remembered, so a lost one is paid for again",
        plant=of_units(_RemembersNothing),
        killed_by=RuleProperty(rule=keys.a_repeated_request_changes_nothing),
        defects=("D-06",),
    ),
    Mutant(
        id="refusal-forgotten",
        breaks="a refusal is not remembered under its key",
        plant=of_units(_ForgetsRefusals),
        killed_by=RuleProperty(rule=keys.a_refusal_is_an_answer_too),
    ),
    Mutant(
        id="sacrifice-survives",
        breaks="a broker that was merged into another is still there",
        plant=of_units(_RemovesNothing),
        killed_by=ContractProperty(suite=RecordsContract, test="test_removed_broker_is_gone"),
        defects=("D-50",),
    ),
    Mutant(
        id="two-open-claims",
        breaks="a second claim in flight to one recipient is accepted",
        plant=of_units(_DropsSecondFlights),
        killed_by=ContractProperty(
            suite=ClaimsContract,
            test="test_a_second_claim_in_flight_to_one_recipient_is_undone",
        ),
    ),
    Mutant(
        id="seqno-stored-twice",
        breaks="a second claim under a seqno that was paid is accepted",
        plant=of_units(_DropsTakenSeqnos),
        killed_by=ContractProperty(
            suite=ClaimsContract, test="test_a_seqno_stands_for_one_claim_until_it_is_refunded"
        ),
        defects=("D-10",),
    ),
)
"""The faults of what stores write."""
