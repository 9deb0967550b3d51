"""The whole service over any store, driven from synchronous tests, with a clock that can be set."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from aiba_domain.application.audit import AuditReport, audit_store
from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.application.pipeline import Answer, Pipeline
from aiba_domain.application.upkeep import prepare, rotate_seed
from aiba_domain.decision import Command, Principal, Record, Role
from aiba_domain.economy.ledger import CHAIN, Posting, player_account
from aiba_domain.fairness.commands import EpochReply
from aiba_domain.money import Currency
from aiba_domain.ports import Reader, Store, UnitOfWork
from aiba_domain.testing.doubles import NOON, FixedSeeds, SettableClock, Tally
from aiba_domain.testing.faults import FaultyStore

T = TypeVar("T")
R = TypeVar("R")

OPERATOR = Principal(id="operator", role=Role.OPERATOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Generic[R]):
    """One command as somebody issues it."""

    principal: Principal
    command: Command[R]
    key: object = None


def call(player_id: str, command: Command[R], key: object = None) -> Call[R]:
    """Return the call by which a player issues a command."""
    return Call(principal=Principal(id=player_id), command=command, key=key)


class Playground:
    """A pipeline over a store that is ready for play, on an event loop of its own.

    `faults` makes the store crash; `clock` stands still until it is moved. Close it when done.
    """

    def __init__(self, open_store: Callable[[], Awaitable[Store]], *, now: int = NOON) -> None:
        """Open the store inside the loop and prepare it."""
        self._runner = asyncio.Runner()
        self._open_store = open_store
        self.clock = SettableClock(now)
        self.seeds = FixedSeeds()
        self.seen = Tally()
        self._connect()

    def _connect(self) -> None:
        async def opened() -> Store:
            return await self._open_store()

        self.store: Store = self.run(opened())
        self.faults = FaultyStore(self.store)
        self.pipeline = Pipeline(
            store=self.faults,
            clock=self.clock,
            seeds=self.seeds,
            observer=self.seen,
            handlers=HANDLERS,
        )
        self.run(prepare(self.pipeline, self.store, self.seeds))

    def close(self) -> None:
        """Close the store and the loop."""
        self.run(self.store.close())
        self._runner.close()

    def reopen(self) -> None:
        """Close the store and open it again, as after a restart."""
        self.run(self.store.close())
        self._connect()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        return self._runner.run(work)

    def issue(self, principal: Principal, command: Command[R], key: object = None) -> Answer[R]:
        """Issue a command and return the answer."""
        return self.run(self.pipeline.execute(principal, command, key))

    def play(self, player_id: str, command: Command[R], key: object = None) -> Answer[R]:
        """Issue a player's command and return the answer."""
        return self.issue(Principal(id=player_id), command, key)

    def operate(self, command: Command[R]) -> R:
        """Issue an operator's command and return the reply; raise its refusal."""
        return self.issue(OPERATOR, command).reply()

    def together(self, calls: Sequence[Call[Any]]) -> list[Answer[Any] | BaseException]:
        """Issue all calls at once and return what each of them came to, in the order given."""

        async def gathered() -> list[Answer[Any] | BaseException]:
            started = (self.pipeline.execute(one.principal, one.command, one.key) for one in calls)
            return await asyncio.gather(*started, return_exceptions=True)

        return self.run(gathered())

    def rotate_seed(self) -> EpochReply:
        """Turn the seed epoch over, revealing the closed one."""
        return self.run(rotate_seed(self.pipeline, self.store, self.seeds))

    def read(self, work: Callable[[Reader], Awaitable[T]]) -> T:
        """Read from the committed state."""
        return self.run(self.store.read(work))

    def balances(self, player_id: str) -> dict[Currency, int]:
        """Return a player's balances, zeros left out."""
        held = self.read(lambda read: read.balances(player_account(player_id)))
        return {currency: balance for currency, balance in held.items() if balance}

    def put(self, *records: Record) -> None:
        """Keep records as they are, as another part of the service would have made them."""

        async def keep(unit: UnitOfWork) -> None:
            await unit.write(at=self.clock.now(), changed=records)

        self.run(self.store.transact(keep))

    def fund(self, player_id: str, **amounts: int) -> None:
        """Give a player money that came from the chain: `fund("7", NEUR=100)`."""
        postings = tuple(
            Posting(
                currency=Currency(name),
                amount=amount,
                debit=CHAIN,
                credit=player_account(player_id),
                reason="deposit",
                arena="chain",
                league="global",
                source_type="deposit",
                source_id=player_id,
            )
            for name, amount in amounts.items()
        )

        async def deposit(unit: UnitOfWork) -> None:
            await unit.write(at=self.clock.now(), postings=postings)

        self.run(self.store.transact(deposit))

    def audit(self) -> AuditReport:
        """Audit the ledger."""
        return self.run(audit_store(self.store))
