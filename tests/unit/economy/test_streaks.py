"""Login and win streaks."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.economy.streaks import login_multiplier, next_login_streak, next_win_streak
from aiba_domain.instants import DAY, day_key

RATES = {"at_7_days": Fraction(5, 4), "at_30_days": Fraction(3, 2), "cap": Fraction(2)}
NOW = 1_700_000_000_000


@given(st.integers(0, 400), st.integers(0, 4_000_000_000_000))
def test_coming_back_each_day_counts_up(days: int, now: int) -> None:
    """The next day adds one, the same day nothing, and a missed day starts again."""
    today = day_key(now)
    assert next_login_streak(days, day_key(now - DAY), today) == days + 1
    assert next_login_streak(days, today, today) == days
    assert next_login_streak(days, day_key(now - 2 * DAY), today) == 1
    assert next_login_streak(days, "", today) == 1


@pytest.mark.parametrize(
    ("last", "today"),
    [("2024-02-28", "2024-02-29"), ("2024-02-29", "2024-03-01"), ("2023-12-31", "2024-01-01")],
)
def test_a_streak_goes_over_the_ends_of_months(last: str, today: str) -> None:
    """Yesterday is the calendar's, not a number of hours."""
    assert next_login_streak(4, last, today) == 5


@given(st.integers(0, 100), st.integers(0, 3 * DAY))
def test_wins_within_a_day_count_up(wins: int, pause: int) -> None:
    """Just under 24 hours continues, 24 hours start again at one."""
    found = next_win_streak(wins, NOW - pause, NOW, won=True)
    assert found == (wins + 1 if pause < DAY else 1)
    assert next_win_streak(wins, NOW - pause, NOW, won=False) == 0
    assert next_win_streak(wins, None, NOW, won=True) == 1


@pytest.mark.parametrize(
    ("days", "multiplier"),
    [
        (-1, "1"),
        (0, "1"),
        (1, "1"),
        (2, "25/24"),
        (6, "29/24"),
        (7, "5/4"),
        (29, "5/4"),
        (30, "3/2"),
        (400, "3/2"),
    ],
)
def test_the_documented_multipliers(days: int, multiplier: str) -> None:
    """Exactly, where the wire writes four decimals."""
    assert login_multiplier(days, **RATES) == Fraction(multiplier)


@given(st.integers(-5, 60), st.integers(-5, 60))
def test_a_longer_streak_never_pays_less(one: int, other: int) -> None:
    """With rising settings the multiplier rises."""
    short, long = sorted((one, other))
    assert login_multiplier(short, **RATES) <= login_multiplier(long, **RATES)


def test_the_cap_bounds_the_last_step() -> None:
    """A month's multiplier above the cap is the cap."""
    capped = {**RATES, "at_30_days": Fraction(3)}
    assert login_multiplier(30, **capped) == 2
