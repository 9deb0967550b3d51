"""The oracle: how many AIBA a TON is worth, by the market or by hand, and for how long.

A rate is whole AIBA for one TON. It has an age bound: one that is older is no rate, since what it
prices would be sold at the price of another day.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from aiba_domain.decision import Refused
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.instants import MINUTE
from aiba_domain.money import MAX_AMOUNT

NO_RATE: Final = "AIBA/TON rate not set"
STALE: Final = "AIBA/TON rate too old"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """A rate as an update found it: whole AIBA for a TON, and whether the market gave it."""

    aiba_per_ton: int
    is_fallback: bool


def current_rate(policy: EconomyPolicy, now: int) -> int | Refused:
    """Return the whole AIBA that a TON is worth at `now`, or the refusal of a price by it.

    Refused without a rate, and with one that is older than `oracle_max_age_minutes`, or that comes
    from a later time than `now`: a clock that was set back can't tell its age.
    """
    if policy.oracle_aiba_per_ton == 0:
        return Refused(code=NO_RATE)
    age = now - policy.oracle_last_updated_at
    longest = policy.oracle_max_age_minutes * MINUTE
    if not 0 <= age <= longest:
        details = {"ageMs": age, "maxAgeMs": longest}
        return Refused(code=STALE, details=details)
    return policy.oracle_aiba_per_ton


def nano_for(aiba: int, aiba_per_ton: int) -> int:
    """Return the least nanoTON that pay for `aiba` at a rate: rounded up, in integers."""
    return -(-aiba * 10**9 // aiba_per_ton)


def quote(policy: EconomyPolicy, ton_usd: Fraction | None, aiba_usd: Fraction) -> Quote | None:
    """Return the rate that an update sets, None if there is nothing to set it by.

    `ton_usd` is the market's price of a TON, None if nobody told it; `aiba_usd` that of an AIBA, 0
    if nobody set it. The market's rate is the one by the other, rounded down; without one it is the
    configured fallback, and without that the rate there is. A bound of 0 is none.
    """
    rate, is_fallback = 0, False
    if ton_usd is not None and aiba_usd > 0:
        rate = min(MAX_AMOUNT, ton_usd // aiba_usd)
    if rate == 0:
        rate, is_fallback = policy.oracle_fallback_aiba_per_ton, True
    if rate == 0:
        rate = policy.oracle_aiba_per_ton
    if rate == 0:
        return None
    if policy.oracle_min_aiba_per_ton:
        rate = max(rate, policy.oracle_min_aiba_per_ton)
    if policy.oracle_max_aiba_per_ton:
        rate = min(rate, policy.oracle_max_aiba_per_ton)
    return Quote(aiba_per_ton=rate, is_fallback=is_fallback)


def is_due(policy: EconomyPolicy, now: int) -> bool:
    """Tell whether the service is to update the rate by itself."""
    wait = policy.oracle_update_interval_minutes * MINUTE
    return policy.oracle_auto_update_enabled and now - policy.oracle_last_updated_at >= wait
