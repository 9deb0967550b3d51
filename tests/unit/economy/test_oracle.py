"""The oracle's rules: which rate an update sets, and how long a rate may price anything."""

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.decision import Accepted, Refused
from aiba_domain.economy.automation import (
    ALLOCATION_PCT,
    SUPPLY,
    adjusted_cap,
    allocation,
    suggested_cap,
)
from aiba_domain.economy.commands import ChangePolicy
from aiba_domain.economy.config_commands import UpdateRate
from aiba_domain.economy.oracle import NO_RATE, STALE, current_rate, is_due, nano_for, quote
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.instants import MINUTE
from aiba_domain.money import MAX_AMOUNT
from aiba_domain.testing.doubles import NOON
from aiba_domain.testing.playground import OPERATOR, Playground

RATED = EconomyPolicy(
    oracle_aiba_per_ton=500, oracle_last_updated_at=NOON, oracle_max_age_minutes=60
)
PRICES = st.fractions(0, 10**6, max_denominator=10**6)


@given(age=st.integers(-10 * MINUTE, 200 * MINUTE))
def test_d76_a_rate_prices_nothing_outside_its_age(age: int) -> None:
    """Neither one that is too old nor one from the future is a rate."""
    found = current_rate(RATED, NOON + age)
    if 0 <= age <= 60 * MINUTE:
        assert found == 500
    else:
        assert isinstance(found, Refused)
        assert found.code == STALE


def test_d76_an_absent_rate_is_none() -> None:
    """A rate of 0 is no rate, however new."""
    found = current_rate(replace(RATED, oracle_aiba_per_ton=0), NOON)
    assert isinstance(found, Refused)
    assert found.code == NO_RATE


@given(aiba=st.integers(0, MAX_AMOUNT), rate=st.integers(1, MAX_AMOUNT))
def test_d57_a_price_in_nano_is_the_least_that_pays(aiba: int, rate: int) -> None:
    """In integers: one nano less would be too little."""
    nano = nano_for(aiba, rate)
    assert nano * rate >= aiba * 10**9
    assert (nano - 1) * rate < aiba * 10**9


@given(ton=PRICES, aiba=PRICES, low=st.integers(0, 99), high=st.integers(0, 99))
def test_d66_a_market_rate_is_one_price_by_the_other(
    ton: Fraction, aiba: Fraction, low: int, high: int
) -> None:
    """Rounded down, within the bounds; a bound of 0 is none."""
    policy = EconomyPolicy(oracle_min_aiba_per_ton=low, oracle_max_aiba_per_ton=high)
    found = quote(policy, ton, aiba)
    market = ton // aiba if aiba else 0
    if market == 0:
        assert found is None
        return
    assert found is not None
    assert not found.is_fallback
    bounded = max(market, low)
    assert found.aiba_per_ton == (min(bounded, high) if high else bounded)


def test_without_a_market_the_fallback_counts_and_then_the_rate_before() -> None:
    """Neither market nor fallback keeps the rate, and its age with it."""
    fallback = replace(RATED, oracle_fallback_aiba_per_ton=7)
    found = quote(fallback, None, Fraction(1))
    assert found is not None
    assert (found.aiba_per_ton, found.is_fallback) == (7, True)
    kept = quote(RATED, None, Fraction(1))
    assert kept is not None
    assert kept.aiba_per_ton == 500
    assert quote(EconomyPolicy(), Fraction(3), Fraction(0)) is None


def test_d76_an_update_without_a_market_makes_no_old_rate_new(play: Playground) -> None:
    """Only a rate that was found makes the instant new; two equal updates are one version."""
    play.operate(ChangePolicy(changes={"oracle_aiba_usd": Fraction(1, 100)}))
    first = play.issue(OPERATOR, UpdateRate(ton_usd=Fraction(5))).outcome
    assert isinstance(first, Accepted)
    policy = play.read(lambda read: read.policy())
    assert (policy.oracle_aiba_per_ton, policy.oracle_last_updated_at) == (500, play.clock.now())
    at = play.clock.now()
    play.clock.advance(MINUTE)
    play.issue(OPERATOR, UpdateRate(ton_usd=None))
    after = play.read(lambda read: read.policy())
    assert after == policy
    assert after.oracle_last_updated_at == at


def test_an_update_is_due_once_an_interval_where_it_is_on() -> None:
    """Off means never."""
    on = replace(RATED, oracle_auto_update_enabled=True, oracle_update_interval_minutes=15)
    assert not is_due(on, NOON + 15 * MINUTE - 1)
    assert is_due(on, NOON + 15 * MINUTE)
    assert not is_due(RATED, NOON + 10**12)


@given(
    percent=st.fractions(0, 1000, max_denominator=10**6),
    low=st.integers(0, 10**9),
    high=st.integers(0, 10**9),
    cap=st.integers(0, 10**9),
)
def test_automation_sets_a_cap_within_its_bounds(
    percent: Fraction, low: int, high: int, cap: int
) -> None:
    """And leaves one alone that it would change by less than a hundredth."""
    policy = EconomyPolicy(
        automation_enabled=True,
        automation_target_emission_percent_per_year=percent,
        automation_min_cap_aiba=low,
        automation_max_cap_aiba=high,
        daily_cap_aiba=cap,
    )
    target = suggested_cap(policy)
    assert target >= low
    assert target <= max(low, high)
    found = adjusted_cap(policy)
    if found is None:
        assert abs(target - cap) * 100 < cap or target == cap
    else:
        assert found == target != cap
    assert adjusted_cap(replace(policy, automation_enabled=False)) is None


def test_the_allocation_is_all_of_the_supply() -> None:
    """No part is lost."""
    assert sum(ALLOCATION_PCT.values()) == 100
    assert sum(allocation().values()) == SUPPLY


@pytest.mark.parametrize("name", ["oracle_aiba_usd", "automation_target_emission_percent_per_year"])
def test_d57_exact_settings_are_bounded(name: str) -> None:
    """Neither negative, nor endless, nor a float."""
    for value in (Fraction(-1), Fraction(10**10), Fraction(1, 10**19), 0.5, 1):
        with pytest.raises(Exception, match=name):
            EconomyPolicy(**{name: value})  # type: ignore[arg-type]
