"""Every refusal of a setting says which field and what is wrong with it, as operators read it."""

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest

from aiba_domain.economy.ledger import Posting, check_balance, post
from aiba_domain.economy.policy import RANGES, EconomyPolicy, TokenSplit, next_version
from aiba_domain.economy.rewards import Bonuses, RewardRates, propose
from aiba_domain.economy.split import split_tokens
from aiba_domain.economy.windows import (
    EmissionWindow,
    EmissionWindows,
    parse_hour,
    parse_overrides,
    parse_window,
)
from aiba_domain.errors import InvalidInput, InvariantViolation
from aiba_domain.money import MAX_AMOUNT, Currency

ONE = Fraction(1)
EVEN: dict[str, Any] = {"burn_bps": 1, "treasury_bps": 1, "rewards_bps": 1, "staking_bps": 1}


def said(refusal: pytest.ExceptionInfo[InvalidInput]) -> tuple[str, str]:
    """Return the field and the reason of a refusal."""
    return refusal.value.field, refusal.value.reason


@pytest.mark.parametrize(
    ("value", "field", "reason"),
    [
        (None, "emissionWindowsUtc", "object"),
        ([], "emissionWindowsUtc", "object"),
        ({1: {}}, "emissionWindowsUtc", "text keys"),
        ({"a": 5}, "emissionWindowsUtc.a", "object"),
        ({"a": {"until": 5}}, "emissionWindowsUtc.a.until", "unknown"),
        ({"a": {"startHourUtc": "5"}}, "emissionWindowsUtc.a.startHourUtc", "number"),
        ({"a": {"endHourUtc": True}}, "emissionWindowsUtc.a.endHourUtc", "number"),
        ({"a": {"endHourUtc": Decimal("NaN")}}, "emissionWindowsUtc.a.endHourUtc", "finite"),
    ],
)
def test_overrides_of_windows(value: object, field: str, reason: str) -> None:
    """The path leads to the part of the setting that is wrong."""
    with pytest.raises(InvalidInput) as refusal:
        parse_overrides(value)
    assert said(refusal) == (field, reason)


def test_a_window_and_an_hour_are_named_as_the_caller_names_them() -> None:
    """A reader of one window or one hour gives its own path."""
    with pytest.raises(InvalidInput) as refusal:
        parse_window([], "usual")
    assert said(refusal) == ("usual", "object")
    with pytest.raises(InvalidInput) as refusal:
        parse_hour("5", "usual.startHourUtc")
    assert said(refusal) == ("usual.startHourUtc", "number")


@pytest.mark.parametrize("name", ["start_hour", "end_hour"])
@pytest.mark.parametrize("hour", [-1, 25, 1.0, True])
def test_hours_of_a_window(name: str, hour: Any) -> None:  # noqa: ANN401
    """Both ends are checked alike."""
    hours: dict[str, Any] = {name: hour}
    with pytest.raises(InvalidInput) as refusal:
        EmissionWindow(**hours)
    assert said(refusal) == (name, "integer of 0..24")


@pytest.mark.parametrize("field", sorted(EVEN))
@pytest.mark.parametrize(("weight", "reason"), [(1.0, "integer"), (True, "integer"), (-1, "min:0")])
def test_weights_of_a_split(field: str, weight: Any, reason: str) -> None:  # noqa: ANN401
    """A weight is a whole number from 0 on."""
    with pytest.raises(InvalidInput) as refusal:
        split_tokens(1, **{**EVEN, field: weight})
    assert said(refusal) == (field, reason)


def test_an_amount_that_cannot_be_split() -> None:
    """The amount is named too."""
    with pytest.raises(InvalidInput) as refusal:
        split_tokens(-1, **EVEN)
    assert said(refusal) == ("amount", "min:0")


@pytest.mark.parametrize("name", sorted(RANGES))
def test_integer_knobs_of_the_policy(name: str) -> None:
    """The bound that was passed is told, so that the operator knows what would be taken."""
    low, high = RANGES[name]
    for value, reason in ((low - 1, f"min:{low}"), (high + 1, f"max:{high}"), ("5", "integer")):
        changes: dict[str, Any] = {name: value}
        with pytest.raises(InvalidInput) as refusal:
            EconomyPolicy(**changes)
        assert said(refusal) == (name, reason)


@pytest.mark.parametrize(
    ("changes", "field", "reason"),
    [
        ({"rewards": {}}, "rewards", "object"),
        ({"emission_windows": None}, "emission_windows", "object"),
        ({"token_split": 1}, "token_split", "object"),
        ({"daily_cap_aiba_by_arena": []}, "daily_cap_aiba_by_arena", "object"),
        ({"daily_cap_neur_by_arena": "a"}, "daily_cap_neur_by_arena", "object"),
        ({"daily_cap_aiba_by_arena": {1: 1}}, "daily_cap_aiba_by_arena", "text keys"),
        ({"daily_cap_neur_by_arena": {1: 1}}, "daily_cap_neur_by_arena", "text keys"),
        ({"daily_cap_neur_by_arena": {"a": -1}}, "daily_cap_neur_by_arena.a", "min:0"),
        ({"daily_cap_aiba_by_arena": {"a": 0.5}}, "daily_cap_aiba_by_arena.a", "integer"),
        ({"daily_cap_aiba_by_area": {}}, "daily_cap_aiba_by_area", "unknown"),
        ({"version": 1}, "version", "unknown"),
        ({"effective_at": 1}, "effective_at", "unknown"),
    ],
)
def test_other_knobs_of_the_policy(changes: dict[str, Any], field: str, reason: str) -> None:
    """So are the parts that are no single number."""
    with pytest.raises(InvalidInput) as refusal:
        next_version(EconomyPolicy(), changes, 1)
    assert said(refusal) == (field, reason)


@pytest.mark.parametrize("part", ["burn_bps", "treasury_bps", "rewards_bps", "staking_bps"])
@pytest.mark.parametrize("bps", [-1, 10_001, 1.0, True])
def test_parts_of_the_token_split(part: str, bps: Any) -> None:  # noqa: ANN401
    """Each part is basis points; 0 and the whole are."""
    split: dict[str, Any] = {part: bps}
    with pytest.raises(InvalidInput) as refusal:
        EconomyPolicy(token_split=TokenSplit(**split))
    assert said(refusal) == (f"token_split.{part}", "integer of 0..10000")
    for good in (0, 10_000):
        whole: dict[str, Any] = {part: good}
        assert EconomyPolicy(token_split=TokenSplit(**whole)).token_split == TokenSplit(**whole)


@pytest.mark.parametrize(
    ("bonuses", "field", "reason"),
    [
        ({"login_streak_days": 1.0}, "login_streak_days", "integer"),
        ({"win_streak": True}, "win_streak", "integer"),
        ({"invites": "1"}, "invites", "integer"),
        ({"win_streak": MAX_AMOUNT + 1}, "win_streak", f"max:{MAX_AMOUNT}"),
        ({"invites": -MAX_AMOUNT - 1}, "invites", f"max:{MAX_AMOUNT}"),
        ({"premium": 1}, "premium", "boolean"),
        ({"boost": 2}, "boost", "number"),
        ({"boost": -ONE}, "boost", "min:0"),
        ({"boost": Fraction(1_001)}, "boost", "max:1000"),
        ({"boost": Fraction(1, 10**18 + 1)}, "boost", "maxDecimals:18"),
    ],
)
def test_bonuses_of_a_player(bonuses: dict[str, Any], field: str, reason: str) -> None:
    """What a receipt states of a player is checked as strictly."""
    with pytest.raises(InvalidInput) as refusal:
        Bonuses(**bonuses)
    assert said(refusal) == (field, reason)


@pytest.mark.parametrize(
    "bonuses",
    [
        {"win_streak": MAX_AMOUNT},
        {"invites": -MAX_AMOUNT},
        {"boost": Fraction(0)},
        {"boost": Fraction(1_000)},
        {"boost": Fraction(1, 10**18)},
    ],
)
def test_bonuses_up_to_their_ends(bonuses: dict[str, Any]) -> None:
    """The ends of each range are inside."""
    made = Bonuses(**bonuses)
    assert {name: getattr(made, name) for name in bonuses} == bonuses


@pytest.mark.parametrize(
    ("rates", "field", "reason"),
    [
        ({"aiba_per_score": 1.5}, "aiba_per_score", "number"),
        ({"neur_per_score": -1}, "neur_per_score", "min:0"),
        ({"aiba_per_score": 10**9 + 1}, "aiba_per_score", "max:1000000000"),
        ({"premium_multiplier": 1_001}, "premium_multiplier", "max:1000"),
        ({"invite_bonus_bps": 1_000_001}, "invite_bonus_bps", "max:1000000"),
        ({"win_streak_bonus_bps": "x"}, "win_streak_bonus_bps", "number"),
        ({"stars_per_win": 10**12 + 1}, "stars_per_win", "max:1000000000000"),
        ({"diamonds_first_win": -1}, "diamonds_first_win", "min:0"),
    ],
)
def test_rates_of_the_policy(rates: dict[str, Any], field: str, reason: str) -> None:
    """A rate, a multiplier, a share and a grant have a bound each."""
    with pytest.raises(InvalidInput) as refusal:
        RewardRates(**rates)
    assert said(refusal) == (field, reason)


@pytest.mark.parametrize(
    "rates",
    [
        {"aiba_per_score": Fraction(10**9)},
        {"premium_multiplier": Fraction(1_000)},
        {"invite_bonus_bps": Fraction(1_000_000)},
        {"stars_per_win": 10**12},
    ],
)
def test_rates_up_to_their_ends(rates: dict[str, Any]) -> None:
    """The ends of each range are inside."""
    made = RewardRates(**rates)
    assert {name: getattr(made, name) for name in rates} == rates


def test_a_reward_that_is_no_amount_names_its_currency() -> None:
    """The largest amount is paid; one more is refused, AIBA before NEUR."""
    rates = RewardRates(aiba_per_score=1, neur_per_score=1)  # type: ignore[arg-type]
    most = propose(MAX_AMOUNT, rates, ONE, ONE, None)
    assert (most.aiba, most.neur) == (MAX_AMOUNT, MAX_AMOUNT)
    for aiba, neur, field in ((ONE, ONE, "aiba"), (ONE, 0 * ONE, "aiba"), (0 * ONE, ONE, "neur")):
        with pytest.raises(InvalidInput) as refusal:
            propose(MAX_AMOUNT + 1, rates, aiba, neur, None)
        assert said(refusal) == (field, f"max:{MAX_AMOUNT}")
    with pytest.raises(InvalidInput) as refusal:
        propose(MAX_AMOUNT, rates, ONE, 2 * ONE, None)
    assert said(refusal) == ("neur", f"max:{MAX_AMOUNT}")


def test_rates_that_pay_otherwise_are_told_apart_as_keys() -> None:
    """A hash that is the same for all would turn every cache of rates into a list."""
    found = {hash(RewardRates(aiba_per_score=Fraction(rate))) for rate in range(100)}
    found |= {hash(RewardRates(neur_per_score=Fraction(rate))) for rate in range(100)}
    assert len(found) > 150


def test_stars_and_diamonds_have_no_caps() -> None:
    """A day emits as much of them as is won, whatever the caps of AIBA and NEUR."""
    policy = EconomyPolicy(
        daily_cap_aiba=1,
        daily_cap_neur=2,
        daily_cap_aiba_by_arena={"a": 3},
        daily_cap_neur_by_arena={"a": 4},
    )
    caps = [policy.daily_cap(currency) for currency in Currency]
    assert dict(zip(Currency, caps, strict=True)) == {
        Currency.AIBA: 1,
        Currency.NEUR: 2,
        Currency.STARS: None,
        Currency.DIAMONDS: None,
    }
    by_arena = [dict(policy.daily_cap_by_arena(currency)) for currency in Currency]
    assert by_arena == [{"a": 3}, {"a": 4}, {}, {}]


def posting(**fields: Any) -> Posting:
    """Return a posting that is sound but for `fields`."""
    usual: dict[str, Any] = {
        "currency": Currency.AIBA,
        "amount": 1,
        "debit": "chain",
        "credit": "player:1",
        "reason": "r",
        "arena": "a",
        "league": "l",
        "source_type": "s",
        "source_id": "i",
    }
    return Posting(**{**usual, **fields})


@pytest.mark.parametrize(
    ("fields", "evidence"),
    [
        ({"amount": 0}, f"posting amount 0 is not in 1..{MAX_AMOUNT}"),
        ({"amount": MAX_AMOUNT + 1}, f"posting amount {MAX_AMOUNT + 1} is not in 1..{MAX_AMOUNT}"),
        ({"amount": True}, f"posting amount True is not in 1..{MAX_AMOUNT}"),
        ({"amount": 1.0}, f"posting amount 1.0 is not in 1..{MAX_AMOUNT}"),
        ({"debit": "player:1"}, "posting from player:1 to itself"),
        ({"debit": "play:1"}, "unknown account 'play:1'"),
        ({"credit": ""}, "unknown account ''"),
    ],
)
def test_a_posting_that_breaks_the_ledger_leaves_evidence(
    fields: dict[str, Any], evidence: str
) -> None:
    """Whoever looks at the stopped service sees what was about to be posted."""
    with pytest.raises(InvariantViolation) as broken:
        posting(**fields)
    assert str(broken.value) == evidence


def test_the_largest_posting_is_one() -> None:
    """Both ends of the range are postings."""
    assert [posting(amount=amount).amount for amount in (1, MAX_AMOUNT)] == [1, MAX_AMOUNT]


@pytest.mark.parametrize(
    "account", ["player:1", "guild:1", "treasury", "reserve", "claims", "sink:d"]
)
def test_an_account_that_would_owe_leaves_evidence(account: str) -> None:
    """So does a balance that a rule let through."""
    check_balance(account, Currency.AIBA, 0)
    with pytest.raises(InvariantViolation) as broken:
        check_balance(account, Currency.AIBA, -1)
    assert str(broken.value) == f"{account} would hold -1 AIBA"


@pytest.mark.parametrize("balance", [MAX_AMOUNT, -MAX_AMOUNT])
def test_a_balance_outside_64_bits_leaves_evidence(balance: int) -> None:
    """A source may owe as much as any account may hold, and no unit more."""
    check_balance("chain", Currency.NEUR, balance)
    beyond = balance + (1 if balance > 0 else -1)
    with pytest.raises(InvariantViolation) as broken:
        check_balance("chain", Currency.NEUR, beyond)
    assert str(broken.value) == f"chain would hold {beyond} NEUR, outside 64 bits"
    held = {("chain", Currency.AIBA): -MAX_AMOUNT}
    with pytest.raises(InvariantViolation, match=" AIBA, outside 64 bits"):
        post(held, [posting()])


def test_windows_by_default_never_close() -> None:
    """A policy that says nothing of hours emits at all of them."""
    usual = EmissionWindows()
    assert usual.window_for("a", "l") == EmissionWindow(start_hour=0, end_hour=24)
    assert dict(usual.overrides) == {}
