"""Emission windows: the hours of a UTC day at which an arena emits new money."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from aiba_domain.errors import InvalidInput
from aiba_domain.instants import DAY, HOUR

HOURS: Final = 24
ANY_ARENA: Final = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmissionWindow:
    """Hours of a UTC day, from `start_hour` up to but not including `end_hour`.

    0 to 24 is always open; equal hours are never open; a start after the end goes over midnight.
    Raises InvalidInput naming the hour that is no int of 0..24.
    """

    start_hour: int = 0
    end_hour: int = HOURS

    def __post_init__(self) -> None:
        """Refuse hours that no clock shows."""
        for name in ("start_hour", "end_hour"):
            hour = getattr(self, name)
            if type(hour) is not int or not 0 <= hour <= HOURS:
                raise InvalidInput(name, f"integer of 0..{HOURS}")

    def is_open(self, now: int) -> bool:
        """Tell whether the window is open at an instant in ms, UTC."""
        hour = now % DAY // HOUR
        if self.start_hour <= self.end_hour:
            return self.start_hour <= hour < self.end_hour
        return hour >= self.start_hour or hour < self.end_hour


ALWAYS_OPEN: Final = EmissionWindow()
_NO_OVERRIDES: Final[Mapping[str, EmissionWindow]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class EmissionWindows:
    """The usual window and its overrides by `arena:league`, by arena, or by `*` for any arena."""

    usual: EmissionWindow = ALWAYS_OPEN
    overrides: Mapping[str, EmissionWindow] = field(default_factory=lambda: _NO_OVERRIDES)

    def window_for(self, arena: str, league: str) -> EmissionWindow:
        """Return the first override that fits an arena and league, else the usual window."""
        for key in (f"{arena}:{league}", arena, ANY_ARENA):
            window = self.overrides.get(key)
            if window is not None:
                return window
        return self.usual

    def is_open(self, arena: str, league: str, now: int) -> bool:
        """Tell whether an arena and league emit at an instant in ms, UTC."""
        return self.window_for(arena, league).is_open(now)


def parse_hour(value: object, name: str) -> int:
    """Read an hour: the fraction is dropped, what is outside 0..24 becomes the nearest bound.

    JSON is decoded with exact decimals here as for every setting, so a float is no number. Raises
    InvalidInput naming `name` for anything but a finite int or Decimal.
    """
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise InvalidInput(name, "number")
    if isinstance(value, Decimal) and not value.is_finite():
        raise InvalidInput(name, "finite")
    return min(HOURS, max(0, math.floor(value)))


def parse_window(value: object, name: str) -> EmissionWindow:
    """Read `{"startHourUtc": 8, "endHourUtc": 20}`; an absent hour is the day's start or end.

    Raises InvalidInput naming the part that is unknown or no number.
    """
    if not isinstance(value, Mapping):
        raise InvalidInput(name, "object")
    for key in value:
        if key not in ("startHourUtc", "endHourUtc"):
            raise InvalidInput(f"{name}.{key}", "unknown")
    return EmissionWindow(
        start_hour=parse_hour(value.get("startHourUtc", 0), f"{name}.startHourUtc"),
        end_hour=parse_hour(value.get("endHourUtc", HOURS), f"{name}.endHourUtc"),
    )


def parse_overrides(
    value: object, name: str = "emissionWindowsUtc"
) -> Mapping[str, EmissionWindow]:
    """Read the map of overrides. Raises InvalidInput naming the entry that is no window."""
    if not isinstance(value, Mapping):
        raise InvalidInput(name, "object")
    for key in value:
        if not isinstance(key, str):
            raise InvalidInput(name, "text keys")
    windows = {key: parse_window(entry, f"{name}.{key}") for key, entry in value.items()}
    return MappingProxyType(windows)
