"""The rules by which amounts, ids, settings and claims of the service before are read."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiba_domain.battle.modes import GameMode
from aiba_domain.claims.claim import ClaimState, verdict
from aiba_domain.economy.ledger import net_effects
from aiba_domain.economy.policy import RANGES, EconomyPolicy
from aiba_domain.errors import InvalidInput
from aiba_domain.legacy import claims, history, people, world
from aiba_domain.legacy import settings as economy
from aiba_domain.legacy.accounts import OPENING
from aiba_domain.legacy.fields import Fields, whole_units
from aiba_domain.legacy.findings import Book, Findings
from aiba_domain.legacy.totals import books_of, money_of
from aiba_domain.legacy.values import (
    Document,
    Moment,
    Oid,
    Plain,
    born,
    decimal_text,
    number,
    object_id,
    telegram_id,
)
from aiba_domain.money import MAX_AMOUNT, Currency

AIBA = Currency.AIBA
NUMBERS: st.SearchStrategy[int | float | Decimal] = (
    st.integers(-(2**70), 2**70)
    | st.floats()
    | st.decimals(allow_nan=True, allow_infinity=True, places=6)
    | st.sampled_from([Decimal("1E+6000"), Decimal("-1E-6000"), Decimal("1E+300")])
    | st.just(5e-324)
)
ANYTHING: st.SearchStrategy[Plain] = NUMBERS | st.none() | st.booleans() | st.text(max_size=8)


@given(value=st.fractions(max_denominator=1).map(Fraction) | st.floats(-1e9, 1e9).map(Fraction))
def test_a_number_is_written_in_full(value: Fraction) -> None:
    """Its text is the number itself, so a report loses no digit."""
    assert Fraction(decimal_text(value)) == value


@given(value=NUMBERS)
def test_no_unit_is_lost_or_made_by_rounding(value: float | Decimal) -> None:
    """Whole units and what is listed as correction come to the exact amount, debts included."""
    found = Findings()
    row = Fields("users", {"aibaBalance": value}, found)
    exact = row.money("aibaBalance", Book.PLAYERS, AIBA)
    units = whole_units(exact, Book.PLAYERS, AIBA, found, "x")
    assert abs(units) <= MAX_AMOUNT
    assert units + sum(found.corrections.values()) == (number(value) or 0)
    assert all(code in found.tallies for _, _, code in found.corrections)
    assert all(Fraction(decimal_text(each)) == each for each in found.corrections.values())


@settings(max_examples=40)
@given(users=st.lists(st.fixed_dictionaries(dict.fromkeys(people.BALANCES, ANYTHING)), min_size=1))
def test_d01_the_rows_of_a_user_open_with_what_they_hold_together(users: list[Document]) -> None:
    """For any values: the source's sum, less the corrections, is what the books say here."""
    found = Findings()
    rows = [{**user, "telegramId": "7", "pendingAIBA": 3} for user in users]
    draft = people.opened("7", rows, found)
    source: dict[tuple[Book, str], Fraction] = {}
    for row in rows:
        for book, currency, amount in money_of(people.USERS, row):
            source[book, currency] = source.get((book, currency), Fraction(0)) + amount
    for (book, currency, _), amount in found.corrections.items():
        source[book, currency] -= amount
    effects = net_effects(posting for _, posting in draft.moves)
    here = books_of(effects)
    assert {place: total for place, total in source.items() if total} == {
        place: total for place, total in here.items() if total
    }
    for currency in Currency:
        owed = sum(amount for (_, each), amount in here.items() if each == currency)
        assert effects.get((OPENING, currency), 0) == -owed


@given(value=st.integers(0, 10**12))
def test_an_id_is_the_same_as_text_and_as_number(value: int) -> None:
    """A Telegram id is one id however it was stored; a fraction or a bool is none."""
    assert {telegram_id(value), telegram_id(float(value)), telegram_id(f" {value} ")} == {
        str(value)
    }
    assert telegram_id(value + 0.5) is None or value > 2**51
    assert telegram_id(True) is None  # noqa: FBT003 - a value of a row
    assert telegram_id("  ") is None


def test_an_object_id_tells_when_a_row_was_made() -> None:
    """Only where the row doesn't say it itself; a malformed id tells nothing."""
    own = Oid("65A000000000000000000001")
    assert object_id(own) == "65a000000000000000000001"
    assert born({"_id": own}) == 0x65A00000 * 1_000
    assert born({"_id": own, "createdAt": Moment(5)}) == 5
    assert born({"_id": "user-1", "createdAt": Moment(2**62)}) == 0
    assert object_id("65a0") is None


ROW: Document = {
    "_id": Oid("a" * 24),
    "telegramId": 7,
    "currency": "NEUR",
    "direction": "debit",
    "amount": 12.0,
    "reason": "train",
    "arena": "training",
    "league": "global",
    "sourceType": "broker_train",
    "sourceId": "key:with:colons",
    "applied": True,
}


def test_a_ledger_row_is_read_back_as_it_was() -> None:
    """Its posting tells id, owner, direction, amount, reason and source."""
    posting = history.posting(Fields(history.LEDGER, ROW, Findings()))
    assert posting is not None
    (row,) = history.history([(99, posting)])
    assert (row.id, row.player_id, row.credit, row.amount, row.at) == ("a" * 24, "7", False, 12, 99)
    assert (row.source_type, row.source_id) == ("broker_train", "key:with:colons")
    assert (row.reason, row.arena, row.league) == ("train", "training", "global")


@given(change=st.dictionaries(st.sampled_from(sorted(ROW)), ANYTHING))
def test_any_ledger_row_is_a_posting_or_kept_aside_with_a_reason(change: Document) -> None:
    """No value makes it fail, and none goes without a word."""
    found = Findings()
    if history.posting(Fields(history.LEDGER, {**ROW, **change}, found)) is None:
        assert found.losses


CONFIG = st.dictionaries(st.sampled_from(sorted(economy.TAKEN)), ANYTHING | st.just({"x": 0.5}))


@given(document=CONFIG)
def test_any_settings_are_a_valid_policy(document: Document) -> None:
    """D-57: what is out of range becomes the nearest in range and is told."""
    found = Findings()
    policy = economy.policy(Fields(economy.CONFIG, document, found), EconomyPolicy(), 5)
    assert (policy.version, policy.effective_at) == (2, 5)
    for name, ours in economy.WHOLE.items():
        given_ = number(document.get(name))
        low, high = RANGES[ours]
        if given_ is not None and low <= given_ <= high and given_.denominator == 1:
            assert getattr(policy, ours) == given_


def test_d54_a_configured_zero_is_zero() -> None:
    """Of a mode's multiplier and of a rate."""
    row: Document = {"key": "m", "arena": "prediction", "rewardMultiplierAiba": 0, "rules": {}}
    mode = world.mode(Fields(world.MODES, row, Findings()), "m")
    assert isinstance(mode, GameMode)
    assert mode.reward_multiplier_aiba == 0
    document: Document = {"baseRewardAibaPerScore": 0, "streakMultiplierAt7Days": 1.25}
    policy = economy.policy(Fields(economy.CONFIG, document, Findings()), EconomyPolicy(), 5)
    assert policy.rewards.aiba_per_score == 0
    assert policy.rewards.streak_multiplier_at_7_days == Fraction(5, 4)


VAULT, PAYEE = "0:" + "a" * 64, "0:" + "b" * 64
TOLD = {
    "vaultAddress": VAULT,
    "toAddress": PAYEE,
    "amount": "100",
    "seqno": 3,
    "validUntil": 1_000,
}


def _canonical(text: str) -> str:
    if ":" not in text:
        raise InvalidInput("address", "form")
    return text


def _issued(told: object, **row: Plain) -> claims.Issued | None:
    document: Document = {"_id": Oid("a" * 24), "amount": 100, "meta": {"claim": told}, **row}  # type: ignore[dict-item]
    place = ("7", "aiba_claim", "key")
    return claims.issued(place, document, None, canonical=_canonical, jetton_master=VAULT)


@pytest.mark.parametrize(("last", "state"), [(3, ClaimState.RESERVED), (4, ClaimState.CONFIRMED)])
def test_only_the_last_seqno_of_a_recipient_is_in_flight(last: int, state: ClaimState) -> None:
    """The next one was only issued once the chain had reached the one before."""
    issued = _issued(TOLD)
    assert issued is not None
    claim = claims.claim(issued, last, 50_000)
    assert claim.state is state
    assert claim.id == issued.id
    if claim.seen is not None:
        assert claim.seen.seqno >= claim.terms.seqno
    assert verdict(claim, claim.seen) is None if claim.seen else claim.is_open


@pytest.mark.parametrize(
    "change",
    [
        {"seqno": 0},
        {"seqno": 2**64},
        {"amount": "0"},
        {"amount": "1.5"},
        {"amount": "٣"},
        {"toAddress": "me"},
        {"vaultAddress": None},
        {"validUntil": 2**32},
        {"validUntil": float("nan")},
    ],
)
def test_terms_that_no_vault_pays_make_no_claim(change: dict[str, object]) -> None:
    """Its money is held instead, which the plan does."""
    assert _issued({**TOLD, **change}) is None
    assert _issued(TOLD) is not None


@given(told=st.dictionaries(st.sampled_from([*TOLD, "signatureBase64"]), ANYTHING) | ANYTHING)
def test_whatever_stands_for_a_claim_is_judged(told: object) -> None:
    """No value makes the reading fail."""
    issued = _issued(told)
    assert issued is None or issued.terms.amount >= 1
