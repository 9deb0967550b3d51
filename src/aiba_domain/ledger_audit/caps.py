"""What each day may emit, by the policies that were in force on it."""

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.instants import DAY, MINUTE, day_number
from aiba_domain.money import Currency

SLACK_MS: Final = MINUTE
"""How far the clocks of two processes may be apart: a change counts so much longer and sooner."""


class Caps:
    """Adds up what days emit, and tells when that is more than any policy of the day allowed.

    A cap that is lowered during a day binds what comes after, so the day as a whole is bound by
    its highest cap.
    """

    def __init__(self) -> None:
        """Begin with nothing emitted, and the policies still to be told."""
        self._policies: list[EconomyPolicy] = []
        self._arenas: dict[tuple[str, str], int] = {}
        self._days: dict[tuple[str, str], int] = {}
        self._recalled: set[str] = set()
        self._bounds: dict[tuple[str, str, str], tuple[int | None, int | None]] = {}

    @property
    def version(self) -> int:
        """The newest version that was told, 0 for none."""
        return self._policies[-1].version if self._policies else 0

    def learn(self, policies: Iterable[EconomyPolicy]) -> None:
        """Take in versions that come after those known, in rising order."""
        self._policies += policies
        self._bounds.clear()

    def needs(self, account: str) -> str | None:
        """Return the day of an emission that nothing was recalled of, None where it was."""
        day = _place_of(account)[0]
        return None if day in self._recalled else day

    def recall(self, day: str, emitted: Mapping[str, Mapping[str, int]]) -> None:
        """Begin a day with what its accounts have emitted before, by account and currency."""
        self._recalled.add(day)
        for account, amounts in emitted.items():
            for currency, amount in amounts.items():
                self._arenas[account, currency] = amount
                self._days[day, currency] = self._days.get((day, currency), 0) + amount

    def forget(self) -> None:
        """Forget what days have emitted: it will be recalled."""
        for kept in (self._arenas, self._days, self._bounds):
            kept.clear()
        self._recalled.clear()

    def emit(self, account: str, currency: str, amount: int) -> str | None:
        """Add an emission; return in words what is above its cap, None if nothing is.

        What no policy names a day of isn't capped.
        """
        day, arena = _place_of(account)
        arenas, days = (account, currency), (day, currency)
        self._arenas[arenas] = self._arenas.get(arenas, 0) + amount
        self._days[days] = self._days.get(days, 0) + amount
        if (day, currency, arena) not in self._bounds:
            self._bounds[day, currency, arena] = self._bounds_of(day, currency, arena)
        of_day, of_arena = self._bounds[day, currency, arena]
        if of_day is not None and self._days[days] > of_day:
            return f"the day emitted {self._days[days]} {currency} of {of_day}"
        if of_arena is not None and self._arenas[arenas] > of_arena:
            return f"the arena emitted {self._arenas[arenas]} {currency} of {of_arena}"
        return None

    def _bounds_of(self, day: str, currency: str, arena: str) -> tuple[int | None, int | None]:
        """Return the highest caps of a day and of an arena on it, None where there is none."""
        try:
            start = day_number(day) * DAY - SLACK_MS
        except ValueError:
            return None, None
        end = start + DAY + 2 * SLACK_MS
        before = [each for each in self._policies if each.effective_at <= start][-1:]
        during = [each for each in self._policies if start < each.effective_at < end]
        kind = Currency(currency)
        day_caps = [each.daily_cap(kind) for each in (*before, *during)]
        arena_caps = [each.daily_cap_by_arena(kind).get(arena) for each in (*before, *during)]
        return _highest(day_caps), _highest(arena_caps)


@lru_cache(maxsize=256)
def _place_of(account: str) -> tuple[str, str]:
    """Return the day and the arena of an emission's account, empty where there are none."""
    _, day, arena = account.split(":", 2) if account.count(":") > 1 else ("", "", "")
    return day, arena


def _highest(caps: list[int | None]) -> int | None:
    """Return the highest cap, None if one of them is none or there are none."""
    return None if None in caps or not caps else max(each for each in caps if each is not None)
