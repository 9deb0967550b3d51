"""Bad days that can be switched on: a provider that limits requests, or doesn't answer."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from enum import StrEnum
from typing import Final

_WINDOW_S: Final = 1.0


class Outage(StrEnum):
    """How a provider fails."""

    ERROR = "error"
    """Every request is answered with a gateway's page and a status."""
    SILENCE = "silence"
    """No request is answered, until the outage is over or the client hangs up."""
    LOST_ANSWERS = "lost-answers"
    """Requests are carried out, and their answers lost on the way."""
    NONSENSE = "nonsense"
    """Every request is answered with 200 and a text that is no JSON."""


class Faults:
    """What is switched on now. Belongs to one event loop."""

    def __init__(self, *, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._taken: deque[float] = deque()
        self._over = asyncio.Event()
        self.per_second: int | None = None
        self.outage: Outage | None = None
        self.status = 502

    def limit(self, per_second: int | None) -> None:
        """Let so many requests through in each second; None lets all."""
        self.per_second = per_second
        self._taken.clear()

    def begin(self, outage: Outage, *, status: int = 502) -> None:
        """Begin an outage; `status` is for those that answer with one."""
        self.outage, self.status = outage, status
        self._over.clear()

    def end(self) -> None:
        """End the outage; who waited in silence is answered."""
        self.outage = None
        self._over.set()

    def is_over_limit(self) -> bool:
        """Count a request, and tell whether it is one too many."""
        if self.per_second is None:
            return False
        now = self._now()
        while self._taken and now - self._taken[0] >= _WINDOW_S:
            self._taken.popleft()
        if len(self._taken) >= self.per_second:
            return True
        self._taken.append(now)
        return False

    async def silence(self) -> None:
        """Wait until the outage is over."""
        await self._over.wait()
