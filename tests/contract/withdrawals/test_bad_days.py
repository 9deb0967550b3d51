"""A provider of one request a second, and one that is out, while many withdraw and settle."""

import asyncio
from typing import Any
from unittest import mock

import httpx
import pytest

from aiba_adapters.devnet.faults import Faults, Outage
from tests.contract.withdrawals.conftest import MakeWorld
from tests.contract.withdrawals.world import (
    LATE_S,
    PAID,
    REWARD,
    Json,
    Player,
    World,
    code_of,
    details_of,
)

PLAYERS = 4
ROUNDS = 2
AN_HOUR_S = 3_600


async def persist(world: World, player: Player, key: str) -> tuple[Json, int]:
    """Ask for a claim until there is one, as the answers tell when; count the refusals."""
    for times in range(1_000):
        response = await world.withdrawing(player, key, amount=REWARD)
        if response.status_code == 200:
            claim: Json = response.json()["claim"]
            return claim, times
        if code_of(response) == "pending_claim":
            # The last one is paid and not yet settled: another key for another try.
            key = f"{key}r"
            await asyncio.sleep(5)
            continue
        assert (response.status_code, code_of(response)) == (503, "unavailable")
        wait_ms = details_of(response)["retryAfterMs"]
        assert wait_ms > 0
        assert response.headers["Retry-After"] == str(max(1, -(-wait_ms // 1_000)))
        await asyncio.sleep(wait_ms / 1_000)
    raise AssertionError("never answered")


async def _withdraw_all_rounds(world: World, player: Player) -> int:
    """Withdraw round after round, sending each claim a while after it was given out."""
    refused = 0
    for number in range(ROUNDS):
        claim, times = await persist(world, player, f"{number}")
        refused += times
        await asyncio.sleep(20)
        assert world.cash(player.wallet, claim) == PAID
    return refused


def test_at_one_request_a_second_nothing_is_lost(make_world: MakeWorld) -> None:
    """Every player gets every claim, all are confirmed, and the provider is never overrun."""
    world = make_world(TON_REQUESTS_PER_SECOND="1")
    players = [world.player(battles=ROUNDS) for _ in range(PLAYERS)]
    world.wait(2)
    world.devnet.faults.limit(1)
    answers: list[bool] = []
    original = Faults.is_over_limit

    def watched(faults: Faults) -> bool:
        answers.append(original(faults))
        return answers[-1]

    with mock.patch.object(Faults, "is_over_limit", watched):
        world.at_once(_withdraw_all_rounds(world, player) for player in players)
        world.wait(120)
    assert answers
    assert not any(answers), "the service asked more than once in a second"
    for player in players:
        assert world.states(player) == ["confirmed"] * ROUNDS
        assert world.jettons(player) == ROUNDS * REWARD


@pytest.mark.parametrize("outage", Outage)
def test_an_outage_in_the_midst_at_one_request_a_second(
    make_world: MakeWorld, outage: Outage
) -> None:
    """While it lasts answers are 503 and no claim's state moves; afterwards all of them end."""
    world = make_world(TON_REQUESTS_PER_SECOND="1")
    players = [world.player(battles=ROUNDS) for _ in range(PLAYERS)]
    lazy = world.player(battles=1)
    unsent = world.claim(lazy, "k")
    world.devnet.faults.limit(1)

    async def disturb() -> None:
        await asyncio.sleep(9)
        world.devnet.faults.begin(outage)
        await asyncio.sleep(90)
        for path in ("inventory", f"last-seqno?to={unsent['toAddress']}"):
            down = await world.ask("GET", f"/api/vault/{path}")
            assert (down.status_code, code_of(down)) == (503, "unavailable")
            assert details_of(down)["retryAfterMs"] > 0
        world.devnet.faults.end()

    async def play(player: Player) -> int:
        return await _withdraw_all_rounds(world, player)

    async def disturbed() -> int:
        await disturb()
        return 0

    refusals = world.at_once([*map(play, players), disturbed()])
    assert sum(refusals) > 0, "nobody noticed"
    world.wait(120)
    for player in players:
        assert world.states(player) == ["confirmed"] * ROUNDS
    assert world.states(lazy) == ["signed"]
    world.leap(LATE_S)
    assert world.states(lazy) == ["refunded"]
    assert world.balance(lazy) == REWARD


@pytest.mark.parametrize("outage", Outage)
def test_what_ends_during_an_outage_is_seen_after_it(world: World, outage: Outage) -> None:
    """Paid, unsent and reserved claims stand still for an hour, and then each ends as it must."""
    payer, idler, waiter = (world.player(battles=1) for _ in range(3))
    claim = world.claim(payer, "k")
    world.claim(idler, "k")
    world.gates.before = asyncio.Event()
    asked = world.begin(world.withdrawing(waiter, "k", amount=REWARD))
    world.run(world.gates.reached.wait())
    world.kill(asked)
    refused = world.withdraw(payer, "too early", amount=1)
    world.devnet.faults.begin(outage)
    assert world.cash(payer.wallet, claim) == PAID
    world.leap(AN_HOUR_S)
    world.settle()
    assert [world.states(one) for one in (payer, idler, waiter)] == [
        ["signed"],
        ["signed"],
        ["reserved"],
    ]
    for path in ("inventory", "claim-status?to={0}&seqno=1&validUntil={1}&amount=1"):
        down = world.get(f"/api/vault/{path.format(claim['toAddress'], claim['validUntil'])}")
        assert (down.status_code, code_of(down)) == (503, "unavailable")
    fresh = world.player(battles=1)
    down = world.withdraw(fresh, "k", amount=REWARD)
    assert (down.status_code, code_of(down)) == (503, "unavailable")
    assert world.balance(fresh) == REWARD
    # What was answered before is answered now: it needs no chain.
    assert world.claim(payer, "k") == claim
    repeated = world.withdraw(payer, "too early", amount=1)
    assert repeated.json()["error"] == refused.json()["error"]
    world.reconcile()
    world.devnet.faults.end()
    world.settle()
    assert [world.states(one) for one in (payer, idler, waiter)] == [
        ["confirmed"],
        ["refunded"],
        ["refunded"],
    ]
    assert world.claim(fresh, "k")["amount"] == str(REWARD)


def test_a_limit_lower_than_the_rate_that_was_set_is_ridden_out(make_world: MakeWorld) -> None:
    """The provider refuses three of four requests: slower, 503 at times, and nothing wrong."""
    world = make_world(TON_REQUESTS_PER_SECOND="4")
    players = [world.player(battles=ROUNDS) for _ in range(3)]
    world.devnet.faults.limit(1)
    world.at_once(_withdraw_all_rounds(world, player) for player in players)
    world.wait(180)
    for player in players:
        assert world.states(player) == ["confirmed"] * ROUNDS


def test_a_second_provider_takes_over(make_world: MakeWorld) -> None:
    """With the first one out, claims are given out and settled by the other's word."""
    world = make_world(TON_FALLBACK_URL="https://other.example/api/v3")
    player = world.player(battles=2)
    original = world.devnet.app

    async def half(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI's
        host = dict(scope["headers"])[b"host"]
        assert host in (b"devnet.example", b"other.example")
        if host == b"devnet.example":
            raise httpx.ConnectError("it is out")
        await original(scope, receive, send)

    world.provider = half
    assert world.cash(player.wallet, world.claim(player, "1")) == PAID
    world.settle()
    assert world.states(player) == ["confirmed"]
    world.provider = original
    assert world.cash(player.wallet, world.claim(player, "2")) == PAID
