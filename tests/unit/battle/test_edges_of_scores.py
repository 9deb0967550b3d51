"""The highest score, at the very ends of chance."""

import pytest

from aiba_domain.battle.engine import NO_RULES, Fighter, highest_at, maximum_score, score_at
from aiba_domain.battle.prng import DRAW_RANGE

TOP = Fighter(intelligence=100, speed=100, risk=100, level=26)


@pytest.mark.parametrize("variance", [1e12, 1e10, -1e10, -1e12])
def test_the_highest_score_is_that_of_the_very_last_draw(variance: float) -> None:
    """Or of the very first one, where chance works the other way; not of the one beside it."""
    ends = [score_at(0, variance, draw) for draw in (0, 1, DRAW_RANGE - 2, DRAW_RANGE - 1)]
    assert len(set(ends)) > 2
    assert highest_at(0, variance) == max(ends)


@pytest.mark.parametrize(
    ("base", "variance", "highest"),
    [(10.2, 0.5, 11), (10.2, -0.5, 11), (10.2, 0, 10), (10.5, 0, 11), (3, 1, 4), (-9, 1, 0)],
)
def test_the_highest_score_of_a_little_chance(base: float, variance: float, highest: int) -> None:
    """Half a point up is a point."""
    assert highest_at(base, variance) == highest


@pytest.mark.parametrize(("league", "highest"), [("elite", 223), ("pro", 205), ("rookie", 186)])
def test_the_best_broker_s_highest_scores(league: str, highest: int) -> None:
    """Without a guild there is no bonus in them; with one it is added."""
    assert maximum_score(TOP, NO_RULES, "prediction", league) == highest
    assert maximum_score(TOP, NO_RULES, "prediction", league, 4) == highest + 4
    assert maximum_score(TOP, NO_RULES, "prediction", league, -4) == highest - 4
