"""The forecast of emission: real battles of made-up players, within the policy's caps."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiba_domain.application.forecast import MAX_FOUGHT, Forecast, Scenario
from aiba_domain.battle.modes import default_modes
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.economy.windows import EmissionWindow, EmissionWindows
from aiba_domain.errors import InvalidInput
from aiba_domain.money import Currency
from aiba_domain.testing.doubles import NOON
from aiba_domain.testing.strategies.commands import policy_changes

MODES = default_modes(NOON)
SMALL = Scenario(days=2, players=10, average=3)


@settings(max_examples=15)
@given(changes=policy_changes(), seed=st.integers(0, 2**32 - 1))
def test_no_day_emits_more_than_its_caps(changes: dict[str, object], seed: int) -> None:
    """Whatever the policy: of the day, and of each currency."""
    try:
        policy = replace(EconomyPolicy(), **changes)  # type: ignore[arg-type]
    except InvalidInput:
        return
    scenario = Scenario(days=1, players=9, average=5, seed=seed)
    for day in Forecast(scenario, policy, MODES, NOON).days():
        assert day.emitted[Currency.AIBA] <= policy.daily_cap_aiba
        assert day.emitted[Currency.NEUR] <= policy.daily_cap_neur


def test_the_same_seed_is_the_same_forecast() -> None:
    """And what is asked is what is told: one day after the other, beginning with today's."""
    first, again = (list(Forecast(SMALL, EconomyPolicy(), MODES, NOON).days()) for _ in range(2))
    assert first == again
    other = replace(SMALL, seed=2)
    assert list(Forecast(other, EconomyPolicy(), MODES, NOON).days()) != first
    assert [day.day for day in first] == ["2026-01-01", "2026-01-02"]


def test_a_sample_stands_for_all_battles() -> None:
    """Where more are asked for than are fought, each counts for so many more."""
    huge = Scenario(days=100, players=1_000, average=100)
    assert (huge.battles, huge.fought) == (100_000, MAX_FOUGHT // 100)
    day = next(Forecast(huge, EconomyPolicy(), MODES, NOON).days())
    assert day.stars > huge.battles // 2
    assert day.emitted[Currency.AIBA] <= 1_000_000
    assert day.emitted[Currency.AIBA] + day.refused[Currency.AIBA] > 5_000_000
    # Rewards are all or nothing, so a cap is filled but for less than one of them.
    assert day.emitted[Currency.AIBA] > 1_000_000 - 2_000


def test_nothing_is_emitted_outside_the_window_or_without_modes() -> None:
    """All of it is refused, or there is nothing to refuse."""
    shut = EmissionWindows(usual=EmissionWindow(start_hour=0, end_hour=0))
    closed = replace(EconomyPolicy(), emission_windows=shut)
    day = next(Forecast(SMALL, closed, MODES, NOON).days())
    assert day.emitted == {Currency.AIBA: 0, Currency.NEUR: 0}
    assert day.refused[Currency.AIBA] > 0
    nowhere = next(Forecast(SMALL, EconomyPolicy(), (), NOON).days())
    assert nowhere.emitted[Currency.AIBA] == 0
    gone = [replace(mode, deleted_at=NOON) for mode in MODES]
    assert next(Forecast(SMALL, EconomyPolicy(), gone, NOON).days()) == nowhere


@pytest.mark.parametrize("field", ["days", "players", "average"])
def test_a_scenario_is_bounded(field: str) -> None:
    """So that a forecast's time is."""
    for value in (0, -1, 10**9):
        with pytest.raises(InvalidInput, match=field):
            replace(SMALL, **{field: value})
