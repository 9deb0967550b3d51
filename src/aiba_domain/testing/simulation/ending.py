"""The end of a simulation: nothing breaks any more, everything ends, and nobody is stuck."""

from dataclasses import replace
from typing import Final

from aiba_domain.claims.claim import EXPIRY_MARGIN_S, VALIDITY_S, ClaimState
from aiba_domain.claims.commands import BY_REQUEST, claim_id
from aiba_domain.economy.windows import EmissionWindows
from aiba_domain.money import MAX_AMOUNT
from aiba_domain.ports import Reader
from aiba_domain.testing.simulation import cast
from aiba_domain.testing.simulation.clients import Client
from aiba_domain.testing.simulation.dice import Dice
from aiba_domain.testing.simulation.happenings import lift_bans
from aiba_domain.testing.simulation.site import Ask, Told
from aiba_domain.testing.simulation.world import AGAIN, World, name_of

_ASKED_AGAIN: Final = 12
"""How many answered requests each client sends once more."""

_TRIES: Final = 6
_MINUTE_MS: Final = 61_000
_REST_MS: Final = 3 * 3_600_000
"""For so long a broker rests: an hour, after a clock that was two hours ahead when it fought."""

_FREE: Final = ("wallet", "school")


async def end(world: World, dice: Dice) -> None:
    """Bring everything to its end and check that nothing is lost and nobody is stuck."""
    world.dice, world.number = dice, 0
    world.trace.append("the end")
    await _heal(world)
    for client in world.clients.values():
        await _ask_the_open_again(world, client)
    await _end_claims(world)
    for client in world.clients.values():
        await _play_once_more(world, client)
    await _end_claims(world)
    await world.rotate()
    await world.books.ended(world.store)
    for client in world.clients.values():
        told = await _calmly(world, client, Ask(player=client.player, kind="me"))
        world.books.shown(client.player, told.body)


async def _heal(world: World) -> None:
    """Repair what is broken and let everybody finish who is still under way."""
    world.signer_is_down = world.chain_is_late = False
    world.reader.down.clear()
    world.skews.clear()
    world.chain.sync()
    while world.gate.waiting:
        await world.gate.open(0)
        await world.settle_down()
    if world.signers is not None:
        world.signers.open_up()
    await lift_bans(world)
    await world.change_policy(
        {
            **cast.OPEN_CLAIMS,
            "daily_cap_aiba": MAX_AMOUNT,
            "daily_cap_aiba_by_arena": {},
            "emission_windows": EmissionWindows(),
        }
    )


async def _ask_the_open_again(world: World, client: Client) -> None:
    """Learn what became of every request that was never answered, and ask some of the others."""
    answered = []
    for order in client.orders:
        if order.ask.kind in _FREE:
            continue
        if not order.is_settled:
            await _calmly(world, client, order.ask)
        else:
            answered.append(order)
    for order in answered[-_ASKED_AGAIN:]:
        await _calmly(world, client, order.ask)


async def _end_claims(world: World) -> None:
    """Send every cheque, let blocks be made until nothing can be paid, and settle all claims."""
    world.chain.pending += world.cheques
    world.cheques.clear()
    for seconds in (1, 2 * (VALIDITY_S + EXPIRY_MARGIN_S)):
        await _wait(world, 1_000 * seconds)
    await world.gate.at_once("settle", world.work(world.processes[0], "settle"))
    await world.settle_down()
    world.books.claims.ended()


async def _wait(world: World, milliseconds: int) -> None:
    """Let time pass, which every server of the chain learns of."""
    world.pass_time(milliseconds)
    world.chain.sync()
    await world.settle_down()


async def _play_once_more(world: World, client: Client) -> None:
    """A player fights once more and withdraws a last unit, which is paid."""
    player = client.player
    await world.post(cast.deposit(player, "AIBA", 1, "last"))
    await world.settle_down()
    broker = client.brokers[0]
    await _calmly(world, client, Ask(player=player, kind="starter", key=f"{player}-last-starter"))
    await _wait(world, _REST_MS)
    body = {"brokerId": broker, "modeKey": "free"}
    battle = Ask(player=player, kind="battle", body=body, key=f"{player}-last-battle")
    told = await _calmly(world, client, battle)
    assert told.is_ok or broker not in client.brokers or told.code == "broker not found", (
        f"player {player} can't fight any more: {told}"
    )
    key = f"{player}-last-claim"
    told = await _calmly(
        world, client, Ask(player=player, kind="claim", body={"amount": 1}, key=key)
    )
    assert told.is_ok, f"player {player} can't withdraw any more: {told}"
    assert world.last_cheque is not None, told
    world.cheques.append(world.last_cheque)
    await _end_claims(world)

    async def look(read: Reader) -> ClaimState | None:
        claim = await read.claim(claim_id(player, BY_REQUEST, key))
        return claim.state if claim else None

    state = await world.store.read(look)
    assert state is ClaimState.CONFIRMED, f"the last claim of player {player} is {state}"


async def _calmly(world: World, client: Client, ask: Ask) -> Told:
    """Ask with nothing going wrong, and after a minute again where that is what it takes."""
    world.books.asked(ask)
    for _ in range(_TRIES):
        if client.needs_session(world.now):
            await world.log_in(client)
        told = await world.at_once(replace(ask, proof=client.token))
        await world.settle_down()
        if told is not None and told.code not in AGAIN:
            return told
        client.token_ends = 0
        await _wait(world, _MINUTE_MS)
    raise AssertionError(f"{name_of(ask)} is answered {told and told.code} for ever")
