"""The score of a battle, in IEEE doubles and in the written order of operations.

Every implementation of these rules must get the same integer, so the order of each product and sum
is part of the contract: reordering one changes some score by a point.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import floor, isfinite
from typing import Final

from aiba_domain.battle.prng import DRAW_RANGE
from aiba_domain.errors import InvalidInput

GUILD_BONUS_PER_BROKER: Final = 3
MAX_GUILD_BONUS: Final = 15
DEFAULT_VARIANCE: Final = 30.0
GUILD_WARS: Final = "guildWars"

_FULL_STAT: Final = 100
_HALF: Final = 0.5
_LEVEL_STEP: Final = 0.02
_LAST_LEVEL_THAT_COUNTS: Final = 26
_MAX_LEVEL_GAIN: Final = 0.5
_BASE_RISK: Final = 0.2
_OTHER_WEIGHTS: Final = (0.5, 0.3, 0.2)
_WEIGHTS: Final = {
    "prediction": (0.7, 0.2, 0.1),
    "simulation": (0.5, 0.3, 0.2),
    "strategyWars": (0.6, 0.1, 0.3),
    GUILD_WARS: (0.4, 0.3, 0.3),
}
_LEAGUES: Final = {"elite": 1.2, "pro": 1.1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fighter:
    """The part of a broker that decides a battle.

    Stats count from 0 to 100 and the level from 1 to 26, in whole levels; what is outside counts as
    the nearest bound. Raises InvalidInput naming the field for anything but a finite number.
    """

    intelligence: float
    speed: float
    risk: float
    level: float = 1

    def __post_init__(self) -> None:
        """Refuse what is no finite number."""
        _finite(self.intelligence, "intelligence")
        _finite(self.speed, "speed")
        _finite(self.risk, "risk")
        _finite(self.level, "level")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeRules:
    """What a game mode changes about its arena and league; None leaves the usual value.

    `min_broker_level` and `requires_guild` say who may enter. The rest are factors of the score.
    Raises InvalidInput naming the field for a factor that is no finite number.
    """

    requires_guild: bool = False
    min_broker_level: int | None = None
    intelligence_weight: float | None = None
    speed_weight: float | None = None
    risk_weight: float | None = None
    league_multiplier: float | None = None
    variance_base: float | None = None

    def __post_init__(self) -> None:
        """Refuse what is neither absent nor a finite number."""
        for name in SCORE_FACTORS:
            value = getattr(self, name)
            if value is not None:
                _finite(value, name)


SCORE_FACTORS: Final = (
    "intelligence_weight",
    "speed_weight",
    "risk_weight",
    "league_multiplier",
    "variance_base",
)
"""The fields of `ModeRules` that take part in the score."""

NO_RULES: Final = ModeRules()


@dataclass(frozen=True, slots=True)
class Formula:
    """The numbers a mode puts into every score: three weights, league multiplier, variance."""

    intelligence: float
    speed: float
    risk: float
    league: float
    variance: float


def formula(rules: ModeRules, arena: str, league: str) -> Formula:
    """Return the numbers of a mode; they are worth keeping when many battles share a mode.

    A league multiplier of 0 counts as 1, as it always did in play; a mode with one can't be saved.
    """
    intelligence, speed, risk = _WEIGHTS.get(arena, _OTHER_WEIGHTS)
    if rules is NO_RULES:
        return Formula(intelligence, speed, risk, _LEAGUES.get(league, 1.0), DEFAULT_VARIANCE)
    return Formula(
        _given(rules.intelligence_weight, intelligence),
        _given(rules.speed_weight, speed),
        _given(rules.risk_weight, risk),
        _given(rules.league_multiplier, _LEAGUES.get(league, 1.0)) or 1.0,
        _given(rules.variance_base, DEFAULT_VARIANCE),
    )


def score(fighter: Fighter, rules: ModeRules, arena: str, league: str, draw: int) -> int:
    """Return the score of one battle for a draw of 0..2^32-1, at least 0.

    Raises InvalidInput if the numbers of the mode are so large that no finite score comes out.
    """
    return score_at(*prospects(formula(rules, arena, league), fighter), draw)


def prospects(numbers: Formula, fighter: Fighter) -> tuple[float, float]:
    """Return what is certain of a fighter's score in a mode, and how far a draw can move it."""
    intelligence = _share(fighter.intelligence)
    speed = _share(fighter.speed)
    risk = _share(fighter.risk)
    weighted = numbers.intelligence * intelligence + numbers.speed * speed + numbers.risk * risk
    base = 100 * numbers.league * level_multiplier(fighter.level) * weighted
    return base, numbers.variance * numbers.league * (_BASE_RISK + risk)


def score_at(base: float, variance: float, draw: int) -> int:
    """Return the score that a draw of 0..2^32-1 gives a fighter with these prospects.

    Raises InvalidInput if it is not finite.
    """
    total = base + (draw / DRAW_RANGE - 0.5) * 2 * variance
    if not isfinite(total):
        raise InvalidInput("score", "finite")
    return max(0, round_half_up(total))


def level_multiplier(level: float) -> float:
    """Return what a level multiplies the base by: 1 at level 1, 1.5 from level 26 on."""
    if level >= _LAST_LEVEL_THAT_COUNTS:
        return 1 + _MAX_LEVEL_GAIN
    return 1 + (floor(level) - 1) * _LEVEL_STEP if level >= 1 else 1.0


def round_half_up(number: float) -> int:
    """Round to the nearest integer, halves upwards: 2.5 to 3 and -0.5 to 0.

    Adding 0.5 first would be wrong just below a half and above 2^52.
    """
    whole = floor(number)
    return whole + 1 if number - whole >= _HALF else whole


@lru_cache(maxsize=4096)
def guild_bonus(mine: int, theirs: int) -> int:
    """Return what the difference in pooled brokers adds to a guild's score: -15 to 15."""
    bonus = (mine - theirs) * GUILD_BONUS_PER_BROKER
    return max(-MAX_GUILD_BONUS, min(MAX_GUILD_BONUS, bonus))


def with_guild_bonus(points: int, bonus: int) -> int:
    """Return a score with the guild bonus, at least 0."""
    return max(0, points + bonus)


def maximum_score(
    fighter: Fighter, rules: ModeRules, arena: str, league: str, bonus: int = 0
) -> int:
    """Return the exact highest score that any draw can give this fighter in this mode.

    Each step from draw to score keeps the order of its input, rounding included, so the highest
    score is at one end of the draws: the last one, or the first if the variance is negative.
    """
    base, variance = prospects(formula(rules, arena, league), fighter)
    return with_guild_bonus(highest_at(base, variance), bonus)


def highest_at(base: float, variance: float) -> int:
    """Return the highest score of a fighter with these prospects, before the guild bonus."""
    return score_at(base, variance, DRAW_RANGE - 1 if variance >= 0 else 0)


def anomaly_limit(configured: int, maximum: int) -> int:
    """Return the score above which a battle is an anomaly: never below what honest play reaches."""
    return max(configured, maximum)


def _share(stat: float) -> float:
    share = stat / _FULL_STAT
    return share if 0 <= share <= 1 else min(1.0, max(0.0, share))


def _given(number: float | None, usual: float) -> float:
    return usual if number is None else float(number)


def _finite(value: object, field: str) -> None:
    if type(value) is int:
        try:
            float(value)
        except OverflowError:
            raise InvalidInput(field, "finite") from None
    elif type(value) is not float:
        raise InvalidInput(field, "number")
    elif not isfinite(value):
        raise InvalidInput(field, "finite")
