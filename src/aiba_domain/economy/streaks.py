"""Streaks: days in a row that a player came back, and wins in a row. Instants are ms, UTC."""

from fractions import Fraction
from typing import Final

from aiba_domain.instants import DAY, day_before

FIRST_STEP_DAYS: Final = 7
SECOND_STEP_DAYS: Final = 30
MAX_COUNTED_WINS: Final = 5
"""Wins in a row beyond this many raise the reward no further."""


def next_login_streak(days: int, last_day: str, today: str) -> int:
    """Return the login streak after a daily claim on `today`; days are UTC day keys.

    A second claim on one day changes nothing, a claim on the day after the last adds 1, and any
    other (`last_day` is `""` for never) starts again at 1.
    """
    if last_day == today:
        return days
    return days + 1 if last_day == day_before(today) else 1


def next_win_streak(wins: int, last_win_at: int | None, now: int, *, won: bool) -> int:
    """Return the win streak after a battle at `now`: a win within 24 h of the last adds 1.

    A later win starts again at 1, and a loss leaves 0.
    """
    if not won:
        return 0
    return wins + 1 if last_win_at is not None and now - last_win_at < DAY else 1


def login_multiplier(
    days: int, *, at_7_days: Fraction, at_30_days: Fraction, cap: Fraction
) -> Fraction:
    """Return what a login streak multiplies rewards by.

    It rises evenly from 1 on the first day to `at_7_days` on the seventh, stays there, and from
    the thirtieth day is `at_30_days`, at most `cap`.
    """
    if days <= 0:
        return Fraction(1)
    if days < FIRST_STEP_DAYS:
        return 1 + (at_7_days - 1) * Fraction(days - 1, FIRST_STEP_DAYS - 1)
    return at_7_days if days < SECOND_STEP_DAYS else min(cap, at_30_days)
