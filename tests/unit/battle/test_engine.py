"""The score: bounds, rounding, and that honest play is never an anomaly."""

import math
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiba_domain.battle.engine import (
    NO_RULES,
    Fighter,
    ModeRules,
    anomaly_limit,
    guild_bonus,
    level_multiplier,
    maximum_score,
    round_half_up,
    score,
    with_guild_bonus,
)
from aiba_domain.battle.prng import first_draw
from aiba_domain.battle.receipt import BattleInputs
from aiba_domain.battle.resolve import resolve
from aiba_domain.errors import InvalidInput
from tests.unit.battles import SECRET, battles, fighters, leagues, places, rules, uint32

TOP = Fighter(intelligence=100, speed=100, risk=100, level=26)
CONFIGURED = 220


@given(fighters, rules, places, leagues, uint32, st.integers(-15, 15))
def test_no_draw_scores_above_the_maximum(
    fighter: Fighter, rules: ModeRules, arena: str, league: str, draw: int, bonus: int
) -> None:
    """The maximum bounds every draw and is reached by the last one."""
    highest = maximum_score(fighter, rules, arena, league, bonus)
    points = with_guild_bonus(score(fighter, rules, arena, league, draw), bonus)
    last = with_guild_bonus(score(fighter, rules, arena, league, 2**32 - 1), bonus)
    assert 0 <= points <= highest == last


@given(fighters, places, leagues, uint32, st.floats(-100, -0.01))
def test_the_maximum_holds_for_a_negative_variance_too(
    fighter: Fighter, arena: str, league: str, draw: int, variance: float
) -> None:
    """No saved mode has one, but a bound that fails quietly is none."""
    rules = ModeRules(variance_base=variance)
    assert score(fighter, rules, arena, league, draw) <= maximum_score(
        fighter, rules, arena, league
    )


@given(battles)
def test_d55_honest_play_is_never_an_anomaly(inputs: BattleInputs) -> None:
    """Whatever the fighter, mode, guilds and configured limit, a genuine score is within it."""
    outcome = resolve(inputs, SECRET)
    assert not outcome.is_anomaly
    assert outcome.score <= outcome.score_limit


def test_d55_the_top_broker_is_not_flagged() -> None:
    """The broker that the fixed limit of 220 flagged in 3 % of its battles keeps a clean record."""
    limit = anomaly_limit(CONFIGURED, maximum_score(TOP, NO_RULES, "prediction", "elite"))
    scores = [
        score(TOP, NO_RULES, "prediction", "elite", first_draw(seed))
        for seed in range(0, 2**32, 2**32 // 20_000)
    ]
    assert limit == 223
    assert max(scores) <= limit
    assert sum(points > CONFIGURED for points in scores) > len(scores) // 50


def test_d55_the_configured_limit_is_only_ever_raised() -> None:
    """A limit above what a fighter can reach stays, one below is replaced."""
    assert anomaly_limit(220, 223) == 223
    assert anomaly_limit(1_000, 223) == 1_000


@given(st.floats(-1e15, 1e15))
@example(0.49999999999999994)
@example(-0.5)
@example(2.5)
@example(4503599627370497.5)
def test_halves_round_up_exactly(number: float) -> None:
    """The nearest integer, judged with exact fractions, and the upper one of two."""
    assert round_half_up(number) == math.floor(Fraction(number) + Fraction(1, 2))


@given(fighters, rules, places, leagues, uint32)
def test_a_score_needs_nothing_but_its_inputs(
    fighter: Fighter, rules: ModeRules, arena: str, league: str, draw: int
) -> None:
    """The same inputs give the same score, and stats outside their range count as its ends."""

    def within(stat: float) -> float:
        return min(100, max(0, stat))

    clamped = Fighter(
        intelligence=within(fighter.intelligence),
        speed=within(fighter.speed),
        risk=within(fighter.risk),
        level=min(10_000, max(1, fighter.level)),
    )
    assert score(fighter, rules, arena, league, draw) == score(clamped, rules, arena, league, draw)


@given(st.integers(-10, 50), st.integers(-10, 50))
def test_levels_never_weaken(one: int, other: int) -> None:
    """A higher level multiplies by as much or more, from 1 to 1.5."""
    low, high = sorted((one, other))
    assert 1 <= level_multiplier(low) <= level_multiplier(high) <= 1.5


@given(st.integers(0, 100), st.integers(0, 100))
def test_guild_bonuses_are_fair(mine: int, theirs: int) -> None:
    """What one guild gains in a meeting the other loses, and never more than 15."""
    assert guild_bonus(mine, theirs) == -guild_bonus(theirs, mine)
    assert abs(guild_bonus(mine, theirs)) == min(15, 3 * abs(mine - theirs))


def test_a_guild_bonus_never_makes_a_score_negative() -> None:
    """A weak guild's member still scores at least 0."""
    assert with_guild_bonus(3, -15) == 0
    assert with_guild_bonus(3, 15) == 18


@pytest.mark.parametrize("field", ["intelligence", "speed", "risk", "level"])
@pytest.mark.parametrize("value", ["5", None, True, math.nan, math.inf, 10**400])
def test_a_fighter_is_made_of_finite_numbers(field: str, value: object) -> None:
    """Anything else is refused, naming the stat."""
    stats: dict[str, Any] = {"intelligence": 1, "speed": 1, "risk": 1, "level": 1, field: value}
    with pytest.raises(InvalidInput) as refusal:
        Fighter(**stats)
    assert refusal.value.field == field


@pytest.mark.parametrize("value", ["5", True, math.nan, -math.inf])
def test_rules_are_made_of_finite_numbers(value: float) -> None:
    """Anything else but None is refused, naming the rule."""
    with pytest.raises(InvalidInput, match="variance_base"):
        ModeRules(variance_base=value)


def test_a_score_that_is_not_finite_is_refused() -> None:
    """Absurd rules end in a refusal that names the score, not in NaN."""
    absurd = ModeRules(league_multiplier=1e307, variance_base=-1e307, intelligence_weight=1e10)
    with pytest.raises(InvalidInput, match="score"):
        score(TOP, absurd, "prediction", "rookie", 3)
