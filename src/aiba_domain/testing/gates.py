"""Ports with a gate at each side: whoever reaches one waits for a scheduler, which may break it.

For simulations on one event loop. Between two decisions of the scheduler every task stands at a
gate, so one random generator decides the whole run.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiba_domain.claims.claim import ChainView
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.claims.ports import ChainReader, Inventory, SignedClaim, Signer
from aiba_domain.ports import Reader, UnitOfWork
from aiba_domain.testing.faults import FaultyStore

T = TypeVar("T")


class Gate:
    """Where everyone waits who has reached a port. `waiting` lists their places, oldest first."""

    def __init__(self) -> None:
        """Start with nobody waiting."""
        self.waiting: list[str] = []
        self.touched = False
        self._turns: list[asyncio.Future[None]] = []

    async def reach(self, place: str) -> None:
        """Wait for one's turn; raises what the scheduler lets go wrong here."""
        turn = asyncio.get_running_loop().create_future()
        self.waiting.append(place)
        self._turns.append(turn)
        try:
            await turn
        finally:
            if turn in self._turns:  # whoever waited is gone
                self._forget(self._turns.index(turn))

    async def open(self, position: int, error: Exception | None = None) -> None:
        """Let the one at `position` go on to the next gate, or fail with `error`."""
        turn = self._turns[position]
        self._forget(position)
        if error is None:
            turn.set_result(None)
        else:
            turn.set_exception(error)
        await self.rest()

    async def rest(self) -> None:
        """Let the event loop run until everyone stands at a gate or is done."""
        for _ in range(2):
            await asyncio.sleep(0)

    def _forget(self, position: int) -> None:
        del self.waiting[position], self._turns[position]


class GatedStore:
    """A store with a gate before and after each unit of work and before each read."""

    def __init__(self, inner: FaultyStore, gate: Gate) -> None:
        """Stand in front of `inner`, which may be told to crash in the next unit."""
        self._inner = inner
        self._gate = gate

    async def transact(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run `work` on the store behind; after the commit the answer may still be lost."""
        await self._gate.reach("store.transact")
        self._gate.touched = True
        try:
            result = await self._inner.transact(work)
        finally:
            self._inner.disarm()
        await self._gate.reach("store.transacted")
        return result

    async def read(self, work: Callable[[Reader], Awaitable[T]]) -> T:
        """Read from the store behind; what was read may be old by the time it arrives."""
        await self._gate.reach("store.read")
        result = await self._inner.read(work)
        await self._gate.reach("store.was_read")
        return result

    async def check(self) -> None:
        """Check the store behind."""
        await self._inner.check()

    async def close(self) -> None:
        """Close the store behind."""
        await self._inner.close()


class GatedReader:
    """A chain reader with a gate before and after each look."""

    def __init__(self, inner: ChainReader, gate: Gate) -> None:
        """Stand in front of `inner`."""
        self._inner = inner
        self._gate = gate

    async def view(self, vault: str, recipient: str) -> ChainView:
        """Look; what was seen may be old by the time it arrives."""
        await self._gate.reach("chain.view")
        seen = await self._inner.view(vault, recipient)
        await self._gate.reach("chain.viewed")
        return seen

    async def inventory(self, vault: str) -> Inventory:
        """Look at what the vault holds."""
        await self._gate.reach("chain.view")
        held = await self._inner.inventory(vault)
        await self._gate.reach("chain.viewed")
        return held


class GatedSigner:
    """A signer with a gate before and after each signature."""

    def __init__(self, inner: Signer, gate: Gate) -> None:
        """Stand in front of `inner`."""
        self._inner = inner
        self._gate = gate

    async def sign(self, terms: ClaimTerms) -> SignedClaim:
        """Sign; the signature may be made and lost."""
        await self._gate.reach("signer.sign")
        self._gate.touched = True
        signed = await self._inner.sign(terms)
        await self._gate.reach("signer.signed")
        return signed
