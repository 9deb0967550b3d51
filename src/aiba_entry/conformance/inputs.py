"""Properties of bad input and of what belongs to others: refused, named, and without effect."""

import json
from collections.abc import Mapping
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.testing.contracts.suite import Capability, needs
from aiba_entry.conformance.answers import Answer, Call
from aiba_entry.conformance.deployment import Deployment, Player, fighter, funded
from aiba_entry.conformance.expect import data_of, harmless, owes, refusal_of, same
from aiba_entry.conformance.suite import ABSENT_ID, HttpSuite, few

GOOD: Final[Mapping[str, Mapping[str, object]]] = {
    "/api/battle/run": {
        "requestId": "input",
        "brokerId": ABSENT_ID,
        "arena": "prediction",
        "league": "rookie",
        "modeKey": "prediction",
        "autoClaim": False,
    },
    "/api/brokers/train": {"requestId": "input", "brokerId": ABSENT_ID, "stat": "risk"},
    "/api/brokers/repair": {"requestId": "input", "brokerId": ABSENT_ID},
    "/api/brokers/upgrade": {"requestId": "input", "brokerId": ABSENT_ID, "stat": "risk"},
    "/api/brokers/combine": {
        "requestId": "input",
        "baseBrokerId": ABSENT_ID,
        "sacrificeBrokerId": ABSENT_ID[::-1],
    },
    "/api/daily/claim": {"requestId": "input"},
}
"""Calls with a body, each with a good value of every field."""

FIELDS: Final = tuple((path, field) for path, body in GOOD.items() for field in body)
HUGE: Final = 10**400

MALFORMED: Final[Mapping[str, bytes]] = {
    "an open brace": b"{",
    "a list": b"[]",
    "a text": b'"requestId"',
    "null": b"null",
    "half an object": b'{"requestId": "a"',
    "two values": b'{"requestId": "a"} {"requestId": "b"}',
    "no UTF-8": b'{"requestId": "\xff\xfe"}',
    "a number that is none": b'{"requestId": NaN}',
    "a number beyond all": b'{"requestId": 1e99999}',
    "depth": b'{"requestId": ' + b"[" * 5000 + b"]" * 5000 + b"}",
    "half a surrogate": b'{"requestId": "\\ud800"}',
}
"""Bodies that are no JSON object, or none that can be kept."""

_JUNK: Final = st.one_of(
    st.dictionaries(st.sampled_from(["$gt", "$ne", "a"]), st.just(""), min_size=1, max_size=2),
    st.lists(st.lists(st.integers(), max_size=1), min_size=1, max_size=2),
    st.sampled_from(["\x00", "a\x00b", "\ud800", "x" * 5000]),
)


def _bad(field: str) -> st.SearchStrategy[object]:
    """Return values that a field can't take."""
    if field == "stat":
        return _JUNK | st.sampled_from(["luck", "Risk", "risk;", "1"])
    if field == "autoClaim":
        return _JUNK | st.sampled_from(["maybe", "yes please"]) | st.integers(2, 9)
    if field.endswith("rokerId"):
        return _JUNK | st.sampled_from([ABSENT_ID[:-1], f"{ABSENT_ID}0", "g" * 24, "$ne", "1"])
    longest = {"arena": 51, "league": 51, "modeKey": 101, "requestId": 129}[field]
    return _JUNK | st.just("a" * longest)


class InputSuite(HttpSuite):
    """Properties of bad input."""

    @few(30)
    @given(
        case=st.sampled_from(FIELDS).flatmap(
            lambda case: st.tuples(st.just(case[0]), st.just(case[1]), _bad(case[1]))
        )
    )
    def test_a_field_at_fault_is_refused_by_name(
        self, deployment: Deployment, case: tuple[str, str, object]
    ) -> None:
        """One wrong value among good ones is a refusal that names its field; nothing breaks.

        A failure means that a mistake is taken for another wish, or shows as an outage.
        """
        path, field, value = case

        def play() -> None:
            player = deployment.onlooker()
            body = {**GOOD[path], "requestId": deployment.key(), field: value}
            answer = player.post(path, **body)
            harmless(answer)
            details = refusal_of(answer, (400, 413, 422))
            told = json.dumps([answer.code, details])
            owes(field in told or field in answer.code, f"the refusal names {field}", answer)
            same(
                sum(player.balances().values()),
                0,
                "what a player without anything has after it",
                answer,
            )

        deployment.attempt("field", case, play)

    @pytest.mark.parametrize("what", MALFORMED)
    def test_a_malformed_body_is_refused(self, deployment: Deployment, what: str) -> None:
        """A body that is no JSON object is 400 in the envelope on every call, and does nothing.

        A failure means that a cut connection shows as an outage, or as a command.
        """
        player = deployment.onlooker()
        for path in ("/api/battle/run", "/api/brokers/train", "/api/daily/claim"):
            call = Call(
                method="POST",
                path=path,
                headers=player.headers(),
                content=MALFORMED[what],
                who=player.who,
            )
            answer = deployment.send(call)
            harmless(answer)
            refusal_of(answer, (400, 413, 415, 422))
        same(sum(player.balances().values()), 0, "what a player without anything has after it")

    @needs(Capability.SESSIONS)
    def test_a_stranger_breaks_nothing_either(self, deployment: Deployment) -> None:
        """The one call that strangers may make with a body refuses whatever is no body.

        A failure means that anybody on the internet can make the service fail.
        """
        for content in MALFORMED.values():
            answer = deployment.send(Call(method="POST", path="/api/auth/session", content=content))
            harmless(answer)
            refusal_of(answer, (400, 401, 413, 415, 422))

    def test_a_large_id_is_exact(self, deployment: Deployment) -> None:
        """A Telegram id beyond 32 bits comes back to the digit, as a text.

        A failure means that two players are one, as ids lose their last digits.
        """
        player, broker = deployment.pauper()
        me = player.get("/api/economy/me")
        same(data_of(me)["telegramId"], player.id, "the player's id", me)
        owned = player.broker(broker)
        owes(owned is not None, "the broker is listed")
        same(owned["ownerTelegramId"], player.id, "the owner's id")

    def test_a_number_without_bounds_is_refused(self, deployment: Deployment) -> None:
        """Numbers far beyond what can be stored are refused where a text or an id belongs.

        A failure means that they are rounded, wrap around, or break the store.
        """
        player = deployment.onlooker()
        for value in (HUGE, -HUGE, 2**63, 1.5, -1):
            answer = player.post("/api/brokers/repair", requestId="input", brokerId=value)
            harmless(answer)
            refusal_of(answer, (400, 422))
        for path in (f"/api/battles/{HUGE}", f"/api/battles/{'9' * 24}x"):
            answer = player.get(path)
            harmless(answer)
            refusal_of(answer, (400, 404))

    @needs(Capability.HISTORY)
    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("limit=0", "limit"),
            ("limit=-1", "limit"),
            ("limit=101", "limit"),
            ("limit=many", "limit"),
            (f"limit={HUGE}", "limit"),
            ("before=yesterday", "before"),
            (f"before={'9' * 40}-{ABSENT_ID}", "before"),
        ],
        ids=lambda value: str(value)[:24],
    )
    def test_a_bad_page_is_refused_by_name(
        self, deployment: Deployment, query: str, field: str
    ) -> None:
        """A limit out of range or a place that is none is 400 and named.

        A failure means that a client pages in circles, or asks for everything at once.
        """
        answer = deployment.onlooker().get(f"/api/battles?{query}")
        details = refusal_of(answer, 400)
        owes(isinstance(details, dict) and field in details, f"the refusal names {field}", answer)


class OwnershipSuite(HttpSuite):
    """Properties of what belongs to others."""

    @needs(Capability.FUNDS)
    def test_the_broker_of_another_cannot_be_used(self, deployment: Deployment) -> None:
        """Training, repairing, combining, fighting: 403 `not your broker`, and nothing changes.

        A failure means that players spend each other's money or wear out each other's brokers.
        """
        owner, theirs = funded(deployment)
        thief, own = funded(deployment)
        before = owner.holdings(), thief.holdings()
        answers = [thief.pay(deed, theirs) for deed in ("train", "repair", "upgrade")]
        for base, sacrifice in ((theirs, own), (own, theirs)):
            answers.append(
                thief.post(
                    "/api/brokers/combine",
                    requestId=deployment.key(),
                    baseBrokerId=base,
                    sacrificeBrokerId=sacrifice,
                )
            )
        for answer in answers:
            refusal_of(answer, (403, 404), "not your broker", "broker not found")
        same((owner.holdings(), thief.holdings()), before, "what both have", *answers)

    @needs(Capability.BATTLES)
    def test_the_broker_of_another_cannot_fight(self, deployment: Deployment) -> None:
        """A battle with another's broker is 403 `not your broker`, whoever would win by it.

        A failure means that players use up each other's energy.
        """
        owner, theirs = fighter(deployment)
        thief = deployment.onlooker()
        energy = owner.broker(theirs)["energy"]
        refusal_of(thief.fight(theirs), 403, "not your broker")
        owes(owner.broker(theirs)["energy"] >= energy, "the owner's broker keeps its energy")

    @needs(Capability.BATTLES, Capability.RECEIPTS)
    def test_the_battle_of_another_cannot_be_read(self, deployment: Deployment) -> None:
        """Another's battle is 404 as if it weren't there, and none of it is told.

        A failure means that players see what others have, and how they fight.
        """
        owner, broker = fighter(deployment)
        battle = data_of(owner.fight(broker))
        answer = deployment.onlooker().get(f"/api/battles/{battle['_id']}")
        refusal_of(answer, (403, 404))
        _tells_nothing(answer, owner, battle["seedHex"])

    @needs(Capability.BATTLES, Capability.HISTORY)
    def test_lists_hold_what_is_the_players_own(self, deployment: Deployment) -> None:
        """Nobody's list shows what another has: brokers, battles.

        A failure means that players see each other's history, and keys among it.
        """
        owner, broker = fighter(deployment)
        battle = data_of(owner.fight(broker))
        stranger, _ = deployment.pauper()
        for path in ("/api/brokers/mine", "/api/battles", "/api/economy/me"):
            _tells_nothing(stranger.get(path), owner, broker, battle["_id"])


def _tells_nothing(answer: Answer, owner: Player, *texts: str) -> None:
    text = answer.raw.decode("utf-8", "replace")
    for secret in (owner.id, *texts):
        owes(secret not in text, f"nothing of {owner.who} is told ({secret})", answer)
