"""Many calls at once: one key is one effect, and nothing is spent or fought for twice."""

import re
from collections import Counter
from typing import Any

import httpx

from tests.contract.game.conftest import MakeGame
from tests.contract.game.support import (
    ABSENT_ID,
    MINUTE,
    QUERIES,
    Call,
    Game,
    data_of,
    error_of,
)


def statuses(answers: list[httpx.Response]) -> Counter[int]:
    """Count the answers by status."""
    return Counter(answer.status_code for answer in answers)


def told(answer: httpx.Response) -> Any:  # noqa: ANN401 - decoded JSON
    """Return what an answer says beside its trace id."""
    body = answer.json()
    if body["requestId"] == answer.headers["x-request-id"]:
        del body["requestId"]
    return body


def test_two_hundred_battles_under_one_key_are_one(every_game: Game) -> None:
    """200 calls with one key have one effect and 200 equal answers."""
    game = every_game
    player, broker = game.fighter()
    call = game.posting("/api/battle/run", player, requestId="one", brokerId=broker)
    answers = game.at_once([call] * 200)
    assert statuses(answers) == {200: 200}
    first = told(answers[0])
    assert all(told(answer) == first for answer in answers)
    assert len({answer.headers["x-request-id"] for answer in answers}) == 200
    me = game.me(player)
    assert me["aibaBalance"] == first["data"]["rewardAiba"]
    assert (me["starsBalance"], me["diamondsBalance"]) == (1, 1)
    assert len(data_of(game.get("/api/battles", player))["items"]) == 1
    game.sound()


def test_two_hundred_trainings_under_one_key_are_one(game: Game) -> None:
    """The fee is taken once, the point given once, and each answer carries the key."""
    player, broker = game.fighter(NEUR=5000)
    body = {"requestId": "one", "brokerId": broker, "stat": "speed"}
    answers = game.at_once([game.posting("/api/brokers/train", player, **body)] * 200)
    assert statuses(answers) == {200: 200}
    assert all(answer.json() == answers[0].json() for answer in answers)
    assert answers[0].json()["requestId"] == "one"
    assert game.me(player)["neurBalance"] == 4975
    assert game.broker(player, broker)["speed"] == 51


def test_one_key_with_two_bodies_at_once(game: Game) -> None:
    """Whichever body comes first has the key; every other one is 409 and moves nothing."""
    player, broker = game.fighter(NEUR=5000)
    calls = [
        game.posting("/api/brokers/train", player, requestId="k", brokerId=broker, stat=stat)
        for stat in ("speed", "risk") * 20
    ]
    answers = game.at_once(calls)
    assert statuses(answers) == {200: 20, 409: 20}
    for answer in answers:
        if answer.status_code == 409:
            assert error_of(answer, 409, "requestId already used") == {"requestId": "k"}
    assert game.me(player)["neurBalance"] == 4975
    other = game.fight(player, ABSENT_ID, "k")
    assert error_of(other, 404, "broker not found") is None, "a key is one command's own"


def test_battles_on_energy_for_one_are_one(every_game: Game) -> None:
    """25 battles at once on a broker with energy for one: one is fought, the rest cost nothing."""
    game = every_game
    player, broker = game.fighter()
    game.save_mode("keen", energy_cost=10)
    calls = [
        game.posting("/api/battle/run", player, requestId=f"k{n}", brokerId=broker, modeKey="keen")
        for n in range(25)
    ]
    answers = game.at_once(calls)
    assert statuses(answers) == {200: 1, 403: 24}
    for answer in answers:
        if answer.status_code == 403:
            assert error_of(answer, 403, "no energy") == {"need": 10, "have": 0}
    assert game.broker(player, broker)["energy"] == 0
    assert game.me(player)["starsBalance"] == 1
    game.sound()


def test_battles_in_one_cooldown_are_one(game: Game) -> None:
    """25 battles at once in a mode with a cooldown: one is fought, the rest have to wait."""
    player, broker = game.fighter()
    game.save_mode("slow", cooldown_seconds=60)
    answers = game.at_once(
        game.posting("/api/battle/run", player, requestId=f"k{n}", brokerId=broker, modeKey="slow")
        for n in range(25)
    )
    assert statuses(answers) == {200: 1, 429: 24}


def test_spending_at_once_stops_at_the_last_unit(every_game: Game) -> None:
    """40 trainings at once with money for two: two are paid, the balance ends at its rest."""
    game = every_game
    player, broker = game.fighter(NEUR=60)
    answers = game.at_once(
        game.posting("/api/brokers/train", player, requestId=f"k{n}", brokerId=broker, stat="risk")
        for n in range(40)
    )
    assert statuses(answers) == {200: 2, 403: 38}
    assert game.me(player)["neurBalance"] == 10
    assert game.broker(player, broker)["risk"] == 52
    game.sound()


def test_starters_and_daily_rewards_at_once_are_one(every_game: Game) -> None:
    """What is given once is given once, however often it is asked for at the same time."""
    game = every_game
    player = game.newcomer()
    starters = game.at_once([game.posting("/api/brokers/starter", player)] * 20)
    assert statuses(starters) == {201: 1, 409: 19}
    claims = game.at_once([game.posting("/api/daily/claim", player)] * 20)
    rewards = Counter(claim.json()["neurReward"] for claim in claims)
    assert rewards == {50: 1, 0: 19}
    assert game.me(player)["neurBalance"] == 50
    assert len(data_of(game.get("/api/brokers/mine", player))) == 1


def test_a_broker_is_sacrificed_once(game: Game) -> None:
    """Two brokers can't both take the same one in."""
    player, first = game.fighter(NEUR=500)
    second, victim = game.give_broker(player, 1), game.give_broker(player, 2)
    answers = game.at_once(
        game.posting(
            "/api/brokers/combine",
            player,
            requestId=f"k{n}",
            baseBrokerId=(first, second)[n % 2],
            sacrificeBrokerId=victim,
        )
        for n in range(10)
    )
    assert statuses(answers) == {200: 1, 404: 9}
    assert game.me(player)["neurBalance"] == 450


def test_one_launch_opens_one_session_at_once(game: Game) -> None:
    """The same launch data from 20 tabs gives all of them the same session."""
    player = game.newcomer()
    opening = game.posting("/api/auth/session", initData=game.launch(player))
    sessions = [data_of(answer) for answer in game.at_once([opening] * 20)]
    assert all(session == sessions[0] for session in sessions)


def test_battles_are_limited_to_25_a_minute(make_game: MakeGame) -> None:
    """The 26th battle of a minute is 429 with headers that say when to come back."""
    game = make_game("memory", BATTLE_RATE_LIMIT_PER_MINUTE="25")
    player, broker = game.fighter()
    game.save_mode("free")
    end = str(game.clock.now() // 1000 + 60)
    for number in range(1, 26):
        answer = game.fight(player, broker, f"k{number}", modeKey="free")
        data_of(answer)
        assert answer.headers["x-ratelimit-limit"] == "25"
        assert answer.headers["x-ratelimit-remaining"] == str(25 - number)
        assert answer.headers["x-ratelimit-reset"] == end
    game.clock.advance(20_000)
    refused = game.fight(player, broker, "k26", modeKey="free")
    assert error_of(refused, 429, "rate_limited") == {"retryAfterSec": 40}
    assert refused.headers["retry-after"] == "40"
    assert refused.headers["x-ratelimit-remaining"] == "0"
    other = game.fight(*game.fighter(), "k1", modeKey="free")
    assert other.headers["x-ratelimit-remaining"] == "24"
    assert "x-ratelimit-limit" in game.get("/api/economy/me", player).headers
    game.clock.advance(MINUTE)
    data_of(game.fight(player, broker, "k26", modeKey="free"))


def test_the_limit_holds_for_calls_at_once(make_game: MakeGame) -> None:
    """60 battles at once are 25 and 35 refusals, whatever they would have come to."""
    game = make_game("memory", BATTLE_RATE_LIMIT_PER_MINUTE="25")
    player, broker = game.fighter()
    game.save_mode("free")
    answers = game.at_once(
        game.posting("/api/battle/run", player, requestId=f"k{n}", brokerId=broker, modeKey="free")
        for n in range(60)
    )
    assert statuses(answers) == {200: 25, 429: 35}


def test_players_and_strangers_have_a_limit_on_everything(make_game: MakeGame) -> None:
    """Every route of the game counts: a player's calls by player, others by their address."""
    game = make_game("memory", RATE_LIMIT_PER_MINUTE="20")
    player = game.newcomer()
    mine = game.posting("/api/brokers/starter", player)
    assert statuses(game.at_once([mine] * 30)) == {201: 1, 409: 19, 429: 10}
    # One call by address has opened the session.
    public = [game.get("/api/game-modes") for _ in range(30)]
    assert statuses(public) == {200: 19, 429: 11}
    assert public[-1].headers["retry-after"] == "60"
    assert game.get("/health").status_code == 200


def test_d26_every_route_has_a_limit(make_game: MakeGame) -> None:
    """Each one that there is, expensive or not, answers 429 to whoever is over the limit.

    A player's count by player, those that anyone may call by address, and those of admins are tried
    in `tests/contract/admin`. Only what monitors ask is not counted.
    """
    game = make_game("memory", RATE_LIMIT_PER_MINUTE="2")
    player = game.newcomer()
    headers = game.as_player(player)
    for _ in range(3):
        game.get("/api/game-modes")
        game.send(Call(method="GET", path="/api/brokers/mine", headers=headers))
    uncounted = {"/health", "/ready", "/metrics"}
    counted = [
        operation
        for operation in game.description.operations
        if operation.path not in uncounted and not operation.path.startswith("/api/admin/")
    ]
    assert len(counted) > 25
    for operation in counted:
        path = re.sub(r"\{\w+\}", ABSENT_ID, operation.path)
        query = QUERIES.get(path)
        sent = headers if operation.is_private else {}
        call = Call(
            method=operation.method,
            path=f"{path}?{query}" if query else path,
            headers=sent,
            body={} if operation.changes else None,
        )
        answer = game.send(call)
        assert answer.status_code == 429, f"{operation.method} {path}: {answer.text}"
        assert int(answer.headers["retry-after"]) >= 1
