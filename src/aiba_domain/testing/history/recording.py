"""Recording what concurrent clients ask for and are told, with answers that get lost on the way."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from itertools import count
from random import Random
from typing import Any, Final, TypeVar

from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.application.pipeline import Answer, Pipeline
from aiba_domain.application.upkeep import SERVICE
from aiba_domain.battle.commands import RunBattle
from aiba_domain.brokers.commands import Repair, Train, Upgrade
from aiba_domain.brokers.model import Broker, Stat
from aiba_domain.claims.claim import ChainView
from aiba_domain.claims.commands import BY_REQUEST, ReserveClaim, SettleClaim, claim_id
from aiba_domain.decision import Command, Principal, Refused
from aiba_domain.economy.commands import ClaimDaily
from aiba_domain.economy.ledger import player_account
from aiba_domain.errors import DomainError
from aiba_domain.money import Currency
from aiba_domain.ports import Reader, Store, Unavailable, UnitOfWork
from aiba_domain.testing.chain import GENESIS_S, JETTON_MASTER, VAULT
from aiba_domain.testing.doubles import FixedSeeds, SettableClock, Tally
from aiba_domain.testing.history.account import Ask, Kind, Said, said
from aiba_domain.testing.history.search import Operation
from aiba_domain.testing.history.stage import MODE, broker_of, wallet_of
from aiba_domain.testing.history.workload import Mishap, Order

T = TypeVar("T")

_TRIES: Final = 200
_PAID: Final = ChainView(seqno=2**40, time_s=GENESIS_S)
"""What a settlement sees: every seqno that was given out so far is paid."""
_SEEN: Final = ChainView(seqno=0, time_s=GENESIS_S)


class Lost(Exception):  # noqa: N818 - what a client sees of an answer that doesn't come
    """The answer was lost; whether the request took effect isn't known."""


class LossyStore:
    """A store whose unit of work may die before its commit, or be answered to nobody after it."""

    def __init__(self, inner: Store) -> None:
        """Stand in front of `inner`."""
        self._inner = inner
        self.mishap = Mishap.NONE

    async def transact(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run `work`, with the mishap that is due, once."""
        mishap, self.mishap = self.mishap, Mishap.NONE

        async def dying(unit: UnitOfWork) -> T:
            await work(unit)
            raise Lost

        if mishap is Mishap.BEFORE:
            return await self._inner.transact(dying)
        result = await self._inner.transact(work)
        if mishap is Mishap.AFTER:
            raise Lost
        return result

    async def read(self, work: Callable[[Reader], Awaitable[T]]) -> T:
        """Read from the store behind."""
        return await self._inner.read(work)

    async def check(self) -> None:
        """Check the store behind."""
        await self._inner.check()

    async def close(self) -> None:
        """Close the store behind."""
        await self._inner.close()


class Recorder:
    """Notes when each request was sent and when it was answered, from any thread."""

    def __init__(self, numbers: Iterator[int] | None = None) -> None:
        """Number operations by `numbers`, from 1 by default."""
        self.operations: list[Operation] = []
        self._numbers = numbers or count(1)

    async def note(
        self, client: str, account: str, ask: Ask, answering: Callable[[], Awaitable[Said]]
    ) -> Said | None:
        """Send a request and note it; return the answer, None if it was lost.

        An answer counts from the moment that the client had it, a request from before it was sent:
        so an order that looks certain is certain, in other processes too.
        """
        number, began = next(self._numbers), time.monotonic_ns()
        try:
            answer = await answering()
        except (Lost, asyncio.CancelledError):
            answer = None
        ended = None if answer is None else time.monotonic_ns()
        self.operations.append(
            Operation(
                number=number,
                client=client,
                account=account,
                ask=ask,
                began=began,
                ended=ended,
                said=answer,
            )
        )
        return answer


class Client:
    """One client with a connection of its own to a store that others use too."""

    def __init__(self, name: str, store: Store, recorder: Recorder) -> None:
        """Connect to a store that is ready for play."""
        self._name = name
        self._store = LossyStore(store)
        self._recorder = recorder
        self._pipeline = Pipeline(
            store=self._store,
            clock=SettableClock(),
            seeds=FixedSeeds(),
            observer=Tally(),
            handlers=HANDLERS,
        )

    async def follow(self, orders: list[Order], dice: Random) -> None:
        """Send requests one after another; now and then one again whose answer was lost."""
        for order in orders:
            answer = await self._send(order)
            if answer is None and dice.random() < 0.6:
                await self._send(Order(account=order.account, ask=order.ask))

    async def look(self, account: str) -> None:
        """Look at an account."""
        await self._send(Order(account=account, ask=Ask(kind=Kind.LOOK)))

    async def _send(self, order: Order) -> Said | None:
        async def patiently() -> Said:
            self._store.mishap = order.mishap
            for _ in range(_TRIES):
                try:
                    return await self._answer(order.account, order.ask)
                except Unavailable as outage:  # nothing happened
                    await asyncio.sleep(min(outage.retry_after_ms, 20) / 1_000)
            raise Lost

        async def leaving() -> Said:
            task = asyncio.ensure_future(patiently())
            for _ in range(order.patience):
                await asyncio.sleep(0)
            task.cancel()
            return await task

        is_leaving = order.mishap is Mishap.LEAVES
        answering = leaving if is_leaving else patiently
        return await self._recorder.note(self._name, order.account, order.ask, answering)

    async def _answer(self, account: str, ask: Ask) -> Said:
        """Ask, and say the answer in the words of the model."""
        if ask.kind is Kind.LOOK:
            return await self._store.read(lambda read: _seen(read, account))
        principal = SERVICE if ask.kind is Kind.SETTLE else Principal(id=account)
        key = ask.key if ask.kind is not Kind.SETTLE and ask.key else None
        try:
            answer = await self._pipeline.execute(principal, command_of(account, ask), key)
        except DomainError as refusal:
            return said(refusal.code)
        return _told(ask, answer)


def command_of(account: str, ask: Ask) -> Command[Any]:
    """Return the command by which a player asks."""
    broker, stat = broker_of(account), [*Stat][ask.what % len(Stat)]
    match ask.kind:
        case Kind.TRAIN | Kind.UPGRADE:
            kind = Train if ask.kind is Kind.TRAIN else Upgrade
            return kind(broker_id=broker, stat=stat)
        case Kind.REPAIR:
            return Repair(broker_id=broker)
        case Kind.FIGHT:
            return RunBattle(broker_id=broker, mode_key=MODE.key)
        case Kind.WITHDRAW:
            return ReserveClaim(
                amount=ask.what,
                vault=VAULT,
                jetton_master=JETTON_MASTER,
                recipient=wallet_of(account),
                seen=_SEEN,
            )
        case Kind.SETTLE:
            return SettleClaim(claim_id=claim_id(account, BY_REQUEST, ask.key), seen=_PAID)
        case _:
            return ClaimDaily()


async def _seen(read: Reader, account: str) -> Said:
    """Say what a read shows of a player."""
    held = await read.balances(player_account(account))
    broker = await read.broker(broker_of(account))
    return said(
        neur=held.get(Currency.NEUR, 0),
        aiba=held.get(Currency.AIBA, 0),
        points=_points(broker) if broker else -1,
        energy=broker.energy if broker else -1,
    )


def _told(ask: Ask, answer: Answer[Any]) -> Said:
    """Say what an answer tells; of a refusal the numbers that the model foresees."""
    outcome = answer.outcome
    if isinstance(outcome, Refused):
        told = outcome.details
        numbers = {name: int(told[name]) for name in ("need", "have") if name in told}
        return said(outcome.code, **numbers)
    reply = outcome.reply
    match ask.kind:
        case Kind.DAILY:
            return said(again=int(reply.already_claimed), neur=reply.balance)
        case Kind.TRAIN | Kind.REPAIR | Kind.UPGRADE:
            facts = {"points": _points(reply.broker), "energy": reply.broker.energy}
            return said(**facts, **{str(reply.currency).lower(): reply.balance})
        case Kind.WITHDRAW:
            return said(amount=reply.claim.terms.amount)
        case Kind.SETTLE:
            return said(amount=reply.claim.terms.amount, open=int(reply.claim.is_open))
        case _:
            return said()


def _points(broker: Broker) -> int:
    return sum(broker.stat(stat) for stat in Stat)
