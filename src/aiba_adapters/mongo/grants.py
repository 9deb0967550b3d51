"""How a store's units come to room under the caps: one grant for all that wait."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from aiba_adapters.mongo.attempts import Again, Attempts
from aiba_adapters.mongo.emitting import Terms
from aiba_adapters.mongo.leases import CapLeases, RoomWanted
from aiba_adapters.mongo.rooms import Outcome, Wanted
from aiba_adapters.mongo.unit_of_work import MongoUnitOfWork
from aiba_adapters.mongo.waiting import Patience

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class _Wish:
    """What one unit waits for; `answer` is whether it may expect to do better now."""

    wish: RoomWanted
    answer: "asyncio.Future[bool]"


class Granting:
    """Asks for room on behalf of a store's units, and gives it back at the end."""

    def __init__(self, caps: CapLeases, attempts: Attempts, patience: Patience) -> None:
        """Use a keeper of caps by units of its own, each tried again for as long as others are."""
        self._caps = caps
        self._attempts = attempts
        self._patience = patience
        self._waiting: list[_Wish] = []
        self._turn = asyncio.Lock()

    async def ask(self, wish: RoomWanted, share: int) -> bool:
        """Ask for room; whoever waits meanwhile is served by the same grant.

        Return False if the room is there but held by other shares, so that it must be gathered.
        Where there is none at all the unit decides again: its rule knows now.
        """
        mine = _Wish(wish, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        async with self._turn:
            if not mine.answer.done():
                await self._grant(share)
        return await mine.answer

    async def give_back(self, share: int, is_ours: Callable[[str], bool]) -> None:
        """Take the room from a store's shares."""
        for day in self._caps.days():

            async def work(unit: MongoUnitOfWork, day: str = day) -> None:
                await self._caps.give_back(unit, day, is_ours)

            await self.done(work, share)

    async def _grant(self, share: int) -> None:
        """Serve all who wait, each day by one unit; whatever goes wrong goes wrong for them all."""
        served, self._waiting = self._waiting, []
        try:
            for day in sorted({each.wish.day for each in served}):
                of_day = [each for each in served if each.wish.day == day]
                outcomes = await self._granted(day, of_day, share)
                for each in of_day:
                    found = {outcomes[wanted] for wanted in each.wish.wanted}
                    each.answer.set_result(Outcome.HELD not in found)
        except BaseException as error:  # noqa: BLE001 - raised by all who wait
            for each in served:
                if not each.answer.done():
                    each.answer.set_exception(error)

    async def _granted(self, day: str, wishes: list[_Wish], share: int) -> Mapping[Wanted, Outcome]:
        wanted = list(dict.fromkeys(each for wish in wishes for each in wish.wish.wanted))

        async def work(unit: MongoUnitOfWork) -> Mapping[Wanted, Outcome]:
            return await self._caps.grant(unit, day, wanted)

        return await self.done(work, share)

    async def done(self, work: Callable[[MongoUnitOfWork], Awaitable[T]], share: int) -> T:
        """Run a unit until it is done. Raises what it failed for when patience is over."""
        waiting = self._patience.begin()
        while True:
            try:
                return await self._attempts.once(work, Terms(share=share))
            except Again as again:
                if waiting.is_over:
                    raise again.cause from again
                await waiting.once()
