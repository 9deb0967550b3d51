"""Random fighters, modes and battles for the tests of battles and their verifiers."""

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from typing import Any

from hypothesis import strategies as st

from aiba_domain.battle.engine import Fighter, ModeRules
from aiba_domain.battle.modes import ARENAS, GameMode, ModeTerms, mode_id
from aiba_domain.battle.receipt import Receipt, battle_id, to_json
from aiba_domain.battle.resolve import BattleInputs, Emission, GuildMatch, resolve, settle
from aiba_domain.economy.rewards import Bonuses, RewardRates
from aiba_domain.fairness import epochs as fairness

ROOT = "a root of at least thirty-two characters"
EPOCH = 3
SECRET = fairness.epoch_secret(ROOT, EPOCH)
COMMITMENT = fairness.commitment(EPOCH, SECRET)

ids = st.text("0123456789abcdef", min_size=24, max_size=24)
uint32 = st.integers(0, 2**32 - 1)
stats = st.one_of(st.integers(-5, 105), st.floats(0, 100, allow_nan=False))
fighters = st.builds(
    Fighter,
    intelligence=stats,
    speed=stats,
    risk=stats,
    level=st.one_of(st.integers(0, 40), st.floats(1, 30, allow_nan=False)),
)
factors = st.none() | st.floats(0, 100, allow_nan=False, allow_subnormal=False)
rules = st.builds(
    ModeRules,
    requires_guild=st.booleans(),
    min_broker_level=st.none() | st.integers(1, 1_000),
    intelligence_weight=factors,
    speed_weight=factors,
    risk_weight=factors,
    league_multiplier=st.none() | st.floats(0.001, 100),
    variance_base=st.none() | st.floats(0, 10_000),
)
multipliers = st.builds(Fraction, st.integers(0, 10**6), st.integers(1, 10**6))
places = st.sampled_from([*ARENAS, "somewhere"])
leagues = st.sampled_from(["rookie", "pro", "elite", "other"])
modes = st.builds(
    ModeTerms,
    key=st.from_regex(r"[a-zA-Z0-9._-]{1,20}", fullmatch=True),
    arena=places,
    league=leagues,
    energy_cost=st.integers(0, 1_000),
    cooldown_seconds=st.integers(0, 86_400),
    entry_neur=st.integers(0, 10**9),
    entry_aiba=st.integers(0, 10**9),
    reward_multiplier_aiba=multipliers.filter(lambda m: m <= 1_000),
    reward_multiplier_neur=multipliers.filter(lambda m: m <= 1_000),
    rules=st.just(ModeRules()) | rules,
)
bps = st.builds(Fraction, st.integers(0, 12_000), st.integers(1, 10))
small = st.builds(Fraction, st.integers(0, 300), st.integers(1, 100))
rates = st.builds(
    RewardRates,
    aiba_per_score=small,
    neur_per_score=small,
    streak_multiplier_at_7_days=small,
    streak_multiplier_at_30_days=small,
    streak_cap_multiplier=small,
    win_streak_bonus_bps=bps,
    premium_multiplier=small,
    invite_bonus_bps=bps,
    guild_creator_share_bps=bps,
    creator_percent_bps=bps,
)
bonuses = st.builds(
    Bonuses,
    login_streak_days=st.integers(0, 60),
    win_streak=st.integers(0, 9),
    premium=st.booleans(),
    invites=st.integers(0, 5),
    boost=st.none() | small,
)
matches = st.builds(
    GuildMatch,
    my_id=ids,
    my_count=st.integers(0, 20),
    their_id=st.just("") | ids,
    their_count=st.integers(0, 20),
    has_leader=st.booleans(),
)
battles = st.builds(
    BattleInputs,
    battle_id=ids,
    player_id=st.integers(1, 2**52).map(str),
    broker_id=ids,
    request_id=st.from_regex(r"[a-zA-Z0-9._:-]{1,128}", fullmatch=True),
    at=st.integers(0, 4_102_444_800_000),
    epoch=st.just(EPOCH),
    commitment=st.just(COMMITMENT),
    fighter=fighters,
    mode=modes,
    guild=st.none() | matches,
    policy_version=st.integers(1, 1_000),
    rates=st.just(RewardRates()) | rates,
    bonuses=st.none() | bonuses,
    anomaly_limit=st.integers(1, 10**6),
).map(lambda one: replace(one, battle_id=battle_id(one.player_id, one.request_id, one.at)))
emissions = st.sampled_from([Emission.GRANTED, Emission.OUTSIDE_WINDOW, Emission.CAP_EXCEEDED])


def fight(inputs: BattleInputs, *, aiba: Emission, neur: Emission) -> Receipt:
    """Decide and settle one battle, as the service does."""
    outcome = resolve(inputs, SECRET)
    grant = settle(inputs, outcome, aiba=aiba, neur=neur)
    return Receipt(inputs=inputs, outcome=outcome, grant=grant)


receipts = st.builds(fight, battles, aiba=emissions, neur=emissions)


def mode_of(terms: ModeTerms) -> GameMode:
    """Make the mode an operator would save with these terms."""
    return GameMode(
        id=mode_id(terms.key),
        key=terms.key,
        name="A mode",
        arena=terms.arena,
        league=terms.league,
        energy_cost=terms.energy_cost,
        cooldown_seconds=terms.cooldown_seconds,
        entry_neur=terms.entry_neur,
        entry_aiba=terms.entry_aiba,
        reward_multiplier_aiba=terms.reward_multiplier_aiba,
        reward_multiplier_neur=terms.reward_multiplier_neur,
        rules=terms.rules,
        created_at=0,
        updated_at=0,
    )


def leaves(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """List the paths of all values in nested mappings that are no mapping themselves."""
    if isinstance(value, Mapping) and value:
        for key, part in value.items():
            yield from leaves(part, (*path, key))
    else:
        yield path


def is_bound(path: tuple[str, ...]) -> bool:
    """Tell whether a receipt's value came out of the battle, or went into its draw."""
    return path[0] in ("outcome", "grant") or path in _BOUND


_BOUND = {
    ("inputs", "battleId"),
    ("inputs", "playerId"),
    ("inputs", "brokerId"),
    ("inputs", "requestId"),
    ("inputs", "epoch"),
    ("inputs", "commitment"),
    ("inputs", "mode", "key"),
    ("inputs", "mode", "arena"),
    ("inputs", "mode", "league"),
    ("inputs", "guild", "theirId"),
}


def tampered(receipt: Receipt, path: tuple[str, ...]) -> dict[str, Any]:
    """Return a receipt's JSON with one value changed to another of its kind."""
    changed: dict[str, Any] = copy.deepcopy(to_json(receipt))
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = _another(place[path[-1]])
    return changed


def _another(value: object) -> object:
    """Return a value of the same kind that differs."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + (1.5 if isinstance(value, float) else 1)
        case str():
            return _another_text(value)
        case _:
            return {} if value is None else {"requiresGuild": True, "minBrokerLevel": 7}


def _another_text(value: str) -> str:
    if value in ("granted", "outside_window", "cap_exceeded", "nothing"):
        return "cap_exceeded" if value == "granted" else "granted"
    if value.replace(".", "").replace("/", "").isdigit():
        return "7" + value
    return value[:-1] + ("0" if value.endswith("1") else "1") if value else "1"
