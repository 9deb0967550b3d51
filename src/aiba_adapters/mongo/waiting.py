"""How long is waited, and between what."""

import asyncio
import secrets
import time
from dataclasses import dataclass
from typing import Final

_FIRST_WAIT_MS: Final = 5
_LONGEST_WAIT_MS: Final = 500


@dataclass(slots=True)
class Patience:
    """How many seconds something is tried again before it is given up; one for a whole store."""

    seconds: float

    def begin(self) -> "Waiting":
        """Begin to be patient."""
        return Waiting(self.seconds)


class Waiting:
    """Waits between two tries: each time up to twice as long, drawn at random."""

    def __init__(self, seconds: float) -> None:
        """Be patient for so long from now."""
        self._deadline = time.monotonic() + seconds
        self._most_ms = _FIRST_WAIT_MS

    @property
    def is_over(self) -> bool:
        """Whether patience has ended."""
        return time.monotonic() >= self._deadline

    def left_s(self, least: float) -> float:
        """Return how many seconds of patience are left, or `least` if that is more."""
        return max(least, self._deadline - time.monotonic())

    async def once(self) -> None:
        """Wait."""
        await asyncio.sleep((1 + secrets.randbelow(self._most_ms)) / 1_000)
        self._most_ms = min(2 * self._most_ms, _LONGEST_WAIT_MS)
