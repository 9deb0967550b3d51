"""The JSON form of a battle's inputs, outcome and grant; reading is strict about keys and types.

Whole numbers are JSON integers however large, exact multipliers are texts (`"1.25"` or `"25/24"`),
and only a fighter's stats and a mode's factors are JSON numbers with a fraction.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from fractions import Fraction
from functools import lru_cache
from typing import Final, TypeVar

from aiba_domain.battle.engine import Fighter
from aiba_domain.battle.modes import ModeTerms, parse_rules, plain_number, rules_json
from aiba_domain.battle.resolve import BattleInputs, BattleOutcome, Emission, Grant, GuildMatch
from aiba_domain.economy.rewards import Bonuses, RewardRates
from aiba_domain.errors import InvalidInput
from aiba_domain.money import exact, exact_text

T = TypeVar("T")
Json = dict[str, object]

_EXACT: Final = re.compile(r"[0-9]+(?:\.[0-9]+|/[0-9]+)?")
_MAX_TEXT: Final = 1_000
_MAX_INT: Final = 2**63 - 1


def camel(name: str) -> str:
    """Return a field's name as the wire writes it."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def write_inputs(inputs: BattleInputs) -> Json:
    """Write a battle's inputs; `read_inputs` reads them back."""
    fighter = inputs.fighter
    return {
        "battleId": inputs.battle_id,
        "playerId": inputs.player_id,
        "brokerId": inputs.broker_id,
        "requestId": inputs.request_id,
        "at": inputs.at,
        "epoch": inputs.epoch,
        "commitment": inputs.commitment,
        "fighter": {
            "intelligence": plain_number(fighter.intelligence),
            "speed": plain_number(fighter.speed),
            "risk": plain_number(fighter.risk),
            "level": plain_number(fighter.level),
        },
        "mode": dict(_mode_json(inputs.mode)),
        "guild": None if inputs.guild is None else _write(inputs.guild),
        "policyVersion": inputs.policy_version,
        "rates": dict(_rates_json(inputs.rates)),
        "bonuses": None if inputs.bonuses is None else _write(inputs.bonuses),
        "anomalyLimit": inputs.anomaly_limit,
    }


def write_outcome(outcome: BattleOutcome) -> Json:
    """Write a battle's outcome; `read_outcome` reads it back."""
    return _write(outcome)


def write_grant(grant: Grant) -> Json:
    """Write what a battle paid; `read_grant` reads it back."""
    return _write(grant)


def read_inputs(value: object, path: str) -> BattleInputs:
    """Read a battle's inputs. Raises InvalidInput naming the path of what is wrong."""
    entry = members(value, path, _INPUT_KEYS)
    return BattleInputs(
        battle_id=text(entry["battleId"], f"{path}.battleId"),
        player_id=text(entry["playerId"], f"{path}.playerId"),
        broker_id=text(entry["brokerId"], f"{path}.brokerId"),
        request_id=text(entry["requestId"], f"{path}.requestId"),
        at=integer(entry["at"], f"{path}.at"),
        epoch=integer(entry["epoch"], f"{path}.epoch"),
        commitment=text(entry["commitment"], f"{path}.commitment"),
        fighter=_read_fighter(entry["fighter"], f"{path}.fighter"),
        mode=_read_mode(entry["mode"], f"{path}.mode"),
        guild=_optional(entry["guild"], f"{path}.guild", _read_guild),
        policy_version=integer(entry["policyVersion"], f"{path}.policyVersion"),
        rates=_read_rates(entry["rates"], f"{path}.rates"),
        bonuses=_optional(entry["bonuses"], f"{path}.bonuses", _read_bonuses),
        anomaly_limit=integer(entry["anomalyLimit"], f"{path}.anomalyLimit"),
    )


def read_outcome(value: object, path: str) -> BattleOutcome:
    """Read a battle's outcome. Raises InvalidInput naming the path of what is wrong."""
    entry = members(value, path, _keys_of(BattleOutcome))
    return BattleOutcome(
        seed_hex=text(entry["seedHex"], f"{path}.seedHex"),
        draw=integer(entry["draw"], f"{path}.draw"),
        guild_bonus=integer(entry["guildBonus"], f"{path}.guildBonus"),
        score=integer(entry["score"], f"{path}.score"),
        score_limit=integer(entry["scoreLimit"], f"{path}.scoreLimit"),
        is_anomaly=_flag(entry["isAnomaly"], f"{path}.isAnomaly"),
        proposed_aiba=integer(entry["proposedAiba"], f"{path}.proposedAiba"),
        proposed_neur=integer(entry["proposedNeur"], f"{path}.proposedNeur"),
        multiplier=_product(entry["multiplier"], f"{path}.multiplier"),
    )


def read_grant(value: object, path: str) -> Grant:
    """Read what a battle paid. Raises InvalidInput naming the path of what is wrong."""
    entry = members(value, path, _keys_of(Grant))
    return Grant(
        aiba=integer(entry["aiba"], f"{path}.aiba"),
        neur=integer(entry["neur"], f"{path}.neur"),
        aiba_emission=_emission(entry["aibaEmission"], f"{path}.aibaEmission"),
        neur_emission=_emission(entry["neurEmission"], f"{path}.neurEmission"),
        player_neur=integer(entry["playerNeur"], f"{path}.playerNeur"),
        leader_neur=integer(entry["leaderNeur"], f"{path}.leaderNeur"),
        vault_neur=integer(entry["vaultNeur"], f"{path}.vaultNeur"),
    )


def members(
    value: object, path: str, keys: frozenset[str], optional: frozenset[str] = frozenset()
) -> Mapping[str, object]:
    """Return an object that has all of `keys`, maybe some of `optional`, and no others."""
    if not isinstance(value, Mapping):
        raise InvalidInput(path, "object")
    for key in value:
        if key not in keys and key not in optional:
            raise InvalidInput(f"{path}.{key}", "unknown")
    for key in sorted(keys):
        if key not in value:
            raise InvalidInput(f"{path}.{key}", "required")
    return value


def text(value: object, path: str) -> str:
    """Return a text of reasonable length."""
    if not isinstance(value, str):
        raise InvalidInput(path, "string")
    if len(value) > _MAX_TEXT:
        raise InvalidInput(path, f"maxLength:{_MAX_TEXT}")
    return value


def integer(value: object, path: str) -> int:
    """Return a whole number of 64 bits."""
    if type(value) is not int:
        raise InvalidInput(path, "integer")
    if abs(value) > _MAX_INT:
        raise InvalidInput(path, f"max:{_MAX_INT}")
    return value


@lru_cache(maxsize=32)
def _keys_of(kind: type) -> frozenset[str]:
    return frozenset(camel(name) for name in _names_of(kind))


@lru_cache(maxsize=32)
def _names_of(kind: type) -> dict[str, str]:
    return {item.name: camel(item.name) for item in fields(kind)}


_INPUT_KEYS: Final = _keys_of(BattleInputs)


def _write(record: object) -> Json:
    written: Json = {}
    kind: type = type(record)
    for name, key in _names_of(kind).items():
        value = getattr(record, name)
        written[key] = _exact_text(value) if isinstance(value, Fraction) else value
    return written


@lru_cache(maxsize=4096)
def _exact_text(value: Fraction) -> str:
    return exact_text(value)


@lru_cache(maxsize=256)
def _mode_json(mode: ModeTerms) -> Json:
    return {**_write(mode), "rules": rules_json(mode.rules)}


@lru_cache(maxsize=64)
def _rates_json(rates: RewardRates) -> Json:
    return _write(rates)


def _read_fighter(value: object, path: str) -> Fighter:
    entry = members(value, path, _keys_of(Fighter))
    stats = {name: _number(entry[key], f"{path}.{key}") for name, key in _names_of(Fighter).items()}
    return Fighter(**stats)


def _read_mode(value: object, path: str) -> ModeTerms:
    entry = members(value, path, _keys_of(ModeTerms))
    return ModeTerms(
        key=text(entry["key"], f"{path}.key"),
        arena=text(entry["arena"], f"{path}.arena"),
        league=text(entry["league"], f"{path}.league"),
        energy_cost=integer(entry["energyCost"], f"{path}.energyCost"),
        cooldown_seconds=integer(entry["cooldownSeconds"], f"{path}.cooldownSeconds"),
        entry_neur=integer(entry["entryNeur"], f"{path}.entryNeur"),
        entry_aiba=integer(entry["entryAiba"], f"{path}.entryAiba"),
        reward_multiplier_aiba=_exact(
            entry["rewardMultiplierAiba"], f"{path}.rewardMultiplierAiba"
        ),
        reward_multiplier_neur=_exact(
            entry["rewardMultiplierNeur"], f"{path}.rewardMultiplierNeur"
        ),
        rules=parse_rules(entry["rules"], f"{path}.rules"),
    )


def _read_guild(value: object, path: str) -> GuildMatch:
    entry = members(value, path, _keys_of(GuildMatch))
    return GuildMatch(
        my_id=text(entry["myId"], f"{path}.myId"),
        my_count=integer(entry["myCount"], f"{path}.myCount"),
        their_id=text(entry["theirId"], f"{path}.theirId"),
        their_count=integer(entry["theirCount"], f"{path}.theirCount"),
        has_leader=_flag(entry["hasLeader"], f"{path}.hasLeader"),
    )


def _read_rates(value: object, path: str) -> RewardRates:
    entry = members(value, path, _keys_of(RewardRates))
    found = tuple(
        (integer if name in _WHOLE_RATES else text)(entry[key], f"{path}.{key}")
        for name, key in _names_of(RewardRates).items()
    )
    return _rates_of(path, found)


_WHOLE_RATES: Final = frozenset({"stars_per_win", "diamonds_first_win"})


@lru_cache(maxsize=64)
def _rates_of(path: str, values: tuple[str | int, ...]) -> RewardRates:
    """Make rates from their JSON values; receipts of one policy all state the same ones."""
    found: dict[str, object] = {}
    for (name, key), value in zip(_names_of(RewardRates).items(), values, strict=True):
        found[name] = _exact_of(value, f"{path}.{key}") if isinstance(value, str) else value
    return _within(path, RewardRates, found)


def _read_bonuses(value: object, path: str) -> Bonuses:
    entry = members(value, path, _keys_of(Bonuses))
    found = {
        "login_streak_days": integer(entry["loginStreakDays"], f"{path}.loginStreakDays"),
        "win_streak": integer(entry["winStreak"], f"{path}.winStreak"),
        "premium": _flag(entry["premium"], f"{path}.premium"),
        "invites": integer(entry["invites"], f"{path}.invites"),
        "boost": _optional(entry["boost"], f"{path}.boost", _exact),
    }
    return _within(path, Bonuses, found)


def _within(path: str, kind: Callable[..., T], found: Mapping[str, object]) -> T:
    try:
        return kind(**found)
    except InvalidInput as refusal:
        raise InvalidInput(f"{path}.{camel(refusal.field)}", refusal.reason) from None


def _optional(value: object, path: str, read: Callable[[object, str], T]) -> T | None:
    return None if value is None else read(value, path)


def _exact(value: object, path: str) -> Fraction:
    return _exact_of(text(value, path), path)


def _product(value: object, path: str) -> Fraction:
    """Read a product of settings, which may have many more digits than any of them."""
    written = text(value, path)
    if not _EXACT.fullmatch(written):
        raise InvalidInput(path, "number")
    try:
        return Fraction(written)
    except ZeroDivisionError:
        raise InvalidInput(path, "number") from None


@lru_cache(maxsize=4096)
def _exact_of(value: str, path: str) -> Fraction:
    if not _EXACT.fullmatch(value):
        raise InvalidInput(path, "number")
    return exact(value, path)


def _number(value: object, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidInput(path, "number")
    if isinstance(value, int):
        return integer(value, path)
    if not math.isfinite(value):
        raise InvalidInput(path, "finite")
    return value


def _flag(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput(path, "boolean")
    return value


def _emission(value: object, path: str) -> Emission:
    try:
        return Emission(text(value, path))
    except ValueError:
        raise InvalidInput(path, "one of " + ", ".join(Emission)) from None
