"""The routes by which admins run the game: modes, brokers, minting, moderation, dashboard."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from aiba_domain.battle.mode_commands import SeedModes
from aiba_domain.brokers.minting import MintJob, MintStatus
from aiba_domain.instants import iso
from aiba_domain.money import Currency
from tests.contract.game.support import ABSENT_ID, DAY, MINUTE, Game, data_of, error_of
from tests.support import admins
from tests.support.admins import Panel
from tests.support.stores import opener

MODES = "/api/admin/game-modes"
BROKERS = "/api/admin/brokers"
MOD = "/api/admin/mod"
MakeGame = Callable[..., Game]
Json = dict[str, Any]

NEW: Json = {"key": "casino", "name": "Casino", "arena": "prediction"}


@pytest.fixture(name="shared", scope="module")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Panel]:
    """Return a panel that the tests share which change nothing."""
    folder = tmp_path_factory.mktemp("shared")
    environ = {**admins.ENVIRON, "AIBA_DATA_DIR": str(folder)}
    game = Game(opener("memory", folder), environ=environ)
    yield Panel(game)
    game.close()


def minting(game: Game) -> tuple[str, str, str]:
    """Return a player, their broker, and the job of minting it."""
    player, broker = game.fighter(AIBA=250)
    ordered = game.post("/api/brokers/mint-nft", player, requestId="m", brokerId=broker)
    assert ordered.status_code == 201, ordered.text
    return player, broker, ordered.json()["jobId"]


def nft(number: int, **fields: object) -> Json:
    """Return the body that links an NFT."""
    return {"nftCollectionAddress": "collection", "nftItemAddress": f"item {number}"} | fields


def flag(game: Game, player: str, broker: str, flags: int) -> None:
    """Let a player and a broker have some flags."""
    one = game.read(lambda read: read.player(player))
    two = game.read(lambda read: read.broker(broker))
    assert one is not None
    assert two is not None
    game.put(replace(one, anomaly_flags=flags), replace(two, anomaly_flags=flags))


# --- game modes ---


def test_a_mode_is_made_changed_and_deleted(root: Panel) -> None:
    """It is played as it is now; a deleted one is nowhere, and its key is free again."""
    game = root.game
    made = data_of(root.post(MODES, **NEW, energyCost=0, entryNeurCost=3), 201)
    assert (made["enabled"], made["league"], made["rewardMultiplierAiba"]) == (True, "rookie", 1)
    player, broker = game.fighter(NEUR=10)
    assert game.fight(player, broker, "k1", modeKey="casino").status_code == 200
    path = f"{MODES}/{made['_id']}"
    changed = data_of(root.patch(path, rewardMultiplierAiba=1.5, rules={"minBrokerLevel": 9}))
    assert (changed["rewardMultiplierAiba"], changed["rules"]) == (1.5, {"minBrokerLevel": 9})
    assert data_of(root.patch(path, rules={}, description="", name=" "))["name"] == "Casino"
    assert data_of(root.call("DELETE", path)) == {"deleted": True}
    error_of(root.call("DELETE", path), 404, "not found")
    error_of(root.patch(path, name="x"), 404, "not found")
    game.clock.advance(DAY)
    error_of(game.fight(player, broker, "k2", modeKey="casino"), 400, "invalid_mode")
    assert "casino" not in {mode["key"] for mode in data_of(Panel(game).get(MODES))}
    assert data_of(Panel(game).post(MODES, **NEW), 201)["entryNeurCost"] == 0


def test_a_key_that_a_mode_has_is_taken(root: Panel) -> None:
    """A second mode under one key is refused, and the first stays as it was."""
    data_of(root.post(MODES, **NEW), 201)
    refused = root.post(MODES, **{**NEW, "name": "Other"})
    assert error_of(refused, 409, "key already taken") == {"key": "casino"}
    names = {mode["name"] for mode in data_of(root.get(MODES)) if mode["key"] == "casino"}
    assert names == {"Casino"}


def test_a_deleted_default_stays_deleted_at_the_next_start(root: Panel) -> None:
    """What fills in the defaults doesn't bring it back."""
    listed = data_of(root.get(MODES))
    gone = next(mode for mode in listed if mode["key"] == "arbitrage-pro")
    data_of(root.call("DELETE", f"{MODES}/{gone['_id']}"))
    root.game.operate(SeedModes())
    assert len(data_of(root.get(MODES))) == len(listed) - 1
    public = data_of(root.game.get("/api/game-modes"))
    assert "arbitrage-pro" not in {mode["key"] for mode in public}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"rules": {"nonsense": 1}}, "rules.nonsense"),
        ({"rules": {"leagueMultiplier": 0}}, "rules.leagueMultiplier"),
        ({"rules": {"minBrokerLevel": 1_001}}, "rules.minBrokerLevel"),
        ({"rules": {"varianceBase": -1}}, "rules.varianceBase"),
        ({"rules": []}, "rules"),
        ({"energyCost": -1}, "energyCost"),
        ({"energyCost": 0.5}, "energyCost"),
        ({"entryAibaCost": 10**9 + 1}, "entryAibaCost"),
        ({"rewardMultiplierNeur": -0.1}, "rewardMultiplierNeur"),
        ({"arena": "a b"}, "arena"),
        ({"key": ""}, "key"),
    ],
)
def test_a_mode_s_fields_are_judged_by_name(shared: Panel, fields: Json, field: str) -> None:
    """Nothing is stored that the engine can't play, and nothing is rounded."""
    refused = shared.post(MODES, **{**NEW, **fields})
    assert set(error_of(refused, 400, "validation_error")) == {field}


def test_the_key_of_a_mode_stays(root: Panel) -> None:
    """The panel sends it back with the rest; another one is refused."""
    made = data_of(root.post(MODES, **NEW), 201)
    path = f"{MODES}/{made['_id']}"
    assert data_of(root.patch(path, key="casino", name="B"))["name"] == "B"
    assert set(error_of(root.patch(path, key="other"), 400, "validation_error")) == {"key"}


# --- brokers and minting ---


def test_d45_a_broker_is_ordered_to_be_minted_once(root: Panel) -> None:
    """Two keys at once take one fee; the first key gives its first answer again."""
    game = root.game
    player, broker = game.fighter(AIBA=250)
    body = {"brokerId": broker}
    calls = [
        game.posting("/api/brokers/mint-nft", player, requestId=key, **body)
        for key in ("a", "b", "a")
    ]
    answers = game.at_once(calls)
    assert sorted(answer.status_code for answer in answers) == [201, 201, 409]
    done = next(each for each in answers if each.status_code == 201).json()
    assert (done["aibaPaid"], done["aibaBalance"]) == (100, 150)
    assert game.me(player)["aibaBalance"] == 150
    assert error_of(answers[1], 409, "mint already in progress") == {"jobId": done["jobId"]}
    listed = data_of(root.get(f"{BROKERS}/mint-jobs?status=pending"))
    assert [(job["_id"], job["telegramId"]) for job in listed] == [(done["jobId"], player)]


def test_d45_a_job_that_fails_gives_back_what_was_paid_once(root: Panel) -> None:
    """Exactly that, however often it is said; then the broker can be ordered again."""
    game = root.game
    player, broker, job = minting(game)
    path = f"{BROKERS}/mint-jobs/{job}/fail"
    failed = data_of(root.post(path, reason="no gas"))
    assert (failed["status"], failed["errorMessage"]) == ("failed", "no gas")
    assert game.me(player)["aibaBalance"] == 250
    again = root.post(path, reason="no gas")
    assert error_of(again, 400, "already completed") == {"status": "failed"}
    complete = root.post(f"{BROKERS}/mint-jobs/{job}/complete", **nft(1))
    error_of(complete, 400, "already completed")
    assert game.me(player)["aibaBalance"] == 250
    ordered = game.post("/api/brokers/mint-nft", player, requestId="m2", brokerId=broker)
    assert ordered.status_code == 201
    assert game.sound().faults == ()


def test_d45_a_job_is_completed_with_an_nft_that_nobody_has(root: Panel) -> None:
    """The broker is linked in the same step; a second completion changes nothing."""
    game = root.game
    player, broker, job = minting(game)
    other = game.give_broker(player)
    data_of(root.post(f"{BROKERS}/{other}/link-nft", **nft(1)))
    path = f"{BROKERS}/mint-jobs/{job}/complete"
    taken = root.post(path, **nft(1))
    assert error_of(taken, 409, "NFT already linked") == {"brokerId": other}
    done = data_of(root.post(path, **nft(2, nftItemIndex=7)))
    assert (done["status"], done["nftItemAddress"]) == ("completed", "item 2")
    listed = game.broker(player, broker)
    assert (listed["nftItemAddress"], listed["nftItemIndex"]) == ("item 2", 7)
    error_of(root.post(path, **nft(3)), 400, "already completed")
    ordered = game.post("/api/brokers/mint-nft", player, requestId="m2", brokerId=broker)
    error_of(ordered, 400, "broker already has NFT")
    error_of(
        root.post(f"{BROKERS}/mint-jobs/{ABSENT_ID}/complete", **nft(4)), 404, "mint job not found"
    )
    error_of(root.post(f"{BROKERS}/{ABSENT_ID}/link-nft", **nft(4)), 404, "not found")


def test_d45_a_job_whose_broker_is_gone_can_only_fail(root: Panel) -> None:
    """Its completion is refused, and the refund goes to whoever paid."""
    game = root.game
    player, broker, job = minting(game)
    base = game.give_broker(player)
    game.fund(player, NEUR=100)
    body = {"baseBrokerId": base, "sacrificeBrokerId": broker}
    assert game.post("/api/brokers/combine", player, requestId="c", **body).status_code == 200
    error_of(root.post(f"{BROKERS}/mint-jobs/{job}/complete", **nft(1)), 404, "broker not found")
    data_of(root.post(f"{BROKERS}/mint-jobs/{job}/fail", reason="gone"))
    assert game.me(player)["aibaBalance"] == 250


def test_brokers_are_listed_by_owner_and_by_whether_they_are_minted(root: Panel) -> None:
    """The newest first."""
    game = root.game
    player, broker = game.fighter()
    other, second = game.fighter()
    third = game.give_broker(other)
    data_of(root.post(f"{BROKERS}/{second}/link-nft", **nft(1)))

    def listed(query: str = "") -> list[str]:
        return [each["_id"] for each in data_of(root.get(f"{BROKERS}{query}"))]

    assert listed()[0] == third
    assert set(listed()) == {broker, second, third}
    assert listed(f"?ownerTelegramId={player}") == [broker]
    assert listed("?minted=true") == [second]
    assert listed(f"?ownerTelegramId={other}&minted=false") == [third]


# --- moderation ---


def test_bans_bind_and_are_lifted(root: Panel) -> None:
    """A player's by minutes, a broker's until it is lifted; each is on record with both states."""
    game = root.game
    player, broker = game.fighter(NEUR=100)
    train: Json = {"brokerId": broker, "stat": "risk"}
    card = data_of(root.post(f"{MOD}/ban-user", telegramId=player, minutes=5, reason="bots"))
    assert (card["bannedReason"], card["bannedUntil"]) == ("bots", "2026-01-01T12:05:00.000Z")
    error_of(game.post("/api/brokers/train", player, requestId="1", **train), 403, "banned")
    assert data_of(root.post(f"{MOD}/unban-user", telegramId=player))["bannedUntil"] is None
    assert data_of(root.post(f"{MOD}/ban-broker", brokerId=broker))["banned"] is True
    refused = game.post("/api/brokers/train", player, requestId="2", **train)
    assert error_of(refused, 403, "broker banned") == {"reason": "broker banned"}
    assert data_of(root.post(f"{MOD}/unban-broker", brokerId=broker))["banned"] is False
    assert game.post("/api/brokers/train", player, requestId="3", **train).status_code == 200
    trail = {row["action"]: row["changes"][0] for row in root.trail() if row["changes"]}
    assert trail["moderation.ban_player"]["after"]["ban"]["reason"] == "bots"
    assert trail["moderation.unban_player"]["after"]["ban"] is None
    error_of(root.post(f"{MOD}/unban-user", telegramId="404"), 404, "user not found")
    error_of(root.post(f"{MOD}/ban-broker", brokerId=ABSENT_ID), 404, "broker not found")


@pytest.mark.parametrize("minutes", [0, -1, 0.5, 10**12])
def test_a_ban_has_an_end_that_is_a_date(shared: Panel, minutes: float) -> None:
    """Half a minute and no minute are no ban."""
    refused = shared.post(f"{MOD}/ban-user", telegramId="1", minutes=minutes)
    assert set(error_of(refused, 400, "validation_error")) == {"minutes"}


def test_a_ban_is_as_long_as_it_says(root: Panel) -> None:
    """Minutes may have a fraction, which counts to the millisecond."""
    for minutes, ms in ((1, 60_000), (1.5, 90_000), (1.00001, 60_000), (2.0005, 120_030)):
        card = data_of(root.post(f"{MOD}/ban-user", telegramId="7", minutes=minutes))
        assert card["bannedUntil"] == iso(root.game.clock.now() + ms)


def test_badges_are_replaced(root: Panel) -> None:
    """Trimmed, blanks and doubles left out; none clears them, also of somebody unknown."""
    path = f"{MOD}/user-badges"
    card = data_of(root.post(path, telegramId="5", badges=[" top ", "", "top", "early"]))
    assert card["badges"] == ["top", "early"]
    assert data_of(root.post(path, telegramId="5"))["badges"] == []
    refused = root.post(path, telegramId="5", badges=["x" * 65])
    assert set(error_of(refused, 400, "validation_error")) == {"badges"}


def test_the_leaders_have_their_badge_and_nobody_else(root: Panel) -> None:
    """As many as the configuration says, on record with who held it before and after."""
    game = root.game
    path, config = f"{MOD}/sync-top-leader-badges", "/api/admin/economy/config"
    fighters = [game.fighter() for _ in range(2)]
    for count, (player, broker) in enumerate(fighters, start=1):
        for battle in range(count):
            data_of(game.fight(player, broker, f"{battle}"))
            game.clock.advance(10 * MINUTE)
    (second, _), (first, _) = fighters
    data_of(root.post(f"{MOD}/user-badges", telegramId="5", badges=["early", "top_leader"]))
    assert data_of(root.patch(config, topLeaderBadgeTopN=1))["topLeaderBadgeTopN"] == 1

    def sync() -> tuple[int, int]:
        answer = root.post(path)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert (body.pop("ok"), set(body)) == (True, {"removed", "granted", "requestId"})
        return body["removed"], body["granted"]

    def badges() -> list[list[str]]:
        found = (data_of(root.get(f"{MOD}/user?telegramId={each}")) for each in (first, second, 5))
        return [each["badges"] for each in found]

    assert sync() == (1, 1)
    assert badges() == [["top_leader"], [], ["early"]]
    row = root.trail()[0]
    (change,) = row["changes"]
    assert (row["action"], change["subject"]) == (
        "moderation.sync_top_leader_badges",
        "badge:top_leader",
    )
    assert (change["before"], change["after"]) == ({"holders": ["5"]}, {"holders": [first]})
    assert sync() == (1, 1)
    assert root.trail()[0]["changes"] == []
    root.patch(config, topLeaderBadgeTopN=1_000)
    assert sync() == (1, 2)
    root.patch(config, topLeaderBadgeTopN=0)
    assert sync() == (2, 0)
    assert badges() == [[], [], ["early"]]
    refused = root.patch(config, topLeaderBadgeTopN=1_001)
    assert set(error_of(refused, 400, "validation_error")) == {"topLeaderBadgeTopN"}


def test_the_flagged_are_listed_with_the_battles_that_flagged_them(root: Panel) -> None:
    """Most flags first; who has none is never listed, whatever least is asked for."""
    game = root.game
    quiet, _ = game.fighter()
    players = []
    for flags in (1, 3):
        player, broker = game.fighter()
        flag(game, player, broker, flags)
        players.append((player, broker))
    (one, first), (three, second) = players
    listed = data_of(root.get(f"{MOD}/flagged-users?minFlags=0"))
    assert [each["telegramId"] for each in listed] == [three, one]
    assert quiet not in {each["telegramId"] for each in listed}
    assert [each["_id"] for each in data_of(root.get(f"{MOD}/flagged-brokers"))] == [second, first]
    many = data_of(root.get(f"{MOD}/flagged-brokers?minFlags=2"))
    assert [each["_id"] for each in many] == [second]
    assert data_of(root.get(f"{MOD}/recent-anomalies")) == []


def test_d58_an_admin_s_answer_is_a_card_and_no_whole_row(root: Panel) -> None:
    """No wallet, no session, no profile of Telegram's beside the name."""
    player = root.game.newcomer()
    root.game.bind(player)
    card = data_of(root.get(f"{MOD}/user?telegramId={player}"))
    assert set(card) == {
        "telegramId",
        "username",
        "aibaBalance",
        "neurBalance",
        "starsBalance",
        "diamondsBalance",
        "badges",
        "firstWinDiamondAwardedAt",
        "anomalyFlags",
        "bannedUntil",
        "bannedReason",
        "lastSeenAt",
        "createdAt",
        "updatedAt",
    }
    banned = data_of(root.post(f"{MOD}/ban-user", telegramId=player))
    assert set(banned) == set(card)
    error_of(root.get(f"{MOD}/user?telegramId=404"), 404, "user not found")


# --- the dashboard ---


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_the_dashboard_counts_today(make_game: MakeGame, kind: str) -> None:
    """Players seen today, all of them, battles, and what was emitted; a new day begins anew."""
    game = make_game(kind)
    root = Panel(game)
    game.save_mode("free")
    for _ in range(2):
        player, broker = game.fighter()
        assert game.fight(player, broker, "k", modeKey="free").status_code == 200
    game.post("/api/daily/claim", player)
    stats = data_of(root.get("/api/admin/stats"))
    emitted = stats.pop("todayEmittedAiba")
    assert emitted > 0
    assert stats == {
        "day": "2026-01-01",
        "dau": 2,
        "totalUsers": 2,
        "totalBattles": 2,
        "battlesToday": 2,
        "todayEmittedNeur": 50,
    }
    game.clock.advance(DAY)
    game.post("/api/daily/claim", player)
    stats = data_of(Panel(game).get("/api/admin/stats"))
    assert (stats["dau"], stats["totalUsers"], stats["battlesToday"]) == (1, 2, 0)
    assert (stats["totalBattles"], stats["todayEmittedAiba"]) == (2, 0)


def test_d40_only_what_is_gone_for_good_counts_as_spending(root: Panel) -> None:
    """Neither an operator's debit nor a withdrawal earns the combo; a fee in AIBA does."""
    game = root.game
    player, _ = game.holder(1_000)
    taken = {"telegramId": player, "aibaDelta": -500, "requestId": "take"}
    assert root.post("/api/admin/economy/credit-user", **taken).status_code == 200
    assert game.withdraw(player, "w", amount=200).status_code == 200

    def spent() -> int:
        daily = data_of(game.get("/api/daily/status", player))
        amount: int = daily["dailyCombo"]["spentTodayAiba"]
        return amount

    assert spent() == 0
    day = data_of(root.get("/api/admin/economy/day?day=2026-01-01"))
    assert day["burnedAiba"] == 0
    broker = game.starter(player)
    body = {"brokerId": broker, "requestId": "u", "stat": "risk"}
    assert game.post("/api/brokers/upgrade", player, **body).status_code == 200
    assert spent() == 50
    ordered = game.post("/api/brokers/mint-nft", player, requestId="m", brokerId=broker)
    assert ordered.status_code == 201
    assert spent() == 150
    game.fund(player, NEUR=1_000)
    paid = game.post("/api/brokers/train", player, **{**body, "requestId": "n"})
    assert paid.status_code == 200
    assert spent() == 150, "NEUR is no AIBA"


def test_d26_every_route_of_admins_is_counted(make_game: MakeGame) -> None:
    """Each answers 429 once the caller is over the limit of a minute, by whatever method."""
    game = make_game(RATE_LIMIT_PER_MINUTE="3")
    root = Panel(game)
    for _ in range(3):
        root.get("/api/admin/auth/me")
    for operation in game.description.operations:
        if operation.path.startswith("/api/admin/") and operation.is_private:
            path = operation.path
            for name in ("{mode_id}", "{broker_id}", "{job_id}", "{email}"):
                path = path.replace(name, ABSENT_ID)
            answer = root.call(operation.method, path, {} if operation.changes else None)
            assert answer.status_code == 429, f"{operation.method} {path}: {answer.text}"
            assert int(answer.headers["retry-after"]) >= 1


def test_a_mint_job_keeps_what_was_paid(root: Panel) -> None:
    """A later price changes no refund."""
    player, _, job = minting(root.game)
    root.game.set_policy(mint_aiba_cost=1)
    data_of(root.post(f"{BROKERS}/mint-jobs/{job}/fail", reason="late"))
    assert root.game.me(player)["aibaBalance"] == 250
    kept = root.game.read(lambda read: read.mint_job(job))
    assert isinstance(kept, MintJob)
    assert (kept.status, kept.aiba_paid) == (MintStatus.FAILED, 100)
    held = root.game.read(lambda read: read.balances("operator:broker_mint_refund"))
    assert held == {Currency.AIBA: -100}
