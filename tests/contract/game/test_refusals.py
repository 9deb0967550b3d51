"""Every way the game says no: status, code and the facts a client may act on."""

from typing import Any

import pytest

from aiba_domain.economy.windows import EmissionWindow, EmissionWindows
from aiba_domain.guilds.model import Guild
from aiba_domain.moderation.commands import BanBroker, BanPlayer, UnbanPlayer
from tests.contract.game.conftest import MakeGame
from tests.contract.game.support import (
    ABSENT_ID,
    HOUR,
    MINUTE,
    Call,
    Game,
    data_of,
    error_of,
    flat_of,
)

PAID = {
    "train": ("NEUR", 25, {"stat": "risk"}),
    "repair": ("NEUR", 15, {}),
    "upgrade": ("AIBA", 50, {"stat": "risk"}),
}


def paid(game: Game, route: str, player: str, broker: str, key: str = "k") -> Any:  # noqa: ANN401
    """Call one of the paid broker routes."""
    fields = PAID[route][2]
    path = f"/api/brokers/{route}"
    return game.post(path, player, requestId=key, brokerId=broker, **fields)


# --- battles ---


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"modeKey": "nope"}, "modeKey not found: nope"),
        ({"arena": "moon", "league": "pro"}, "no enabled mode for moon/pro"),
        ({"arena": "moon"}, "no enabled mode for moon/rookie"),
        ({"league": "moon"}, "no enabled mode for prediction/moon"),
    ],
)
def test_invalid_mode_says_which(arena: Game, fields: dict[str, str], text: str) -> None:
    """A mode that isn't there is told with what was asked for, before the broker is looked at."""
    player = arena.newcomer()
    assert error_of(arena.fight(player, ABSENT_ID, "k", **fields), 400, "invalid_mode") == text


def test_disabled_mode(game: Game) -> None:
    """A disabled mode can be named and is refused by name."""
    player, broker = game.fighter()
    game.save_mode("closed", enabled=False)
    refused = game.fight(player, broker, "k", modeKey="closed")
    assert error_of(refused, 403, "mode_disabled") == {"modeKey": "closed"}


def test_guild_required(game: Game) -> None:
    """Guild wars need a guild; with one the battle is fought, also without an opponent."""
    player, broker = game.fighter()
    game.clock.advance(HOUR)
    body = {"arena": "guildWars"}
    assert error_of(game.fight(player, broker, "1", **body), 403, "guild required") is None
    now = game.clock.now()
    guild = Guild(id=ABSENT_ID, name="g", owner_id=player, member_ids=(player,), created_at=now)
    game.put(guild)
    data = data_of(game.fight(player, broker, "2", **body))
    assert (data["guildId"], data["opponentGuildId"]) == (ABSENT_ID, None)


def test_absent_and_foreign_brokers(arena: Game) -> None:
    """A broker that isn't there is 404, somebody else's is 403, in battles as in the workshop."""
    player, own = arena.fighter(NEUR=500, AIBA=500)
    _, foreign = arena.fighter()
    assert error_of(arena.fight(player, ABSENT_ID, "1"), 404, "broker not found") is None
    assert error_of(arena.fight(player, foreign, "2"), 403, "not your broker") is None
    for route in PAID:
        absent = paid(arena, route, player, ABSENT_ID, "1")
        assert error_of(absent, 404, "broker not found") is None
        not_own = paid(arena, route, player, foreign, "2")
        assert error_of(not_own, 403, "not your broker") is None
    for base, sacrifice, status, code in (
        (ABSENT_ID, own, 404, "base broker not found"),
        (own, ABSENT_ID, 404, "sacrifice broker not found"),
        (foreign, own, 403, "not your broker"),
        (own, foreign, 403, "not your broker"),
        (own, own, 400, "base and sacrifice must be different brokers"),
    ):
        body = {"baseBrokerId": base, "sacrificeBrokerId": sacrifice}
        refused = arena.post(
            "/api/brokers/combine", player, requestId=f"{base}-{sacrifice}", **body
        )
        assert error_of(refused, status, code) is None
    assert arena.broker(player, own)["xp"] == 0


def test_league_energy_and_cooldown(arena: Game) -> None:
    """Each thing a broker lacks is told with what is needed and what is there."""
    player, broker = arena.fighter(NEUR=100)
    locked = arena.fight(player, broker, "1", league="pro")
    assert error_of(locked, 403, "league_locked") == {"needLevel": 5, "haveLevel": 1}
    data_of(arena.fight(player, broker, "2"))
    arena.clock.advance(5 * MINUTE)
    tired = arena.fight(player, broker, "3")
    assert error_of(tired, 403, "no energy") == {"need": 10, "have": 5}
    fresh = arena.give_broker(player, energy=100)
    data_of(arena.fight(player, fresh, "4"))
    arena.clock.advance(10_001)
    hot = arena.fight(player, fresh, "5")
    assert error_of(hot, 429, "cooldown") == {"retryAfterMs": 19_999}
    arena.clock.advance(19_999)
    data_of(arena.fight(player, fresh, "6"))


def test_entry_fees(game: Game) -> None:
    """An entry fee that can't be paid is told, and one that can is taken."""
    player, broker = game.fighter(NEUR=30)
    game.save_mode("paid", entry_neur=20, entry_aiba=5)
    poor = game.fight(player, broker, "1", modeKey="paid")
    assert error_of(poor, 403, "insufficient AIBA") == {"need": 5, "have": 0}
    game.fund(player, AIBA=7)
    data = data_of(game.fight(player, broker, "2", modeKey="paid"))
    me = game.me(player)
    assert (me["neurBalance"], me["aibaBalance"]) == (10, 2 + data["rewardAiba"])
    poor = game.fight(player, broker, "3", modeKey="paid")
    assert error_of(poor, 403, "insufficient NEUR") == {"need": 20, "have": 10}


# --- workshop ---


@pytest.mark.parametrize("route", PAID)
def test_too_little_money(arena: Game, route: str) -> None:
    """What is needed and what is there is told, and nothing changes."""
    currency, price, _ = PAID[route]
    player, broker = arena.fighter(**{currency: price - 1})
    before = arena.broker(player, broker)
    refused = paid(arena, route, player, broker)
    details = error_of(refused, 403, f"insufficient {currency}")
    assert details == {"need": price, "have": price - 1}
    assert arena.broker(player, broker) == before


@pytest.mark.parametrize("route", ["train", "upgrade"])
def test_stat_must_be_named(arena: Game, route: str) -> None:
    """No stat is `invalid stat`, another word is a fault of the field."""
    player, broker = arena.fighter()
    path, body = f"/api/brokers/{route}", {"requestId": "k", "brokerId": broker}
    assert error_of(arena.post(path, player, **body), 400, "invalid stat") == {"stat": "required"}
    refused = arena.post(path, player, **body, stat="luck")
    assert error_of(refused, 400, "validation_error") == {"stat": "enum"}


def test_stat_at_its_maximum_is_not_paid_for(arena: Game) -> None:
    """A fee never buys nothing."""
    player = arena.newcomer()
    broker_id = arena.give_broker(player, risk=100)
    arena.fund(player, NEUR=100)
    details = error_of(paid(arena, "train", player, broker_id), 400, "stat at maximum")
    assert details == {"stat": "risk", "max": 100}
    assert arena.me(player)["neurBalance"] == 100


def test_pooled_broker_cannot_be_sacrificed(arena: Game) -> None:
    """A broker that fights for a guild has to leave it first."""
    player, base = arena.fighter(NEUR=100)
    pooled = arena.give_broker(player, guild_id=ABSENT_ID)
    body = {"requestId": "k", "baseBrokerId": base, "sacrificeBrokerId": pooled}
    refused = arena.post("/api/brokers/combine", player, **body)
    assert error_of(refused, 400, "withdraw broker from guild first") is None


# --- bans ---


def test_banned_player_is_told_why_and_until_when(game: Game) -> None:
    """A ban gives its reason and end, holds until then, and can be lifted."""
    player, broker = game.fighter()
    game.operate(BanPlayer(player_id=player, minutes=10, reason="multi-accounting"))
    until = "2026-01-01T12:10:00.000Z"
    details = error_of(game.fight(player, broker, "1"), 403, "banned")
    assert details == {"reason": "multi-accounting", "until": until}
    game.clock.advance(10 * MINUTE)
    data_of(game.fight(player, broker, "2"))
    game.operate(BanPlayer(player_id=player, minutes=10, reason="again"))
    game.clock.advance(MINUTE)
    error_of(game.post("/api/daily/claim", player), 403, "banned")
    game.operate(UnbanPlayer(player_id=player))
    flat_of(game.post("/api/daily/claim", player))


def test_banned_player_may_look(game: Game) -> None:
    """A ban forbids to change things, not to see them."""
    player, _ = game.fighter(NEUR=1)
    game.seal()
    game.operate(BanPlayer(player_id=player, minutes=10, reason="r"))
    for operation in game.description.operations:
        theirs = not operation.path.startswith("/api/admin/")
        if theirs and operation.method == "GET" and "{" not in operation.path:
            assert game.looking(operation.path, player).status_code == 200
    assert game.broker(player, data_of(game.get("/api/brokers/mine", player))[0]["_id"])


def test_banned_broker(game: Game) -> None:
    """A banned broker can't be used for anything, and its owner sees why."""
    player, broker = game.fighter(NEUR=500, AIBA=500)
    fresh = game.give_broker(player)
    game.operate(BanBroker(broker_id=broker, reason="tampered"))
    refusals = [game.fight(player, broker, "1")]
    refusals += [paid(game, route, player, broker) for route in PAID]
    for base, sacrifice in ((broker, fresh), (fresh, broker)):
        body = {"requestId": base, "baseBrokerId": base, "sacrificeBrokerId": sacrifice}
        refusals.append(game.post("/api/brokers/combine", player, **body))
    for refused in refusals:
        assert error_of(refused, 403, "broker banned") == {"reason": "tampered"}
    shown = game.broker(player, broker)
    assert (shown["banned"], shown["banReason"]) == (True, "tampered")
    assert game.broker(player, fresh)["banned"] is False


# --- the rest of the catalogue ---


def test_daily_cap(game: Game) -> None:
    """Closed emission is 503, leaves the day unclaimed, and the claim works once it opens."""
    player = game.newcomer()
    game.set_policy(daily_cap_neur=49)
    refused = game.post("/api/daily/claim", player)
    assert error_of(refused, 503, "daily cap reached") == {"reason": "cap_exceeded"}
    assert data_of(game.get("/api/daily/status", player))["canClaim"] is True
    hours = EmissionWindow(start_hour=13, end_hour=14)
    game.set_policy(daily_cap_neur=50, emission_windows=EmissionWindows(usual=hours))
    refused = game.post("/api/daily/claim", player)
    assert error_of(refused, 503, "daily cap reached") == {"reason": "outside_window"}
    game.clock.advance(HOUR)
    assert flat_of(game.post("/api/daily/claim", player))["neurReward"] == 50


def test_closed_emission_makes_a_battle_pay_nothing(game: Game) -> None:
    """A refused emission is a reward of 0, never an error."""
    player, broker = game.fighter()
    game.set_policy(daily_cap_aiba=1)
    assert data_of(game.fight(player, broker, "k"))["rewardAiba"] == 0
    assert game.me(player)["aibaBalance"] == 0


@pytest.mark.parametrize("body", [{}, {"schoolId": None}, {"schoolId": ""}])
def test_nothing_to_update(arena: Game, body: dict[str, object]) -> None:
    """A change of the profile that changes nothing is refused."""
    player = arena.newcomer()
    refused = patch(arena, player, body)
    assert error_of(refused, 400, "no valid fields to update") is None


def patch(game: Game, player: str, body: object) -> Any:  # noqa: ANN401 - a response
    """Change a player's profile."""
    headers = game.as_player(player)
    return game.send(Call(method="PATCH", path="/api/economy/me", headers=headers, body=body))


def test_bad_school_is_refused_and_clears_nothing(arena: Game) -> None:
    """A text that is no id doesn't erase the one that was kept."""
    player = arena.newcomer()
    flat_of(patch(arena, player, {"schoolId": ABSENT_ID}))
    refused = patch(arena, player, {"schoolId": "school of hard knocks"})
    assert error_of(refused, 400, "validation_error") == {"schoolId": "objectId"}
    assert arena.me(player)["schoolId"] == ABSENT_ID


def test_absent_battles_and_bad_places(arena: Game) -> None:
    """A battle that isn't there is 404; an id or a place that is none is 400, by name."""
    player = arena.newcomer()
    assert error_of(arena.get(f"/api/battles/{ABSENT_ID}", player), 404, "not found") is None
    for path, details in (
        ("/api/battles/xyz", {"id": "objectId"}),
        ("/api/battles?limit=0", {"limit": "min:1"}),
        ("/api/battles?limit=101", {"limit": "max:100"}),
        ("/api/battles?limit=1.5", {"limit": "integer"}),
        ("/api/battles?before=yesterday", {"before": "pattern"}),
        (f"/api/battles?before={'9' * 30}-{ABSENT_ID}", {"before": "pattern"}),
        (f"/api/battles?before={'1' * 70}", {"before": "maxLength:64"}),
        (f"/api/game-modes?arena={'x' * 51}", {"arena": "maxLength:50"}),
        ("/api/game-modes?league=%00", {"league": "pattern"}),
    ):
        assert error_of(arena.get(path, player), 400, "validation_error") == details


def test_store_out_of_order_is_503(every_game: Game) -> None:
    """When the store can't answer, the caller is told to come back, and the process says so."""
    game = every_game
    player, broker = game.fighter()
    game.run(game.store.close())
    for refused in (game.fight(player, broker, "k"), game.get("/api/economy/me", player)):
        assert error_of(refused, 503, "unavailable") == {"retryAfterMs": 1000}
        assert refused.headers["retry-after"] == "1"
    ready = game.get("/ready")
    assert ready.status_code == 503
    assert ready.json()["checks"] == {"store": {"ok": False, "detail": "unavailable"}}
    assert game.get("/health").status_code == 200


def test_failure_inside_is_500_without_its_text(
    make_game: MakeGame, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What nobody foresaw tells nothing of itself, counts as failed, and leaves no trace."""
    game = make_game("memory")
    player, broker = game.fighter()

    def fail(*_: object) -> None:
        msg = "password hunter2"
        raise ZeroDivisionError(msg)

    monkeypatch.setattr("aiba_domain.battle.commands.resolve", fail)
    refused = game.fight(player, broker, "k")
    assert error_of(refused, 500, "internal server error") is None
    other = 'arena="other",league="other",mode_key="other"'
    assert f'aiba_battle_runs_total{{{other},result="error"}} 1.0' in game.get("/metrics").text
    monkeypatch.undo()
    data_of(game.fight(player, broker, "k"))
