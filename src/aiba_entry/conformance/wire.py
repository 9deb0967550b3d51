"""Properties of the wire: envelope, codes, paths, and the documents that clients read."""

from collections.abc import Callable, Mapping
from typing import Final

import pytest

from aiba_domain.testing.contracts.suite import Capability, needs
from aiba_entry.conformance.answers import Answer, Call, Json
from aiba_entry.conformance.deployment import Deployment, Player, fighter
from aiba_entry.conformance.expect import data_of, flat_of, owes, refusal_of, same
from aiba_entry.conformance.suite import ABSENT_ID, HttpSuite, beyond

ME: Final = [
    "telegramId",
    "wallet",
    "neurBalance",
    "aibaBalance",
    "starsBalance",
    "diamondsBalance",
    "badges",
    "economy",
    "profileBoostedUntil",
    "schoolId",
]
PRICES: Final = [
    "baseRewardAibaPerScore",
    "baseRewardNeurPerScore",
    "trainNeurCost",
    "repairNeurCost",
    "upgradeAibaCost",
    "combineNeurCost",
]
BROKER: Final = [
    "_id",
    "ownerTelegramId",
    "risk",
    "intelligence",
    "speed",
    "specialty",
    "level",
    "xp",
    "energy",
    "energyUpdatedAt",
    "lastBattleAt",
    "cooldowns",
    "banned",
    "banReason",
    "createdAt",
    "updatedAt",
]
BATTLE: Final = [
    "_id",
    "requestId",
    "ownerTelegramId",
    "brokerId",
    "arena",
    "league",
    "modeKey",
    "seedHex",
    "score",
    "rewardAiba",
    "rewardNeur",
    "anomaly",
    "claim",
    "createdAt",
    "starsGranted",
    "firstWinDiamond",
]
MODE: Final = [
    "_id",
    "key",
    "name",
    "enabled",
    "arena",
    "league",
    "energyCost",
    "cooldownSeconds",
    "entryNeurCost",
    "entryAibaCost",
    "rules",
]
DAILY: Final = [
    "canClaim",
    "alreadyClaimedToday",
    "dailyRewardNeur",
    "loginStreakDays",
    "dailyCombo",
]
WHOLE: Final = frozenset(
    [
        "neurBalance",
        "aibaBalance",
        "starsBalance",
        "diamondsBalance",
        "risk",
        "intelligence",
        "speed",
        "level",
        "xp",
        "energy",
        "score",
        "rewardAiba",
        "rewardNeur",
        "starsGranted",
        "firstWinDiamond",
        "energyCost",
        "cooldownSeconds",
    ]
)

Refusing = Callable[[Player, str], Call]
"""Makes a call that is refused, of a player with a broker."""


def _battle(**fields: object) -> Refusing:
    return lambda player, broker: player.posting(
        "/api/battle/run", **{"requestId": player.deployment.key(), "brokerId": broker} | fields
    )


def _deed(deed: str, **fields: object) -> Refusing:
    return lambda player, broker: player.posting(
        f"/api/brokers/{deed}",
        **{"requestId": player.deployment.key(), "brokerId": broker} | fields,
    )


def _combine(base: str | None, other: str | None) -> Refusing:
    return lambda player, broker: player.posting(
        "/api/brokers/combine",
        requestId=player.deployment.key(),
        baseBrokerId=base or broker,
        sacrificeBrokerId=other or broker,
    )


REFUSALS: Final[Mapping[str, tuple[Refusing, int, str]]] = {
    "an absent broker": (_battle(brokerId=ABSENT_ID), 404, "broker not found"),
    "an absent mode": (_battle(modeKey="no-such-mode"), 400, "invalid_mode"),
    "an absent arena": (_battle(arena="no-such-arena"), 400, "invalid_mode"),
    "training of an absent broker": (
        _deed("train", brokerId=ABSENT_ID, stat="risk"),
        404,
        "broker not found",
    ),
    "repair of an absent broker": (_deed("repair", brokerId=ABSENT_ID), 404, "broker not found"),
    "training of no stat": (_deed("train"), 400, "invalid stat"),
    "upgrade of no stat": (_deed("upgrade"), 400, "invalid stat"),
    "upgrade without money": (_deed("upgrade", stat="risk"), 403, "insufficient AIBA"),
    "training without money": (_deed("train", stat="risk"), 403, "insufficient NEUR"),
    "an absent base": (_combine(ABSENT_ID, None), 404, "base broker not found"),
    "an absent sacrifice": (_combine(None, ABSENT_ID), 404, "sacrifice broker not found"),
    "a broker into itself": (
        _combine(None, None),
        400,
        "base and sacrifice must be different brokers",
    ),
    "an empty profile": (
        lambda player, _: Call(
            method="PATCH",
            path="/api/economy/me",
            headers=player.headers(),
            body={},
            who=player.who,
        ),
        400,
        "no valid fields to update",
    ),
}
"""Calls that every deployment refuses, each with its status and code."""


class WireSuite(HttpSuite):
    """Properties of the wire."""

    @pytest.mark.parametrize("what", REFUSALS)
    def test_a_refusal_has_its_code(self, deployment: Deployment, what: str) -> None:
        """Each reason to say no has its own status and stable code, in the envelope.

        A failure means that a client shows the wrong reason, or retries what can't succeed.
        """
        player, broker = deployment.pauper()
        make, status, code = REFUSALS[what]
        refusal_of(deployment.send(make(player, broker)), status, code)

    def test_an_unknown_path_is_404_in_the_envelope(self, deployment: Deployment) -> None:
        """Whatever isn't there is 404, for players and strangers, as JSON.

        A failure means that a client's mistake reads as an outage, or as success.
        """
        player = deployment.onlooker()
        paths = ("/api/no-such-thing", "/api/brokers/mine/x", "/api/economy", "/no/such/page")
        for path in paths:
            for call in (Call(method="GET", path=path), player.getting(path)):
                refusal_of(deployment.send(call), 404)

    def test_an_unknown_method_changes_nothing(self, deployment: Deployment) -> None:
        """A method that a path doesn't know is 405, or 404, in the envelope.

        A failure means that a call does something under a name nobody gave it.
        """
        player, broker = deployment.pauper()
        before = player.holdings()
        for method, path in (
            ("DELETE", "/api/economy/me"),
            ("PUT", "/api/brokers/train"),
            ("GET", "/api/battle/run"),
            ("DELETE", f"/api/brokers/{broker}"),
        ):
            call = Call(method=method, path=path, headers=player.headers(), who=player.who)
            refusal_of(deployment.send(call), (404, 405))
        same(player.holdings(), before, "what the player has after calls that mean nothing")

    def test_a_path_is_read_in_any_case_and_with_a_slash(self, deployment: Deployment) -> None:
        """Upper case and a slash at the end name the same thing, as clients have relied on.

        A failure means that clients which exist today are answered 404.
        """
        player = deployment.onlooker()
        for path in ("/API/Economy/ME", "/api/economy/me/", "/Api/Economy/Me/"):
            answer = player.get(path)
            same(data_of(answer).get("telegramId"), player.id, "who is calling", answer)

    def test_a_request_id_is_given_back(self, deployment: Deployment) -> None:
        """The `X-Request-Id` of a call is in its answer, good or not; without one it gets its own.

        A failure means that a call can't be followed through the logs of two systems.
        """
        for path, ok in (("/api/game-modes", True), ("/api/no-such-thing", False)):
            sent = f"trace-{deployment.key()}"
            answer = deployment.get(path, **{"X-Request-Id": sent})
            same(answer.headers.get("x-request-id"), sent, "the header X-Request-Id", answer)
            same(answer.body.get("requestId"), sent, "requestId", answer)
            same(answer.body.get("ok"), ok, "ok", answer)
            one, other = deployment.get(path), deployment.get(path)
            ids = [each.headers.get("x-request-id") for each in (one, other)]
            owes(
                all(ids) and ids[0] != ids[1], "calls without an id get different ones", one, other
            )

    def test_documents_have_the_fields_that_clients_read(self, deployment: Deployment) -> None:
        """Economy, brokers, modes and daily status hold every field, whole numbers as such.

        A failure means that a screen of the client shows nothing, or `NaN`.
        """
        player, _ = deployment.pauper()
        me = player.get("/api/economy/me")
        _has(data_of(me), ME, me)
        _has(data_of(me)["economy"], PRICES, me)
        mine = player.get("/api/brokers/mine")
        for broker in data_of(mine):
            _has(broker, BROKER, mine)
        modes = deployment.get("/api/game-modes")
        for mode in data_of(modes):
            _has(mode, MODE, modes)
        daily = player.get("/api/daily/status")
        _has(data_of(daily), DAILY, daily)

    @needs(Capability.BATTLES)
    def test_a_battle_has_the_fields_that_clients_read(self, deployment: Deployment) -> None:
        """The answer to a battle holds every field, and says who fought where under which key.

        A failure means that a client can't show what was won.
        """
        player, broker = fighter(deployment)
        key = deployment.key()
        answer = player.fight(broker, key)
        battle = data_of(answer)
        _has(battle, BATTLE, answer)
        told = {
            name: battle[name] for name in ("requestId", "ownerTelegramId", "brokerId", "modeKey")
        }
        owed = {
            "requestId": key,
            "ownerTelegramId": player.id,
            "brokerId": broker,
            "modeKey": deployment.modes[0]["key"],
        }
        same(told, owed, "what the battle says of itself", answer)

    def test_modes_are_ordered_by_arena_league_and_key(self, deployment: Deployment) -> None:
        """Modes are listed in that order, the enabled ones alone, and filtered by either place.

        A failure means that a client offers battles that are refused.
        """
        answer = deployment.get("/api/game-modes")
        modes = data_of(answer)
        order = [(mode["arena"], mode["league"], mode["key"]) for mode in modes]
        same(order, sorted(order), "the order of modes", answer)
        owes(all(mode["enabled"] for mode in modes), "disabled modes aren't listed", answer)
        for name in ("arena", "league"):
            for value in sorted({mode[name] for mode in modes})[:2]:
                part = deployment.get(f"/api/game-modes?{name}={value}")
                owed = [mode for mode in modes if mode[name] == value]
                same(data_of(part), owed, f"the modes of {name} {value}", part)

    def test_a_flat_answer_is_flat(self, deployment: Deployment) -> None:
        """The day's reward is answered beside `ok: true`, without `data`, as clients read it.

        A failure means that a client shows an old balance after a purchase.
        """
        player = deployment.newcomer()
        answer = player.daily()
        if not answer.is_granted:
            refusal_of(answer, 503, "daily cap reached")
            beyond("emission is closed")
        body = flat_of(answer)
        names = ("alreadyClaimed", "neurReward", "neurBalance", "loginStreakDays")
        owes(all(name in body for name in names), f"it holds {', '.join(names)}", answer)


def _has(document: Json, names: list[str], answer: Answer) -> None:
    """Raise AssertionError unless a document has all fields, whole numbers among them whole."""
    missing = [name for name in names if name not in document]
    same(missing, [], "the fields that are missing", answer)
    broken = {
        name: document[name] for name in names if name in WHOLE and type(document[name]) is not int
    }
    same(broken, {}, "the numbers that aren't whole", answer)
