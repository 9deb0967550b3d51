"""A request that is given up at any of its steps: whole or not at all, and its key tells which."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Final

import httpx
import pytest

from tests.contract.game.support import Call, Game
from tests.contract.game.test_concurrency import told

Effect = Callable[[], tuple[object, object]]
"""Returns what a call has changed, and what it must have changed once."""
Ask = Callable[[Game], tuple[Call, Effect]]

MOMENTS: Final = 24
"""At how many moments of its life a request is given up."""


def battle(game: Game) -> tuple[Call, Effect]:
    """Return a battle and its effect."""
    player, broker = game.fighter()
    call = game.posting("/api/battle/run", player, requestId="k", brokerId=broker)
    return call, lambda: (len(game.get("/api/battles", player).json()["data"]["items"]), 1)


def training(game: Game) -> tuple[Call, Effect]:
    """Return a training of 25 NEUR and its effect."""
    player, broker = game.fighter(NEUR=1000)
    body = {"requestId": "k", "brokerId": broker, "stat": "speed"}
    call = game.posting("/api/brokers/train", player, **body)
    return call, lambda: (
        (game.me(player)["neurBalance"], game.broker(player, broker)["speed"]),
        (975, 51),
    )


def withdrawal(game: Game) -> tuple[Call, Effect]:
    """Return a withdrawal of 40 of 100 AIBA and its effect."""
    player, _ = game.holder(100)
    call = game.posting("/api/economy/claim-aiba", player, requestId="k", amount=40)
    return call, lambda: (
        (game.me(player)["aibaBalance"], [each["state"] for each in game.claims(player)]),
        (60, ["signed"]),
    )


ASKS: Final[tuple[Ask, ...]] = (battle, training, withdrawal)


async def steps_of(game: Game, call: Call) -> int:
    """Make a call and return how often the loop turned meanwhile."""
    task = asyncio.create_task(game._send(call))
    steps = 0
    while not task.done():
        steps += 1
        await asyncio.sleep(0)
    return steps


async def given_up(game: Game, call: Call, after: int) -> httpx.Response:
    """Make a call whose time is over after so many turns of the loop."""
    times: list[asyncio.Timeout] = []
    usual = asyncio.timeout

    def timeout(delay: float | None) -> asyncio.Timeout:
        if times:
            return usual(delay)
        times.append(asyncio.Timeout(None))
        return times[0]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "timeout", timeout)
        task = asyncio.create_task(game._send(call))
        for _ in range(after):
            await asyncio.sleep(0)
        if times and not task.done():
            times[0].reschedule(asyncio.get_running_loop().time())
        return await task


@pytest.mark.parametrize("ask", ASKS)
def test_whenever_a_request_is_given_up_its_effect_is_whole(game: Game, ask: Ask) -> None:
    """503 or the answer; the same key then brings the one answer there is, and all sums stay 0."""
    statuses: Counter[int] = Counter()
    steps = max(game.run(steps_of(game, ask(game)[0])) for _ in range(2))
    for moment in range(MOMENTS):
        call, effect = ask(game)
        answer = game.run(given_up(game, call, moment * steps // (MOMENTS - 1)))
        statuses[answer.status_code] += 1
        if answer.status_code == 503:
            assert answer.json()["error"]["code"] == "timed out"
            assert answer.headers["retry-after"] == "1"
        again, twice = game.send(call), game.send(call)
        assert again.status_code == 200, again.text
        for other in (twice, answer):
            if other.status_code == 200:
                assert told(other) == told(again)
        found, expected = effect()
        assert found == expected
    game.sound()
    assert statuses.keys() == {200, 503}
