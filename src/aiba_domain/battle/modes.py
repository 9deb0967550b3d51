"""Game modes: where a battle is fought, what it costs, what it pays, and by which rules."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from aiba_domain.battle.energy import MAX_ENERGY_CAP
from aiba_domain.battle.engine import GUILD_WARS, NO_RULES, ModeRules
from aiba_domain.errors import InvalidInput
from aiba_domain.ids import derive_id

ARENAS: Final = ("arbitrage", GUILD_WARS, "prediction", "simulation", "strategyWars")
LEAGUE_LEVELS: Final[Mapping[str, int]] = {"elite": 10, "pro": 5, "rookie": 1}
"""The broker level each league asks for unless the mode's rules say otherwise."""

MAX_KEY: Final = 100
MAX_NAME: Final = 200
MAX_DESCRIPTION: Final = 2_000
MAX_PLACE: Final = 50
MAX_COOLDOWN_S: Final = 86_400
MAX_ENTRY: Final = 1_000_000_000
MAX_REWARD_MULTIPLIER: Final = 1_000
MAX_DENOMINATOR: Final = 10**18
MAX_MIN_LEVEL: Final = 1_000
MAX_FACTOR: Final = 100
MAX_VARIANCE: Final = 10_000

_EXACT_IN_DOUBLES: Final = 2**53
_PLACE: Final = re.compile(r"[A-Za-z0-9._-]+")
_WEIGHTS: Final = {
    "intelligence": "intelligence_weight",
    "speed": "speed_weight",
    "risk": "risk_weight",
}
_FACTORS: Final = {"leagueMultiplier": "league_multiplier", "varianceBase": "variance_base"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeTerms:
    """What of a mode enters a battle: a battle's receipt keeps a copy.

    `energy_cost` is in points, `cooldown_seconds` in s, entries in whole units of their currency.
    """

    key: str
    arena: str
    league: str = "rookie"
    energy_cost: int = 10
    cooldown_seconds: int = 30
    entry_neur: int = 0
    entry_aiba: int = 0
    reward_multiplier_aiba: Fraction = Fraction(1)
    reward_multiplier_neur: Fraction = Fraction(1)
    rules: ModeRules = NO_RULES

    def __hash__(self) -> int:
        """Hash the key alone: terms key caches, and hashing exact multipliers is slow."""
        return hash(self.key)

    @property
    def minimum_level(self) -> int:
        """The lowest broker level that may enter: the rules' own, else the league's."""
        own = self.rules.min_broker_level
        return LEAGUE_LEVELS.get(self.league, 1) if own is None else own

    @property
    def needs_guild(self) -> bool:
        """Whether only members of a guild may enter, against another guild."""
        return self.rules.requires_guild or self.arena == GUILD_WARS


@dataclass(frozen=True, slots=True, kw_only=True)
class GameMode(ModeTerms):
    """One mode as operators keep it. Instants are ms, UTC.

    One that was deleted is kept with `deleted_at`, so that it isn't made again as a default; nobody
    plays or sees it, until a mode is made under its key.

    Raises InvalidInput naming the field for a value out of its range. A mode that could exceed the
    score its anomaly limit assumes, or whose factors contradict "0 means 0", can't be made: the
    variance is at least 0 and the league multiplier above 0.
    """

    id: str
    name: str
    description: str = ""
    enabled: bool = True
    created_at: int
    updated_at: int
    deleted_at: int | None = None

    def __post_init__(self) -> None:
        """Refuse any value outside its range."""
        _check_place(self.key, "key", MAX_KEY)
        _check_place(self.arena, "arena", MAX_PLACE)
        _check_place(self.league, "league", MAX_PLACE)
        _check_text(self.name, "name", 1, MAX_NAME)
        _check_text(self.description, "description", 0, MAX_DESCRIPTION)
        _check_flag(self.enabled, "enabled")
        _check_int(self.energy_cost, "energy_cost", 0, MAX_ENERGY_CAP)
        _check_int(self.cooldown_seconds, "cooldown_seconds", 0, MAX_COOLDOWN_S)
        _check_int(self.entry_neur, "entry_neur", 0, MAX_ENTRY)
        _check_int(self.entry_aiba, "entry_aiba", 0, MAX_ENTRY)
        _check_multiplier(self.reward_multiplier_aiba, "reward_multiplier_aiba")
        _check_multiplier(self.reward_multiplier_neur, "reward_multiplier_neur")
        if self.rules is not NO_RULES:
            check_rules(self.rules)

    def terms(self) -> ModeTerms:
        """Return the part of the mode that enters a battle."""
        return ModeTerms(
            key=self.key,
            arena=self.arena,
            league=self.league,
            energy_cost=self.energy_cost,
            cooldown_seconds=self.cooldown_seconds,
            entry_neur=self.entry_neur,
            entry_aiba=self.entry_aiba,
            reward_multiplier_aiba=self.reward_multiplier_aiba,
            reward_multiplier_neur=self.reward_multiplier_neur,
            rules=self.rules,
        )


def default_modes(now: int) -> tuple[GameMode, ...]:
    """Return the 15 modes a new store starts with, ordered by arena, league and key."""
    return tuple(_default_mode(arena, league, now) for arena in ARENAS for league in LEAGUE_LEVELS)


def mode_id(key: str) -> str:
    """Return the id of the mode with a key: the same wherever it is made."""
    return derive_id("mode", key)


def check_rules(rules: ModeRules) -> None:
    """Raise InvalidInput naming the first rule that a mode may not be saved with."""
    _check_flag(rules.requires_guild, "rules.requires_guild")
    if rules.min_broker_level is not None:
        _check_int(rules.min_broker_level, "rules.min_broker_level", 1, MAX_MIN_LEVEL)
    for name in _WEIGHTS.values():
        _check_factor(getattr(rules, name), f"rules.{name}", MAX_FACTOR)
    _check_factor(rules.league_multiplier, "rules.league_multiplier", MAX_FACTOR)
    if rules.league_multiplier == 0:
        raise InvalidInput("rules.league_multiplier", "above:0")
    _check_factor(rules.variance_base, "rules.variance_base", MAX_VARIANCE)


def parse_rules(value: object, field: str = "rules") -> ModeRules:
    """Read the wire's `rules` object. Raises InvalidInput naming an unknown or mistyped key.

    Ranges are not judged here: `check_rules` does that for a mode that is saved.
    """
    entries = _members(value, field, {"requiresGuild", "minBrokerLevel", "arenaWeights", *_FACTORS})
    found: dict[str, float | None] = {}
    weights = _members(entries.get("arenaWeights", {}), f"{field}.arenaWeights", set(_WEIGHTS))
    for key, name in _WEIGHTS.items():
        found[name] = _number(weights.get(key), f"{field}.arenaWeights.{key}")
    for key, name in _FACTORS.items():
        found[name] = _number(entries.get(key), f"{field}.{key}")
    level = entries.get("minBrokerLevel")
    if level is not None and type(level) is not int:
        raise InvalidInput(f"{field}.minBrokerLevel", "integer")
    guild = entries.get("requiresGuild", False)
    if not isinstance(guild, bool):
        raise InvalidInput(f"{field}.requiresGuild", "boolean")
    return ModeRules(requires_guild=guild, min_broker_level=level, **found)


def rules_json(rules: ModeRules) -> dict[str, object]:
    """Write rules as the wire's `rules` object, which `parse_rules` reads back."""
    written: dict[str, object] = {}
    if rules.requires_guild:
        written["requiresGuild"] = True
    if rules.min_broker_level is not None:
        written["minBrokerLevel"] = rules.min_broker_level
    weights = _given(rules, _WEIGHTS)
    if weights:
        written["arenaWeights"] = weights
    return written | _given(rules, _FACTORS)


def plain_number(number: float) -> float:
    """Return a whole double as an int, the one form that all JSON writers agree on."""
    if type(number) is float and number.is_integer() and abs(number) < _EXACT_IN_DOUBLES:
        return int(number)
    return number


def _given(rules: ModeRules, names: Mapping[str, str]) -> dict[str, object]:
    values = {key: getattr(rules, name) for key, name in names.items()}
    return {key: plain_number(value) for key, value in values.items() if value is not None}


def _default_mode(arena: str, league: str, now: int) -> GameMode:
    rank = ("rookie", "pro", "elite").index(league)
    in_guild = arena == GUILD_WARS
    key = arena if league == "rookie" else f"{arena}-{league}"
    return GameMode(
        id=mode_id(key),
        key=key,
        name=f"{arena} ({league})",
        description="Auto-generated default game mode",
        arena=arena,
        league=league,
        energy_cost=10 + 5 * rank + (5 if in_guild else 0),
        cooldown_seconds=30 + 15 * rank + (15 if in_guild else 0),
        rules=ModeRules(requires_guild=True) if in_guild else NO_RULES,
        created_at=now,
        updated_at=now,
    )


def _members(value: object, field: str, known: set[str]) -> Mapping[str, object]:
    if not isinstance(value, Mapping):
        raise InvalidInput(field, "object")
    for key in value:
        if key not in known:
            raise InvalidInput(f"{field}.{key}", "unknown")
    return value


def _number(value: object, field: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(field, "number")
    try:
        number = float(value)
    except OverflowError:
        raise InvalidInput(field, "finite") from None
    if not math.isfinite(number):
        raise InvalidInput(field, "finite")
    return value


def _check_text(value: object, field: str, shortest: int, longest: int) -> None:
    if not isinstance(value, str):
        raise InvalidInput(field, "string")
    if len(value) < shortest:
        raise InvalidInput(field, f"minLength:{shortest}")
    if len(value) > longest:
        raise InvalidInput(field, f"maxLength:{longest}")


def _check_place(value: str, field: str, longest: int) -> None:
    _check_text(value, field, 1, longest)
    if not _PLACE.fullmatch(value):
        raise InvalidInput(field, "pattern:[A-Za-z0-9._-]+")


def _check_flag(value: object, field: str) -> None:
    if not isinstance(value, bool):
        raise InvalidInput(field, "boolean")


def _check_int(value: object, field: str, low: int, high: int) -> None:
    if type(value) is not int:
        raise InvalidInput(field, "integer")
    if value < low:
        raise InvalidInput(field, f"min:{low}")
    if value > high:
        raise InvalidInput(field, f"max:{high}")


def _check_multiplier(value: object, field: str) -> None:
    if not isinstance(value, Fraction):
        raise InvalidInput(field, "number")
    if value < 0:
        raise InvalidInput(field, "min:0")
    if value > MAX_REWARD_MULTIPLIER:
        raise InvalidInput(field, f"max:{MAX_REWARD_MULTIPLIER}")
    if value.denominator > MAX_DENOMINATOR:
        raise InvalidInput(field, "maxDecimals:18")


def _check_factor(value: float | None, field: str, high: int) -> None:
    if value is None:
        return
    if value < 0:
        raise InvalidInput(field, "min:0")
    if value > high:
        raise InvalidInput(field, f"max:{high}")
