"""Answers lost on the way: clients that hang up, and servers that die at the worst moment."""

import asyncio
from itertools import product

import pytest

from aiba_adapters.devnet.faults import Outage
from tests.contract.withdrawals.world import LATE_S, PAID, REWARD, World, code_of, data_of

WAITS, TURNS = 3, 10
"""How often time passed, and how often the loop turned after that, when a client hangs up."""

A_MOMENT_S = 1.1e-4
"""Longer than the wait between two requests to the provider."""


def test_a_client_that_hangs_up_gets_the_same_claim_later(world: World) -> None:
    """At whichever step: the key brings one claim, signature included, and one debit."""
    player = world.player(battles=WAITS * TURNS)
    left_off: list[str] = []

    async def hang_up(key: str, waits: int, turns: int) -> None:
        asked = asyncio.create_task(world.withdrawing(player, key, amount=REWARD))
        for _ in range(waits):
            await asyncio.sleep(A_MOMENT_S)
        for _ in range(turns):
            await asyncio.sleep(0)
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)

    for number, (waits, turns) in enumerate(product(range(WAITS), range(TURNS)), start=1):
        key = f"{waits}-{turns}"
        world.run(hang_up(key, waits, turns))
        left_off += world.states(player)[number - 1 :] or ["nothing"]
        claim = world.claim(player, key)
        assert world.claim(player, key) == claim
        assert claim["seqno"] == number
        assert world.balance(player) == (WAITS * TURNS - number) * REWARD
        assert world.cash(player.wallet, claim) == PAID
        world.settle()
    assert world.states(player) == ["confirmed"] * WAITS * TURNS
    assert {"nothing", "signed"} <= set(left_off)


@pytest.mark.parametrize("gate", ["before", "after"])
def test_a_server_killed_around_the_signature(world: World, gate: str) -> None:
    """Reserved and not signed, or signed and not recorded: the key brings the very same claim."""
    player = world.player(battles=2)
    setattr(world.gates, gate, asyncio.Event())
    asked = world.begin(world.withdrawing(player, "k", amount=REWARD))
    world.run(world.gates.reached.wait())
    world.kill(asked)
    assert world.states(player) == ["reserved"]
    assert world.balance(player) == REWARD
    world.wait(100)
    claim = world.claim(player, "k")
    assert world.claim(player, "k") == claim
    assert len(set(world.gates.signed)) == 1
    assert len(world.gates.signed) == (1 if gate == "before" else 2)
    assert world.cash(player.wallet, claim) == PAID
    world.settle()
    assert world.states(player) == ["confirmed"]


@pytest.mark.parametrize("gate", ["before", "after"])
def test_a_reserved_claim_that_nobody_asks_for_again_comes_back(world: World, gate: str) -> None:
    """It expires by the chain's time like any other; then its key says what became of it."""
    player = world.player(battles=1)
    setattr(world.gates, gate, asyncio.Event())
    asked = world.begin(world.withdrawing(player, "k", amount=REWARD))
    world.run(world.gates.reached.wait())
    world.kill(asked)
    world.leap(LATE_S)
    assert world.states(player) == ["refunded"]
    assert world.balance(player) == REWARD
    ended = world.withdraw(player, "k", amount=REWARD)
    assert (ended.status_code, code_of(ended)) == (409, "claim refunded")
    assert world.cash(player.wallet, world.claim(player, "again")) == PAID


def test_a_server_killed_after_its_answer(world: World) -> None:
    """What was answered is on the disk: the next server answers the same and settles it."""
    player, other = world.player(battles=2), world.player(battles=1)
    claim, unsent = world.claim(player, "k"), world.claim(other, "k")
    world.kill()
    assert (world.claim(player, "k"), world.claim(other, "k")) == (claim, unsent)
    assert world.cash(player.wallet, claim) == PAID
    world.kill()
    world.settle()
    assert (world.states(player), world.states(other)) == (["confirmed"], ["signed"])
    world.leap(LATE_S)
    world.kill()
    assert world.states(other) == ["refunded"]
    assert (world.balance(player), world.balance(other)) == (REWARD, REWARD)


@pytest.mark.parametrize("is_killed", [True, False])
def test_a_battle_that_lost_its_server_before_its_claim(world: World, *, is_killed: bool) -> None:
    """The battle is kept; its key brings it again with the claim that it had no time for."""
    player = world.player()
    world.devnet.faults.begin(Outage.SILENCE)
    asked = world.begin(world.fighting(player, "b", autoClaim=True))
    world.wait(2)
    assert not asked.done()
    if is_killed:
        world.kill(asked)
    else:
        asked.cancel()
    assert world.balance(player) == REWARD
    world.devnet.faults.end()
    fought = data_of(world.fight(player, "b", autoClaim=True))
    claim = fought["claim"]
    assert (claim["amount"], claim["seqno"]) == (str(REWARD), 1)
    assert data_of(world.fight(player, "b", autoClaim=True)) == fought
    assert world.balance(player) == 0
    assert world.cash(player.wallet, claim) == PAID
    world.settle()
    assert world.states(player) == ["confirmed"]


def test_a_server_killed_again_and_again(world: World) -> None:
    """Between any two of a claim's steps, with several claims in the air."""
    players = [world.player(battles=2) for _ in range(2)]
    for number in range(2):
        for player in players:
            world.claim(player, f"{number}")
        world.kill()
        for player in players[: number + 1]:
            assert world.cash(player.wallet, world.claim(player, f"{number}")) == PAID
        world.kill()
        world.leap(LATE_S)
        world.kill()
        world.reconcile()
    assert world.states(players[0]) == ["confirmed", "confirmed"]
    assert world.states(players[1]) == ["refunded", "confirmed"]
