"""Cap automation: the day's AIBA cap from a yearly target, and how the supply is allocated."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from aiba_domain.economy.policy import EconomyPolicy

SUPPLY: Final = 10**12
"""All the AIBA there will be, in whole units."""

ALLOCATION_PCT: Final[Mapping[str, int]] = MappingProxyType(
    {"vault": 40, "treasury": 15, "staking": 20, "team": 10, "ecosystem": 10, "community": 5}
)
"""How the supply is divided, in percent; they sum to 100."""

_DAYS: Final = 365
_LEAST_CHANGE: Final = 100
"""A cap is changed by no less than one part in so many."""


def suggested_cap(policy: EconomyPolicy) -> int:
    """Return the day's AIBA cap that meets the yearly target, within the configured bounds.

    Where the bounds cross, the lower one counts.
    """
    percent = policy.automation_target_emission_percent_per_year
    target = SUPPLY * percent // (100 * _DAYS)
    return max(policy.automation_min_cap_aiba, min(policy.automation_max_cap_aiba, target))


def adjusted_cap(policy: EconomyPolicy) -> int | None:
    """Return the cap to set, None where automation is off or the change is below a hundredth."""
    if not policy.automation_enabled:
        return None
    cap, current = suggested_cap(policy), policy.daily_cap_aiba
    if cap == current or abs(cap - current) * _LEAST_CHANGE < current:
        return None
    return cap


def allocation() -> Mapping[str, int]:
    """Return each part of the supply in whole AIBA."""
    return {name: SUPPLY * percent // 100 for name, percent in ALLOCATION_PCT.items()}
