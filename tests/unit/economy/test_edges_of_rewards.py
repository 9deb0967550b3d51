"""Shares and streaks at the very edge: a fraction of a basis point, a day to the millisecond."""

from fractions import Fraction

import pytest

from aiba_domain.economy.rewards import RewardRates, creator_share, split_guild_share
from aiba_domain.economy.streaks import next_win_streak
from aiba_domain.instants import DAY


@pytest.mark.parametrize(
    ("bps", "share"),
    [
        (Fraction(0), 0),
        (Fraction(3_001, 7), 428),
        (Fraction(9_999), 9_999),
        (Fraction(99_999, 10), 9_999),
        (Fraction(10_000), 10_000),
        (Fraction(10_001), 10_000),
        (Fraction(100_001, 10), 10_000),
    ],
)
def test_a_share_is_rounded_down_and_never_above_the_whole(bps: Fraction, share: int) -> None:
    """Basis points may have fractions, and from 10,000 on they are all there is."""
    rates = RewardRates(creator_percent_bps=bps, guild_creator_share_bps=bps)
    assert creator_share(10_000, 0, rates) == share
    split = split_guild_share(50_000, rates)
    assert (split.player, split.leader, split.vault) == (40_000, share, 10_000 - share)


def test_a_day_after_the_last_win_the_streak_starts_again() -> None:
    """One millisecond before, it goes on."""
    assert next_win_streak(4, 1_000, 1_000 + DAY - 1, won=True) == 5
    assert next_win_streak(4, 1_000, 1_000 + DAY, won=True) == 1
