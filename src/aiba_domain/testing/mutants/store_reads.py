"""Faults of what a store shows, and of what it does where units meet."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeVar, cast

from aiba_domain.brokers.model import Broker
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.money import Currency
from aiba_domain.payments.model import UsedPayment
from aiba_domain.players.model import Session
from aiba_domain.ports import Entry, Reader, Store, UnitOfWork
from aiba_domain.testing.contracts import (
    ClaimsContract,
    LedgerContract,
    PaymentsContract,
    ReadsContract,
    UnitOfWorkContract,
)
from aiba_domain.testing.mutants.model import Mutant
from aiba_domain.testing.mutants.properties import (
    ContractProperty,
    HistoryProperty,
    RuleProperty,
)
from aiba_domain.testing.mutants.rules import keys, money
from aiba_domain.testing.mutants.wrapping import PassingStore, PassingUnit, in_front, of_units

T = TypeVar("T")
Effects = dict[str, Any]


# What is read.


class _ReadsLate(PassingStore):
    """Every balance is that of the look before."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.before: dict[str, Mapping[Currency, int]] = {}

    async def read(self, work: Callable[[Reader], Awaitable[T]]) -> T:
        async def wrapped(read: Reader) -> T:
            return await work(cast("Reader", _Lagging(cast("UnitOfWork", read), self.before)))

        return await self.inner.read(wrapped)


class _Lagging(PassingUnit):
    def __init__(self, inner: UnitOfWork, before: dict[str, Mapping[Currency, int]]) -> None:
        super().__init__(inner)
        self._before = before

    async def balances(self, account: str) -> Mapping[Currency, int]:
        now = await self.inner.balances(account)
        shown = self._before.get(account, now)
        self._before[account] = now
        return shown


class _KeepsDocuments(PassingStore):
    """A broker that was read is not read again the next time: a document kept in the process."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.documents: dict[str, Broker | None] = {}

    async def transact(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        async def wrapped(unit: UnitOfWork) -> T:
            return await work(cast("UnitOfWork", _Documents(unit, self.documents)))

        return await self.inner.transact(wrapped)


class _Documents(PassingUnit):
    def __init__(self, inner: UnitOfWork, documents: dict[str, Broker | None]) -> None:
        super().__init__(inner)
        self._documents = documents

    async def broker(self, broker_id: str) -> Broker | None:
        if broker_id in self._documents:
            return self._documents.pop(broker_id)
        found = await self.inner.broker(broker_id)
        self._documents[broker_id] = found
        return found


class _OldestPolicy(PassingUnit):
    async def policy(self) -> EconomyPolicy:
        return EconomyPolicy()


class _FloatBalances(PassingUnit):
    async def balances(self, account: str) -> Mapping[Currency, int]:
        held = await self.inner.balances(account)
        return {currency: int(float(balance)) for currency, balance in held.items()}


class _NoUses(PassingUnit):
    async def payment_use(self, tx_hash: str) -> UsedPayment | None:
        del tx_hash
        return None


class _NoConfirmed(PassingUnit):
    async def confirmed_seqno(self, vault: str, recipient: str) -> int:
        del vault, recipient
        return 0


class _NoSessions(PassingUnit):
    async def session(self, session_id: str) -> Session | None:
        del session_id
        return None


class _StarsApart(PassingUnit):
    def entries(self) -> Iterable[Entry]:
        return [
            entry for entry in self.inner.entries() if entry.posting.currency is not Currency.STARS
        ]


class _GapsInTheLedger(PassingUnit):
    def entries(self) -> Iterable[Entry]:
        return [replace(entry, number=2 * entry.number) for entry in self.inner.entries()]


# What runs beside it.


class _NoTransactions(PassingStore):
    """Every write is committed by itself."""

    async def transact(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        return await work(cast("UnitOfWork", _ByItself(self.inner)))


class _ByItself:
    def __init__(self, store: Store) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the unit has there
        async def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - as the method
            answer = await self._store.transact(lambda unit: getattr(unit, name)(*args, **kwargs))
            await asyncio.sleep(0)
            return answer

        return call


class _Snapshots(PassingStore):
    """Units read what was there when they began, and write at their end, whatever came between."""

    async def transact(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        unit = _Buffered(self.inner)
        result = await work(cast("UnitOfWork", unit))

        async def commit(real: UnitOfWork) -> None:
            for effects in unit.written:
                await real.write(**effects)

        await self.inner.transact(commit)
        return result


class _Buffered(_ByItself):
    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.written: list[Effects] = []

    async def write(self, **effects: Any) -> None:
        self.written.append(effects)


class _LosesConflicts(PassingStore):
    """Where units meet, what the later ones credit is lost, and nobody is told."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.running = 0

    async def transact(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        self.running += 1
        meets = self.running > 1
        await asyncio.sleep(0)

        async def wrapped(unit: UnitOfWork) -> T:
            return await work(cast("UnitOfWork", _Losing(unit) if meets else unit))

        try:
            return await self.inner.transact(wrapped)
        finally:
            self.running -= 1


class _Losing(PassingUnit):
    def altered(self, effects: Effects) -> Effects:
        return {**effects, "postings": ()}


READ_MUTANTS: Final = (
    Mutant(
        id="stale-read",
        breaks="a read shows the balances of the read before it",
        plant=in_front(_ReadsLate),
        killed_by=ContractProperty(
            suite=UnitOfWorkContract, test="test_read_follows_the_units_that_were_answered"
        ),
    ),
    Mutant(
        id="stale-look",
        breaks="a client sees an account as it was when somebody looked before",
        plant=in_front(_ReadsLate),
        killed_by=HistoryProperty(),
        budget=2,
    ),
    Mutant(
        id="session-forgotten",
        breaks="a session is forgotten while it lives",
        plant=of_units(_NoSessions),
        killed_by=RuleProperty(rule=keys.launch_data_opens_one_session),
    ),
    Mutant(
        id="half-committed",
        breaks="a read sees the first write of a unit before the second",
        plant=in_front(_NoTransactions),
        killed_by=ContractProperty(
            suite=UnitOfWorkContract, test="test_reads_see_whole_committed_units"
        ),
    ),
    Mutant(
        id="check-then-act",
        breaks="two units that meet both see the last unit of money, and both take it",
        plant=in_front(_Snapshots),
        killed_by=ContractProperty(
            suite=UnitOfWorkContract,
            test="test_only_one_of_many_units_can_take_the_last_unit",
        ),
        defects=("D-35", "D-39", "D-48"),
    ),
    Mutant(
        id="lost-update",
        breaks="of two units that meet the later one writes over what the earlier one wrote",
        plant=in_front(_Snapshots),
        killed_by=ContractProperty(
            suite=UnitOfWorkContract, test="test_concurrent_units_are_serial"
        ),
        defects=("D-69", "D-77"),
    ),
    Mutant(
        id="stale-document",
        breaks="a broker is saved from a document that was read before others changed it",
        plant=in_front(_KeepsDocuments),
        killed_by=HistoryProperty(),
        budget=2,
        defects=("D-32", "D-50"),
    ),
    Mutant(
        id="conflict-loses-money",
        breaks="where two units meet, the postings of one are lost and it is told as done",
        plant=in_front(_LosesConflicts),
        killed_by=HistoryProperty(),
        budget=2,
        defects=("D-08",),
    ),
    Mutant(
        id="first-policy",
        breaks="the policy in force is the first that was ever made",
        plant=of_units(_OldestPolicy),
        killed_by=ContractProperty(suite=ReadsContract, test="test_policy_is_the_newest"),
        defects=("D-53",),
    ),
    Mutant(
        id="float-balance",
        breaks="a balance is a float, which is not exact above 2^53",
        plant=of_units(_FloatBalances),
        killed_by=ContractProperty(
            suite=LedgerContract, test="test_balances_reach_the_largest_amount_and_no_further"
        ),
        defects=("D-57",),
    ),
    Mutant(
        id="ledger-gap",
        breaks="the ledger's numbers have gaps, so nobody sees that an entry is missing",
        plant=of_units(_GapsInTheLedger),
        killed_by=ContractProperty(
            suite=LedgerContract, test="test_entries_are_numbered_in_commit_order"
        ),
    ),
    Mutant(
        id="stars-apart",
        breaks="Stars change their balance without standing in the ledger",
        plant=of_units(_StarsApart),
        killed_by=RuleProperty(rule=money.the_books_agree_after_play),
        defects=("D-43",),
    ),
    Mutant(
        id="seqno-forgotten",
        breaks="the store doesn't know which seqnos were confirmed",
        plant=of_units(_NoConfirmed),
        killed_by=ContractProperty(
            suite=ClaimsContract, test="test_seqnos_are_numbers_however_large", arguments=(9,)
        ),
        defects=("D-10",),
    ),
    Mutant(
        id="payment-used-twice",
        breaks="whoever looks at a payment while it is used finds it unused",
        plant=of_units(_NoUses),
        killed_by=ContractProperty(
            suite=PaymentsContract, test="test_d19_of_many_uses_of_a_payment_at_once_one_is_kept"
        ),
        defects=("D-19",),
    ),
)
"""The faults of what stores show."""
