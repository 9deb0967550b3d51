"""What can happen in a step, and how often. Each step asks its own dice: any can be left out."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from aiba_domain.claims.claim import EXPIRY_MARGIN_S
from aiba_domain.claims.ports import SignerUnavailable
from aiba_domain.errors import DomainError
from aiba_domain.instants import DAY, HOUR
from aiba_domain.moderation.commands import BanBroker, BanPlayer, UnbanBroker, UnbanPlayer
from aiba_domain.ports import Unavailable
from aiba_domain.signing.ports import ProtectionUnavailable
from aiba_domain.testing.faults import Crash
from aiba_domain.testing.simulation import cast
from aiba_domain.testing.simulation.clients import Client, Manner, Order, other_body
from aiba_domain.testing.simulation.dice import Dice, Table
from aiba_domain.testing.simulation.scheduler import Lost, Trouble, Waiting
from aiba_domain.testing.simulation.site import Ask
from aiba_domain.testing.simulation.world import SERVERS, Happening, World, name_of

_POINTS_OF_A_UNIT: Final = 24
_TWO_BODIES: Final = ("battle", "claim", "combine", "repair", "train", "upgrade")
_SKEWS: Final = (-2 * HOUR, -61_000, -3_000, 0, 0, 0, 0, 3_000, 61_000, 2 * HOUR)


async def somebody_acts(world: World) -> None:
    """A client asks for something new."""
    client = _somebody(world)
    await _keep_session(world, client)
    ask = client.next_ask(world.dice, f"{client.player}-{world.number}")
    await _send(world, client.order(ask))


async def somebody_asks_again(world: World) -> None:
    """A client sends a request once more, whether it was answered or not."""
    client = _somebody(world)
    order = client.recent(world.dice)
    if order is not None:
        await _keep_session(world, client)
        await _send(world, order)


async def somebody_rushes(world: World) -> None:
    """A client sends several requests at one moment: one many times, or battles of one broker."""
    client, dice = _somebody(world), world.dice
    await _keep_session(world, client)
    key = f"{client.player}-{world.number}"
    order = client.order(client.next_ask(dice, key))
    is_race = dice.chance(500)
    for number in range(dice.between(2, 4)):
        if is_race and number:
            order = client.order(client.battle(dice, f"{key}-{number}"))
        await world.gate.spawn(name_of(order.ask), _awaited(world, order))


async def somebody_cheats(world: World) -> None:
    """A hostile client tries what must not work, and it doesn't."""
    hostile = [each for each in world.clients.values() if each.manner is Manner.HOSTILE]
    client = world.dice.pick(hostile or list(world.clients.values()))
    await _keep_session(world, client)
    await world.dice.pick(_CHEATS)(world, client)


async def _forge(world: World, client: Client) -> None:
    """Open a session with forged launch data, and act with a forged token."""
    proof = world.forge(client)
    for ask in (
        Ask(player=client.player, kind="session", proof=proof),
        Ask(player=client.player, kind="daily", proof=proof),
        Ask(player=client.player, kind="me"),
    ):
        told = await world.at_once(ask)
        assert told is None or not told.is_ok, f"{ask} was believed"


async def _reuse(world: World, client: Client) -> None:
    """Send something else under a key that was used."""
    mine = [each for each in client.orders[-20:] if each.ask.kind in _TWO_BODIES]
    if mine:
        ask = world.dice.pick(mine).ask
        await _send(world, client.order(replace(ask, body=other_body(ask, world.dice))))


async def _take(world: World, client: Client) -> None:
    """Use another player's broker, under a key of that player."""
    other = world.dice.pick([each for each in world.clients.values() if each is not client])
    order = other.recent(world.dice)
    key = order.ask.key if order else None
    if key is None or any(each.ask.key == key for each in client.orders):
        return
    body = {"brokerId": other.brokers[0], "modeKey": "free"}
    ask = Ask(player=client.player, kind="battle", body=body, key=key, proof=client.token)
    await _send(world, client.order(ask))


async def _forget_the_key(world: World, client: Client) -> None:
    """Ask for what costs money without a key."""
    ask = replace(client.battle(world.dice, ""), key=None)
    told = await world.at_once(ask)
    assert told is None or not told.is_ok, f"{ask} needs no key"


async def _overdraw(world: World, client: Client) -> None:
    """Withdraw less than nothing, or more than there is in the world."""
    body = {"amount": world.dice.pick((-5, 0, 2**62))}
    key = f"{client.player}-{world.number}"
    ask = Ask(player=client.player, kind="claim", body=body, key=key, proof=client.token)
    world.books.asked(ask)
    told = await world.at_once(ask)
    assert told is None or not told.is_ok, f"{ask} was accepted"


_CHEATS: Final = (_forge, _reuse, _reuse, _take, _forget_the_key, _overdraw)


async def somebody_looks(world: World) -> None:
    """A client looks at the balances."""
    client = _somebody(world)
    await _keep_session(world, client)
    ask = Ask(player=client.player, kind="me", proof=client.token)
    told = await world.at_once(ask)
    if told is not None and told.is_ok:
        world.books.shown(client.player, told.body)


async def somebody_goes_on(world: World) -> None:
    """Whoever waits at a gate goes on, or something goes wrong there."""
    gate, dice = world.gate, world.dice
    if not gate.waiting:
        return
    position = dice.below(len(gate.waiting))
    one = gate.waiting[position]
    error = _mishap(world, one, dice)
    world.tell(f"{one.who} at {one.place}{f': {error!r}' if error else ''}")
    world.counts[f"{type(error).__name__ if error else 'passed'} at {one.place}"] += 1
    await gate.open(position, error)


def _mishap(world: World, one: Waiting, dice: Dice) -> Exception | None:
    """Choose what goes wrong where somebody waits: mostly nothing."""
    chance = dice.below(1_000)
    if one.place.startswith("net."):
        return Lost(one.place) if chance < 60 else None
    if chance < 20:
        return Crash(one.place)
    if one.place in _MAY_FAIL and chance < 60:
        return Unavailable("out of order")
    if one.place == "signer.write" and chance < 60:
        return ProtectionUnavailable("out of order")
    if one.place == "signer.sign" and chance < 80:
        return SignerUnavailable("out of order")
    process = world.process_of(one)
    if one.place == "store.transact" and process is not None and chance > 960:
        process.store.crash_at(dice.between(1, _POINTS_OF_A_UNIT))
    return None


async def a_message_is_doubled(world: World) -> None:
    """The network delivers a request twice, maybe to another replica of the signer, and late."""
    signers = world.signers
    if signers is not None and signers.asked and world.dice.chance(500):
        terms = world.dice.pick(signers.asked[-12:])
        world.tell(f"seqno {terms.seqno} of {terms.recipient[-1]} is to be signed again")
        await world.gate.spawn("signer", signers.hear_again(terms))
        return
    orders = [order for client in world.clients.values() for order in client.orders[-3:]]
    if orders:
        order = world.dice.pick(orders)
        await world.gate.spawn(name_of(order.ask), _awaited(world, order))


async def time_passes(world: World) -> None:
    """Time passes: moments, minutes, hours, a day, or just up to where something changes."""
    dice, now = world.dice, world.now
    choice = dice.below(100)
    if choice < 22:
        passed = dice.between(1, 90_000)
    elif choice < 37:
        passed = dice.between(1, 60) * 60_000
    elif choice < 55:
        passed = dice.between(1, 9) * HOUR + dice.below(HOUR)
    elif choice < 72:
        passed = DAY - now % DAY + dice.pick((-1, 0, 1, -1_000, 1_000, 30_000))
    elif choice < 78:
        passed = HOUR - now % HOUR + dice.pick((-1, 0, 1))
    else:
        passed = dice.between(18, 30) * HOUR
    world.pass_time(max(0, passed))
    world.tell(f"now {world.now}")


async def claims_are_settled(world: World) -> None:
    """The worker of a process looks at all claims in flight."""
    await _work(world, "settle")


async def the_service_is_kept_up(world: World) -> None:
    """A process looks whether the seed epoch is over."""
    await _work(world, "upkeep")


async def _work(world: World, what: str) -> None:
    one = world.dice.pick(world.processes)
    if world.dice.chance(700):
        await world.gate.at_once(what, world.work(one, what))
    else:
        await world.gate.spawn(what, world.work(one, what))


async def a_cheque_is_sent(world: World) -> None:
    """A wallet sends a signed claim, maybe not for the first time."""
    if world.cheques:
        cheque = world.dice.pick(world.cheques[-3:])
        if world.dice.chance(800):
            world.cheques.remove(cheque)
        world.tell(f"seqno {cheque.terms.seqno} of {cheque.terms.recipient[-1]} is sent")
        world.chain.send(cheque)


async def a_block_is_made(world: World) -> None:
    """A block takes some of the messages, soon, late, or just when a claim expires."""
    dice, chain = world.dice, world.chain
    later_s = dice.pick((0, 3, 5, 20))
    if world.released and dice.chance(300):
        edge = dice.pick((-1, 0, 1, EXPIRY_MARGIN_S, EXPIRY_MARGIN_S + 1))
        wanted_s = dice.pick(world.released[-4:]).valid_until_s + edge
        later_s = wanted_s - chain.now_s if wanted_s >= chain.now_s else later_s
    if dice.chance(300):
        chain.pending.reverse()
    world.make_block(later_s, taken=max(0, len(chain.pending) - dice.pick((0, 0, 0, 1, 2))))
    world.now = max(world.now, chain.now_s * 1_000)


async def a_claim_comes_to_its_end(world: World) -> None:
    """A claim is looked at, and then sent, just before, at or after the end of its validity."""
    dice, chain = world.dice, world.chain
    if not world.cheques:
        return
    cheque = dice.pick(world.cheques)
    world.cheques.remove(cheque)
    end_s = cheque.terms.valid_until_s + dice.pick((-90, -1, 0, 1, 59, 60, 61))
    world.make_block(max(0, end_s - chain.now_s), taken=0)
    world.now = max(world.now, chain.now_s * 1_000)
    for server in range(SERVERS):
        if dice.chance(700):
            chain.sync(server)
    await _work(world, "settle")
    world.tell(f"seqno {cheque.terms.seqno} of {cheque.terms.recipient[-1]} is sent at its end")
    chain.send(cheque)
    world.make_block(dice.pick((0, 1, 5)), taken=len(chain.pending))


async def a_server_learns(world: World) -> None:
    """A server of the chain catches up, in part or whole."""
    server = world.dice.below(SERVERS)
    world.chain.sync(server, blocks=world.dice.pick((1, 2, None)))
    world.tell(f"server {server} at {world.chain.heights[server]} of {world.chain.height}")


async def something_goes_down(world: World) -> None:
    """A server, the signer or block making stops; or all that stopped goes on."""
    which = world.dice.below(SERVERS + 2)
    if world.signer_is_down or world.reader.down or world.chain_is_late:
        world.signer_is_down = world.chain_is_late = False
        world.reader.down.clear()
    elif which == SERVERS:
        world.signer_is_down = True
    elif which > SERVERS:
        world.chain_is_late = True
    else:
        world.reader.down.add(which)
    down = sorted(world.reader.down)
    world.tell(f"down {down}, signer {world.signer_is_down}, late {world.chain_is_late}")


async def a_process_dies(world: World) -> None:
    """A process ends with all it was doing, and starts again; a signer's replica is one too."""
    signers = len(world.signers.lives) if world.signers else 0
    place = world.dice.below(len(world.processes) + signers)
    if place < signers:
        await world.die_signing(place)
    else:
        await world.die(place - signers)


async def a_clock_goes_its_own_way(world: World) -> None:
    """A process's clock is off by some seconds or hours, or right again."""
    name = world.dice.pick(world.processes).name
    world.skews[name] = world.dice.pick(_SKEWS)
    world.is_straight = False
    world.tell(f"{name} is off by {world.skews[name]}")


async def an_operator_changes_the_policy(world: World) -> None:
    """An operator sets other caps, windows, prices, energy or limits."""
    changes = world.dice.pick(cast.CHANGES)
    world.tell(f"policy {sorted(changes)}")
    await world.change_policy(changes)


async def an_operator_bans(world: World) -> None:
    """An operator bans a player or a broker for a while, or lifts all bans."""
    client = _somebody(world)
    if world.dice.chance(250):
        await _ban_broker(world, client)
    elif world.dice.chance(500):
        await lift_bans(world)
    else:
        minutes = world.dice.pick((1, 30, 600, 3_000))
        ban = (
            await world.operate(
                BanPlayer(player_id=client.player, minutes=minutes, reason="simulated")
            )
        ).ban
        assert ban is not None
        assert ban.until is not None
        world.books.effects.banned(client.player, ban.until)
        world.tell(f"{client.player} is banned until {ban.until}")


async def lift_bans(world: World) -> None:
    """Lift every ban."""
    for client in world.clients.values():
        await world.operate(UnbanPlayer(player_id=client.player))
        world.books.effects.banned(client.player, 0)
    for broker in world.banned_brokers:
        with contextlib.suppress(DomainError):  # it may be gone
            await world.operate(UnbanBroker(broker_id=broker))
    world.banned_brokers.clear()


async def _ban_broker(world: World, client: Client) -> None:
    broker = client.brokers[-1]
    world.tell(f"broker {broker} of {client.player} is banned")
    world.banned_brokers.append(broker)
    with contextlib.suppress(DomainError):  # it may not be there yet, or no more
        await world.operate(BanBroker(broker_id=broker, reason="simulated"))


async def a_player_gets_funds(world: World) -> None:
    """A player gets money from the chain."""
    client = _somebody(world)
    currency = world.dice.pick(("AIBA", "NEUR"))
    await world.post(
        cast.deposit(client.player, currency, world.dice.between(1, 150), str(world.now))
    )


def _somebody(world: World) -> Client:
    return world.clients[world.dice.pick(world.players)]


async def _keep_session(world: World, client: Client) -> None:
    """Open a session where the last one is over; now and then a client doesn't notice."""
    if client.needs_session(world.now) and world.dice.chance(950):
        await world.log_in(client)


async def _send(world: World, order: Order) -> None:
    """Send a request: mostly straight through, else step by step, and now and then in vain."""
    dice = world.dice
    if dice.chance(300):
        await world.gate.spawn(name_of(order.ask), _awaited(world, order))
        return
    if dice.chance(100):
        place, error = dice.pick(_TROUBLES)
        world.gate.trouble = Trouble(place, error(place))
    elif dice.chance(20):
        dice.pick(world.processes).store.crash_at(dice.between(1, _POINTS_OF_A_UNIT))
    is_signed = world.signers is not None and order.ask.kind == "claim"
    if is_signed and dice.chance(300):
        place, error = dice.pick(_SIGNERS_TROUBLES)
        world.gate.trouble = Trouble(place, error(place))
    before = len(world.released)
    await world.gate.at_once(name_of(order.ask), world.sends(order))
    if world.signers is not None and len(world.released) > before and dice.chance(400):
        await _lie_to_the_signer(world)


async def _lie_to_the_signer(world: World) -> None:
    """Ask a replica of the signer, past the service, for more than the claim that was signed."""
    assert world.signers is not None
    terms = world.released[-1]
    world.tell(f"seqno {terms.seqno} of {terms.recipient[-1]} is to be signed for more")
    await world.gate.at_once("signer", world.signers.be_lied_to(terms))


async def _awaited(world: World, order: Order) -> None:
    await world.sends(order)


_TROUBLES: Final[tuple[tuple[str, Callable[[str], Exception]], ...]] = (
    ("net.request", Lost),
    ("net.answer", Lost),
    ("store.transact", Unavailable),
    ("store.read", Unavailable),
    ("store.transact", Crash),
    ("store.transacted", Crash),
    ("chain.view", Unavailable),
    ("chain.viewed", Crash),
    ("signer.sign", SignerUnavailable),
    ("signer.signed", Crash),
)
"""What goes wrong now and then for a request that goes straight through, and where."""

_SIGNERS_TROUBLES: Final[tuple[tuple[str, Callable[[str], Exception]], ...]] = (
    ("signer.view", Unavailable),
    ("signer.write", ProtectionUnavailable),
    ("signer.write", Crash),
    ("signer.written", Crash),
)
"""The same for a claim, where an isolated signer signs it."""

_MAY_FAIL: Final = ("store.transact", "store.read", "chain.view", "signer.view")
"""Where something behind a port may not answer."""

HAPPENINGS: Final[Table[Happening]] = Table(
    (somebody_acts, 100),
    (somebody_asks_again, 20),
    (somebody_rushes, 7),
    (somebody_cheats, 8),
    (somebody_looks, 6),
    (somebody_goes_on, 160),
    (a_message_is_doubled, 4),
    (time_passes, 60),
    (claims_are_settled, 14),
    (the_service_is_kept_up, 8),
    (a_cheque_is_sent, 14),
    (a_block_is_made, 10),
    (a_claim_comes_to_its_end, 6),
    (a_server_learns, 8),
    (something_goes_down, 4),
    (a_process_dies, 3),
    (a_clock_goes_its_own_way, 2),
    (an_operator_changes_the_policy, 4),
    (an_operator_bans, 3),
    (a_player_gets_funds, 5),
)
"""All that can happen in a step."""
