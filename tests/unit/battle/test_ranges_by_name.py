"""The ranges of seeds, energy, fighters and modes: ends inside, what is beyond refused by name."""

import json
import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from aiba_domain.battle.energy import LAST_INSTANT, Energy, regenerate
from aiba_domain.battle.engine import (
    NO_RULES,
    SCORE_FACTORS,
    Fighter,
    ModeRules,
    formula,
    level_multiplier,
    score,
)
from aiba_domain.battle.modes import (
    GameMode,
    ModeTerms,
    default_modes,
    mode_id,
    parse_rules,
    rules_json,
)
from aiba_domain.battle.prng import to_uint32
from aiba_domain.battle.seed import SeedFields, SeedKey, seed_hmac
from aiba_domain.errors import InvalidInput

Json = dict[str, Any]

# Seeds and draws.


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        ("1", "number"),
        (True, "number"),
        (None, "number"),
        (math.nan, "finite"),
        (-math.inf, "finite"),
    ],
)
def test_a_seed_that_is_no_number(number: Any, reason: str) -> None:  # noqa: ANN401
    """Is refused as such."""
    with pytest.raises(InvalidInput) as refused:
        to_uint32(number)
    assert (refused.value.field, refused.value.reason) == ("seed", reason)


@pytest.mark.parametrize(
    "field",
    ["telegram_id", "broker_id", "mode_key", "arena", "league", "request_id", "opponent_id"],
)
def test_each_field_of_a_seed_is_a_text(field: str) -> None:
    """And is named when it isn't."""
    texts: Json = dict.fromkeys(
        ("telegram_id", "broker_id", "mode_key", "arena", "league", "request_id"), "x"
    )
    with pytest.raises(InvalidInput) as refused:
        SeedFields(**{**texts, field: 5}).message()
    assert (refused.value.field, refused.value.reason) == (field, "string")


def test_a_secret_is_a_text() -> None:
    """Never a number that looks like one."""
    secret: Any = 5
    with pytest.raises(InvalidInput) as refused:
        SeedKey(secret)
    assert (refused.value.field, refused.value.reason) == ("secret", "string")


@pytest.mark.parametrize(
    ("length", "digest"),
    [
        (63, "a39bd7237f17724db7fc5df8bb8a8041aba3f28b17b4274bdd33d5510145a588"),
        (64, "14de35ef3913c3b0fa73ef18dc8d835d27e2f9784d57aa97472e74b99b2c3549"),
        (65, "dfffd6ff31dd61616f19e8333463c827e10329687b61782499008194bd507995"),
    ],
)
def test_a_secret_is_hashed_from_65_bytes_on(length: int, digest: str) -> None:
    """As HMAC-SHA256 has it, whose block is 64 bytes."""
    assert seed_hmac("s" * length, "m") == digest


# Energy.


@pytest.mark.parametrize(
    ("value", "instant", "field", "reason"),
    [
        (1.0, 0, "energy", "integer"),
        (True, 0, "energy", "integer"),
        (1, 0.5, "energy_updated_at", "integer"),
        (1, LAST_INSTANT + 1, "energy_updated_at", f"max:{LAST_INSTANT}"),
        (1, -LAST_INSTANT - 1, "energy_updated_at", f"max:{LAST_INSTANT}"),
    ],
)
def test_energy_that_is_none(value: Any, instant: Any, field: str, reason: str) -> None:  # noqa: ANN401
    """The point or the instant is named; the ends of the calendar are on it."""
    with pytest.raises(InvalidInput) as refused:
        Energy(value=value, updated_at=instant)
    assert (refused.value.field, refused.value.reason) == (field, reason)
    for end in (LAST_INSTANT, -LAST_INSTANT):
        assert Energy(value=1, updated_at=end).updated_at == end


@pytest.mark.parametrize(
    ("setting", "counts_as"), [(-5, 1), (0, 1), (1, 1), (2, 2), (1_000, 1_000), (1_001, 1_000)]
)
def test_a_maximum_outside_its_range_counts_as_the_nearest(setting: int, counts_as: int) -> None:
    """A very long wait fills up to it."""
    for start in (-7, 0, counts_as, counts_as + 50):
        full = regenerate(
            Energy(value=start, updated_at=0),
            10**10,
            max_energy=setting,
            seconds_per_energy=1,
        )
        assert full == Energy(value=counts_as, updated_at=10**10)


@pytest.mark.parametrize(
    ("setting", "counts_as"), [(-5, 1), (0, 1), (1, 1), (2, 2), (86_400, 86_400), (86_401, 86_400)]
)
def test_a_period_outside_its_range_counts_as_the_nearest(setting: int, counts_as: int) -> None:
    """A point comes after just that many seconds, and none in the ms before."""
    start = Energy(value=0, updated_at=7)
    rule = {"max_energy": 9, "seconds_per_energy": setting}
    whole = counts_as * 1_000
    assert regenerate(start, 7 + whole - 1, **rule) is start
    assert regenerate(start, 7 + whole, **rule) == Energy(value=1, updated_at=7 + whole)
    assert regenerate(start, 7 + 3 * whole - 1, **rule) == Energy(value=2, updated_at=7 + 2 * whole)


def test_energy_below_0_counts_as_0() -> None:
    """What is regained is counted from there, and nothing is lost by waiting less than a point."""
    rule = {"max_energy": 10, "seconds_per_energy": 1}
    debt, rich = Energy(value=-3, updated_at=0), Energy(value=50, updated_at=0)
    assert regenerate(debt, 2_000, **rule) == Energy(value=2, updated_at=2_000)
    assert regenerate(debt, 999, **rule) is debt
    assert regenerate(rich, 999, **rule) is rich
    assert regenerate(rich, 1_000, **rule) == Energy(value=10, updated_at=1_000)


# Fighters, rules and modes.


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("5", "number"),
        (True, "number"),
        (math.nan, "finite"),
        (math.inf, "finite"),
        (10**400, "finite"),
    ],
)
@pytest.mark.parametrize("field", ["intelligence", "speed", "risk", "level"])
def test_a_stat_that_is_no_number(field: str, value: object, reason: str) -> None:
    """Every stat is checked."""
    stats: Json = {"intelligence": 1, "speed": 1, "risk": 1, "level": 1, field: value}
    with pytest.raises(InvalidInput) as refused:
        Fighter(**stats)
    assert (refused.value.field, refused.value.reason) == (field, reason)


@pytest.mark.parametrize("field", SCORE_FACTORS)
@pytest.mark.parametrize(("value", "reason"), [("5", "number"), (math.nan, "finite")])
def test_a_factor_that_is_no_number(field: str, value: object, reason: str) -> None:
    """Every factor of the score is checked."""
    factor: Json = {field: value}
    with pytest.raises(InvalidInput) as refused:
        ModeRules(**factor)
    assert (refused.value.field, refused.value.reason) == (field, reason)


def test_a_score_that_is_not_finite() -> None:
    """Names the score."""
    top = Fighter(intelligence=100, speed=100, risk=100, level=26)
    with pytest.raises(InvalidInput) as refused:
        score(top, ModeRules(league_multiplier=1e308, variance_base=1e308), "x", "y", 3)
    assert (refused.value.field, refused.value.reason) == ("score", "finite")


@pytest.mark.parametrize("arena", ["prediction", "simulation", "strategyWars", "guildWars", "x"])
@pytest.mark.parametrize("league", ["rookie", "pro", "elite", "x"])
def test_no_rules_are_the_usual_ones(arena: str, league: str) -> None:
    """The shared value is a short way, not another rule; each usual value can be replaced alone."""
    usual = formula(NO_RULES, arena, league)
    assert formula(ModeRules(), arena, league) == usual
    names = ("intelligence", "speed", "risk", "league", "variance")
    for name, factor in zip(names, SCORE_FACTORS, strict=True):
        own: Json = {factor: 7}
        assert formula(ModeRules(**own), arena, league) == replace(usual, **{name: 7.0})
    assert formula(ModeRules(league_multiplier=0), arena, league) == replace(usual, league=1.0)


@pytest.mark.parametrize(
    ("level", "factor"),
    [
        (-1, 1.0),
        (0, 1.0),
        (0.99, 1.0),
        (1, 1.0),
        (1.99, 1.0),
        (2, 1.02),
        (25.99, 1.48),
        (26, 1.5),
        (99, 1.5),
    ],
)
def test_whole_levels_count(level: float, factor: float) -> None:
    """Two percent each, from the second to the twenty-sixth."""
    assert level_multiplier(level) == pytest.approx(factor, abs=1e-12)


def a_mode(**fields: Any) -> GameMode:
    """Return a mode that is sound but for `fields`."""
    usual: Json = {
        "id": mode_id("m"),
        "key": "m",
        "name": "M",
        "arena": "prediction",
        "created_at": 0,
        "updated_at": 0,
    }
    return GameMode(**{**usual, **fields})


RANGES: dict[str, tuple[Any, Any, str, str]] = {
    "energy_cost": (0, 1_000, "min:0", "max:1000"),
    "cooldown_seconds": (0, 86_400, "min:0", "max:86400"),
    "entry_neur": (0, 10**9, "min:0", "max:1000000000"),
    "entry_aiba": (0, 10**9, "min:0", "max:1000000000"),
    "reward_multiplier_aiba": (Fraction(0), Fraction(1_000), "min:0", "max:1000"),
    "reward_multiplier_neur": (Fraction(0), Fraction(1_000), "min:0", "max:1000"),
    "key": ("k", "k" * 100, "minLength:1", "maxLength:100"),
    "arena": ("a", "a" * 50, "minLength:1", "maxLength:50"),
    "league": ("l", "l" * 50, "minLength:1", "maxLength:50"),
    "name": ("n", "n" * 200, "minLength:1", "maxLength:200"),
    "description": ("", "d" * 2_000, "", "maxLength:2000"),
}


@pytest.mark.parametrize("field", RANGES)
def test_the_ends_of_each_range_of_a_mode(field: str) -> None:
    """Are inside, and what lies beyond is refused with the bound."""
    low, high, below, above = RANGES[field]
    assert [getattr(a_mode(**{field: end}), field) for end in (low, high)] == [low, high]
    beyond: list[tuple[Any, str]] = (
        [(low[:-1], below), (high + "x", above)]
        if isinstance(low, str)
        else [(low - 1, below), (high + 1, above)]
    )
    for value, reason in beyond:
        if not reason:
            continue
        with pytest.raises(InvalidInput) as refused:
            a_mode(**{field: value})
        assert (refused.value.field, refused.value.reason) == (field, reason)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("key", "a:b", "pattern:[A-Za-z0-9._-]+"),
        ("arena", "a b", "pattern:[A-Za-z0-9._-]+"),
        ("league", "ü", "pattern:[A-Za-z0-9._-]+"),
        ("key", 5, "string"),
        ("arena", None, "string"),
        ("name", b"n", "string"),
        ("description", None, "string"),
        ("enabled", 1, "boolean"),
        ("energy_cost", 1.0, "integer"),
        ("cooldown_seconds", True, "integer"),
        ("entry_neur", "1", "integer"),
        ("entry_aiba", None, "integer"),
        ("reward_multiplier_aiba", 1, "number"),
        ("reward_multiplier_aiba", Fraction(1, 10**18 + 1), "maxDecimals:18"),
        ("reward_multiplier_neur", Fraction(1, 10**18 + 1), "maxDecimals:18"),
        ("rules", ModeRules(requires_guild=1), "boolean"),  # type: ignore[arg-type]
        ("rules", ModeRules(min_broker_level=0), "min:1"),
        ("rules", ModeRules(min_broker_level=1_001), "max:1000"),
        ("rules", ModeRules(min_broker_level=1.5), "integer"),  # type: ignore[arg-type]
        ("rules", ModeRules(intelligence_weight=-1), "min:0"),
        ("rules", ModeRules(speed_weight=101), "max:100"),
        ("rules", ModeRules(risk_weight=-0.5), "min:0"),
        ("rules", ModeRules(league_multiplier=-1), "min:0"),
        ("rules", ModeRules(league_multiplier=101), "max:100"),
        ("rules", ModeRules(league_multiplier=0), "above:0"),
        ("rules", ModeRules(variance_base=-1), "min:0"),
        ("rules", ModeRules(variance_base=10_001), "max:10000"),
    ],
)
def test_a_mode_that_can_not_be_saved(field: str, value: object, reason: str) -> None:
    """Names the field, or the rule by its path."""
    with pytest.raises(InvalidInput) as refused:
        a_mode(**{field: value})
    if isinstance(value, ModeRules):
        (odd,) = (
            name
            for name in ("requires_guild", "min_broker_level", *SCORE_FACTORS)
            if getattr(value, name) != getattr(NO_RULES, name)
        )
        field = f"rules.{odd}"
    assert (refused.value.field, refused.value.reason) == (field, reason)


@pytest.mark.parametrize(
    "rules",
    [
        ModeRules(min_broker_level=1),
        ModeRules(min_broker_level=1_000),
        ModeRules(intelligence_weight=0, speed_weight=100, risk_weight=100.0),
        ModeRules(league_multiplier=100, variance_base=0),
        ModeRules(variance_base=10_000),
    ],
)
def test_rules_reach_to_the_ends_of_their_ranges(rules: ModeRules) -> None:
    """Both ends of each are inside."""
    assert a_mode(rules=rules).rules == rules
    assert a_mode(reward_multiplier_aiba=Fraction(1, 10**18)).rules is NO_RULES


@pytest.mark.parametrize(
    ("value", "field", "reason"),
    [
        ([], "mode.rules", "object"),
        ({"luck": 1}, "mode.rules.luck", "unknown"),
        ({"arenaWeights": 5}, "mode.rules.arenaWeights", "object"),
        ({"arenaWeights": {"luck": 1}}, "mode.rules.arenaWeights.luck", "unknown"),
        ({"arenaWeights": {"speed": "1"}}, "mode.rules.arenaWeights.speed", "number"),
        ({"leagueMultiplier": True}, "mode.rules.leagueMultiplier", "number"),
        ({"varianceBase": math.inf}, "mode.rules.varianceBase", "finite"),
        ({"varianceBase": 10**400}, "mode.rules.varianceBase", "finite"),
        ({"minBrokerLevel": 1.0}, "mode.rules.minBrokerLevel", "integer"),
        ({"minBrokerLevel": True}, "mode.rules.minBrokerLevel", "integer"),
        ({"requiresGuild": 1}, "mode.rules.requiresGuild", "boolean"),
    ],
)
def test_the_wire_s_rules(value: object, field: str, reason: str) -> None:
    """Are read strictly, under the path that the reader gives or `rules`."""
    for path in ("mode.rules", "rules"):
        with pytest.raises(InvalidInput) as refused:
            parse_rules(value, path) if path != "rules" else parse_rules(value)
        found = field.replace("mode.rules", path)
        assert (refused.value.field, refused.value.reason) == (found, reason)


@pytest.mark.parametrize(
    ("rules", "wire"),
    [
        (NO_RULES, {}),
        (
            ModeRules(requires_guild=True, min_broker_level=3),
            {"requiresGuild": True, "minBrokerLevel": 3},
        ),
        (
            ModeRules(
                intelligence_weight=1.0,
                speed_weight=0.5,
                risk_weight=0,
                league_multiplier=1.1,
                variance_base=2.0**53,
            ),
            {
                "arenaWeights": {"intelligence": 1, "speed": 0.5, "risk": 0},
                "leagueMultiplier": 1.1,
                "varianceBase": 2.0**53,
            },
        ),
        (ModeRules(variance_base=2.0**53 - 1), {"varianceBase": 2**53 - 1}),
        (ModeRules(speed_weight=-(2.0**53)), {"arenaWeights": {"speed": -(2.0**53)}}),
    ],
)
def test_rules_on_the_wire(rules: ModeRules, wire: Json) -> None:
    """A whole double is written as an int while doubles are exact, and the usual is left out."""
    assert json.dumps(rules_json(rules)) == json.dumps(wire)
    assert parse_rules(wire) == rules


def test_the_terms_of_a_mode_are_all_that_it_says() -> None:
    """Nothing is replaced by what is usual."""
    terms: Json = {
        "key": "t",
        "arena": "ring",
        "league": "pro",
        "energy_cost": 1,
        "cooldown_seconds": 2,
        "entry_neur": 3,
        "entry_aiba": 4,
        "reward_multiplier_aiba": Fraction(5, 6),
        "reward_multiplier_neur": Fraction(7, 6),
        "rules": ModeRules(min_broker_level=8),
    }
    assert a_mode(**terms).terms() == ModeTerms(**terms)


def test_modes_are_told_apart_as_keys() -> None:
    """A hash that is the same for all would turn every cache of modes into a list."""
    assert len({hash(ModeTerms(key=f"k{number}", arena="ring")) for number in range(100)}) > 90


def test_a_guild_war_says_that_it_needs_a_guild() -> None:
    """In the rules that clients read, of the defaults those of guild wars alone."""
    for mode in default_modes(0):
        told = {"requiresGuild": True} if mode.arena == "guildWars" else {}
        assert rules_json(mode.rules) == told
