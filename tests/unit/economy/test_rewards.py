"""Rewards: exact, rounded down after each step, and a 0 is a 0."""

import dataclasses
from fractions import Fraction
from math import floor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.economy.rewards import (
    Bonuses,
    RewardRates,
    bonus_multiplier,
    creator_share,
    first_win_diamonds,
    propose,
    split_guild_share,
    win_stars,
)
from aiba_domain.errors import InvalidInput
from aiba_domain.money import MAX_AMOUNT
from tests.unit.battles import bonuses, multipliers, rates

ONE = Fraction(1)
scores = st.integers(0, 10**6)
amounts = st.integers(0, MAX_AMOUNT)


def _only(field: str, value: object) -> dict[str, Any]:
    return {field: value}


@given(scores, rates, multipliers, multipliers, bonuses)
def test_each_currency_is_paid_on_its_own(
    score: int, rates: RewardRates, aiba: Fraction, neur: Fraction, bonuses: Bonuses
) -> None:
    """The written steps in plain fractions give the same whole units."""
    factor = bonus_multiplier(rates, bonuses)
    found = propose(score, rates, aiba, neur, bonuses)
    for units, rate, multiplier in (
        (found.aiba, rates.aiba_per_score, aiba),
        (found.neur, rates.neur_per_score, neur),
    ):
        expected = floor(score * rate * multiplier)
        expected = floor(expected * max(ONE, factor))
        assert units == floor(expected * max(ONE, bonuses.boost or ONE))


@given(scores, rates, multipliers, bonuses)
def test_bonuses_never_lower_a_reward(
    score: int, rates: RewardRates, multiplier: Fraction, bonuses: Bonuses
) -> None:
    """A player with bonuses gets at least what one without gets."""
    without = propose(score, rates, multiplier, multiplier, None)
    bonused = propose(score, rates, multiplier, multiplier, bonuses)
    assert without.multiplier == 1
    assert bonused.aiba >= without.aiba
    assert bonused.neur >= without.neur


@given(scores, multipliers)
def test_d54_a_multiplier_of_zero_pays_nothing(score: int, other: Fraction) -> None:
    """A mode that pays nothing in one currency pays nothing, and the other in full."""
    full = RewardRates(aiba_per_score=Fraction(3), neur_per_score=Fraction(5))
    found = propose(score, full, Fraction(0), other, None)
    assert found.aiba == 0
    assert found.neur == floor(score * 5 * other)


def test_d54_a_bonus_of_zero_adds_nothing() -> None:
    """Every knob set to 0 counts as 0, not as its default."""
    nothing = RewardRates(
        win_streak_bonus_bps=Fraction(0),
        invite_bonus_bps=Fraction(0),
        guild_creator_share_bps=Fraction(0),
        creator_percent_bps=Fraction(0),
        creator_tier_100_bps=Fraction(0),
        stars_per_win=0,
        diamonds_first_win=0,
    )
    assert bonus_multiplier(nothing, Bonuses(win_streak=5, invites=3)) == 1
    assert split_guild_share(1_000, nothing).leader == 0
    assert creator_share(1_000, 5, nothing) == creator_share(1_000, 100, nothing) == 0
    assert win_stars(50, nothing) == 0
    assert first_win_diamonds(50, nothing, has_won_before=False) == 0
    unpaid = dataclasses.replace(nothing, premium_multiplier=Fraction(0))
    assert bonus_multiplier(unpaid, Bonuses(premium=True)) == 0


@given(amounts, rates, st.booleans())
def test_a_guild_reward_is_divided_without_loss(
    neur: int,
    rates: RewardRates,
    has_leader: bool,  # noqa: FBT001 - given by Hypothesis
) -> None:
    """Player, leader and vault sum to the reward; the guild's part is a fifth, rounded down."""
    split = split_guild_share(neur, rates, has_leader=has_leader)
    assert split.player + split.leader + split.vault == neur
    assert split.leader + split.vault == neur // 5
    assert split.leader >= 0
    assert split.vault >= 0
    assert has_leader or split.leader == 0


@given(amounts, st.integers(0, 20_000), rates)
def test_a_creator_never_gets_more_than_the_reward(
    reward: int, uses: int, rates: RewardRates
) -> None:
    """Shares above 100 % count as 100 %."""
    assert 0 <= creator_share(reward, uses, rates) <= reward


@pytest.mark.parametrize(
    ("uses", "share"),
    [(0, 200), (99, 200), (100, 300), (999, 300), (1_000, 500), (9_999, 500), (10_000, 700)],
)
def test_a_creators_tier_follows_the_uses(uses: int, share: int) -> None:
    """Two percent at first, seven from ten thousand uses."""
    assert creator_share(10_000, uses, RewardRates()) == share


def test_stars_and_diamonds_are_for_wins() -> None:
    """A score of 0 is a loss, and Diamonds come once."""
    assert win_stars(0, RewardRates()) == 0
    assert win_stars(1, RewardRates()) == 1
    assert first_win_diamonds(1, RewardRates(), has_won_before=False) == 1
    assert first_win_diamonds(1, RewardRates(), has_won_before=True) == 0
    assert first_win_diamonds(0, RewardRates(), has_won_before=False) == 0


def test_a_reward_beyond_64_bits_is_refused() -> None:
    """It is no amount, and it is not cut down to one."""
    rich = RewardRates(aiba_per_score=Fraction(10**9))
    with pytest.raises(InvalidInput, match="aiba"):
        propose(10**10, rich, ONE, ONE, None)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("aiba_per_score", Fraction(-1), "min:0"),
        ("neur_per_score", Fraction(10**9 + 1), "max:1000000000"),
        ("premium_multiplier", Fraction(1_001), "max:1000"),
        ("win_streak_bonus_bps", Fraction(1_000_001), "max:1000000"),
        ("aiba_per_score", 1.5, "number"),
        ("aiba_per_score", Fraction(1, 10**19), "maxDecimals:18"),
        ("stars_per_win", Fraction(1), "integer"),
        ("diamonds_first_win", -1, "min:0"),
    ],
)
def test_rates_are_exact_and_bounded(field: str, value: object, reason: str) -> None:
    """A float is no exact rate; what is out of range is named."""
    with pytest.raises(InvalidInput) as refusal:
        RewardRates(**_only(field, value))
    assert (refusal.value.field, refusal.value.reason) == (field, reason)


def test_whole_rates_may_be_written_as_ints() -> None:
    """They are the same values, also as keys."""
    as_int: Any = 3
    whole, exact = RewardRates(aiba_per_score=as_int), RewardRates(aiba_per_score=Fraction(3))
    assert whole == exact
    assert hash(whole) == hash(exact)
    assert isinstance(whole.aiba_per_score, Fraction)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("login_streak_days", 1.0),
        ("win_streak", 2**63),
        ("invites", True),
        ("premium", 1),
        ("boost", 1.2),
        ("boost", Fraction(-1)),
        ("boost", Fraction(1_001)),
    ],
)
def test_bonuses_are_typed(field: str, value: object) -> None:
    """Wrong types and absurd values are refused by name."""
    with pytest.raises(InvalidInput) as refusal:
        Bonuses(**_only(field, value))
    assert refusal.value.field == field
