"""What operators do at the command line while a server runs, and what players see of it."""

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from aiba_adapters.telegram import verify
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.economy.rewards import RewardRates
from aiba_domain.economy.windows import EmissionWindow, EmissionWindows
from aiba_domain.errors import InvalidInput
from aiba_domain.fairness.epochs import keeps_promise
from aiba_entry.cli.policy import changes_of
from aiba_entry.cli.verify import judge, read_fairness
from tests.contract.process.support import (
    BOT_TOKEN,
    Json,
    Player,
    Server,
    aiba,
    answer_of,
    data_of,
    init_data,
    mode,
    new_player,
    save_modes,
)

_numbers = count(100)


@pytest.fixture(name="http")
def _http(server: Server) -> Any:  # noqa: ANN401 - a generator fixture
    """Return a client of the shared server, where broker's energy is no obstacle."""
    save_modes(server.environ, mode("free"))
    with server.client() as http:
        yield http


@pytest.fixture(name="player")
def _player(http: httpx.Client) -> Player:
    """Return a player nobody else uses."""
    return new_player(http, next(_numbers))


def fight(http: httpx.Client, player: Player, key: str) -> Json:
    """Fight a battle and return it with its receipt."""
    body = {"requestId": key, "brokerId": player.broker_id, "modeKey": "free"}
    fought = data_of(http.post("/api/battle/run", json=body, headers=player.headers))
    return data_of(http.get(f"/api/battles/{fought['_id']}", headers=player.headers))


def commands(player: Player) -> list[tuple[str, str, Json]]:
    """Return a call of every command that players have."""
    broker = {"brokerId": player.broker_id}
    return [
        ("POST", "/api/brokers/starter", {}),
        ("POST", "/api/brokers/train", broker | {"stat": "risk"}),
        ("POST", "/api/brokers/repair", broker),
        ("POST", "/api/brokers/upgrade", broker | {"stat": "risk"}),
        (
            "POST",
            "/api/brokers/combine",
            {"baseBrokerId": player.broker_id, "sacrificeBrokerId": "0" * 24},
        ),
        ("POST", "/api/battle/run", broker | {"modeKey": "free"}),
        ("POST", "/api/daily/claim", {}),
        ("POST", "/api/daily/combo-claim", {}),
    ]


def test_a_rotation_takes_effect_at_once(
    server: Server, http: httpx.Client, player: Player
) -> None:
    """The running server draws under the new epoch; the old one verifies with what was revealed."""
    before = fight(http, player, "before")
    promised = data_of(http.get("/api/fairness"))["epochs"]
    rotated = answer_of(aiba(server.environ, "seed", "rotate"))
    after = fight(http, player, "after")

    old, new = rotated["closed"], rotated["opened"]
    assert (before["seedEpoch"], after["seedEpoch"]) == (old["number"], new["number"])
    assert new["number"] == old["number"] + 1
    assert keeps_promise(old["number"], promised[-1]["commitment"], old["revealedSecret"])
    assert new["revealedSecret"] is None
    assert after["receipt"]["inputs"]["commitment"] == new["commitment"]

    fairness = http.get("/api/fairness")
    assert data_of(fairness)["epochs"][-2:] == [old, new]
    assert answer_of(aiba(server.environ, "seed", "list"))["epochs"][-2:] == [old, new]
    published = read_fairness(fairness.text)
    assert judge(before["receipt"], secret=None, published=published).is_genuine
    assert not judge(after["receipt"], secret=None, published=published).is_genuine
    answer_of(aiba(server.environ, "seed", "rotate"))
    published = read_fairness(http.get("/api/fairness").text)
    assert judge(after["receipt"], secret=None, published=published).is_genuine


def test_a_changed_policy_judges_the_next_battle(
    server: Server, http: httpx.Client, player: Player, tmp_path: Path
) -> None:
    """Only what the file names changes, and each battle keeps the version that judged it."""
    shown = answer_of(aiba(server.environ, "policy", "show"))
    before = fight(http, player, "before")
    file = tmp_path / "policy.json"
    file.write_text('{"rewards": {"neur_per_score": 1.5}, "repair_neur_cost": 0}')
    changed = answer_of(aiba(server.environ, "policy", "change", str(file)))
    after = fight(http, player, "after")

    assert changed["version"] == shown["version"] + 1
    expected = shown | {
        "version": changed["version"],
        "effective_at": changed["effective_at"],
        "rewards": shown["rewards"] | {"neur_per_score": "3/2"},
        "repair_neur_cost": 0,
    }
    assert changed == expected
    assert answer_of(aiba(server.environ, "policy", "show")) == changed
    assert before["receipt"]["inputs"]["policyVersion"] == shown["version"]
    assert after["receipt"]["inputs"]["policyVersion"] == changed["version"]
    assert before["rewardNeur"] == 0
    assert after["rewardNeur"] >= after["score"] * 3 // 2 > 0
    me = data_of(http.get("/api/economy/me", headers=player.headers))
    assert me["economy"]["repairNeurCost"] == 0
    assert me["neurBalance"] == after["rewardNeur"]

    # The whole document may come back edited, but only over the version it was read from.
    file.write_text(json.dumps(shown))
    stale = aiba(server.environ, "policy", "change", str(file))
    assert stale.returncode == 1
    assert f"in force: {changed['version']}" in stale.stderr
    restored = shown | {"version": changed["version"], "effective_at": changed["effective_at"]}
    file.write_text(json.dumps(restored))
    again = answer_of(aiba(server.environ, "policy", "change", str(file)))
    assert again | {"version": 0, "effective_at": 0} == shown | {"version": 0, "effective_at": 0}


def test_a_faulty_policy_file_changes_nothing(
    server: Server, http: httpx.Client, player: Player, tmp_path: Path
) -> None:
    """A file that can't be used is refused in a line, and the next battle knows nothing of it."""
    before = fight(http, player, "before")["receipt"]["inputs"]
    (tmp_path / "policy.json").write_text('{"rewards": {"nuer_per_score": 1}}')
    run = aiba(server.environ, "policy", "change", str(tmp_path / "policy.json"))
    assert run.returncode == 1
    assert run.stderr == "Error: validation_error {'rewards.nuer_per_score': 'unknown'}\n"
    after = fight(http, player, "after")["receipt"]["inputs"]
    assert (after["policyVersion"], after["rates"]) == (before["policyVersion"], before["rates"])


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ([1], "policy"),
        ({"daily_cap_aiba": "lots"}, "daily_cap_aiba"),
        ({"daily_cap_aiba": Decimal("1.5")}, "daily_cap_aiba"),
        ({"version": 2}, "version"),
        ({"rewards": 3}, "rewards"),
        ({"rewards": {"nuer_per_score": 1}}, "rewards.nuer_per_score"),
        ({"rewards": {"neur_per_score": "1/0"}}, "rewards.neur_per_score"),
        ({"rewards": {"neur_per_score": Decimal("1e999999999")}}, "rewards.neur_per_score"),
        ({"rewards": {"neur_per_score": True}}, "rewards.neur_per_score"),
        ({"rewards": {"stars_per_win": -1}}, "stars_per_win"),
        ({"emission_windows": {"usual": {"start_hour": 25}}}, "start_hour"),
    ],
)
def test_what_a_policy_file_may_not_say_is_named(given: object, field: str) -> None:
    """No fault of a policy document ends in another error than one that names the field."""
    with pytest.raises(InvalidInput) as caught:
        changes_of(given, EconomyPolicy())
    assert caught.value.field == field


def test_parts_keep_what_a_policy_file_leaves_out() -> None:
    """Of settings within settings only the given ones change; caps by arena are replaced whole."""
    current = EconomyPolicy(
        rewards=RewardRates(aiba_per_score=Fraction(7)),
        daily_cap_aiba_by_arena={"prediction": 5},
        emission_windows=EmissionWindows(usual=EmissionWindow(start_hour=3, end_hour=9)),
    )
    given = {
        "rewards": {"neur_per_score": Decimal("0.1")},
        "daily_cap_aiba_by_arena": {"arbitrage": 1},
        "emission_windows": {"usual": {"end_hour": 12}, "overrides": {"*": {"start_hour": 1}}},
    }
    windows = EmissionWindows(
        usual=EmissionWindow(start_hour=3, end_hour=12),
        overrides={"*": EmissionWindow(start_hour=1)},
    )
    assert changes_of(given, current) == {
        "rewards": RewardRates(aiba_per_score=Fraction(7), neur_per_score=Fraction(1, 10)),
        "daily_cap_aiba_by_arena": {"arbitrage": 1},
        "emission_windows": windows,
    }


def test_a_ban_binds_every_command_at_once(
    server: Server, http: httpx.Client, player: Player
) -> None:
    """Each refusal says why and until when; lifting the ban gives everything back."""
    fight(http, player, "before")
    banned = answer_of(
        aiba(server.environ, "mod", "ban-player", player.id, "--minutes", "90", "--reason", "bots")
    )
    assert banned["ban"]["reason"] == "bots"

    for number, (method, path, body) in enumerate(commands(player)):
        keyed = body | {"requestId": f"banned-{number}"}
        refused = http.request(method, path, json=keyed, headers=player.headers)
        assert refused.status_code == httpx.codes.FORBIDDEN, path
        error = refused.json()["error"]
        assert error["code"] == "banned"
        assert error["details"] == {"reason": "bots", "until": banned["ban"]["until"]}
    school = {"schoolId": "5" * 24}
    changed = http.patch("/api/economy/me", json=school, headers=player.headers)
    assert changed.json()["error"]["code"] == "banned"
    session = http.post("/api/auth/session", json={"initData": init_data(int(player.id))})
    assert session.json()["error"]["code"] == "banned"

    lifted = answer_of(aiba(server.environ, "mod", "unban-player", player.id))
    assert lifted["ban"] is None
    fight(http, player, "after")


def test_a_banned_broker_fights_no_battle(
    server: Server, http: httpx.Client, player: Player
) -> None:
    """A broker can be banned while its player is not."""
    answer_of(aiba(server.environ, "mod", "ban-broker", player.broker_id, "--reason", "odd"))
    body = {"requestId": "b", "brokerId": player.broker_id, "modeKey": "free"}
    refused = http.post("/api/battle/run", json=body, headers=player.headers)
    assert refused.status_code == httpx.codes.FORBIDDEN
    assert refused.json()["error"]["code"] == "broker banned"
    assert http.post("/api/daily/claim", json={"requestId": "d"}, headers=player.headers).is_success
    answer_of(aiba(server.environ, "mod", "unban-broker", player.broker_id))
    fight(http, player, "after")


def test_an_unknown_broker_is_said(server: Server) -> None:
    """A command that is refused says so and exits with 1."""
    run = aiba(server.environ, "mod", "ban-broker", "0" * 24)
    assert run.returncode == 1
    assert run.stderr == "Error: broker not found\n"


def test_init_data_opens_a_session(server: Server, http: httpx.Client) -> None:
    """What the command prints is as genuine as Telegram's own, for the player that was asked."""
    text = aiba(server.environ, "init-data", "--user-id", "99", "--username", "carol").stdout
    identity = verify(text.strip(), bot_token=BOT_TOKEN, now_s=int(time.time()), max_age_s=900)
    assert (identity.player_id, identity.username) == ("99", "carol")
    opened = data_of(http.post("/api/auth/session", json={"initData": text.strip()}))
    assert opened["telegramId"] == "99"


def test_init_data_is_refused_in_prod(server: Server) -> None:
    """In prod only Telegram says who a player is."""
    prod = server.environ | {
        "APP_ENV": "prod",
        "CORS_ORIGIN": "https://game.example",
        "TELEGRAM_INITDATA_MAX_AGE_SECONDS": "900",
    }
    run = aiba(prod, "init-data")
    assert run.returncode == 1
    assert run.stdout == ""
    assert "APP_ENV=prod" in run.stderr


def test_an_audit_finds_one_changed_balance(serve: Callable[..., Server]) -> None:
    """One unit given to one player by hand, beside a running server, is found and named."""
    server = serve()
    with server.client() as http:
        player = new_player(http, 7)
        daily = {"requestId": "d"}
        claimed = http.post("/api/daily/claim", json=daily, headers=player.headers)
        assert claimed.json()["neurBalance"] == 50
    assert answer_of(aiba(server.environ, "audit", "--json"))["sound"] is True
    with contextlib.closing(sqlite3.connect(server.database)) as connection, connection:
        changed = connection.execute(
            "UPDATE accounts SET balance = balance + 1 WHERE name = 'player:7' AND currency='NEUR'"
        )
        assert changed.rowcount == 1
    run = aiba(server.environ, "audit")
    assert run.returncode == 1
    faults = [line for line in run.stdout.splitlines() if line.startswith("FAULT")]
    assert faults == [
        "FAULT player:7 stores 51 NEUR, its history says 50",
        "FAULT NEUR sums to 1",
    ]
    assert "sound" not in run.stdout
    found = aiba(server.environ, "audit", "--json")
    assert found.returncode == 1
    assert json.loads(found.stdout)["faults"] == [line.removeprefix("FAULT ") for line in faults]
