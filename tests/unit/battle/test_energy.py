"""Energy and cooldowns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.battle.energy import Energy, cooldown_left_ms, regenerate
from aiba_domain.errors import InvalidInput

instants = st.integers(0, 4_102_444_800_000)
points = st.integers(0, 1_000)
ceilings = st.integers(1, 1_000)
periods = st.integers(1, 86_400)


@given(points, instants, instants, instants, ceilings, periods)
def test_energy_never_falls_by_waiting(
    value: int, since: int, one: int, other: int, ceiling: int, period: int
) -> None:
    """The longer the wait the more energy, and never more than the maximum regained."""
    sooner, later = sorted((one, other))
    start = Energy(value=min(value, ceiling), updated_at=since)
    first = regenerate(start, sooner, max_energy=ceiling, seconds_per_energy=period)
    second = regenerate(start, later, max_energy=ceiling, seconds_per_energy=period)
    assert start.value <= first.value <= second.value <= ceiling


@given(points, instants, instants, instants, ceilings, periods)
def test_looking_twice_gains_nothing(
    value: int, since: int, one: int, other: int, ceiling: int, period: int
) -> None:
    """Regaining in two steps is regaining in one: the part of a period that passed is kept."""
    middle, end = sorted((one, other))
    start = Energy(value=value, updated_at=since)
    rule = {"max_energy": ceiling, "seconds_per_energy": period}
    paused = regenerate(regenerate(start, middle, **rule), end, **rule)
    straight = regenerate(start, end, **rule)
    assert paused == straight


@given(points, instants, ceilings, periods)
def test_a_clock_that_goes_back_changes_nothing(
    value: int, since: int, ceiling: int, period: int
) -> None:
    """Neither energy nor its instant move."""
    start = Energy(value=value, updated_at=since)
    assert regenerate(start, since - 1, max_energy=ceiling, seconds_per_energy=period) is start


@pytest.mark.parametrize(
    ("value", "ceiling", "minutes", "expected", "counted_minutes"),
    [(5, 10, 3, 8, 3), (9, 10, 10, 10, 10), (5, 10, 0.5, 5, 0)],
)
def test_the_documented_examples(
    value: int, ceiling: int, minutes: float, expected: int, counted_minutes: float
) -> None:
    """The wire's own worked examples."""
    after = regenerate(
        Energy(value=value, updated_at=0),
        int(minutes * 60_000),
        max_energy=ceiling,
        seconds_per_energy=60,
    )
    assert after == Energy(value=expected, updated_at=int(counted_minutes * 60_000))


@pytest.mark.parametrize(
    ("value", "instant", "field"),
    [
        (1.5, 0, "energy"),
        (True, 0, "energy"),
        (1, None, "energy_updated_at"),
        (1, 8_640_000_000_000_001, "energy_updated_at"),
    ],
)
def test_energy_is_whole_and_on_the_calendar(value: int, instant: int, field: str) -> None:
    """Anything else is refused by name."""
    with pytest.raises(InvalidInput) as refusal:
        Energy(value=value, updated_at=instant)
    assert refusal.value.field == field


def test_d32_a_mode_rests_on_its_own() -> None:
    """A rookie battle blocks no other league of the arena, and they don't block it."""
    now = 1_000_000
    after_rookie = {"prediction": now}
    after_pro = {"prediction-pro": now}
    assert cooldown_left_ms(after_rookie, "prediction", 30, now) == 30_000
    assert cooldown_left_ms(after_rookie, "prediction-pro", 45, now) == 0
    assert cooldown_left_ms(after_pro, "prediction", 30, now) == 0


@given(instants, instants, st.integers(0, 86_400))
def test_a_rest_ends_exactly_on_time(last: int, now: int, cooldown_s: int) -> None:
    """One ms before its end a mode still rests, at its end not, and never longer than one rest."""
    left = cooldown_left_ms({"m": last}, "m", cooldown_s, now)
    assert 0 <= left <= cooldown_s * 1_000
    assert (left == 0) is (now >= last + cooldown_s * 1_000 or cooldown_s == 0)
