"""Every route by which admins change something leaves one row with what was there before and after.

The routes are read off the application, so one without an act here fails.
"""

import re
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest

from aiba_adapters.prices import MarketPrices, PriceUnknown
from aiba_domain.administration import lockout
from aiba_entry.http.admin.guard import OPEN
from tests.contract.admin.conftest import MakeGame
from tests.contract.admin.test_operations import flag, minting, nft
from tests.contract.admin.test_roles import role_of, routes
from tests.contract.game.support import ABSENT_ID, Call, Game, data_of
from tests.support.admins import EMAIL, PASSWORD, Panel
from tests.support.stores import STORES

ADMIN: Final = "/api/admin"
PAGE: Final = Path(__file__).parents[3] / "docs" / "admin-routes.md"
ROW: Final = re.compile(r"^\| `([A-Z]+) (/api/admin/\S+)` \| (\w+) \|", re.MULTILINE)
PARAMETER: Final = re.compile(r"\{[^}]*\}")

Act = Callable[[Panel], tuple[str, str, Mapping[str, object] | None]]
"""Prepares a change, and returns the call that makes it: method, path and body."""

_numbers = count(1_000)


def _new() -> str:
    """Return a text that nothing here has been named by."""
    return f"{next(_numbers)}"


def _email() -> str:
    return f"admin{_new()}@game.example"


def _account(panel: Panel) -> str:
    body = {"email": _email(), "role": "viewer", "password": PASSWORD}
    return f"{ADMIN}/accounts/{data_of(panel.post(f'{ADMIN}/accounts', **body), 201)['email']}"


def _mode(panel: Panel) -> str:
    made = panel.post(f"{ADMIN}/game-modes", key=_new(), name="Casino", arena="prediction")
    return f"{ADMIN}/game-modes/{data_of(made, 201)['_id']}"


def _job(panel: Panel) -> str:
    return f"{ADMIN}/brokers/mint-jobs/{minting(panel.game)[2]}"


def _banned_player(panel: Panel) -> str:
    player = _new()
    data_of(panel.post(f"{ADMIN}/mod/ban-user", telegramId=player, reason="bots"))
    return player


def _flagged_broker(panel: Panel) -> str:
    player, broker = panel.game.fighter()
    flag(panel.game, player, broker, 3)
    return broker


def _banned_broker(panel: Panel) -> str:
    broker = _flagged_broker(panel)
    data_of(panel.post(f"{ADMIN}/mod/ban-broker", brokerId=broker))
    return broker


def _leader(panel: Panel) -> str:
    data_of(panel.game.fight(*panel.game.fighter(), "k"))
    return f"{ADMIN}/mod/sync-top-leader-badges"


def _automatic(panel: Panel, path: str, **settings: object) -> str:
    data_of(panel.patch(f"{ADMIN}/economy/config", **settings))
    return f"{ADMIN}/{path}"


ACTS: Final[Mapping[str, Act]] = {
    "adminLogIn": lambda _: (
        "POST",
        f"{ADMIN}/auth/login",
        {"email": EMAIL, "password": PASSWORD},
    ),
    "adminLogOut": lambda _: ("POST", f"{ADMIN}/auth/logout", None),
    "addAdmin": lambda _: (
        "POST",
        f"{ADMIN}/accounts",
        {"email": _email(), "role": "viewer", "password": PASSWORD},
    ),
    "changeAdmin": lambda panel: ("PATCH", _account(panel), {"role": "operator"}),
    "resetAdminPassword": lambda panel: (
        "POST",
        f"{_account(panel)}/password",
        {"password": f"another {PASSWORD}"},
    ),
    "revokeAdminTokens": lambda panel: ("POST", f"{_account(panel)}/revoke", None),
    "adminChangeConfig": lambda _: ("PATCH", f"{ADMIN}/economy/config", {"trainNeurCost": 26}),
    "adminCreditUser": lambda _: (
        "POST",
        f"{ADMIN}/economy/credit-user",
        {"telegramId": _new(), "aibaDelta": 5, "requestId": _new()},
    ),
    "adminMakeMode": lambda _: (
        "POST",
        f"{ADMIN}/game-modes",
        {"key": _new(), "name": "Casino", "arena": "prediction"},
    ),
    "adminChangeMode": lambda panel: ("PATCH", _mode(panel), {"enabled": False}),
    "adminDeleteMode": lambda panel: ("DELETE", _mode(panel), None),
    "adminLinkNft": lambda panel: (
        "POST",
        f"{ADMIN}/brokers/{panel.game.fighter()[1]}/link-nft",
        nft(int(_new())),
    ),
    "adminCompleteMint": lambda panel: ("POST", f"{_job(panel)}/complete", nft(int(_new()))),
    "adminFailMint": lambda panel: ("POST", f"{_job(panel)}/fail", {"reason": "no gas"}),
    "adminBanUser": lambda _: ("POST", f"{ADMIN}/mod/ban-user", {"telegramId": _new()}),
    "adminUnbanUser": lambda panel: (
        "POST",
        f"{ADMIN}/mod/unban-user",
        {"telegramId": _banned_player(panel)},
    ),
    "adminBanBroker": lambda panel: (
        "POST",
        f"{ADMIN}/mod/ban-broker",
        {"brokerId": _flagged_broker(panel)},
    ),
    "adminUnbanBroker": lambda panel: (
        "POST",
        f"{ADMIN}/mod/unban-broker",
        {"brokerId": _banned_broker(panel)},
    ),
    "adminSetBadges": lambda _: (
        "POST",
        f"{ADMIN}/mod/user-badges",
        {"telegramId": _new(), "badges": ["early"]},
    ),
    "adminSyncTopLeaderBadges": lambda panel: ("POST", _leader(panel), None),
    "adminFundTreasury": lambda _: (
        "POST",
        f"{ADMIN}/treasury/fund",
        {"aibaDelta": 5, "requestId": _new()},
    ),
    "adminFundReserve": lambda _: (
        "POST",
        f"{ADMIN}/treasury/reserve/fund",
        {"neurDelta": 5, "requestId": _new()},
    ),
    "adminFundBuyback": lambda _: (
        "POST",
        f"{ADMIN}/treasury/buyback/fund",
        {"aibaDelta": 5, "requestId": _new()},
    ),
    "adminSetOracle": lambda _: ("PATCH", f"{ADMIN}/treasury/oracle", {"oracleAibaPerTon": 9}),
    "adminUpdateOracle": lambda panel: (
        "POST",
        _automatic(panel, "oracle/update", oracleFallbackAibaPerTon=5),
        None,
    ),
    "adminAdjustCap": lambda panel: (
        "POST",
        _automatic(
            panel,
            "economy-automation/run",
            automationEnabled=True,
            automationTargetEmissionPercentPerYear=0.05,
        ),
        None,
    ),
}
"""How each operation that changes something is brought to change something."""


def changing(game: Game) -> set[str]:
    """Return the name of every admin operation that isn't a mere look."""
    return {str(handler.operation_id) for method, _, handler in routes(game) if method != "GET"}


@pytest.fixture(name="quiet_market")
def _quiet_market(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no market answer, so that the oracle takes its fallback."""

    async def silent(*_: object, **__: object) -> None:
        raise PriceUnknown("down")

    monkeypatch.setattr(MarketPrices, "ton_usd", silent)


@pytest.mark.usefixtures("quiet_market")
@pytest.mark.parametrize("kind", STORES)
def test_d60_every_change_is_one_row_with_before_and_after(make_game: MakeGame, kind: str) -> None:
    """D-60: who, from where, by which request, and what exactly became another."""
    game = make_game(kind)
    assert set(ACTS) == changing(game), "every changing route has an act, and none is left over"
    for name, act in ACTS.items():
        game.clock.advance(lockout.WINDOW_MS)
        panel = Panel(game)
        method, path, body = act(panel)
        before = {row["_id"] for row in panel.trail()}
        answer = game.send(Call(method=method, path=path, headers=panel.headers, body=body))
        assert answer.status_code in (200, 201), (name, answer.text)
        watcher = Panel(game)
        rows = [row for row in watcher.trail() if row["_id"] not in before]
        # The watcher's own login is the newest one.
        (row,) = rows[1:]
        assert (row["outcome"], row["method"], row["path"]) == ("done", method, path), name
        assert row["requestId"] == answer.headers["x-request-id"], name
        assert (row["adminEmail"], row["ip"]) == (EMAIL, "192.0.2.1"), name
        assert row["adminRole"] == ("" if name in OPEN else "superadmin"), name
        if name not in OPEN:
            assert row["changes"], f"{name} doesn't say what it changed"
        for change in row["changes"]:
            assert change["subject"], name
            assert change["before"] != change["after"], name
        assert PASSWORD not in watcher.get(f"{ADMIN}/audit").text


def test_each_refused_change_is_on_record_too(make_game: MakeGame) -> None:
    """D-60: without a change in it, and with the refusal's code."""
    panel = Panel(make_game())
    for path, body, code in (
        ("mod/unban-user", {"telegramId": "404"}, "user not found"),
        ("treasury/fund", {"aibaDelta": -5, "requestId": _new()}, "insufficient AIBA"),
        (f"brokers/{ABSENT_ID}/link-nft", nft(int(_new())), "not found"),
    ):
        panel.call("POST", f"{ADMIN}/{path}", body)
        row: dict[str, Any] = panel.trail()[0]
        assert (row["outcome"], row["changes"]) == (code, [])


def test_the_page_of_routes_names_each_with_its_role(make_game: MakeGame) -> None:
    """What docs/admin-routes.md says of a route is what its guard asks for, of every route."""
    told = {
        (method, PARAMETER.sub("{}", path)): role
        for method, path, role in ROW.findall(PAGE.read_text(encoding="utf-8"))
    }
    guarded = {
        (method, PARAMETER.sub("{}", template.rstrip("/"))): role.value
        for method, template, handler in routes(make_game("memory"))
        if (role := role_of(handler)) is not None
    }
    assert told == guarded
