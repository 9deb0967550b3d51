"""The commands on brokers: get the starter, train, repair, upgrade, combine."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from aiba_domain.application.handler import Handler, nothing
from aiba_domain.brokers.listing import Listing
from aiba_domain.brokers.model import MAX_STAT, Broker, Stat
from aiba_domain.decision import Accepted, Command, Context, Record, Refused
from aiba_domain.economy.ledger import player_account
from aiba_domain.economy.spending import Payment, Price, pay, unaffordable
from aiba_domain.ids import derive_id
from aiba_domain.money import Currency
from aiba_domain.players.model import Player
from aiba_domain.ports import Reader

TRAIN_GAIN, TRAIN_XP = 1, 5
UPGRADE_GAIN, UPGRADE_XP = 2, 10
COMBINE_XP = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerReply:
    """A broker after a command, and the player's balance of the currency that was spent."""

    broker: Broker
    currency: Currency | None = None
    balance: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GetStarter(Command[BrokerReply]):
    """Ask for the free broker that every player gets once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Train(Command[BrokerReply]):
    """Pay NEUR for one more point of a stat."""

    broker_id: str
    stat: Stat


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair(Command[BrokerReply]):
    """Pay NEUR for full energy and no cooldowns."""

    broker_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Upgrade(Command[BrokerReply]):
    """Pay AIBA for a level and two points of a stat."""

    broker_id: str
    stat: Stat


@dataclass(frozen=True, slots=True, kw_only=True)
class Combine(Command[BrokerReply]):
    """Pay NEUR to merge one broker into another; the sacrificed one is gone."""

    base_broker_id: str
    sacrifice_broker_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Workshop:
    """What the commands on brokers load: the brokers in the order named, and the balances.

    `listing` is that of a broker which would be gone afterwards.
    """

    brokers: tuple[Broker | None, ...]
    balances: Mapping[Currency, int]
    listing: Listing | None = None


async def load_one(command: Train | Repair | Upgrade, context: Context, read: Reader) -> Workshop:
    """Load the broker and the player's balances."""
    broker = await read.broker(command.broker_id)
    balances = await read.balances(player_account(context.principal.id))
    return Workshop(brokers=(broker,), balances=balances)


async def load_pair(command: Combine, context: Context, read: Reader) -> Workshop:
    """Load both brokers, the player's balances, and whether the second is listed."""
    base = await read.broker(command.base_broker_id)
    sacrifice = await read.broker(command.sacrifice_broker_id)
    balances = await read.balances(player_account(context.principal.id))
    listing = await read.listing_of(command.sacrifice_broker_id)
    return Workshop(brokers=(base, sacrifice), balances=balances, listing=listing)


def usable(broker: Broker | None, context: Context, *, name: str = "broker") -> Broker | Refused:
    """Return the broker if the acting player may use it now, else the refusal."""
    if broker is None:
        return Refused(code=f"{name} not found")
    if broker.owner_id != context.principal.id:
        return Refused(code="not your broker")
    if broker.ban is not None and broker.ban.holds(context.now):
        return Refused(code="broker banned", details={"reason": broker.ban.reason})
    return broker


def decide_starter(
    _state: None, _command: GetStarter, context: Context
) -> Accepted[BrokerReply] | Refused:
    """Grant the starter broker unless the player has had one."""
    player = context.acting_player()
    if player.starter_broker_id is not None:
        details = {"brokerId": player.starter_broker_id}
        return Refused(code="starter already granted", details=details)
    broker = Broker(
        id=derive_id("starter", player.id),
        owner_id=player.id,
        created_at=context.now,
        updated_at=context.now,
        energy_updated_at=context.now,
    )
    player = replace(player, starter_broker_id=broker.id).seen(None, context.now)
    return Accepted(reply=BrokerReply(broker=broker), changed=(player, broker))


def _price(currency: Currency, amount: int, reason: str, arena: str) -> Price:
    """Return a price of this area, as the ledger names its payment."""
    return Price(
        currency=currency,
        amount=amount,
        reason=reason,
        arena=arena,
        source_type=f"broker_{reason}",
    )


def decide_train(
    state: Workshop, command: Train, context: Context
) -> Accepted[BrokerReply] | Refused:
    """Raise a stat by one; one at its maximum is refused, so that no fee buys nothing."""
    broker = usable(state.brokers[0], context)
    if isinstance(broker, Refused):
        return broker
    if broker.stat(command.stat) >= MAX_STAT:
        return Refused(code="stat at maximum", details={"stat": command.stat, "max": MAX_STAT})
    after = broker.trained(command.stat, TRAIN_GAIN, xp=TRAIN_XP, levels=0, now=context.now)
    price = _price(Currency.NEUR, context.policy.train_neur_cost, "train", "training")
    return _paid(after, price, state, context)


def decide_repair(
    state: Workshop, _command: Repair, context: Context
) -> Accepted[BrokerReply] | Refused:
    """Fill the energy to the policy's maximum and clear every cooldown."""
    broker = usable(state.brokers[0], context)
    if isinstance(broker, Refused):
        return broker
    after = replace(
        broker,
        energy=context.policy.battle_max_energy,
        energy_updated_at=context.now,
        cooldowns={},
        updated_at=context.now,
    )
    price = _price(Currency.NEUR, context.policy.repair_neur_cost, "repair", "repairs")
    return _paid(after, price, state, context)


def decide_upgrade(
    state: Workshop, command: Upgrade, context: Context
) -> Accepted[BrokerReply] | Refused:
    """Raise the level by one and a stat by two, at most to its maximum."""
    broker = usable(state.brokers[0], context)
    if isinstance(broker, Refused):
        return broker
    after = broker.trained(command.stat, UPGRADE_GAIN, xp=UPGRADE_XP, levels=1, now=context.now)
    price = _price(Currency.AIBA, context.policy.upgrade_aiba_cost, "upgrade", "upgrades")
    return _paid(after, price, state, context)


def decide_combine(
    state: Workshop, command: Combine, context: Context
) -> Accepted[BrokerReply] | Refused:
    """Average the stats of two brokers, half rounded up, into the first; drop the second.

    A listing of the second is cancelled: nobody shall find an offer of what is gone.
    """
    if command.base_broker_id == command.sacrifice_broker_id:
        return Refused(code="base and sacrifice must be different brokers")
    base = usable(state.brokers[0], context, name="base broker")
    if isinstance(base, Refused):
        return base
    sacrifice = usable(state.brokers[1], context, name="sacrifice broker")
    if isinstance(sacrifice, Refused):
        return sacrifice
    if sacrifice.guild_id is not None:
        return Refused(code="withdraw broker from guild first")
    after = replace(
        base,
        intelligence=(base.intelligence + sacrifice.intelligence + 1) // 2,
        speed=(base.speed + sacrifice.speed + 1) // 2,
        risk=(base.risk + sacrifice.risk + 1) // 2,
        xp=base.xp + sacrifice.xp + COMBINE_XP,
        updated_at=context.now,
    )
    price = _price(Currency.NEUR, context.policy.combine_neur_cost, "combine", "combine")
    cancelled = () if state.listing is None else (state.listing.cancelled(),)
    return _paid(after, price, state, context, changed=cancelled, removed=(sacrifice,))


def _paid(
    broker: Broker,
    price: Price,
    state: Workshop,
    context: Context,
    *,
    changed: tuple[Record, ...] = (),
    removed: tuple[Record, ...] = (),
) -> Accepted[BrokerReply] | Refused:
    """Take the price for the changed broker, or refuse."""
    if refusal := unaffordable(price, state.balances):
        return refusal
    payment: Payment = pay(context.acting_player(), price, context)
    player: Player = payment.player.seen(None, context.now)
    balance = state.balances.get(price.currency, 0) - price.amount
    return Accepted(
        reply=BrokerReply(broker=broker, currency=price.currency, balance=balance),
        postings=payment.postings,
        changed=(player, broker, *changed),
        removed=removed,
        events=payment.events,
    )


HANDLERS = (
    Handler(
        name="broker.starter",
        command=GetStarter,
        reply=BrokerReply,
        load=nothing,
        decide=decide_starter,
        keyed=False,
    ),
    Handler(
        name="broker.train",
        command=Train,
        reply=BrokerReply,
        load=load_one,
        decide=decide_train,
    ),
    Handler(
        name="broker.repair",
        command=Repair,
        reply=BrokerReply,
        load=load_one,
        decide=decide_repair,
    ),
    Handler(
        name="broker.upgrade",
        command=Upgrade,
        reply=BrokerReply,
        load=load_one,
        decide=decide_upgrade,
    ),
    Handler(
        name="broker.combine",
        command=Combine,
        reply=BrokerReply,
        load=load_pair,
        decide=decide_combine,
    ),
)
"""The handlers of this area's commands."""
