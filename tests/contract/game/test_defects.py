"""Defects of the service this one succeeds, each shown to be gone over HTTP."""

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any, cast

import httpx
import pytest

from aiba_adapters.telegram import sign
from aiba_domain.moderation.commands import BanPlayer
from aiba_domain.testing.doubles import ROOT
from aiba_entry.http.routes.battles import BattleBody
from aiba_entry.http.validation import read_body
from tests.contract.game.shapes import NO_CLAIM
from tests.contract.game.support import (
    ABSENT_ID,
    BOT_TOKEN,
    DAY,
    HOUR,
    MINUTE,
    Call,
    Game,
    data_of,
    error_of,
    flat_of,
)

PAID = ("trainBroker", "repairBroker", "upgradeBroker", "combineBrokers")
KEYED = (*PAID, "mintBroker", "runBattle", "claimAiba")


def changes(game: Game, player: str, broker: str) -> dict[str, Call]:
    """Return a good call of every operation of players that may change something, by its name.

    They are all of them: an operation that is missing here fails this function. Those of admins are
    in `tests/contract/admin`.
    """
    stat: dict[str, object] = {"brokerId": broker, "stat": "risk"}
    pair: dict[str, object] = {
        "baseBrokerId": broker,
        "sacrificeBrokerId": game.give_broker(player),
    }
    wallet = game.bind(player)
    number = int(player)
    paid = game.ton.deposit(number, source=wallet.address, at_ms=game.clock.now())
    bodies: dict[str, dict[str, object]] = {
        "openSession": {"initData": game.launch(player)},
        "getStarterBroker": {},
        "trainBroker": stat,
        "repairBroker": {"brokerId": broker},
        "upgradeBroker": stat,
        "combineBrokers": pair,
        "mintBroker": {"brokerId": broker},
        "runBattle": {"brokerId": broker},
        "changeMyProfile": {"schoolId": ABSENT_ID},
        "claimDaily": {},
        "claimDailyCombo": {},
        "connectWallet": game.proven(player, wallet),
        "claimAiba": {"amount": 1},
        "createBrokerWithTon": {"txHash": paid},
    }
    headers = game.as_player(player)
    operations = {
        operation.schema["operationId"]: operation
        for operation in game.description.operations
        if operation.changes and not operation.path.startswith("/api/admin/")
    }
    assert set(operations) == set(bodies)
    return {
        name: Call(
            method=operations[name].method,
            path=operations[name].path,
            headers={} if name == "openSession" else headers,
            body=body | ({"requestId": f"key-{name}"} if name in KEYED else {}),
        )
        for name, body in bodies.items()
    }


def with_body(call: Call, **fields: object) -> Call:
    """Return a call with other fields in its body, None for a field that is left out."""
    body = {**cast("dict[str, object]", call.body), **fields}
    kept = {name: value for name, value in body.items() if value is not None}
    return Call(method=call.method, path=call.path, headers=call.headers, body=kept)


def with_headers(call: Call, **headers: str) -> Call:
    """Return a call with more headers."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Call(
        method=call.method, path=call.path, headers={**call.headers, **named}, body=call.body
    )


def without_trace(response: httpx.Response) -> tuple[int, Any]:
    """Return an answer without its trace id, which is a request's own."""
    body = response.json()
    if body.get("requestId") == response.headers["x-request-id"]:
        del body["requestId"]
    return response.status_code, body


# --- money ---


def test_d01_spending_more_than_there_is_is_refused_and_nothing_moves(game: Game) -> None:
    """No paid command succeeds, makes a second player or moves a unit without the money for it."""
    player, broker = game.fighter(NEUR=14, AIBA=49)
    game.save_mode("paid", entry_neur=15)
    calls = changes(game, player, broker)
    spending = [(calls[name], "NEUR") for name in PAID if name != "upgradeBroker"]
    spending.append((with_body(calls["runBattle"], modeKey="paid"), "NEUR"))
    spending.append((calls["upgradeBroker"], "AIBA"))
    spending.append((with_body(calls["claimAiba"], amount=50), "AIBA"))
    before = game.tables(), game.me(player), data_of(game.get("/api/brokers/mine", player))
    for call, currency in spending:
        details = error_of(game.send(call), 403, f"insufficient {currency}")
        assert details["need"] > details["have"] > 0
    tables = game.tables()
    assert tables["answers"] == before[0]["answers"] + len(spending)
    assert {**tables, "answers": 0} == {**before[0], "answers": 0}
    assert game.me(player) == before[1]
    assert data_of(game.get("/api/brokers/mine", player)) == before[2]
    game.sound()


def test_d06_a_replayed_key_hands_nothing_out_again_after_any_time(game: Game) -> None:
    """A key gives its first answer again, a year later too, and neither takes nor gives."""
    player, broker = game.fighter(NEUR=500, AIBA=500)
    calls = changes(game, player, broker)
    names = ("runBattle", *PAID, "claimAiba", "createBrokerWithTon")
    keyed = [calls[name] for name in names]
    first = [without_trace(game.send(call)) for call in keyed]
    assert [status for status, _ in first] == [200] * (len(keyed) - 1) + [201]
    state = game.tables(), game.me(player), data_of(game.get("/api/brokers/mine", player))
    for pause in (0, 16 * MINUTE, 8 * DAY, 400 * DAY):
        game.clock.advance(pause)
        headers = game.as_player(player)
        again = [
            game.send(Call(method=c.method, path=c.path, headers=headers, body=c.body))
            for c in keyed
        ]
        assert [without_trace(response) for response in again] == first
    tables = game.tables()
    # Whoever logs in again is counted on the day of that.
    later = {"sessions": 0, "seen_days": 0}
    assert {**tables, **later} == {**state[0], **later}
    assert (game.me(player), data_of(game.get("/api/brokers/mine", player))) == state[1:]


def test_d09_the_first_win_is_answered_and_brings_its_diamond_once(every_game: Game) -> None:
    """A player's first win is a battle like any other, with a diamond that the ledger knows."""
    game = every_game
    player, broker = game.fighter()
    first = data_of(game.fight(player, broker, "1"))
    game.clock.advance(10 * MINUTE)
    second = data_of(game.fight(player, broker, "2"))
    assert [battle["firstWinDiamond"] for battle in (first, second)] == [1, 0]
    assert [battle["starsGranted"] for battle in (first, second)] == [1, 1]
    me = game.me(player)
    assert (me["diamondsBalance"], me["starsBalance"]) == (1, 2)
    game.sound()


def test_d11_one_free_broker_for_every_player(game: Game) -> None:
    """Asking again is refused by name, also after the broker is gone, and under any key."""
    player, broker = game.fighter(NEUR=50)
    again = error_of(game.post("/api/brokers/starter", player), 409, "starter already granted")
    assert again == {"brokerId": broker}
    base = game.give_broker(player)
    body = {"requestId": "c", "baseBrokerId": base, "sacrificeBrokerId": broker}
    flat_of(game.post("/api/brokers/combine", player, **body))
    refused = game.post("/api/brokers/starter", player, requestId="another")
    error_of(refused, 409, "starter already granted")
    assert len(data_of(game.get("/api/brokers/mine", player))) == 1


def test_d36_no_fee_is_kept_for_a_battle_that_does_not_happen(game: Game) -> None:
    """With NEUR for one fee and no AIBA for the other, neither is taken."""
    player, broker = game.fighter(NEUR=20)
    game.save_mode("paid", entry_neur=20, entry_aiba=1)
    entries = game.tables()["entries"]
    refused = game.fight(player, broker, "k", modeKey="paid")
    assert error_of(refused, 403, "insufficient AIBA") == {"need": 1, "have": 0}
    assert game.me(player)["neurBalance"] == 20
    assert game.tables()["entries"] == entries
    assert game.broker(player, broker)["lastBattleAt"] is None


# --- keys ---


@pytest.mark.parametrize("name", KEYED)
def test_d30_money_moves_only_under_a_key_of_the_caller(arena: Game, name: str) -> None:
    """No key and an unusable key are 400; a trace id is no key; the header of that name is one."""
    player, broker = arena.fighter(NEUR=500, AIBA=500)
    call = changes(arena, player, broker)[name]
    for key, why in ((None, "required"), ("", "required"), ("two words", "pattern")):
        for trace in ({}, {"X_Request_Id": "a-fine-trace-id"}):
            refused = arena.send(with_headers(with_body(call, requestId=key), **trace))
            assert error_of(refused, 400, "requestId required") == {"requestId": why}
    for key in ("x" * 129, "schlüssel", "a/b", "'; --"):
        refused = arena.send(with_body(call, requestId=key))
        assert error_of(refused, 400, "requestId required") == {"requestId": "pattern"}
    assert arena.me(player)["neurBalance"] == 500
    bare = with_body(call, requestId=None)
    bad = arena.send(with_headers(bare, Idempotency_Key="not usable"))
    assert error_of(bad, 400, "requestId required") == {"requestId": "pattern"}
    under_header = with_headers(bare, Idempotency_Key="from-the-header")
    done = arena.send(with_headers(under_header, X_Request_Id="trace-1"))
    assert done.status_code == (201 if name == "mintBroker" else 200)
    body = done.json()
    assert body.get("data", body)["requestId"] == "from-the-header"
    in_body = with_body(call, requestId=" from-the-header ")
    assert without_trace(arena.send(in_body)) == without_trace(done)
    both = with_headers(in_body, Idempotency_Key="something-else")
    assert without_trace(arena.send(both)) == without_trace(done)


def test_d30_a_key_stands_for_one_request(arena: Game) -> None:
    """Another body under a used key is 409 and does nothing; the first answer stays."""
    player, broker = arena.fighter(NEUR=100)
    call = changes(arena, player, broker)["trainBroker"]
    first = without_trace(arena.send(call))
    other = arena.send(with_body(call, stat="speed"))
    details = error_of(other, 409, "requestId already used")
    assert details == {"requestId": "key-trainBroker"}
    assert without_trace(arena.send(call)) == first
    assert arena.me(player)["neurBalance"] == 75


def test_d34_a_refused_key_is_settled_at_once(arena: Game) -> None:
    """A refusal leaves nothing in progress: its key repeats it, and the next key just works."""
    player, broker = arena.fighter()
    for _ in range(3):
        refused = arena.fight(player, ABSENT_ID, "wrong-broker")
        assert error_of(refused, 404, "broker not found") is None
    data_of(arena.fight(player, broker, "right-broker"))
    call = changes(arena, player, broker)["trainBroker"]
    details = error_of(arena.send(call), 403, "insufficient NEUR")
    assert details == {"need": 25, "have": 0}
    arena.fund(player, NEUR=25)
    assert error_of(arena.send(call), 403, "insufficient NEUR") == details
    assert flat_of(arena.send(with_body(call, requestId="again")))["neurBalance"] == 0


def test_d35_retries_of_a_refused_key_do_not_both_go_on(game: Game) -> None:
    """However many retries of a refused key come at once, all of them are refused."""
    player, broker = game.fighter()
    call = changes(game, player, broker)["trainBroker"]
    error_of(game.send(call), 403, "insufficient NEUR")
    game.fund(player, NEUR=500)
    answers = game.at_once([call] * 20)
    assert {response.status_code for response in answers} == {403}
    assert game.me(player)["neurBalance"] == 500
    fresh = with_body(call, requestId="fresh")
    assert {response.status_code for response in game.at_once([fresh] * 20)} == {200}
    assert game.me(player)["neurBalance"] == 475


def test_d81_keys_are_a_players_own(arena: Game) -> None:
    """A player's key neither blocks another's nor tells that it exists."""
    answers = []
    for _ in range(2):
        player, broker = arena.fighter(NEUR=25)
        answers.append(data_of(arena.fight(player, broker, "the-same-key")))
        call = changes(arena, player, broker)["trainBroker"]
        assert arena.send(call).status_code == 200
    assert answers[0]["_id"] != answers[1]["_id"]
    assert answers[0]["seedHex"] != answers[1]["seedHex"]


# --- who is calling ---


def test_d27_one_launch_opens_one_session(game: Game) -> None:
    """The same launch data gives the same session while it lives, and 401 after that."""
    player = game.newcomer()
    launch = game.launch(player)
    first = data_of(game.post("/api/auth/session", initData=launch))
    game.clock.advance(15 * MINUTE)
    assert data_of(game.post("/api/auth/session", initData=launch)) == first
    bearer = Call(
        method="GET",
        path="/api/economy/me",
        headers={"Authorization": f"Bearer {first['token']}"},
    )
    game.clock.advance(45 * MINUTE - 1)
    assert game.send(bearer).status_code == 200
    game.clock.advance(1)
    assert error_of(game.send(bearer), 401, "telegram auth expired")["reason"]
    refused = game.post("/api/auth/session", initData=launch)
    assert error_of(refused, 401, "telegram auth expired")["reason"]


def test_d27_a_session_that_is_over_is_not_opened_again(game: Game) -> None:
    """Also where launch data lives longer than a session, it opens only the one."""
    game.restart(TELEGRAM_INITDATA_MAX_AGE_SECONDS="86400")
    launch = game.launch(game.newcomer())
    data_of(game.post("/api/auth/session", initData=launch))
    game.clock.advance(HOUR)
    refused = game.post("/api/auth/session", initData=launch)
    assert error_of(refused, 401, "telegram auth expired") == {"reason": "session over"}


def test_d27_the_header_works_within_its_age(game: Game) -> None:
    """Today's clients send launch data with each call; it works as long as it always has."""
    player = game.newcomer()
    headers = {"x-telegram-init-data": game.launch(player)}
    starter = Call(method="POST", path="/api/brokers/starter", headers=headers, body={})
    broker = data_of(game.send(starter), 201)["_id"]
    battle = Call(
        method="POST",
        path="/api/battle/run",
        headers=headers,
        body={"requestId": "1", "brokerId": broker},
    )
    assert data_of(game.send(battle))["ownerTelegramId"] == player
    game.clock.advance(15 * MINUTE)
    again = Call(method="GET", path="/api/brokers/mine", headers=headers)
    assert len(data_of(game.send(again))) == 1
    game.clock.advance(1000)
    error_of(game.send(again), 401, "telegram auth expired")


def launch_data(**fields: str) -> str:
    """Return signed launch data with exactly these fields beside a user."""
    return sign({"user": json.dumps({"id": 7}), **fields}, BOT_TOKEN)


@pytest.mark.parametrize(
    "forge",
    [
        lambda _: launch_data(),
        lambda game: launch_data(auth_date=str(game.clock.now() // 1000 + 61)),
        lambda _: launch_data(auth_date="soon"),
        lambda _: launch_data(auth_date="0"),
        lambda game: game.launch("7") + "&auth_date=1",
        lambda game: game.launch("7") + "&user=%7B%22id%22%3A8%7D",
        lambda game: game.launch("7").replace("ann", "bob"),
        lambda game: game.launch("7").upper(),
        lambda game: sign({"auth_date": str(game.clock.now() // 1000), "user": "{}"}, "1:A"),
        lambda _: "hash=" + "0" * 64,
    ],
)
def test_d29_launch_data_is_judged_strictly(arena: Game, forge: Callable[[Game], str]) -> None:
    """No date, a date ahead, a key twice, or any change opens a session or passes as header."""
    launch = forge(arena)
    refused = arena.post("/api/auth/session", initData=launch)
    assert error_of(refused, 401, "telegram auth failed")["reason"]
    header = {"x-telegram-init-data": launch}
    refused = arena.send(Call(method="GET", path="/api/economy/me", headers=header))
    assert error_of(refused, 401, "telegram auth failed")["reason"]


def test_d29_launch_data_in_a_body_names_nobody(arena: Game) -> None:
    """Only the route that opens sessions reads launch data from a body."""
    launch = arena.launch(arena.newcomer())
    refused = arena.post("/api/daily/claim", initData=launch)
    error_of(refused, 401, "telegram auth required")


def test_d33_a_ban_binds_every_command(game: Game) -> None:
    """A banned player can change nothing at all, by session or by launch data."""
    player, broker = game.fighter(NEUR=500, AIBA=500)
    calls = changes(game, player, broker)
    game.operate(BanPlayer(player_id=player, minutes=60, reason="cheating"))
    before = game.tables()
    launch = {"x-telegram-init-data": game.launch(player)}
    for name, call in calls.items():
        by_launch = Call(method=call.method, path=call.path, headers=launch, body=call.body)
        for sent in (call, by_launch):
            details = error_of(game.send(sent), 403, "banned")
            assert details == {"reason": "cheating", "until": "2026-01-01T13:00:00.000Z"}, name
    after = game.tables()
    assert {**after, "answers": 0} == {**before, "answers": 0}
    assert game.me(player)["neurBalance"] == 500


# --- secrets and leaks ---


def test_d21_the_seed_secret_is_promised_and_nowhere_told(game: Game) -> None:
    """No answer tells the open epoch's secret or its root, nor a seed before its battle."""
    player, broker = game.fighter()
    battle = data_of(game.fight(player, broker, "k"))
    secret = game.seeds.secret(1)

    def told() -> str:
        paths = [
            *(op.path for op in game.description.operations if op.method == "GET"),
            f"/api/battles/{battle['_id']}",
            "/openapi.json",
        ]
        return "".join(game.looking(path, player).text for path in paths)

    assert secret not in told()
    game.rotate_seed()
    after = told()
    assert secret in after
    assert game.seeds.secret(2) not in after
    assert ROOT not in after
    assert game.settings.battle_seed_secret not in after


def test_d58_nobody_sees_anybody_elses(game: Game) -> None:
    """No public answer names a player; no private one gives another's battles or brokers away."""
    player, broker = game.fighter()
    battle = data_of(game.fight(player, broker, "k"))
    stranger = game.newcomer()
    foreign = game.get(f"/api/battles/{battle['_id']}", stranger)
    absent = game.get(f"/api/battles/{ABSENT_ID}", stranger)
    assert without_trace(foreign) == without_trace(absent)
    assert data_of(game.get("/api/battles", stranger))["items"] == []
    for operation in game.description.operations:
        if operation.method == "GET" and not operation.is_private:
            text = game.looking(operation.path).text
            for own in (player, broker, battle["_id"], "ann"):
                # A number may be a count or a size anywhere; a name of its own is quoted.
                assert f'"{own}"' not in text, operation.path


def test_d58_answers_hold_no_moderation_and_no_profile(game: Game) -> None:
    """What opens a session or changes a profile doesn't give the whole player record back."""
    player, _ = game.fighter()
    session = game.post("/api/auth/session", initData=game.launch(player)).text
    for name in ("anomalyFlags", "ban", "firstName", "first_name", "username", "lastSeen"):
        assert f'"{name}"' not in session + game.get("/api/economy/me", player).text


# --- envelope ---


def test_d61_a_client_gets_the_facts_it_needs(game: Game) -> None:
    """What to wait for and what is missing is in `details`, not only in a text."""
    player, broker = game.fighter()
    data_of(game.fight(player, broker, "1"))
    tired = error_of(game.fight(player, broker, "2"), 403, "no energy")
    assert tired == {"need": 10, "have": 0}
    game.save_mode("slow", cooldown_seconds=60)
    data_of(game.fight(player, broker, "3", modeKey="slow"))
    hot = error_of(game.fight(player, broker, "4", modeKey="slow"), 429, "cooldown")
    assert hot == {"retryAfterMs": MINUTE}


@pytest.mark.parametrize("content", [b"{", b"\xff", b'{"requestId": "a" "b"}', b"a=1&b=2"])
def test_d62_malformed_bodies_are_the_callers_fault(arena: Game, content: bytes) -> None:
    """Malformed JSON is 400 in the envelope, on every route that reads a body."""
    player, broker = arena.fighter()
    for call in changes(arena, player, broker).values():
        sent = Call(method=call.method, path=call.path, headers=call.headers, content=content)
        details = error_of(arena.send(sent), 400, "validation_error")
        assert details == {"body": "malformed JSON"}


@pytest.mark.parametrize("path", ["/", "/api", "/api/nope", "/api/battle/run/x", "/favicon.ico"])
def test_d62_unknown_paths_wear_the_envelope(arena: Game, path: str) -> None:
    """A path that isn't there is 404 in the envelope, whoever asks."""
    assert error_of(arena.get(path), 404, "not found") is None
    assert error_of(arena.get(path, arena.newcomer()), 404, "not found") is None


def test_d64_ten_thousand_paths_add_no_series(game: Game) -> None:
    """Random paths, ids and mode names leave the metrics as long as they were."""
    player, broker = game.fighter()
    error_of(game.fight(player, broker, "0", modeKey="no-such-mode"), 400, "invalid_mode")
    error_of(game.get(f"/api/battles/{ABSENT_ID}", player), 404, "not found")

    def series() -> set[str]:
        lines = game.get("/metrics").text.splitlines()
        found = {line.rsplit(" ", 1)[0] for line in lines if not line.startswith("#")}
        return {line for line in found if "process" not in line}

    game.run(visit(game, 3))
    series()
    before = series()
    game.run(visit(game, 10_000))
    for number in range(50):
        error_of(game.get(f"/api/battles/{number:024x}", player), 404, "not found")
        error_of(
            game.fight(player, broker, f"m{number}", modeKey=f"m{number}"), 400, "invalid_mode"
        )
    assert series() == before


async def visit(game: Game, times: int) -> None:
    """Ask for paths that are all different, past the client, which would take too long."""
    statuses = set()

    async def receive() -> Any:  # noqa: ANN401 - an ASGI message
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:  # noqa: ANN401 - an ASGI message
        statuses.add(message.get("status"))

    for number in range(times):
        path = ("/x{}", "/api/{}", "/api/battles/{}/y", "/api/brokers/{}")[number % 4]
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": ("GET", "POST")[number % 2],
            "scheme": "http",
            "path": path.format(number),
            "raw_path": b"/",
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"api.example")],
            "client": ("192.0.2.1", 1),
            "server": ("127.0.0.1", 80),
        }
        await game.app(cast("Any", scope), receive, send)
        await asyncio.sleep(0)
    assert statuses == {404, None}


# --- fields ---


def test_d67_false_as_a_text_is_false(arena: Game) -> None:
    """`"false"` asks for no withdrawal, and what is no boolean is refused by name."""
    read = [
        read_body(json.dumps({"brokerId": ABSENT_ID, "autoClaim": value}).encode(), BattleBody)
        for value in ("false", False, None, "", "true", True)
    ]
    assert [body.auto_claim for body in read] == [False] * 4 + [True] * 2
    player, broker = arena.fighter()
    assert data_of(arena.fight(player, broker, "1", autoClaim="false"))["claim"] == NO_CLAIM
    wrong: tuple[object, ...] = (1, 0, "yes", "TRUE", [], {}, 0.0)
    for value in wrong:
        refused = arena.fight(player, broker, "2", autoClaim=value)
        assert error_of(refused, 400, "validation_error") == {"autoClaim": "boolean"}


@pytest.mark.parametrize(
    ("fields", "details"),
    [
        ({"brokerId": 5}, {"brokerId": "objectId"}),
        ({"brokerId": ["a"]}, {"brokerId": "objectId"}),
        ({"brokerId": "xyz"}, {"brokerId": "objectId"}),
        ({"requestId": 5}, {"requestId": "string"}),
        ({"requestId": {"$ne": ""}}, {"requestId": "string"}),
        ({"arena": True, "league": 1.5}, {"arena": "string", "league": "string"}),
        ({"modeKey": "x" * 101}, {"modeKey": "maxLength:100"}),
        ({"arena": "x" * 51}, {"arena": "maxLength:50"}),
        ({"nope": 1}, {"nope": "unknown"}),
    ],
)
def test_d67_wrong_types_are_refused_by_name(
    arena: Game, fields: dict[str, object], details: dict[str, str]
) -> None:
    """No value is bent into another type; the validated body is the one that counts."""
    player = arena.newcomer()
    body = {"requestId": "k", "brokerId": ABSENT_ID, **fields}
    refused = arena.post("/api/battle/run", player, **body)
    assert error_of(refused, 400, "validation_error") == details


def test_d82_cooldowns_are_in_every_answer_with_a_broker(game: Game) -> None:
    """Each route that answers a broker shows its real cooldowns, a repeated answer the same."""
    player, broker = game.fighter(NEUR=500, AIBA=500)
    fought = data_of(game.fight(player, broker, "b"))
    cooling = {"prediction": fought["createdAt"]}
    game.clock.advance(1000)
    calls = changes(game, player, broker)
    for name in ("trainBroker", "upgradeBroker", "combineBrokers"):
        for _ in range(2):
            answer = flat_of(game.send(calls[name]))["broker"]
            assert answer["cooldowns"] == cooling, name
    assert game.broker(player, broker)["cooldowns"] == cooling
    for _ in range(2):
        assert flat_of(game.send(calls["repairBroker"]))["broker"]["cooldowns"] == {}
    assert game.broker(player, broker)["cooldowns"] == {}


def test_dates_are_iso_8601_with_milliseconds(game: Game) -> None:
    """Each date of each document has the one form that clients parse."""
    player, broker = game.fighter()
    battle = data_of(game.fight(player, broker, "b"))
    shown = [battle, game.broker(player, broker), *data_of(game.get("/api/game-modes"))]
    for document in shown:
        for name, value in document.items():
            if name.endswith("At") and value is not None:
                assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", value), name
