"""What a clock owes: an instant in whole milliseconds."""

import time
from abc import abstractmethod
from typing import Final

import pytest

from aiba_domain.ports import Clock
from aiba_domain.testing.contracts.expect import holds, same
from aiba_domain.testing.contracts.suite import Capability, Opening, PortContract, base, needs

_SECOND_YEAR_OF_MS: Final = 10**12
_LAST_YEAR_OF_MS: Final = 10**14


class ClockContract(PortContract):
    """Subclass and make a clock. `wall-time`: it tells the machine's time."""

    port = "Clock"
    version = "1.0"

    @abstractmethod
    def make_clock(self) -> Clock:
        """Return a clock."""

    @pytest.fixture(name="clock")
    def _clock(self, opening: Opening) -> Clock:
        with opening:
            return self.make_clock()

    @base
    def test_an_instant_is_a_whole_number(self, clock: Clock) -> None:
        """Never a float, whose milliseconds can't be compared exactly, and no bool."""
        for _ in range(100):
            same(type(clock.now()), int, "the type of an instant")

    def test_an_instant_is_in_milliseconds_since_the_epoch(self, clock: Clock) -> None:
        """Not in seconds or microseconds: an instant of this era has 13 or 14 digits."""
        now = clock.now()
        holds(
            _SECOND_YEAR_OF_MS <= now < _LAST_YEAR_OF_MS,
            f"{now} is an instant of this era in ms since the Unix epoch",
        )

    @needs(Capability.WALL_TIME)
    def test_it_is_the_machines_time(self, clock: Clock) -> None:
        """An instant lies between those that the machine tells before and after it."""
        before = time.time_ns() // 1_000_000
        now = clock.now()
        after = time.time_ns() // 1_000_000
        holds(before <= now <= after, f"{now} lies within {before}..{after}")
