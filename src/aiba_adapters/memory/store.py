"""The store in memory: one unit of work at a time, undone as a whole when it fails."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from aiba_adapters.memory.state import State
from aiba_adapters.memory.unit_of_work import MemoryUnitOfWork
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.ports import (
    Reader,
    Unavailable,
    UnitOfWork,
)

T = TypeVar("T")


class MemoryStore:
    """A store without durability, for tests, simulations and the demo of a rule."""

    def __init__(self) -> None:
        """Start empty, with the default economy policy."""
        self._state = State()
        self._state.records[EconomyPolicy][1] = EconomyPolicy()
        self._turn = asyncio.Lock()
        self._closed = False

    async def transact(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run `work` alone; undo what it wrote if it raises."""
        async with self._turn:
            await self.check()
            unit = MemoryUnitOfWork(self._state)
            try:
                result = await work(unit)
                unit.check()
            except BaseException:
                unit.undo()
                raise
            return result

    async def read(self, work: Callable[[Reader], Awaitable[T]]) -> T:
        """Run `work` between two units of work."""
        async with self._turn:
            await self.check()
            return await work(MemoryUnitOfWork(self._state))

    async def check(self) -> None:
        """Raise Unavailable once the store is closed."""
        if self._closed:
            msg = "the store is closed"
            raise Unavailable(msg)

    async def close(self) -> None:
        """Wait for the unit of work under way and refuse later ones."""
        async with self._turn:
            self._closed = True
