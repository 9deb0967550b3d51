"""What keeps requests to a provider's rate, and callers from asking the same twice at once."""

import asyncio
import math
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from aiba_domain.outage import Unavailable

T = TypeVar("T")


class TokenBucket:
    """Lets `rate` requests a second pass, up to `burst` of them at once, in the order they came.

    Kept as the instant at which the bucket would be full again. Belongs to one event loop.
    """

    def __init__(self, rate: float, *, burst: int = 1) -> None:
        """Start full. `rate` 0 lets everything pass."""
        if rate < 0 or burst < 1:
            raise ValueError("a rate of 0 or more, and a burst of 1 or more")
        self._interval = 1 / rate if rate else 0.0
        self._slack = self._interval * (burst - 1)
        self._full_at = -math.inf

    async def take(self, patience_s: float) -> float:
        """Wait for a token and return for how long, in seconds.

        Raises Unavailable at once if that takes longer than `patience_s`.
        """
        now = asyncio.get_running_loop().time()
        wait = max(0.0, self._full_at - self._slack - now)
        if wait > patience_s:
            raise Unavailable("too many requests are waiting", retry_after_ms=ms(wait))
        self._full_at = max(self._full_at, now) + self._interval
        await asyncio.sleep(wait)
        return wait

    def pause(self, seconds: float) -> None:
        """Give out no token for some time: the provider has said so."""
        now = asyncio.get_running_loop().time()
        self._full_at = max(self._full_at, now + seconds + self._slack)


class SingleFlight(Generic[T]):
    """Runs one thing once for all who ask for it at the same time."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, asyncio.Task[T]] = {}

    async def join(self, key: Hashable, start: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Return what the flight under way brings, starting one if there is none.

        A caller that goes away leaves the flight to the others.
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.create_task(start())
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(flight)

    def _landed(self, key: Hashable, flight: asyncio.Task[T]) -> None:
        del self._flights[key]
        if not flight.cancelled():
            flight.exception()  # so that nobody is told of one that nobody waited for

    async def close(self) -> None:
        """End what is under way."""
        flights = list(self._flights.values())
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)


def ms(seconds: float) -> int:
    """Return seconds as whole milliseconds, rounded up."""
    return math.ceil(seconds * 1_000)
