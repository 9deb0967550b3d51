"""Emission: how much new money a day may bring, and when.

Caps hold per UTC day, for a currency as a whole and per arena; a window says at which hours an
arena emits at all. A grant is all or nothing, and a refused one is a reward of 0, never an error.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.money import Currency


class EmissionResult(StrEnum):
    """Why an emission was or was not granted."""

    OK = "ok"
    OUTSIDE_WINDOW = "outside_window"
    CAP_EXCEEDED = "cap_exceeded"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmissionUse:
    """What a UTC day has emitted of one currency so far, by arena, in whole units."""

    by_arena: Mapping[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """All that the day has emitted of the currency."""
        return sum(self.by_arena.values())


NOTHING_EMITTED: Final = EmissionUse()
"""The use of a currency that the day has not emitted."""


def judge(
    policy: EconomyPolicy,
    currency: Currency,
    amount: int,
    *,
    arena: str,
    league: str,
    now: int,
    used: EmissionUse,
) -> EmissionResult:
    """Say whether `amount` of a capped currency may be emitted in `arena` at `now`.

    Holds for the first emission of a day as for the last one before the cap.
    """
    if not policy.emission_windows.is_open(arena, league, now):
        return EmissionResult.OUTSIDE_WINDOW
    cap = policy.daily_cap(currency)
    if cap is not None and used.total + amount > cap:
        return EmissionResult.CAP_EXCEEDED
    arena_cap = policy.daily_cap_by_arena(currency).get(arena)
    if arena_cap is not None and used.by_arena.get(arena, 0) + amount > arena_cap:
        return EmissionResult.CAP_EXCEEDED
    return EmissionResult.OK
