"""Energy comes back with time, and a mode rests between battles. Instants are ms, UTC."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aiba_domain.errors import InvalidInput

MAX_ENERGY_CAP: Final = 1_000
MAX_SECONDS_PER_ENERGY: Final = 86_400
LAST_INSTANT: Final = 8_640_000_000_000_000
"""The last instant of the wire's calendar, 100 million days after the epoch."""

_SECOND: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Energy:
    """Whole energy points, and the instant up to which regained energy is counted in.

    Raises InvalidInput naming the field for anything but an int, or an instant off the calendar.
    """

    value: int
    updated_at: int

    def __post_init__(self) -> None:
        """Refuse fractions and impossible instants."""
        if type(self.value) is not int:
            raise InvalidInput("energy", "integer")
        if type(self.updated_at) is not int:
            raise InvalidInput("energy_updated_at", "integer")
        if abs(self.updated_at) > LAST_INSTANT:
            raise InvalidInput("energy_updated_at", f"max:{LAST_INSTANT}")


def regenerate(energy: Energy, now: int, *, max_energy: int, seconds_per_energy: int) -> Energy:
    """Return the energy at `now`: one point for each `seconds_per_energy`, up to `max_energy`.

    The part of a period that has passed is kept for the next point. As long as no whole period has
    passed, or the clock went back, the same value is returned, even one above the maximum.
    The settings count as the nearest of 1..1000 and 1..86400.
    """
    ceiling = min(MAX_ENERGY_CAP, max(1, max_energy))
    period = min(MAX_SECONDS_PER_ENERGY, max(1, seconds_per_energy))
    gained = (now - energy.updated_at) // _SECOND // period
    if gained <= 0:
        return energy
    return Energy(
        value=min(ceiling, min(ceiling, max(0, energy.value)) + gained),
        updated_at=energy.updated_at + gained * period * _SECOND,
    )


def cooldown_left_ms(cooldowns: Mapping[str, int], mode_key: str, cooldown_s: int, now: int) -> int:
    """Return for how many ms a broker still rests from a mode, 0 if it may fight.

    `cooldowns` maps mode keys to their last use. Only the mode's own entry counts, so a battle in
    one mode never blocks another; a last use in the future never blocks for longer than one rest.
    """
    last_use = cooldowns.get(mode_key)
    if last_use is None:
        return 0
    rest = cooldown_s * _SECOND
    return max(0, min(rest, last_use + rest - now))
