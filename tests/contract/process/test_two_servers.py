"""Two servers on one data directory: one store, whoever is asked."""

import asyncio
import contextlib
from collections.abc import Iterator

import pytest

from tests.contract.process.support import (
    Json,
    Player,
    Server,
    aiba,
    answer_of,
    connect,
    data_of,
    environment,
    mode,
    new_player,
    rows,
    save_modes,
)

Pair = tuple[Server, Server]


@pytest.fixture(name="servers", scope="module")
def _servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Start both at once on a directory that doesn't exist yet."""
    data_dir = tmp_path_factory.mktemp("pair") / "data"
    first, second = (Server(data_dir, environment(data_dir)) for _ in range(2))
    try:
        yield first.wait_until_ready(), second.wait_until_ready()
    finally:
        first.kill()
        second.kill()


def prepared(servers: Pair, player_id: int) -> Player:
    """Return a player whose session one server opened."""
    with servers[0].client() as http:
        return new_player(http, player_id)


async def at_once(servers: Pair, player: Player, path: str, bodies: list[Json]) -> list[Json]:
    """Send commands to both servers in turn, each on its own connection, all at once."""
    async with contextlib.AsyncExitStack() as stack:
        lines = [
            await stack.enter_async_context(connect(servers[place % 2].port))
            for place in range(len(bodies))
        ]
        answers = await asyncio.gather(
            *(
                line.call("POST", path, body, player.headers)
                for line, body in zip(lines, bodies, strict=True)
            )
        )
    return [answer.body for answer in answers]


def test_both_come_up_on_an_empty_directory(servers: Pair) -> None:
    """They make one store with one first seed epoch, and both say they are ready."""
    for server in servers:
        with server.client() as http:
            assert http.get("/ready").json()["ok"] is True
            epochs = data_of(http.get("/api/fairness"))["epochs"]
            assert [epoch["number"] for epoch in epochs] == [1]


def test_what_one_answers_the_other_knows(servers: Pair) -> None:
    """A session, a broker, a battle and a balance are the same at either door."""
    player = prepared(servers, 1)
    one, other = servers
    with one.client(**player.headers) as http, other.client(**player.headers) as http2:
        body = {"requestId": "k", "brokerId": player.broker_id}
        fought = data_of(http.post("/api/battle/run", json=body))
        assert data_of(http2.post("/api/battle/run", json=body)) == fought
        conflict = http2.post("/api/battle/run", json=body | {"arena": "arbitrage"})
        assert conflict.json()["error"]["code"] == "requestId already used"
        assert data_of(http2.get("/api/battles"))["items"][0]["_id"] == fought["_id"]
        assert data_of(http2.get("/api/economy/me")) == data_of(http.get("/api/economy/me"))
        answer_of(aiba(one.environ, "seed", "rotate"))
        epochs = [data_of(door.get("/api/fairness"))["epochs"] for door in (http, http2)]
    assert epochs[0] == epochs[1]
    assert [epoch["number"] for epoch in epochs[0]] == [1, 2]


def test_one_key_at_both_doors_has_one_effect(servers: Pair) -> None:
    """However a client's repeats are spread, all get the first answer."""
    player = prepared(servers, 2)
    body = {"requestId": "same", "brokerId": player.broker_id}
    answers = asyncio.run(at_once(servers, player, "/api/battle/run", [body] * 30))
    assert all(answer["data"] == answers[0]["data"] for answer in answers)
    fought = rows(servers[0].database, "SELECT id FROM battles WHERE player_id = '2'")
    assert fought == [(answers[0]["data"]["_id"],)]


def test_energy_for_one_battle_lasts_for_one(servers: Pair) -> None:
    """25 battles at both doors on a broker with energy for one: one is fought."""
    player = prepared(servers, 3)
    bodies = [
        {"requestId": f"k{number}", "brokerId": player.broker_id, "modeKey": key}
        for number, key in zip(
            range(25), ["prediction", "arbitrage", "simulation"] * 9, strict=False
        )
    ]
    answers = asyncio.run(at_once(servers, player, "/api/battle/run", bodies))
    assert [answer["ok"] for answer in answers].count(True) == 1
    refused = {answer["error"]["code"] for answer in answers if not answer["ok"]}
    assert refused == {"no energy"}


def test_money_adds_up_with_two_writers(servers: Pair) -> None:
    """Battles of one player at both doors: every one is paid once, and the ledger is sound."""
    player = prepared(servers, 4)
    save_modes(servers[0].environ, mode("free"))
    bodies = [
        {"requestId": f"k{number}", "brokerId": player.broker_id, "modeKey": "free"}
        for number in range(60)
    ]
    answers = asyncio.run(at_once(servers, player, "/api/battle/run", bodies))
    rewards = [answer["data"]["rewardAiba"] for answer in answers]
    with servers[1].client(**player.headers) as http:
        assert data_of(http.get("/api/economy/me"))["aibaBalance"] == sum(rewards)
    assert answer_of(aiba(servers[0].environ, "audit", "--json"))["sound"] is True
