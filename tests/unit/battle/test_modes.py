"""Game modes: the defaults, the ranges, and the wire's rules object."""

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.battle.engine import NO_RULES, ModeRules
from aiba_domain.battle.modes import (
    GameMode,
    ModeTerms,
    check_rules,
    default_modes,
    mode_id,
    parse_rules,
    rules_json,
)
from aiba_domain.errors import InvalidInput
from tests.unit.battles import mode_of, modes, rules

NOW = 1_700_000_000_000


def _mode(**changes: Any) -> GameMode:
    values: dict[str, Any] = {
        "id": mode_id("m"),
        "key": "m",
        "name": "M",
        "arena": "prediction",
        "created_at": NOW,
        "updated_at": NOW,
    }
    return GameMode(**{**values, **changes})


def _only(field: str, value: object) -> dict[str, Any]:
    return {field: value}


def test_the_fifteen_defaults() -> None:
    """Costs, rests, levels and keys are those the wire documents."""
    found = {
        mode.key: (mode.energy_cost, mode.cooldown_seconds, mode.minimum_level, mode.needs_guild)
        for mode in default_modes(NOW)
    }
    plain = {"": (10, 30, 1, False), "-pro": (15, 45, 5, False), "-elite": (20, 60, 10, False)}
    guild = {"": (15, 45, 1, True), "-pro": (20, 60, 5, True), "-elite": (25, 75, 10, True)}
    arenas = ("prediction", "simulation", "strategyWars", "arbitrage")
    expected = {f"{arena}{end}": terms for arena in arenas for end, terms in plain.items()}
    assert found == expected | {f"guildWars{end}": terms for end, terms in guild.items()}


def test_defaults_come_in_wire_order_and_with_stable_ids() -> None:
    """Ordered by arena, league and key; made twice they are the same modes."""
    found = default_modes(NOW)
    order = [(mode.arena, mode.league, mode.key) for mode in found]
    assert order == sorted(order)
    assert [mode.id for mode in found] == [mode.id for mode in default_modes(NOW + 1)]
    assert len({mode.id for mode in found}) == 15


@given(modes)
def test_terms_are_all_that_enters_a_battle(terms: ModeTerms) -> None:
    """A mode's terms are a copy of everything but its presentation."""
    assert mode_of(terms).terms() == terms


@given(rules)
def test_rules_survive_the_wire(original: ModeRules) -> None:
    """Writing and reading the rules object changes nothing."""
    assert parse_rules(rules_json(original)) == original
    check_rules(original)


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("key", "", "minLength:1"),
        ("key", "a:b", "pattern:[A-Za-z0-9._-]+"),
        ("key", "k" * 101, "maxLength:100"),
        ("arena", "a b", "pattern:[A-Za-z0-9._-]+"),
        ("league", 5, "string"),
        ("name", "", "minLength:1"),
        ("description", "d" * 2_001, "maxLength:2000"),
        ("enabled", 1, "boolean"),
        ("energy_cost", -1, "min:0"),
        ("energy_cost", 1_001, "max:1000"),
        ("energy_cost", True, "integer"),
        ("cooldown_seconds", 86_401, "max:86400"),
        ("entry_neur", 10**9 + 1, "max:1000000000"),
        ("entry_aiba", 1.5, "integer"),
        ("reward_multiplier_aiba", Fraction(-1), "min:0"),
        ("reward_multiplier_neur", Fraction(1_001), "max:1000"),
        ("reward_multiplier_neur", 1.5, "number"),
        ("reward_multiplier_neur", Fraction(1, 10**19), "maxDecimals:18"),
    ],
)
def test_a_mode_names_the_field_out_of_range(field: str, value: object, reason: str) -> None:
    """A refusal says which field and what is wrong with it."""
    with pytest.raises(InvalidInput) as refusal:
        _mode(**{field: value})
    assert (refusal.value.field, refusal.value.reason) == (field, reason)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("league_multiplier", 0),
        ("league_multiplier", 0.0),
        ("league_multiplier", -1),
        ("variance_base", -0.5),
        ("variance_base", 10_001),
        ("risk_weight", 101),
        ("min_broker_level", 0),
        ("min_broker_level", 1_001),
        ("min_broker_level", 1.5),
    ],
)
def test_d54_a_mode_that_contradicts_its_limits_is_not_saved(field: str, value: object) -> None:
    """A league multiplier of 0 would count as 1, a negative variance would break the bound."""
    with pytest.raises(InvalidInput) as refusal:
        _mode(rules=ModeRules(**_only(field, value)))
    assert refusal.value.field == f"rules.{field}"


def test_d54_a_reward_multiplier_of_zero_is_kept() -> None:
    """A mode that pays nothing may be saved, and says so."""
    assert _mode(reward_multiplier_aiba=Fraction(0)).terms().reward_multiplier_aiba == 0


def test_rules_may_ask_for_another_level() -> None:
    """The mode's own level wins over the league's; an unknown league asks for none."""
    assert _mode(league="elite").minimum_level == 10
    assert _mode(league="elite", rules=ModeRules(min_broker_level=3)).minimum_level == 3
    assert _mode(league="autumn").minimum_level == 1
    assert _mode(arena="guildWars", rules=NO_RULES).needs_guild


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ([], "rules"),
        ({"luck": 1}, "rules.luck"),
        ({"arenaWeights": {"luck": 1}}, "rules.arenaWeights.luck"),
        ({"arenaWeights": 5}, "rules.arenaWeights"),
        ({"leagueMultiplier": "1"}, "rules.leagueMultiplier"),
        ({"varianceBase": float("inf")}, "rules.varianceBase"),
        ({"varianceBase": True}, "rules.varianceBase"),
        ({"minBrokerLevel": 1.0}, "rules.minBrokerLevel"),
        ({"requiresGuild": "yes"}, "rules.requiresGuild"),
        ({"leagueMultiplier": 10**400}, "rules.leagueMultiplier"),
    ],
)
def test_the_wires_rules_are_read_strictly(value: object, field: str) -> None:
    """Unknown keys and wrong types are refused by their path."""
    with pytest.raises(InvalidInput) as refusal:
        parse_rules(value)
    assert refusal.value.field == field


@given(st.sampled_from(default_modes(NOW)))
def test_every_default_obeys_the_rules_for_saving(mode: GameMode) -> None:
    """The defaults pass the same check as what an operator saves."""
    check_rules(mode.rules)
    assert mode.id == mode_id(mode.key)
