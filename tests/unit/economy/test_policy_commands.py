"""The policy: 0 means 0, and what is out of range is refused by name."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.battle.engine import ModeRules
from aiba_domain.battle.modes import ModeTerms
from aiba_domain.battle.receipt import battle_id
from aiba_domain.battle.resolve import Emission
from aiba_domain.brokers.commands import Combine, Repair, Train, Upgrade
from aiba_domain.brokers.model import Stat
from aiba_domain.decision import Refused
from aiba_domain.economy.commands import ChangePolicy, ClaimDaily, ClaimDailyCombo
from aiba_domain.economy.policy import RANGES, EconomyPolicy, TokenSplit, next_version
from aiba_domain.economy.rewards import MAX_GRANT, Bonuses, RewardRates, propose
from aiba_domain.economy.windows import EmissionWindow
from aiba_domain.errors import InvalidInput
from aiba_domain.money import MAX_AMOUNT, Currency
from aiba_domain.testing.playground import OPERATOR, Playground
from tests.support.arena import (
    broker_of,
    code,
    entries,
    fight,
    set_up,
    spare,
    starter,
    sure,
)

ZERO = Fraction(0)


def balances_after_a_win(play: Playground, **terms: Any) -> dict[Currency, int]:
    """Fight one battle in a mode of these terms and return what the player holds."""
    rates = terms.pop("rates", {})
    usual = {"neur_per_score": Fraction(1), "win_streak_bonus_bps": ZERO}
    set_up(play, sure(**terms), rewards=RewardRates(**{**usual, **rates}))
    fight(play, "1", starter(play, "1"), "k")
    return play.balances("1")


@pytest.mark.parametrize(
    ("terms", "missing"),
    [
        ({"reward_multiplier_aiba": ZERO}, Currency.AIBA),
        ({"reward_multiplier_neur": ZERO}, Currency.NEUR),
        ({"rates": {"aiba_per_score": ZERO}}, Currency.AIBA),
        ({"rates": {"neur_per_score": ZERO}}, Currency.NEUR),
        ({"rates": {"stars_per_win": 0}}, Currency.STARS),
        ({"rates": {"diamonds_first_win": 0}}, Currency.DIAMONDS),
    ],
)
def test_d54_a_reward_of_0_pays_nothing(
    play: Playground, terms: dict[str, Any], missing: Currency
) -> None:
    """A rate, multiplier or grant of 0 is no reward, and leaves the others alone."""
    assert set(balances_after_a_win(play, **terms)) == set(Currency) - {missing}


@pytest.mark.parametrize(
    ("knob", "bonuses"),
    [
        ("streak_multiplier_at_7_days", Bonuses(login_streak_days=7)),
        ("streak_multiplier_at_30_days", Bonuses(login_streak_days=30)),
        ("streak_cap_multiplier", Bonuses(login_streak_days=30)),
        ("win_streak_bonus_bps", Bonuses(win_streak=5)),
        ("premium_multiplier", Bonuses(premium=True)),
        ("invite_bonus_bps", Bonuses(invites=3)),
    ],
)
def test_d54_a_bonus_of_0_adds_nothing(knob: str, bonuses: Bonuses) -> None:
    """A bonus set to 0 is never the default bonus, and never takes anything away."""
    changes: dict[str, Any] = {knob: ZERO}
    one = Fraction(1)
    base = propose(1_000, RewardRates(), one, one, None).aiba
    assert propose(1_000, RewardRates(), one, one, bonuses).aiba > base
    assert propose(1_000, RewardRates(**changes), one, one, bonuses).aiba == base


def test_d54_caps_of_0_emit_nothing(play: Playground) -> None:
    """A day capped at 0 pays neither battles nor daily rewards."""
    set_up(play, daily_cap_aiba=0, daily_cap_neur=0)
    grant = fight(play, "1", starter(play, "1"), "k").receipt.grant
    assert grant.aiba_emission is grant.neur_emission is Emission.CAP_EXCEEDED
    assert code(play.play("1", ClaimDaily())) == "daily cap reached"
    assert set(play.balances("1")) == {Currency.STARS, Currency.DIAMONDS}


def test_d54_prices_of_0_are_free(play: Playground) -> None:
    """Whatever costs 0 is had without money, and moves none."""
    set_up(
        play,
        train_neur_cost=0,
        repair_neur_cost=0,
        upgrade_aiba_cost=0,
        combine_neur_cost=0,
    )
    broker, other = starter(play, "1"), spare(play, "1")
    for command in (
        Train(broker_id=broker, stat=Stat.SPEED),
        Repair(broker_id=broker),
        Upgrade(broker_id=broker, stat=Stat.SPEED),
        Combine(base_broker_id=broker, sacrifice_broker_id=other),
    ):
        assert code(play.play("1", command, "k")) == "ok"
    assert broker_of(play, broker).level == 2
    assert entries(play) == []


def test_d54_daily_rewards_of_0_claim_nothing(play: Playground) -> None:
    """A reward of 0 isn't configured: the day is not used up by asking."""
    set_up(play, daily_reward_neur=0, daily_combo_bonus_aiba=0, daily_combo_requirement_aiba=0)
    daily = play.play("1", ClaimDaily()).reply()
    assert (daily.already_claimed, daily.reward) == (False, 0)
    combo = play.play("1", ClaimDailyCombo()).reply()
    assert (combo.already_claimed, combo.bonus) == (False, 0)
    set_up(play, daily_reward_neur=50, daily_combo_bonus_aiba=500)
    assert play.play("1", ClaimDaily()).reply().reward == 50
    assert play.play("1", ClaimDailyCombo()).reply().bonus == 500


def test_d54_energy_and_cooldown_of_0_hold_nobody_up(play: Playground) -> None:
    """A mode that costs no energy and has no cooldown can be fought at once, again and again."""
    set_up(play)
    broker = starter(play, "1")
    for number in range(5):
        fight(play, "1", broker, f"k{number}")
    assert broker_of(play, broker).energy == 10


@pytest.mark.parametrize(
    ("rules", "score"),
    [
        (ModeRules(variance_base=0), 50),
        (ModeRules(variance_base=0, intelligence_weight=0), 15),
        (ModeRules(variance_base=0, intelligence_weight=0, speed_weight=0, risk_weight=0), 0),
    ],
)
def test_d54_weights_and_variance_of_0_are_0(
    play: Playground, rules: ModeRules, score: int
) -> None:
    """A weight of 0 takes its stat out of the score, a variance of 0 takes chance out."""
    set_up(play, sure(rules=rules))
    battle = fight(play, "1", starter(play, "1"), "k")
    assert battle.receipt.outcome.score == score
    assert (battle.stars > 0) == (score > 0)


def test_d54_a_mode_that_multiplies_by_0_cannot_be_saved() -> None:
    """The score reads a league multiplier of 0 as 1, so no mode may have one."""
    with pytest.raises(InvalidInput) as refused:
        sure(rules=ModeRules(league_multiplier=0))
    assert refused.value.field == "rules.league_multiplier"


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize(
    "value",
    [0.5, 1.0, "5", True, None, -1, MAX_AMOUNT + 1, 10**40, float("nan"), Decimal(1), Fraction(1)],
    ids=str,
)
def test_d57_no_knob_takes_a_fraction_or_a_number_out_of_range(name: str, value: object) -> None:
    """Each integer setting is refused by its own name."""
    changes: dict[str, Any] = {name: value}
    with pytest.raises(InvalidInput) as refused:
        EconomyPolicy(**changes)
    assert refused.value.field == name


@pytest.mark.parametrize("name", RANGES)
def test_d57_every_knob_takes_both_ends_of_its_range(name: str) -> None:
    """The documented range is what is accepted, to the unit."""
    low, high = RANGES[name]
    for value in (low, high):
        within: dict[str, Any] = {name: value}
        assert getattr(EconomyPolicy(**within), name) == value
    for value in (low - 1, high + 1):
        outside: dict[str, Any] = {name: value}
        with pytest.raises(InvalidInput):
            EconomyPolicy(**outside)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"upgrade_aiba_cost": 0.5}, "upgrade_aiba_cost"),
        ({"dailyCapAiba": 5}, "dailyCapAiba"),
        ({"version": 9}, "version"),
        ({"effective_at": 9}, "effective_at"),
        ({"rewards": {"aiba_per_score": 1}}, "rewards"),
        ({"rewards": None}, "rewards"),
        ({"emission_windows": {"startHourUtc": 1}}, "emission_windows"),
        ({"token_split": 3}, "token_split"),
        ({"daily_cap_aiba_by_arena": [1]}, "daily_cap_aiba_by_arena"),
        ({"daily_cap_aiba_by_arena": {1: 1}}, "daily_cap_aiba_by_arena"),
        ({"daily_cap_neur_by_arena": {"a": 1.5}}, "daily_cap_neur_by_arena.a"),
        ({"daily_cap_neur_by_arena": {"a": -1}}, "daily_cap_neur_by_arena.a"),
        ({"daily_cap_neur_by_arena": {"a": 2**63}}, "daily_cap_neur_by_arena.a"),
        ({"token_split": TokenSplit(burn_bps=10_001)}, "token_split.burn_bps"),
        ({"battle_max_energy": 0}, "battle_max_energy"),
        ({"daily_reward_neur": MAX_GRANT + 1}, "daily_reward_neur"),
    ],
)
def test_d57_a_bad_change_is_refused_by_name_and_changes_nothing(
    play: Playground, changes: dict[str, object], field: str
) -> None:
    """The whole change is refused, the good part of it too, and the policy stays."""
    outcome = play.issue(OPERATOR, ChangePolicy(changes={"train_neur_cost": 1, **changes})).outcome
    assert isinstance(outcome, Refused)
    assert outcome.code == "validation_error"
    assert set(outcome.details) == {field}
    assert play.read(lambda read: read.policy()) == EconomyPolicy()


@pytest.mark.parametrize("knob", ["stars_per_win", "diamonds_first_win"])
@pytest.mark.parametrize("value", [-1, 0.5, True, "1", MAX_GRANT + 1])
def test_d57_grants_of_stars_and_diamonds_are_whole_and_bounded(knob: str, value: Any) -> None:  # noqa: ANN401
    """No single grant comes near the largest balance."""
    with pytest.raises(InvalidInput) as refused:
        RewardRates(**{knob: value})
    assert refused.value.field == knob


@pytest.mark.parametrize(
    "value", [-1, float("inf"), float("nan"), 1.5, "abc", True, None, 10**10, "1e999", "1/0"]
)
@pytest.mark.parametrize("knob", ["aiba_per_score", "premium_multiplier", "creator_percent_bps"])
def test_d57_exact_knobs_are_exact_and_bounded(knob: str, value: Any) -> None:  # noqa: ANN401
    """A multiplier is an exact number within its range; a float already lost its text."""
    with pytest.raises(InvalidInput) as refused:
        RewardRates(**{knob: value})
    assert refused.value.field == knob


@pytest.mark.parametrize("hour", [-1, 25, 1.5, True, "8", None])
def test_d57_hours_are_hours(hour: Any) -> None:  # noqa: ANN401
    """A window's hours are whole and on the clock."""
    with pytest.raises(InvalidInput):
        EmissionWindow(start_hour=hour)
    with pytest.raises(InvalidInput):
        EmissionWindow(end_hour=hour)


@given(
    name=st.sampled_from(sorted(RANGES)),
    value=st.one_of(st.integers(), st.floats(), st.text(), st.none(), st.booleans()),
)
def test_a_change_is_accepted_or_refused_by_name(name: str, value: object) -> None:
    """Whatever is asked for, the answer is a policy that holds it, or the name of the field."""
    low, high = RANGES[name]
    if type(value) is int and low <= value <= high and name not in {"version", "effective_at"}:
        after = next_version(EconomyPolicy(), {name: value}, 7)
        assert getattr(after, name) == value
        assert (after.version, after.effective_at) == (2, 7)
    else:
        with pytest.raises(InvalidInput) as refused:
            next_version(EconomyPolicy(), {name: value}, 7)
        assert refused.value.field == name


def test_a_battle_names_the_policy_that_judged_it(play: Playground) -> None:
    """A change counts from the next battle on; the old one keeps its version and its rates."""
    set_up(play)
    broker = starter(play, "1")
    first = fight(play, "1", broker, "a")
    set_up(play, rewards=RewardRates(aiba_per_score=Fraction(3), win_streak_bonus_bps=ZERO))
    second = fight(play, "1", broker, "b")
    versions = [each.receipt.inputs.policy_version for each in (first, second)]
    assert versions[1] == versions[0] + 1
    assert [each.receipt.grant.aiba for each in (first, second)] == [100, 150]
    assert play.read(lambda read: read.battle(first.id)) == first


def test_the_terms_of_a_mode_are_those_of_the_battle(play: Playground) -> None:
    """A receipt keeps the mode as it was, whatever operators save later."""
    set_up(play, sure(reward_multiplier_aiba=Fraction(1, 3)))
    battle = fight(play, "1", starter(play, "1"), "k")
    set_up(play, sure(reward_multiplier_aiba=Fraction(9)))
    terms = battle.receipt.inputs.mode
    assert type(terms) is ModeTerms
    assert terms.reward_multiplier_aiba == Fraction(1, 3)
    assert battle.receipt.grant.aiba == 33
    assert battle_id("1", "k", battle.created_at) == battle.id
