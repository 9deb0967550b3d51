"""Whether a payment pays: bound to the payer, to the order, and to the moment."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from aiba_domain.decision import Refused
from aiba_domain.payments.judgement import NOT_VERIFIED, Binding, Fault, Verified, judge
from aiba_domain.payments.model import MAX_AGE_S, Demand, IncomingPayment
from aiba_domain.testing.strategies import incoming_payments

NOW = 1_767_268_800_000
TON = 10**9
DEMAND = Demand(
    network=-239,
    destination="0:" + "d" * 64,
    price_nano=TON,
    wallet="0:" + "a" * 64,
    comment="aiba:create-broker:7",
)
GOOD = IncomingPayment(
    hash="f" * 64,
    network=-239,
    source=DEMAND.wallet,
    destination=DEMAND.destination,
    value_nano=TON,
    comment="",
    is_bounced=False,
    time_s=NOW // 1_000,
)
STRANGER = "0:" + "b" * 64


def reason(payment: IncomingPayment | None, demand: Demand = DEMAND, now: int = NOW) -> object:
    """Return why a payment doesn't pay, or by what it is the player's."""
    verdict = judge(payment, demand, now)
    if isinstance(verdict, Verified):
        return verdict.by
    assert verdict.code == NOT_VERIFIED
    return verdict.details["reason"]


def test_a_payment_from_the_proven_wallet_pays() -> None:
    """Whatever it says."""
    assert reason(GOOD) is Binding.WALLET
    assert reason(replace(GOOD, comment="hello")) is Binding.WALLET


def test_a_payment_with_the_orders_comment_pays_from_any_wallet() -> None:
    """Blanks around the comment are a wallet's, not the payer's."""
    other = replace(GOOD, source=STRANGER)
    assert reason(replace(other, comment=DEMAND.comment)) is Binding.COMMENT
    assert reason(replace(other, comment=f" {DEMAND.comment}\n")) is Binding.COMMENT


def test_d14_a_strangers_payment_pays_for_nobody_else() -> None:
    """Seen on the chain, fresh and large enough: it is still the stranger's."""
    stranger = replace(GOOD, source=STRANGER)
    assert reason(stranger) == Fault.SENDER
    assert reason(replace(stranger, comment="aiba:create-broker:8")) == Fault.SENDER
    assert reason(replace(stranger, comment="aiba:gift:7")) == Fault.SENDER


@pytest.mark.parametrize("wallet", ["", STRANGER])
def test_d14_a_wallet_that_is_not_the_payers_binds_nothing(wallet: str) -> None:
    """Nor does having none."""
    assert reason(GOOD, replace(DEMAND, wallet=wallet)) == Fault.SENDER
    assert reason(replace(GOOD, source=""), replace(DEMAND, wallet=wallet)) != Binding.COMMENT


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"network": -3}, Fault.NETWORK),
        ({"destination": STRANGER}, Fault.DESTINATION),
        ({"destination": DEMAND.destination.replace("0:", "-1:")}, Fault.DESTINATION),
        ({"is_bounced": True}, Fault.BOUNCED),
        ({"value_nano": TON - 1}, Fault.AMOUNT),
        ({"value_nano": 0}, Fault.AMOUNT),
        ({"time_s": NOW // 1_000 - MAX_AGE_S - 1}, Fault.AGE),
        ({"time_s": 0}, Fault.AGE),
    ],
)
def test_d14_each_demand_is_checked_and_named(change: dict[str, Any], fault: Fault) -> None:
    """Network, destination, success, amount and age: none makes up for another."""
    assert reason(replace(GOOD, **change)) == fault
    assert reason(replace(GOOD, **change, comment=DEMAND.comment)) == fault


def test_the_limits_belong_to_what_pays() -> None:
    """To the nanoTON and to the second; more is fine, and so is chain time ahead of ours."""
    assert reason(replace(GOOD, time_s=NOW // 1_000 - MAX_AGE_S)) is Binding.WALLET
    assert reason(replace(GOOD, time_s=NOW // 1_000 + 10**6)) is Binding.WALLET
    assert reason(replace(GOOD, value_nano=2**120 - 1)) is Binding.WALLET


def test_a_payment_that_is_not_there_is_refused_by_that_name() -> None:
    """It may come yet."""
    assert reason(None) == Fault.NOT_FOUND


@given(payment=incoming_payments())
def test_d14_only_what_meets_every_demand_pays(payment: IncomingPayment) -> None:
    """Judged once more in one expression."""
    demand = replace(DEMAND, destination=payment.destination, wallet=payment.source)
    verdict = judge(payment, demand, NOW)
    meets = (
        payment.network == demand.network
        and payment.value_nano >= demand.price_nano
        and not payment.is_bounced
        and payment.time_s >= NOW // 1_000 - demand.max_age_s
    )
    assert isinstance(verdict, Verified) == meets
    assert isinstance(verdict, Refused) != meets
