"""The economy's settings of the service before as the next version of the policy."""

from collections.abc import Mapping
from dataclasses import fields, replace
from fractions import Fraction
from math import floor
from typing import Any, Final

from aiba_domain.economy.config import RATES
from aiba_domain.economy.policy import EXACT_RANGES, RANGES, EconomyPolicy, next_version
from aiba_domain.economy.rewards import MAX_DENOMINATOR, RewardRates
from aiba_domain.economy.windows import HOURS, EmissionWindow, EmissionWindows
from aiba_domain.errors import InvalidInput
from aiba_domain.legacy.fields import Fields
from aiba_domain.legacy.findings import Code
from aiba_domain.legacy.values import Plain, number
from aiba_domain.legacy.world import factor
from aiba_domain.money import MAX_AMOUNT

CONFIG: Final = "economyconfigs"

_OTHERWISE: Final = {
    "marketplace_default_new_broker_price_aiba": "marketplaceDefaultNewBrokerPriceAIBA"
}


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(each.capitalize() for each in others)


WHOLE: Final[Mapping[str, str]] = {
    _OTHERWISE.get(name) or _camel(name): name
    for name in RANGES
    if name not in ("version", "effective_at", "oracle_last_updated_at")
}
"""The settings that are whole numbers in both services; those of claims are of this one alone."""

EXACT: Final[Mapping[str, str]] = {_camel(name): name for name in EXACT_RANGES}
"""The settings that are exact numbers here."""

FLAGS: Final[Mapping[str, str]] = {
    "oracleAutoUpdateEnabled": "oracle_auto_update_enabled",
    "automationEnabled": "automation_enabled",
}
_ORACLE_AT: Final = "oracleLastUpdatedAt"

SPLIT: Final[Mapping[str, str]] = {
    "tokenSplitBurnBps": "burn_bps",
    "tokenSplitTreasuryBps": "treasury_bps",
    "tokenSplitRewardsBps": "rewards_bps",
    "tokenSplitStakingBps": "staking_bps",
}
CAPS: Final[Mapping[str, str]] = {
    "dailyCapAibaByArena": "daily_cap_aiba_by_arena",
    "dailyCapNeurByArena": "daily_cap_neur_by_arena",
}
HOURS_OF: Final = ("emissionStartHourUtc", "emissionEndHourUtc")
OVERRIDES: Final = "emissionWindowsUtc"

TAKEN: Final = frozenset(
    {*WHOLE, *EXACT, *FLAGS, _ORACLE_AT, *RATES, *SPLIT, *CAPS, *HOURS_OF, OVERRIDES}
)
"""The settings that have a place here; the others are kept aside."""


def policy(row: Fields, current: EconomyPolicy, now: int) -> EconomyPolicy:
    """Return the policy that a configuration means, as the one after `current`.

    A value outside its range is noted and becomes the nearest in range, or stays as it was.
    """
    changes: dict[str, Any] = {}
    for name, ours in WHOLE.items():
        if row.document.get(name) is not None:
            low, high = RANGES[ours]
            changes[ours] = _whole(row, name, getattr(current, ours), low, high)
    for name, ours in EXACT.items():
        if row.document.get(name) is not None:
            changes[ours] = _exact(row, name, getattr(current, ours), EXACT_RANGES[ours])
    for name, ours in FLAGS.items():
        changes[ours] = row.flag(name, default=getattr(current, ours))
    changes["oracle_last_updated_at"] = row.at(_ORACLE_AT) or 0
    changes["rewards"] = _rates(row, current.rewards)
    split = {
        ours: _whole(row, name, getattr(current.token_split, ours), 0, 10_000)
        for name, ours in SPLIT.items()
    }
    changes["token_split"] = replace(current.token_split, **split)
    for name, ours in CAPS.items():
        changes[ours] = _caps(row, name)
    changes["emission_windows"] = _windows(row)
    return next_version(current, changes, now)


def _whole(row: Fields, name: str, default: int, low: int, high: int) -> int:
    value = row.document.get(name)
    if value is None:
        return default
    found = number(value)
    if found is None:
        row.note(Code.CONFIG_RANGE, name)
        return default
    kept = min(high, max(low, floor(found)))
    if kept != found:
        row.note(Code.CONFIG_RANGE, name)
    return kept


def _exact(row: Fields, name: str, default: Fraction, high: int) -> Fraction:
    try:
        found = factor(row.document.get(name))
    except InvalidInput:
        row.note(Code.CONFIG_RANGE, name)
        return default
    kept = min(Fraction(high), max(Fraction(0), found))
    if kept != found or kept.denominator > MAX_DENOMINATOR:
        row.note(Code.CONFIG_RANGE, name)
    return kept.limit_denominator(MAX_DENOMINATOR)


def _rates(row: Fields, current: RewardRates) -> RewardRates:
    kept = current
    kinds = {item.name: item.type for item in fields(RewardRates)}
    for name, ours in RATES.items():
        value = row.document.get(name)
        if value is None:
            continue
        try:
            rate = factor(value)
            changes: dict[str, Any] = {ours: floor(rate) if kinds[ours] is int else rate}
            kept = replace(kept, **changes)
        except InvalidInput:
            row.note(Code.CONFIG_RANGE, name)
    return kept


def _caps(row: Fields, name: str) -> Mapping[str, int]:
    kept = {}
    for arena, value in sorted(row.part(name).items()):
        cap = number(value)
        if cap is None or not 0 <= cap <= MAX_AMOUNT:
            row.note(Code.CONFIG_RANGE, f"{name}.{arena}")
        else:
            kept[arena] = floor(cap)
    return kept


def _windows(row: Fields) -> EmissionWindows:
    start, end = HOURS_OF
    usual = _window(row.document.get(start, 0), row.document.get(end, HOURS))
    overrides = {}
    for key, value in sorted(row.part(OVERRIDES).items()):
        if isinstance(value, Mapping):
            overrides[key] = _window(value.get("startHourUtc", 0), value.get("endHourUtc", HOURS))
        else:
            row.note(Code.CONFIG_RANGE, f"{OVERRIDES}.{key}")
    return EmissionWindows(usual=usual, overrides=overrides)


def _window(start: Plain, end: Plain) -> EmissionWindow:
    """Return a window as the service before has read it: floored, clamped, else all day."""
    return EmissionWindow(start_hour=_hour(start, 0), end_hour=_hour(end, HOURS))


def _hour(value: Plain, default: int) -> int:
    found = number(value)
    return default if found is None else min(HOURS, max(0, floor(Fraction(found))))
