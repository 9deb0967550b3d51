"""A store with synchronous helpers around it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from aiba_domain.battle.model import Battle
from aiba_domain.claims.claim import Claim
from aiba_domain.decision import Record
from aiba_domain.economy.ledger import Posting
from aiba_domain.money import Currency
from aiba_domain.players.model import Player
from aiba_domain.ports import Entry, Reader, Remembered, Scope, Store, Unavailable, UnitOfWork
from aiba_domain.testing.contracts.samples import (
    AT,
    movement,
    refusal,
)

T = TypeVar("T")


class Desk:
    """A store with synchronous helpers around it, on one event loop."""

    def __init__(self, runner: asyncio.Runner, store: Store) -> None:
        """Serve `store`, which was opened inside `runner`."""
        self.runner = runner
        self.store = store
        self._count = 0

    def fresh(self) -> str:
        """Return an id that was not given out before."""
        self._count += 1
        return f"{self._count:024x}"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine to its end."""
        return self.runner.run(work)

    def transact(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run one unit of work."""
        return self.run(self.store.transact(work))

    def read(self, work: Callable[[Reader], Awaitable[T]]) -> T:
        """Read from the committed state."""
        return self.run(self.store.read(work))

    def write(
        self,
        *postings: Posting,
        changed: Sequence[Record] = (),
        removed: Sequence[Record] = (),
        remember: Remembered | None = None,
    ) -> None:
        """Write in a unit of its own."""

        async def work(unit: UnitOfWork) -> None:
            await unit.write(
                at=AT, postings=postings, changed=changed, removed=removed, remember=remember
            )

        self.transact(work)

    def balance(self, account: str, currency: Currency = Currency.NEUR) -> int:
        """Return a stored balance."""
        return self.read(lambda read: read.balances(account)).get(currency, 0)

    def remembered(self, scope: Scope) -> Remembered | None:
        """Return the answer that is remembered under a scope."""

        async def look(unit: UnitOfWork) -> Remembered | None:
            return await unit.remembered(scope)

        return self.transact(look)

    def player(self, player_id: str) -> Player | None:
        """Return a stored player."""

        async def look(read: Reader) -> Player | None:
            return await read.player(player_id)

        return self.read(look)

    def battles(
        self, player_id: str, before: tuple[int, str] | None, limit: int
    ) -> Sequence[Battle]:
        """Return a page of a player's battles."""

        async def look(read: Reader) -> Sequence[Battle]:
            return await read.battles_of(player_id, before=before, limit=limit)

        return self.read(look)

    def claims(
        self, player_id: str, before: tuple[int, str] | None = None, limit: int = 99
    ) -> list[Claim]:
        """Return a page of a player's claims."""

        async def look(read: Reader) -> list[Claim]:
            return list(await read.claims_of(player_id, before=before, limit=limit))

        return self.read(look)

    def flying(self, after: tuple[int, str] | None = None, limit: int = 99) -> list[Claim]:
        """Return a page of the claims in flight."""

        async def look(read: Reader) -> list[Claim]:
            return list(await read.open_claims(after=after, limit=limit))

        return self.read(look)

    def entries(self) -> list[Entry]:
        """Return the whole ledger."""

        async def collect(read: Reader) -> list[Entry]:
            return list(read.entries())

        return self.read(collect)

    def state(self) -> tuple[object, ...]:
        """Return all that these tests write, to see whether anything changed."""

        async def look(read: Reader) -> tuple[object, ...]:
            return (
                dict(await read.accounts()),
                list(read.entries()),
                await read.player("1"),
                list(await read.brokers_of("1")),
                list(await read.epochs()),
                (await read.policy()).version,
            )

        return self.read(look)

    def answer(self, key: str) -> Remembered | None:
        """Return the answer that `samples.refusal` leaves under a key."""
        return self.remembered(refusal(key).scope)

    def together(self, works: Sequence[Callable[[UnitOfWork], Awaitable[Any]]]) -> list[Any]:
        """Run units at once and return what each came to, failures too."""

        async def gathered() -> list[Any]:
            return await asyncio.gather(
                *(self.store.transact(work) for work in works), return_exceptions=True
            )

        return self.run(gathered())


async def increment(unit: UnitOfWork) -> int:
    """Give player 1 one NEUR more; return what the player had."""
    held = (await unit.balances("player:1")).get(Currency.NEUR, 0)
    await unit.write(at=AT, postings=(movement(1),))
    return held


async def patiently(store: Store, work: Callable[[UnitOfWork], Awaitable[int]]) -> int:
    """Run a unit, again where another store was in the way: nothing happened then."""
    for _ in range(100):
        try:
            return await store.transact(work)
        except Unavailable as failure:
            await asyncio.sleep(min(failure.retry_after_ms, 50) / 1_000)
    return await store.transact(work)
