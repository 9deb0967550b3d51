"""Who goes on next: everyone in a simulation waits at a gate until the scheduler opens it.

Between two steps every task stands at a gate or is done, so the steps alone decide the whole run,
also where a store works in a thread of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from aiba_domain.claims.claim import ChainView
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.claims.ports import ChainReader, Inventory, SignedClaim, Signer, SignerUnavailable
from aiba_domain.ports import Reader, Store, UnitOfWork
from aiba_domain.testing.faults import Crash, FaultyStore

T = TypeVar("T")


class Lost(Exception):  # noqa: N818 - what became of a message
    """The network has lost a message."""


@dataclass(slots=True, eq=False)
class Life:
    """One run of a process, from its start to its death; whatever it does afterwards is refused."""

    name: str
    is_dead: bool = False
    last_error: BaseException | None = None


@dataclass(slots=True, eq=False)
class Waiting:
    """Somebody at a gate: who it is, where, and in which process, None on the network."""

    who: str
    place: str
    life: Life | None
    turn: "asyncio.Future[None]"


@dataclass(slots=True)
class Trouble:
    """What goes wrong once, for whoever passes a place without waiting there."""

    place: str
    error: Exception


@dataclass(slots=True, eq=False)
class Gate:
    """Where everyone waits. `waiting` are those at a gate, the oldest first.

    While `swift` nobody waits: who acts then goes through to the end, and everyone else stays.
    `faults` are what tasks ended with that nobody expected.
    """

    waiting: list[Waiting] = field(default_factory=list)
    faults: list[BaseException] = field(default_factory=list)
    swift: bool = False
    trouble: Trouble | None = None
    touched: bool = False
    is_closed: bool = False
    who: str = ""
    _running: int = 0
    _rested: "asyncio.Future[None] | None" = None

    async def reach(self, place: str, life: Life | None) -> None:
        """Wait for one's turn; raises what the scheduler lets go wrong here."""
        if self.is_closed or (life is not None and life.is_dead):
            raise asyncio.CancelledError(place)
        if self.swift:
            self._pass(place, life)
            return
        turn = asyncio.get_running_loop().create_future()
        self.waiting.append(Waiting(self.who, place, life, turn))
        self._leave()
        await turn

    def _pass(self, place: str, life: Life | None) -> None:
        trouble = self.trouble
        if trouble is None or trouble.place != place:
            return
        self.trouble = None
        raise _died(life, place) if isinstance(trouble.error, Crash) else trouble.error

    async def open(self, position: int, error: BaseException | None = None) -> None:
        """Let the one at `position` go on to the next gate, or fail with `error`."""
        one = self.waiting.pop(position)
        self._running += 1
        self.who = one.who
        if error is None:
            one.turn.set_result(None)
        elif isinstance(error, Crash):
            one.turn.set_exception(_died(one.life, one.place))
        else:
            one.turn.set_exception(error)
        await self._rest()

    async def spawn(self, who: str, work: Coroutine[Any, Any, None]) -> None:
        """Start something that goes on by turns, up to its first gate."""
        self._running += 1
        self.who = who
        task = asyncio.ensure_future(work)
        task.add_done_callback(self._done)
        await self._rest()

    async def at_once(self, who: str, work: Awaitable[T]) -> T:
        """Do something to its end, with nobody waiting at any gate."""
        self.who, self.swift = who, True
        try:
            return await work
        finally:
            self.swift, self.trouble = False, None

    def close(self) -> None:
        """Let nobody go on any more: whoever waits, or comes later, ends."""
        self.is_closed = True
        while self.waiting:
            one = self.waiting.pop()
            if not one.turn.done():
                one.turn.set_exception(asyncio.CancelledError(one.place))

    async def _rest(self) -> None:
        if self._running:
            self._rested = asyncio.get_running_loop().create_future()
            await self._rested

    def _done(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and (fault := task.exception()) is not None:
            self.faults.append(fault)
        self._leave()

    def _leave(self) -> None:
        self._running -= 1
        if not self._running and self._rested is not None and not self._rested.done():
            self._rested.set_result(None)


def _died(life: Life | None, place: str) -> asyncio.CancelledError:
    """End a life; return what its code sees of that: nothing that it would handle."""
    if life is not None:
        life.is_dead = True
    return asyncio.CancelledError(place)


class ScheduledStore:
    """A process's store, with a gate before and after each unit of work and each read."""

    def __init__(self, inner: Store, gate: Gate, life: Life) -> None:
        """Stand in front of `inner` for one life of a process."""
        self._inner = inner
        self._faulty = FaultyStore(inner)
        self._is_armed = False
        self._gate = gate
        self._life = life

    def crash_at(self, point: int) -> None:
        """Let the process die at a point of the next unit of work; see `FaultyStore`."""
        self._faulty.crash_at(point)
        self._is_armed = True

    async def transact(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run `work` on the store behind; after the commit the answer may still be lost."""
        await self._gate.reach("store.transact", self._life)
        self._gate.touched = True
        store = self._faulty if self._is_armed else self._inner
        try:
            result = await store.transact(work)
        except Crash as crash:
            raise _died(self._life, str(crash)) from None
        except Exception as error:
            self._life.last_error = error
            raise
        finally:
            if self._is_armed:
                self._faulty.disarm()
                self._is_armed = False
        await self._gate.reach("store.transacted", self._life)
        return result

    async def read(self, work: Callable[[Reader], Awaitable[T]]) -> T:
        """Read from the store behind; what was read may be old by the time it arrives."""
        await self._gate.reach("store.read", self._life)
        result = await self._inner.read(work)
        await self._gate.reach("store.was_read", self._life)
        return result

    async def check(self) -> None:
        """Check the store behind."""
        await self._inner.check()

    async def close(self) -> None:
        """Leave the store behind open: it outlives the process."""


class ScheduledReader:
    """A process's view of the chain, with a gate before and after each look."""

    def __init__(self, inner: ChainReader, gate: Gate, life: Life) -> None:
        """Stand in front of `inner` for one life of a process."""
        self._inner = inner
        self._gate = gate
        self._life = life

    async def view(self, vault: str, recipient: str) -> ChainView:
        """Look; what was seen may be old by the time it arrives."""
        await self._gate.reach("chain.view", self._life)
        seen = await self._inner.view(vault, recipient)
        await self._gate.reach("chain.viewed", self._life)
        return seen

    async def inventory(self, vault: str) -> Inventory:
        """Look at what the vault holds."""
        await self._gate.reach("chain.view", self._life)
        held = await self._inner.inventory(vault)
        await self._gate.reach("chain.viewed", self._life)
        return held


class ScheduledSigner:
    """A process's signer, with a gate before and after each signature."""

    def __init__(self, inner: Signer, gate: Gate, life: Life, is_down: Callable[[], bool]) -> None:
        """Stand in front of `inner` for one life of a process; while it `is_down` it is silent."""
        self._inner = inner
        self._gate = gate
        self._life = life
        self._is_down = is_down

    async def sign(self, terms: ClaimTerms) -> SignedClaim:
        """Sign; the signature may be made and lost."""
        await self._gate.reach("signer.sign", self._life)
        if self._is_down():
            raise SignerUnavailable("the signer doesn't answer")
        self._gate.touched = True
        signed = await self._inner.sign(terms)
        await self._gate.reach("signer.signed", self._life)
        return signed
