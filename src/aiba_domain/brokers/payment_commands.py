"""The command that buys a broker for TON: payment, broker and listing, all or nothing.

The payment's hash is the key. Its use is kept with the payer for ever, so the same hash gives the
first answer again to the one it served, and nothing to anybody else. A refusal is not remembered:
what is wrong with a payment today (the wallet isn't bound yet, the chain doesn't show it yet) may
be right tomorrow, and nobody shall lose their TON to an early request.
"""

from dataclasses import dataclass, field, replace

from aiba_domain.application.handler import OBSERVED, Handler
from aiba_domain.brokers.listing import Listing, ListingState
from aiba_domain.brokers.model import Broker
from aiba_domain.decision import Accepted, Command, Context, Refused
from aiba_domain.errors import InvariantViolation
from aiba_domain.ids import derive_id
from aiba_domain.payments.judgement import judge
from aiba_domain.payments.model import (
    Demand,
    IncomingPayment,
    Purpose,
    UsedPayment,
    order_comment,
)
from aiba_domain.ports import Reader

_PURPOSE = Purpose.CREATE_BROKER


@dataclass(frozen=True, slots=True, kw_only=True)
class BoughtBrokerReply:
    """The broker as it was made, and the listing that was made for it."""

    broker: Broker
    listing: Listing


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateBrokerWithTon(Command[BoughtBrokerReply]):
    """Ask for a new broker, paid for by the transaction `tx_hash` (64 lower-case hex digits).

    `payment` is what the chain holds of it, None if it holds none; `destination` is the wallet that
    such payments go to, on `network`.
    """

    tx_hash: str
    destination: str = field(metadata=OBSERVED)
    network: int = field(metadata=OBSERVED)
    payment: IncomingPayment | None = field(metadata=OBSERVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Till:
    """What the command loads: how the payment was used before, and the listing made then."""

    use: UsedPayment | None
    listing: Listing | None


async def load_till(command: CreateBrokerWithTon, _context: Context, read: Reader) -> Till:
    """Load the payment's use."""
    use = await read.payment_use(command.tx_hash)
    listing = await read.listing(_listing_id(command.tx_hash)) if use else None
    return Till(use=use, listing=listing)


def decide_creation(
    state: Till, command: CreateBrokerWithTon, context: Context
) -> Accepted[BoughtBrokerReply] | Refused:
    """Use the payment up for a broker and its listing, or give the first answer again."""
    if state.use is not None:
        return _again(state.use, state.listing, context)
    player = context.acting_player()
    demand = Demand(
        network=command.network,
        destination=command.destination,
        price_nano=context.policy.create_broker_cost_ton_nano,
        wallet=player.wallet,
        comment=order_comment(_PURPOSE, player.id),
    )
    verdict = judge(command.payment, demand, context.now)
    if isinstance(verdict, Refused):
        return verdict
    if verdict.payment.hash != command.tx_hash:
        raise InvariantViolation(f"asked for {command.tx_hash}, given {verdict.payment.hash}")
    use = UsedPayment(hash=command.tx_hash, purpose=_PURPOSE, player_id=player.id, at=context.now)
    broker = _new_broker(use)
    # Not agreed to by the owner, so nobody can buy it: the default price is below what it cost.
    listing = Listing(
        id=_listing_id(use.hash),
        broker_id=broker.id,
        seller_id=player.id,
        price_aiba=context.policy.marketplace_default_new_broker_price_aiba,
        created_at=context.now,
    )
    return Accepted(
        reply=BoughtBrokerReply(broker=broker, listing=listing),
        changed=(player.seen(None, context.now), broker, listing, use),
    )


def _again(
    use: UsedPayment, listing: Listing | None, context: Context
) -> Accepted[BoughtBrokerReply] | Refused:
    """Give the first answer again to the player it was given to, and nobody's things to others."""
    if use.purpose is not _PURPOSE or use.player_id != context.principal.id:
        return Refused(code="txHash already used")
    if listing is None:
        raise InvariantViolation(f"payment {use.hash} was used without its listing")
    first = replace(listing, state=ListingState.ACTIVE, agreed_at=None)
    return Accepted(reply=BoughtBrokerReply(broker=_new_broker(use), listing=first))


def _new_broker(use: UsedPayment) -> Broker:
    """Return the broker as a payment made it, a function of the payment's use alone."""
    return Broker(
        id=derive_id("broker", _PURPOSE, use.hash),
        owner_id=use.player_id,
        created_at=use.at,
        updated_at=use.at,
        energy_updated_at=use.at,
        created_with_ton_tx_hash=use.hash,
    )


def _listing_id(tx_hash: str) -> str:
    return derive_id("listing", _PURPOSE, tx_hash)


HANDLERS = (
    Handler(
        name="broker.create_with_ton",
        command=CreateBrokerWithTon,
        reply=BoughtBrokerReply,
        load=load_till,
        decide=decide_creation,
        keyed=False,
    ),
)
"""The handlers of this area's commands."""
