"""Every route's good answers, field by field."""

import re
from datetime import UTC, datetime
from fractions import Fraction
from itertools import pairwise

import pytest

from aiba_domain import commitment, receipt_from_json, verify
from aiba_domain.economy.rewards import RewardRates
from tests.contract.game.shapes import (
    BATTLE,
    BROKER,
    ECONOMY,
    FOUGHT,
    ME,
    MODE,
    NO_CLAIM,
    assert_shape,
)
from tests.contract.game.support import DAY, HOUR, MINUTE, Call, Game, data_of, error_of, flat_of

DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
ID = re.compile(r"[0-9a-f]{24}")


def date(instant: int) -> str:
    """Return an instant as clients read dates: ISO-8601 with milliseconds, UTC."""
    moment = datetime.fromtimestamp(instant / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


# --- sessions ---


def test_session(arena: Game) -> None:
    """Launch data is exchanged for a token that says who is playing, and until when."""
    player = arena.newcomer()
    data = data_of(arena.post("/api/auth/session", initData=arena.launch(player)))
    assert set(data) == {"token", "expiresAt", "telegramId"}
    assert data["telegramId"] == player
    assert data["expiresAt"] == date(arena.clock.now() + HOUR)
    bearer = {"Authorization": f"Bearer {data['token']}"}
    me = arena.send(Call(method="GET", path="/api/economy/me", headers=bearer))
    assert data_of(me)["telegramId"] == player


# --- game modes ---


def test_the_fifteen_modes_are_public_and_sorted(arena: Game) -> None:
    """A new store has 15 modes, in order of arena, league and key, for anyone to see."""
    modes = data_of(arena.get("/api/game-modes"))
    assert len(modes) == 15
    for mode in modes:
        assert_shape(mode, MODE)
        assert ID.fullmatch(mode["_id"])
    costs = {"rookie": (10, 30), "pro": (15, 45), "elite": (20, 60)}
    for mode in modes:
        energy, cooldown = costs[mode["league"]]
        guild = mode["arena"] == "guildWars"
        assert mode["key"] == mode["arena"] + (
            "" if mode["league"] == "rookie" else f"-{mode['league']}"
        )
        assert mode["name"] == f"{mode['arena']} ({mode['league']})"
        assert mode["description"] == "Auto-generated default game mode"
        assert mode["energyCost"] == energy + 5 * guild
        assert mode["cooldownSeconds"] == cooldown + 15 * guild
        assert mode["rules"] == ({"requiresGuild": True} if guild else {})
        assert (mode["enabled"], mode["entryNeurCost"], mode["entryAibaCost"]) == (True, 0, 0)
        assert (mode["rewardMultiplierAiba"], mode["rewardMultiplierNeur"]) == (1, 1)
    assert {mode["arena"] for mode in modes} == {
        "prediction",
        "simulation",
        "strategyWars",
        "guildWars",
        "arbitrage",
    }
    order = [(mode["arena"], mode["league"], mode["key"]) for mode in modes]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("arena=prediction", ["prediction-elite", "prediction-pro", "prediction"]),
        ("arena=guildWars&league=pro", ["guildWars-pro"]),
        ("league=elite&arena=arbitrage", ["arbitrage-elite"]),
        ("arena=nowhere", []),
        ("arena=%20simulation%20&league=pro", ["simulation-pro"]),
        ("arena=&league=", None),
        ("arena=%20&other=1", None),
    ],
)
def test_modes_are_filtered_by_trimmed_arena_and_league(
    arena: Game, query: str, keys: list[str] | None
) -> None:
    """Filters are trimmed; a blank one filters nothing, and other parameters mean nothing."""
    found = [mode["key"] for mode in data_of(arena.get(f"/api/game-modes?{query}"))]
    everything = [mode["key"] for mode in data_of(arena.get("/api/game-modes"))]
    assert found == (everything if keys is None else keys)


def test_modes_of_an_operator_keep_the_order_and_disabled_ones_are_hidden(game: Game) -> None:
    """A mode that is added takes its place in the order; a disabled one is not listed."""
    game.save_mode("a-first")
    game.save_mode("z-last")
    game.save_mode("prediction-pro", league="pro", enabled=False)
    keys = [mode["key"] for mode in data_of(game.get("/api/game-modes?arena=prediction"))]
    assert keys == ["prediction-elite", "a-first", "prediction", "z-last"]


# --- brokers ---


def test_starter(arena: Game) -> None:
    """The free broker is made as today's clients expect it, and answered with 201."""
    player = arena.newcomer()
    broker = data_of(arena.post("/api/brokers/starter", player), 201)
    assert_shape(broker, BROKER)
    now = date(arena.clock.now())
    assert broker == {
        "_id": broker["_id"],
        "__v": 0,
        "ownerTelegramId": player,
        **dict.fromkeys(("risk", "intelligence", "speed"), 50),
        "specialty": "crypto",
        "level": 1,
        "xp": 0,
        "energy": 10,
        "lastBattleAt": None,
        "cooldowns": {},
        "anomalyFlags": 0,
        "banned": False,
        "nftItemIndex": None,
        "guildId": None,
        "rentedUntil": None,
        **dict.fromkeys(
            (
                "banReason",
                "lastRequestId",
                "nftCollectionAddress",
                "nftItemAddress",
                "metadataUri",
                "rentedByTelegramId",
                "createdWithTonTxHash",
            ),
            "",
        ),
        **dict.fromkeys(("energyUpdatedAt", "createdAt", "updatedAt"), now),
    }
    assert ID.fullmatch(broker["_id"])


def test_mine_lists_the_own_brokers_newest_first(arena: Game) -> None:
    """A player sees all of the own brokers and nobody else's."""
    player, first = arena.fighter()
    stranger, _ = arena.fighter()
    second, third = (arena.give_broker(player, number) for number in (1, 2))
    listed = data_of(arena.get("/api/brokers/mine", player))
    assert [broker["_id"] for broker in listed] == [third, second, first]
    for broker in listed:
        assert_shape(broker, BROKER)
    assert data_of(arena.get("/api/brokers/mine", arena.newcomer())) == []
    assert len(data_of(arena.get("/api/brokers/mine", stranger))) == 1


@pytest.mark.parametrize("stat", ["intelligence", "speed", "risk"])
def test_train(arena: Game, stat: str) -> None:
    """Training costs NEUR, adds a point and experience, and answers flat under the key."""
    player, broker = arena.fighter(NEUR=100)
    key = f"train-{stat}"
    arena.clock.advance(MINUTE)
    fields = flat_of(
        arena.post("/api/brokers/train", player, requestId=key, brokerId=broker, stat=stat)
    )
    assert set(fields) == {"broker", "neurBalance", "requestId"}
    assert_shape(fields["broker"], BROKER)
    assert (fields["neurBalance"], fields["requestId"]) == (75, key)
    assert (fields["broker"][stat], fields["broker"]["xp"]) == (51, 5)
    assert fields["broker"]["updatedAt"] == date(arena.clock.now())
    assert arena.broker(player, broker) == fields["broker"]
    assert arena.me(player)["neurBalance"] == 75


def test_repair(arena: Game) -> None:
    """A repair costs NEUR, fills the energy and clears the cooldowns."""
    player, broker = arena.fighter(NEUR=20)
    data_of(arena.fight(player, broker, "r-1"))
    fields = flat_of(arena.post("/api/brokers/repair", player, requestId="r-2", brokerId=broker))
    assert set(fields) == {"broker", "neurBalance", "requestId"}
    assert (fields["neurBalance"], fields["requestId"]) == (5, "r-2")
    assert (fields["broker"]["energy"], fields["broker"]["cooldowns"]) == (100, {})
    data_of(arena.fight(player, broker, "r-3"))


def test_upgrade(arena: Game) -> None:
    """An upgrade burns AIBA for a level and two points."""
    player, broker = arena.fighter(AIBA=60)
    fields = flat_of(
        arena.post("/api/brokers/upgrade", player, requestId="u-1", brokerId=broker, stat="risk")
    )
    assert set(fields) == {"broker", "aibaBalance", "requestId"}
    assert (fields["aibaBalance"], fields["requestId"]) == (10, "u-1")
    stats = {name: fields["broker"][name] for name in ("risk", "level", "xp", "speed")}
    assert stats == {"risk": 52, "level": 2, "xp": 10, "speed": 50}


def test_combine(arena: Game) -> None:
    """Combining averages the stats, half up, into the base; the other broker is gone."""
    player, base = arena.fighter(NEUR=70)
    other = arena.give_broker(player, intelligence=60, speed=55, risk=0, xp=7, level=9)
    body = {"requestId": "c-1", "baseBrokerId": base, "sacrificeBrokerId": other}
    fields = flat_of(arena.post("/api/brokers/combine", player, **body))
    assert set(fields) == {"broker", "neurBalance", "requestId"}
    assert (fields["neurBalance"], fields["requestId"]) == (20, "c-1")
    names = ("_id", "intelligence", "speed", "risk", "xp", "level")
    assert [fields["broker"][name] for name in names] == [base, 55, 53, 25, 27, 1]
    assert [each["_id"] for each in data_of(arena.get("/api/brokers/mine", player))] == [base]


# --- battles ---


def test_battle(arena: Game) -> None:
    """A battle answers its document, what a win brought besides, and moves just that much."""
    player, broker = arena.fighter()
    data = data_of(arena.fight(player, broker, "first"))
    assert_shape(data, FOUGHT)
    assert ID.fullmatch(data["_id"])
    assert re.fullmatch(r"[0-9a-f]{64}", data["seedHex"])
    expected = {
        "requestId": "first",
        "ownerTelegramId": player,
        "brokerId": broker,
        "arena": "prediction",
        "league": "rookie",
        "modeKey": "prediction",
        "rewardAiba": 2 * data["score"],
        "rewardNeur": 0,
        "guildShareNeur": 0,
        "guildId": None,
        "opponentGuildId": None,
        "anomaly": False,
        "anomalyReason": "",
        "claim": NO_CLAIM,
        "createdAt": date(arena.clock.now()),
        "starsGranted": 1,
        "firstWinDiamond": 1,
    }
    assert {name: data[name] for name in expected} == expected
    assert 29 <= data["score"] <= 71
    me = arena.me(player)
    money = [me[f"{name}Balance"] for name in ("aiba", "neur", "stars", "diamonds")]
    assert money == [data["rewardAiba"], 0, 1, 1]
    after = arena.broker(player, broker)
    assert after["energy"] == 0
    assert after["lastRequestId"] == "first"
    assert after["lastBattleAt"] == data["createdAt"]
    assert after["cooldowns"] == {"prediction": data["createdAt"]}


def test_battle_takes_the_mode_by_key_or_by_arena_and_league(game: Game) -> None:
    """A key names its mode whatever else is said; else the first enabled mode is taken."""
    player, broker = game.fighter()
    game.save_mode("simulation", arena="simulation", enabled=False)
    for key in ("b-simulation", "a-simulation"):
        game.save_mode(key, arena="simulation")
    chosen = [
        data_of(game.fight(player, broker, "1", arena="simulation")),
        data_of(game.fight(player, broker, "2", arena="nowhere", modeKey="b-simulation")),
        data_of(game.fight(player, broker, "3")),
    ]
    assert [(each["modeKey"], each["arena"]) for each in chosen] == [
        ("a-simulation", "simulation"),
        ("b-simulation", "simulation"),
        ("prediction", "prediction"),
    ]


def test_energy_comes_back_and_the_cooldown_ends(arena: Game) -> None:
    """Ten minutes bring back what a rookie battle costs."""
    player, broker = arena.fighter()
    data_of(arena.fight(player, broker, "1"))
    arena.clock.advance(10 * MINUTE - 1)
    details = error_of(arena.fight(player, broker, "2"), 403, "no energy")
    assert details == {"need": 10, "have": 9}
    arena.clock.advance(1)
    data_of(arena.fight(player, broker, "3"))


@pytest.mark.parametrize("pause", [0, 1])
def test_battles_are_listed_in_pages_newest_first(game: Game, pause: int) -> None:
    """Pages follow each other without a gap or a repetition, also within one millisecond."""
    player, broker = game.fighter()
    stranger, other = game.fighter()
    game.save_mode("free")
    fought = []
    for number in range(7):
        fought.append(data_of(game.fight(player, broker, f"k{number}", modeKey="free"))["_id"])
        data_of(game.fight(stranger, other, f"k{number}", modeKey="free"))
        game.clock.advance(pause)
    seen, sizes, path = [], [], "/api/battles?limit=3"
    while path:
        page = data_of(game.get(path, player))
        assert set(page) == {"items", "next"}
        for item in page["items"]:
            assert_shape(item, BATTLE)
            assert item["ownerTelegramId"] == player
        sizes.append(len(page["items"]))
        seen += [item["_id"] for item in page["items"]]
        path = f"/api/battles?limit=3&before={page['next']}" if page["next"] else ""
    assert sizes == [3, 3, 1]
    assert sorted(seen) == sorted(fought)
    if pause:
        assert seen == fought[::-1]
    everything = data_of(game.get("/api/battles", player))
    assert [item["_id"] for item in everything["items"]] == seen
    assert everything["next"] is None
    exact = data_of(game.get("/api/battles?limit=7", player))
    assert (len(exact["items"]), exact["next"]) == (7, None)


def test_battle_with_its_receipt_verifies_after_rotation(every_game: Game) -> None:
    """The receipt holds every input; with the revealed secret anyone can check the battle."""
    game = every_game
    player, broker = game.fighter()
    fought = data_of(game.fight(player, broker, "b-1"))
    path = f"/api/battles/{fought['_id']}"
    before = data_of(game.get(path, player))
    assert set(before) == set(FOUGHT) | {"receipt"}
    receipt = before.pop("receipt")
    assert before == fought
    promised = data_of(game.get("/api/fairness"))["epochs"]
    assert [epoch["revealedSecret"] for epoch in promised] == [None]
    game.rotate_seed()
    assert data_of(game.get(path.upper().replace("API/BATTLES", "api/Battles"), player)) == {
        **fought,
        "receipt": receipt,
    }
    first, second = data_of(game.get("/api/fairness"))["epochs"]
    assert first["commitment"] == promised[0]["commitment"]
    secret = first["revealedSecret"]
    assert commitment(first["number"], secret) == first["commitment"]
    assert second["revealedSecret"] is None
    assert verify(receipt_from_json(receipt), secret) == ()
    receipt["outcome"]["score"] += 1
    assert verify(receipt_from_json(receipt), secret) != ()
    newer = data_of(game.fight(*game.fighter(), "b-2"))
    assert (fought["seedEpoch"], newer["seedEpoch"]) == (1, 2)


def test_fairness_lists_all_epochs(game: Game) -> None:
    """Each epoch shows its promise at once, its end and secret once it is over."""
    opened = game.clock.now()
    game.clock.advance(HOUR)
    game.rotate_seed()
    epochs = data_of(game.get("/api/fairness"))["epochs"]
    for epoch in epochs:
        assert set(epoch) == {"number", "commitment", "openedAt", "closedAt", "revealedSecret"}
        assert re.fullmatch(r"[0-9a-f]{64}", epoch["commitment"])
    assert [epoch["number"] for epoch in epochs] == [1, 2]
    assert epochs[0]["openedAt"] == date(opened)
    assert epochs[0]["closedAt"] == epochs[1]["openedAt"] == date(game.clock.now())
    assert epochs[1]["closedAt"] is None


# --- economy ---


def test_me(arena: Game) -> None:
    """Balances come with every price and rate a client shows; a newcomer has zeros."""
    player = arena.newcomer()
    me = arena.me(player)
    assert_shape(me, ME)
    assert me["economy"] == ECONOMY
    del me["economy"]
    assert me == {
        "telegramId": player,
        "wallet": "",
        **dict.fromkeys(
            ("neurBalance", "aibaBalance", "starsBalance", "diamondsBalance"),
            0,
        ),
        "badges": [],
        "profileBoostedUntil": None,
        "schoolId": None,
    }


def test_me_shows_the_policy_in_force(game: Game) -> None:
    """A change of a price or rate shows at once; a rate that is no whole number stays exact."""
    rates = RewardRates(aiba_per_score=Fraction(1, 2), stars_per_win=0)
    game.set_policy(train_neur_cost=0, upgrade_aiba_cost=7, rewards=rates)
    economy = game.me(game.newcomer())["economy"]
    changed = {name: economy[name] for name in economy if economy[name] != ECONOMY[name]}
    assert changed == {
        "trainNeurCost": 0,
        "upgradeAibaCost": 7,
        "baseRewardAibaPerScore": 0.5,
        "starRewardPerBattle": 0,
    }


def test_school_can_be_set(arena: Game) -> None:
    """The own school is kept, in lower case."""
    player = arena.newcomer()
    call = Call(
        method="PATCH",
        path="/api/economy/me",
        headers=arena.as_player(player),
        body={"schoolId": " 0123456789ABCDEF01234567 "},
    )
    response = arena.send(call)
    fields = flat_of(response)
    assert fields == {
        "schoolId": "0123456789abcdef01234567",
        "requestId": response.headers["x-request-id"],
    }
    assert arena.me(player)["schoolId"] == "0123456789abcdef01234567"


# --- daily ---


def test_daily_reward(game: Game) -> None:
    """The day's NEUR is given once per UTC day, and the streak counts the days."""
    player = game.newcomer()
    status = data_of(game.get("/api/daily/status", player))
    assert status == {
        "canClaim": True,
        "alreadyClaimedToday": False,
        "dailyRewardNeur": 50,
        "lastClaimedAt": None,
        "loginStreakDays": 0,
        "battleWinStreak": 0,
        "dailyCombo": {
            "requirementAiba": 100,
            "bonusAiba": 500,
            "spentTodayAiba": 0,
            "canClaim": False,
            "alreadyClaimed": False,
        },
    }
    response = game.post("/api/daily/claim", player)
    given = {
        "alreadyClaimed": False,
        "neurReward": 50,
        "neurBalance": 50,
        "nextClaim": "tomorrow",
        "loginStreakDays": 1,
    }
    assert flat_of(response) == {**given, "requestId": response.headers["x-request-id"]}
    again = flat_of(game.post("/api/daily/claim", player))
    assert (again["alreadyClaimed"], again["neurReward"], again["nextClaim"]) == (
        True,
        0,
        "tomorrow",
    )
    status = data_of(game.get("/api/daily/status", player))
    assert (status["canClaim"], status["alreadyClaimedToday"]) == (False, True)
    assert status["lastClaimedAt"] == date(game.clock.now())
    game.clock.advance(12 * HOUR)
    later = flat_of(game.post("/api/daily/claim", player))
    assert (later["neurReward"], later["neurBalance"], later["loginStreakDays"]) == (50, 100, 2)
    game.clock.advance(2 * DAY)
    assert flat_of(game.post("/api/daily/claim", player))["loginStreakDays"] == 1


def test_daily_status_of_a_player_who_has_done_nothing(arena: Game) -> None:
    """Launch data in the header is enough, also before the first command."""
    headers = {"x-telegram-init-data": arena.launch(arena.newcomer())}
    status = data_of(arena.send(Call(method="GET", path="/api/daily/status", headers=headers)))
    assert (status["canClaim"], status["loginStreakDays"]) == (True, 0)


def test_daily_combo(game: Game) -> None:
    """Having spent enough AIBA today brings a bonus, once; before that the facts are told."""
    player, broker = game.fighter(AIBA=200)

    def upgrade(key: str) -> None:
        body = {"requestId": key, "brokerId": broker, "stat": "speed"}
        flat_of(game.post("/api/brokers/upgrade", player, **body))

    upgrade("1")
    refused = game.post("/api/daily/combo-claim", player)
    details = error_of(refused, 400, "daily_combo_requirement_not_met")
    assert details == {"spent": 50, "required": 100}
    upgrade("2")
    combo = data_of(game.get("/api/daily/status", player))["dailyCombo"]
    assert (combo["spentTodayAiba"], combo["canClaim"]) == (100, True)
    response = game.post("/api/daily/combo-claim", player)
    assert flat_of(response) == {
        "alreadyClaimed": False,
        "bonusAiba": 500,
        "aibaBalance": 600,
        "requestId": response.headers["x-request-id"],
    }
    again = flat_of(game.post("/api/daily/combo-claim", player))
    assert (again["alreadyClaimed"], again["bonusAiba"]) == (True, 0)
    game.clock.advance(12 * HOUR)
    combo = data_of(game.get("/api/daily/status", player))["dailyCombo"]
    assert (combo["spentTodayAiba"], combo["canClaim"], combo["alreadyClaimed"]) == (
        0,
        False,
        False,
    )


def test_daily_rewards_that_are_not_configured_say_so(game: Game) -> None:
    """A reward set to 0 gives nothing, says why, and leaves the day unclaimed."""
    game.set_policy(daily_reward_neur=0, daily_combo_bonus_aiba=0)
    player = game.newcomer()
    daily = flat_of(game.post("/api/daily/claim", player))
    assert (daily["neurReward"], daily["message"]) == (0, "daily reward not configured")
    combo = flat_of(game.post("/api/daily/combo-claim", player))
    assert (combo["bonusAiba"], combo["message"]) == (0, "daily combo not configured")
    assert data_of(game.get("/api/daily/status", player))["canClaim"] is False


# --- all of it ---


def test_a_whole_day_of_play_leaves_sound_books(every_game: Game) -> None:
    """The main loop, over each store: every unit is accounted for at the end."""
    game = every_game
    player, broker = game.fighter()
    keys = iter(f"k{number}" for number in range(100))
    for _ in range(3):
        flat_of(game.post("/api/daily/claim", player))
        battles = [data_of(game.fight(player, broker, next(keys))) for _ in range(1)]
        game.clock.advance(10 * MINUTE)
        battles.append(data_of(game.fight(player, broker, next(keys))))
        body = {"brokerId": broker, "stat": "intelligence"}
        flat_of(game.post("/api/brokers/train", player, requestId=next(keys), **body))
        flat_of(game.post("/api/brokers/upgrade", player, requestId=next(keys), **body))
        assert all(later["_id"] != earlier["_id"] for earlier, later in pairwise(battles))
        game.clock.advance(DAY)
    listed = data_of(game.get("/api/battles", player))["items"]
    me = game.me(player)
    assert me["aibaBalance"] == sum(battle["rewardAiba"] for battle in listed) - 3 * 50
    assert me["neurBalance"] == 3 * 50 - 3 * 25
    assert (me["starsBalance"], me["diamondsBalance"]) == (6, 1)
    assert game.sound().entries > 0
