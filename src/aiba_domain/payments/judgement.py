"""Whether a payment pays for an order: the one rule for all that is sold for TON."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aiba_domain.decision import Refused
from aiba_domain.payments.model import Demand, IncomingPayment

NOT_VERIFIED: Final = "TON payment verification failed"
"""The refusal of a payment; its detail `reason` says which demand it doesn't meet."""

_MS: Final = 1_000


class Binding(StrEnum):
    """What makes a payment the player's own."""

    WALLET = "wallet"
    COMMENT = "comment"


class Fault(StrEnum):
    """Why a payment doesn't pay."""

    NOT_FOUND = "not_found"
    NETWORK = "network"
    DESTINATION = "destination"
    BOUNCED = "bounced"
    AMOUNT = "amount"
    SENDER = "sender"
    AGE = "age"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A payment that pays, and by what it is the player's."""

    payment: IncomingPayment
    by: Binding


def unverified(fault: Fault, **facts: str | int) -> Refused:
    """Return the refusal of a payment with its reason."""
    return Refused(code=NOT_VERIFIED, details={"reason": fault.value, **facts})


def judge(payment: IncomingPayment | None, demand: Demand, now: int) -> Verified | Refused:
    """Say whether a payment meets a demand at `now` (ms, UTC), or which part of it it doesn't.

    An aborted transaction is no fault: to a wallet without code the money comes all the same. What
    counts is whether it was sent back. A payment of the future is taken, since chain time may run
    ahead of ours. Nothing of a refusal is final: a wallet may yet be bound, a price lowered.
    """
    if payment is None:
        return unverified(Fault.NOT_FOUND)
    refusal = next(_faults(payment, demand, now), None)
    if refusal is not None:
        return refusal
    if payment.source == demand.wallet:
        return Verified(payment=payment, by=Binding.WALLET)
    if payment.comment.strip() == demand.comment:
        return Verified(payment=payment, by=Binding.COMMENT)
    return unverified(Fault.SENDER, comment=demand.comment)


def _faults(payment: IncomingPayment, demand: Demand, now: int) -> Iterator[Refused]:
    if payment.network != demand.network:
        yield unverified(Fault.NETWORK)
    if payment.destination != demand.destination:
        yield unverified(Fault.DESTINATION, need=demand.destination)
    if payment.is_bounced:
        yield unverified(Fault.BOUNCED)
    if payment.value_nano < demand.price_nano:
        need, have = str(demand.price_nano), str(payment.value_nano)
        yield unverified(Fault.AMOUNT, needTonNano=need, haveTonNano=have)
    if now - payment.time_s * _MS > demand.max_age_s * _MS:
        yield unverified(Fault.AGE, maxAgeSeconds=demand.max_age_s)
