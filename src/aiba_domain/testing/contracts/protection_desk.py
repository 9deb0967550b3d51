"""A protection store with synchronous helpers around it, and what other processes do with one."""

import asyncio
from collections.abc import Callable
from dataclasses import astuple, replace
from hashlib import sha256
from itertools import count
from typing import Any, Final, TypeVar

from aiba_domain.claims.model import ClaimTerms
from aiba_domain.signing.interchange import Protection
from aiba_domain.signing.model import Charge, Protected, Standing, StoreState
from aiba_domain.signing.ports import ProtectionStore, ProtectionUnit
from aiba_domain.signing.rules import day_of
from aiba_domain.testing import strategies
from aiba_domain.testing.chain import GENESIS_S, JETTON_MASTER, VAULT
from aiba_domain.testing.contracts.processes import say

T = TypeVar("T")

NOW_S: Final = GENESIS_S
DAY: Final = day_of(NOW_S)
"""The UTC day that is charged unless a property says otherwise."""

INCREMENTS: Final = 24
"""How many claims the task `increments` protects."""


def terms_of(name: str, seqno: int = 1, **changes: Any) -> ClaimTerms:
    """Return terms for the recipient of a name."""
    usual = ClaimTerms(
        vault=VAULT,
        jetton_master=JETTON_MASTER,
        recipient=strategies.wallet_of(name),
        amount=1,
        seqno=seqno,
        valid_until_s=NOW_S + 600,
    )
    return replace(usual, **changes)


def record_of(terms: ClaimTerms, **changes: Any) -> Protected:
    """Return what is remembered of terms, under a hash that is theirs alone."""
    usual = Protected(
        payload_hash=sha256(repr(astuple(terms)).encode()).digest(),
        valid_until_s=terms.valid_until_s,
        most=terms.amount,
        day=DAY,
        day_most=terms.amount,
    )
    return replace(usual, **changes)


def charge_of(terms: ClaimTerms) -> Charge:
    """Return the charge of terms whose seqno had none before."""
    return Charge(day=terms.amount, lifetime=terms.amount)


def protecting(terms: ClaimTerms) -> Callable[[ProtectionUnit], int]:
    """Return a work that protects terms, and returns what the lifetime had used before."""

    def work(unit: ProtectionUnit) -> int:
        before = unit.standing(terms, DAY).usage.lifetime
        unit.protect(terms, record_of(terms), charge_of(terms))
        return before

    return work


class ProtectionDesk:
    """A store on one event loop, with recipients that nothing was signed for."""

    def __init__(self, runner: asyncio.Runner, store: ProtectionStore) -> None:
        """Serve `store`, which was opened inside `runner`."""
        self.runner = runner
        self.store = store
        self._numbers = count(1)

    def fresh(self) -> str:
        """Return the name of a recipient that is new to this desk."""
        return f"recipient {next(self._numbers)}"

    def do(self, work: Callable[[ProtectionUnit], T]) -> T:
        """Run a work."""
        return self.runner.run(self.store.transact(work))

    def protect(self, terms: ClaimTerms, record: Protected | None = None) -> None:
        """Protect terms, and charge their amount."""
        self.do(lambda unit: unit.protect(terms, record or record_of(terms), charge_of(terms)))

    def together(self, works: list[Callable[[ProtectionUnit], Any]]) -> list[Any]:
        """Run works at once; what one raises stands in its place."""

        async def at_once() -> list[Any]:
            return await asyncio.gather(*map(self.store.transact, works), return_exceptions=True)

        return self.runner.run(at_once())

    def standing(self, terms: ClaimTerms, day: str = DAY) -> Standing:
        """Return what is known about terms."""
        return self.do(lambda unit: unit.standing(terms, day))

    def state(self) -> StoreState:
        """Return what the store says of itself."""
        return self.do(lambda unit: unit.state())

    def dump(self) -> Protection:
        """Return all that protects."""
        return self.do(lambda unit: unit.dump())

    def close(self) -> None:
        """Close the store."""
        self.runner.run(self.store.close())


async def endless(store: Any, _arguments: str) -> None:  # noqa: ANN401 - opened by the suite's class
    """Protect claims for ever, a few at once, and report each once it is durable."""
    numbers = count()

    async def one_after_another() -> None:
        for number in numbers:
            await store.transact(protecting(terms_of(f"endless {number}")))
            say(number)

    await asyncio.gather(*(one_after_another() for _ in range(4)))


async def increments(store: Any, _arguments: str) -> None:  # noqa: ANN401 - opened by the suite's class
    """Protect claims one after another; report what the lifetime had used before each."""
    say("open")
    for number in range(INCREMENTS):
        say(await store.transact(protecting(terms_of(f"elsewhere {number}"))))
    await store.close()
