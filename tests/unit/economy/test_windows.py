"""Emission windows."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.economy.windows import (
    EmissionWindow,
    EmissionWindows,
    parse_hour,
    parse_overrides,
    parse_window,
)
from aiba_domain.errors import InvalidInput
from aiba_domain.instants import HOUR, MINUTE

hours = st.integers(0, 24)
windows = st.builds(EmissionWindow, start_hour=hours, end_hour=hours)
instants = st.integers(-(10**12), 8_640_000_000_000_000)


def _at(hour: int, minute: int = 0) -> int:
    return 20_000 * 24 * HOUR + hour * HOUR + minute * MINUTE


@pytest.mark.parametrize(
    ("start", "end", "open_at", "closed_at"),
    [
        (8, 20, [(8, 0), (19, 59)], [(7, 59), (20, 0)]),
        (22, 6, [(22, 0), (1, 0), (5, 59)], [(21, 59), (6, 0)]),
        (0, 24, [(0, 0), (23, 59)], []),
        (5, 5, [], [(4, 59), (5, 0)]),
        (24, 20, [(0, 0), (19, 59)], [(20, 0), (23, 59)]),
    ],
)
def test_a_window_is_open_up_to_its_end(
    start: int, end: int, open_at: list[tuple[int, int]], closed_at: list[tuple[int, int]]
) -> None:
    """The start is inside, the end is not, and a start after the end goes over midnight."""
    window = EmissionWindow(start_hour=start, end_hour=end)
    assert all(window.is_open(_at(*moment)) for moment in open_at)
    assert not any(window.is_open(_at(*moment)) for moment in closed_at)


@given(hours, hours, instants)
def test_a_window_and_the_rest_of_the_day_never_overlap(start: int, end: int, now: int) -> None:
    """Swapping the hours gives exactly the other hours of the day."""
    window = EmissionWindow(start_hour=start, end_hour=end)
    rest = EmissionWindow(start_hour=end, end_hour=start)
    if start != end and {start, end} != {0, 24}:
        assert window.is_open(now) is not rest.is_open(now)


@given(windows, windows, windows, windows)
def test_the_closest_override_counts(
    usual: EmissionWindow, own: EmissionWindow, arena: EmissionWindow, any_arena: EmissionWindow
) -> None:
    """Arena with league, then arena, then the star, then the usual one."""
    overrides = {"a:pro": own, "a": arena, "*": any_arena}
    every = EmissionWindows(usual=usual, overrides=overrides)
    assert every.window_for("a", "pro") is own
    assert every.window_for("a", "elite") is arena
    assert every.window_for("b", "pro") is any_arena
    del overrides["*"]
    assert EmissionWindows(usual=usual, overrides=overrides).window_for("b", "pro") is usual


@pytest.mark.parametrize("arena", ["hasOwnProperty", "__proto__", "constructor", "toString"])
def test_names_of_object_members_are_plain_arenas(arena: str) -> None:
    """An arena may have any name; it finds only what was set."""
    star = EmissionWindow(start_hour=1, end_hour=2)
    found = EmissionWindows(overrides={"*": star})
    assert found.window_for(arena, "rookie") is star


@pytest.mark.parametrize("hour", [-1, 25, 8.5, True, "8", None])
def test_a_window_holds_hours_of_the_clock(hour: int) -> None:
    """Anything but an int of 0 to 24 is refused by name."""
    with pytest.raises(InvalidInput) as refusal:
        EmissionWindow(start_hour=hour)
    assert refusal.value.field == "start_hour"


@pytest.mark.parametrize(
    ("value", "hour"),
    [(8, 8), (Decimal("8.9"), 8), (-3, 0), (100, 24), (Decimal("1e300"), 24), (10**400, 24)],
)
def test_configured_hours_are_floored_and_clamped(value: object, hour: int) -> None:
    """As operators' settings always were."""
    assert parse_hour(value, "hour") == hour


@pytest.mark.parametrize("value", ["8", None, True, 8.5, Decimal("NaN"), Decimal("Infinity"), []])
def test_an_hour_is_an_exact_finite_number(value: object) -> None:
    """Everything else is refused by name."""
    with pytest.raises(InvalidInput) as refusal:
        parse_hour(value, "emissionStartHourUtc")
    assert refusal.value.field == "emissionStartHourUtc"


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        (None, "windows.a"),
        ([], "windows.a"),
        (5, "windows.a"),
        ("x", "windows.a"),
        ({"startHourUtc": "8"}, "windows.a.startHourUtc"),
        ({"endHourUtc": None}, "windows.a.endHourUtc"),
        ({"startHourUtc": 8, "until": 9}, "windows.a.until"),
    ],
)
def test_a_malformed_override_is_refused(entry: object, field: str) -> None:
    """It would otherwise open or close an arena in a way nobody asked for."""
    with pytest.raises(InvalidInput) as refusal:
        parse_overrides({"*": {"startHourUtc": 1, "endHourUtc": 2}, "a": entry}, "windows")
    assert refusal.value.field == field


def test_overrides_are_an_object_of_texts() -> None:
    """The map itself is checked too."""
    entries: list[object] = [False, [], "x", None, {1: {}}]
    for value in entries:
        with pytest.raises(InvalidInput, match="emissionWindowsUtc"):
            parse_overrides(value)


def test_an_absent_hour_is_the_edge_of_the_day() -> None:
    """Only a start, only an end, or neither."""
    assert parse_window({"startHourUtc": 8}, "w") == EmissionWindow(start_hour=8, end_hour=24)
    assert parse_window({"endHourUtc": 8}, "w") == EmissionWindow(start_hour=0, end_hour=8)
    assert parse_window({}, "w") == EmissionWindow()
