"""Spending, field by field: what is posted, what is told, and what counts for the combo."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.decision import Context, Principal, Refused
from aiba_domain.economy.ledger import Posting
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.economy.spending import Payment, Price, pay, unaffordable
from aiba_domain.events import MoneySpent
from aiba_domain.money import Currency
from aiba_domain.players.model import Player, new_player
from aiba_domain.testing.doubles import NOON

TODAY, YESTERDAY = "2026-01-01", "2025-12-31"


def price(currency: Currency, amount: int, **fields: Any) -> Price:
    """Return a price of an arena of its own."""
    usual: dict[str, Any] = {"reason": "entry", "arena": "ring", "source_type": "battle"}
    return Price(currency=currency, amount=amount, **{**usual, **fields})


def paid(player: Player, cost: Price) -> Payment:
    """Pay at noon, with a key."""
    context = Context(
        principal=Principal(id=player.id),
        player=player,
        policy=EconomyPolicy(),
        now=NOON,
        key="key-1",
    )
    return pay(player, cost, context)


@pytest.mark.parametrize("currency", list(Currency))
@pytest.mark.parametrize("league", ["global", "pro"])
@given(amount=st.integers(1, 10**12))
def test_a_price_goes_into_the_sink_of_its_day_and_is_told(
    currency: Currency, league: str, amount: int
) -> None:
    """The ledger and the event name the same money."""
    payment = paid(new_player("7", None, 1), price(currency, amount, league=league))
    assert payment.postings == (
        Posting(
            currency=currency,
            amount=amount,
            debit="player:7",
            credit=f"sink:{TODAY}:entry:ring",
            reason="entry",
            arena="ring",
            league=league,
            source_type="battle",
            source_id="key-1",
        ),
    )
    assert payment.events == (
        MoneySpent(currency=currency, amount=amount, reason="entry", arena="ring", league=league),
    )


@pytest.mark.parametrize(("day", "before"), [(TODAY, 40), (YESTERDAY, 0), ("", 0)])
@given(amount=st.integers(1, 10**12))
def test_aiba_counts_for_the_combo_of_its_day_alone(day: str, before: int, amount: int) -> None:
    """Today's spending adds up; that of another day is forgotten; nothing else changes."""
    player = replace(new_player("7", None, 1), combo_spent_aiba=40, combo_spent_day=day)
    after = paid(player, price(Currency.AIBA, amount)).player
    assert after == replace(player, combo_spent_aiba=before + amount, combo_spent_day=TODAY)


@pytest.mark.parametrize("currency", [Currency.NEUR, Currency.STARS, Currency.DIAMONDS])
def test_other_currencies_count_for_no_combo(currency: Currency) -> None:
    """The player is as before."""
    player = replace(new_player("7", None, 1), combo_spent_aiba=40, combo_spent_day=TODAY)
    assert paid(player, price(currency, 9)).player == player


@pytest.mark.parametrize("currency", list(Currency))
def test_what_costs_nothing_posts_and_tells_nothing(currency: Currency) -> None:
    """A price of 0 is no payment."""
    player = new_player("7", None, 1)
    assert paid(player, price(currency, 0)) == Payment(player=player, postings=(), events=())


@given(st.sampled_from(list(Currency)), st.integers(0, 100), st.integers(0, 100))
def test_a_price_is_affordable_up_to_the_last_unit(
    currency: Currency, have: int, need: int
) -> None:
    """The refusal names the currency and both numbers; what another currency holds is no help."""
    others = {other: 10**6 for other in Currency if other is not currency}
    refusal = Refused(code=f"insufficient {currency.value}", details={"need": need, "have": have})
    found = unaffordable(price(currency, need), {**others, currency: have})
    assert found == (refusal if have < need else None)
    absent = unaffordable(price(currency, 1), others)
    assert absent is not None
    assert absent.details == {"need": 1, "have": 0}
