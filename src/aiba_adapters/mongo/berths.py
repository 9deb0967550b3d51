"""Which shares a process posts to, so that processes don't meet and shares stay few.

A berth is `AT_ONCE` shares, one for each unit that a process has under way. A process holds the
lowest berth that is free, by a document with its name and a time, which it renews while it works.
So there are about as many shares as units were ever under way at once, however often processes
come and go; and whoever comes after a dead process also gets the room that its shares hold.

Nothing depends on a berth being held by one process alone: two that post to one share conflict, and
the later one runs again. So clocks may differ, and a process that slept past its time goes on.
"""

import asyncio
import secrets
import time
import uuid
from typing import Final

from pymongo.errors import DuplicateKeyError, PyMongoError

from aiba_adapters.mongo.documents import Collection

BERTHS: Final = 64
"""How many there are; more processes share them."""

HELD_MS: Final = 60_000
"""How long a berth is held after it was renewed last."""

_RENEW_MS: Final = 15_000
_AGAIN_MS: Final = 1_000
_PREFIX: Final = "berth:"


class Berth:
    """The berth of one store."""

    def __init__(self, locks: Collection) -> None:
        """Hold none yet; berths are documents among the locks."""
        self.number = secrets.randbelow(BERTHS)
        """The berth that is used; one drawn at random until one is held."""
        self._locks = locks
        self._name = uuid.uuid4().hex
        self._due_ms = 0
        self._is_held = False
        self._turn = asyncio.Lock()

    async def hold(self) -> None:
        """Hold a berth: take one if none is held, and renew it in time.

        Where the database can't be reached the berth stays as it is.
        """
        if _now_ms() < self._due_ms:
            return
        async with self._turn:
            now = _now_ms()
            if now < self._due_ms:
                return
            try:
                self._is_held = (self._is_held and await self._take(self.number, now)) or (
                    await self._take_lowest(now)
                )
            except PyMongoError:
                self._due_ms = now + _AGAIN_MS  # whoever waits for this will meet the error itself
            else:
                self._due_ms = now + _RENEW_MS

    def doubt(self) -> None:
        """Look soon whether the berth is still held, after a conflict that may come from that."""
        self._due_ms = min(self._due_ms, _now_ms() + _AGAIN_MS)

    async def leave(self) -> None:
        """Let another process have the berth."""
        if self._is_held:
            self._is_held = False
            await self._locks.update_one(
                {"_id": f"{_PREFIX}{self.number}", "by": self._name}, {"$set": {"until": 0}}
            )

    async def _take_lowest(self, now: int) -> bool:
        """Take the lowest free berth; with none free use one drawn at random."""
        taken = {
            stored["_id"]: stored["until"]
            async for stored in self._locks.find(
                {"_id": {"$gte": _PREFIX, "$lt": f"{_PREFIX}~"}}, projection=["until"]
            )
        }
        for number in range(BERTHS):
            is_free = taken.get(f"{_PREFIX}{number}", 0) < now
            if is_free and await self._take(number, now):
                self.number = number
                return True
        self.number = secrets.randbelow(BERTHS)
        return False

    async def _take(self, number: int, now: int) -> bool:
        """Take a berth that is free or ours, for a time."""
        key = f"{_PREFIX}{number}"
        held = {"by": self._name, "until": now + HELD_MS}
        where = {"_id": key, "$or": [{"by": self._name}, {"until": {"$lt": now}}]}
        if (await self._locks.update_one(where, {"$set": held})).matched_count:
            return True
        try:
            await self._locks.insert_one({"_id": key, "touched": 0, **held})
        except DuplicateKeyError:
            return False
        return True


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
