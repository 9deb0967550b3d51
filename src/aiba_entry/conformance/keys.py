"""Properties of idempotency keys: one key, one effect, one answer."""

from collections.abc import Callable, Mapping
from typing import Final

import pytest

from aiba_domain.testing.contracts.suite import Capability, needs
from aiba_entry.conformance.answers import Answer, Call
from aiba_entry.conformance.deployment import Deployment, Player, fighter, funded, rested
from aiba_entry.conformance.expect import data_of, flat_of, owes, refusal_of, same
from aiba_entry.conformance.suite import ABSENT_ID, HttpSuite

AT_ONCE: Final = 16
"""How many calls are made at the same time: enough to meet, few enough for any limit."""

IN_PROGRESS: Final = "in_progress"
"""What a deployment may say of a key whose first call it is still working on."""

MONEY: Final[Mapping[str, Mapping[str, object]]] = {
    "/api/battle/run": {"brokerId": ABSENT_ID},
    "/api/brokers/train": {"brokerId": ABSENT_ID, "stat": "risk"},
    "/api/brokers/repair": {"brokerId": ABSENT_ID},
    "/api/brokers/upgrade": {"brokerId": ABSENT_ID, "stat": "risk"},
    "/api/brokers/combine": {"baseBrokerId": ABSENT_ID, "sacrificeBrokerId": ABSENT_ID[::-1]},
}
"""Every command that moves money, with a body that lacks its key."""

BAD_KEYS: Final = ("", " ", "a" * 129, "with space", "ключ", "semi;colon")

Doing = Callable[[Player, str, str], Call]


def _battle(player: Player, broker: str, key: str) -> Call:
    return player.fighting(broker, key)


def _training(player: Player, broker: str, key: str) -> Call:
    return player.paying("train", broker, key, "speed")


class KeysSuite(HttpSuite):
    """Properties of idempotency keys."""

    @pytest.mark.parametrize("path", MONEY)
    def test_a_money_command_without_a_key_is_refused(
        self, deployment: Deployment, path: str
    ) -> None:
        """No key, or none that is one, is 400 `requestId required`; a trace id is none.

        A failure means that a click sent twice by a bad connection pays twice.
        """
        player, broker = deployment.pauper()
        before = player.holdings()
        names = [name for name in MONEY[path] if name.endswith("rokerId")]
        body = {**MONEY[path], names[0]: broker}
        trace = {"X-Request-Id": deployment.key()}
        calls = [player.posting(path, **body)]
        calls += [player.posting(path, **body, requestId=key) for key in BAD_KEYS]
        calls.append(
            Call(
                method="POST",
                path=path,
                headers=player.headers() | trace,
                body=body,
                who=player.who,
            )
        )
        for call in calls:
            _key_required(deployment.send(call))
        same(player.holdings(), before, "what the player has after calls without a key")

    @needs(Capability.BATTLES)
    def test_first_answer_is_never_replaced(self, deployment: Deployment) -> None:
        """The same key brings the first answer of a battle, byte for byte, whatever came since.

        A failure means that a lost answer, asked for again, is a second battle or another result.
        """
        player, broker = fighter(deployment)
        call = player.fighting(broker, deployment.key())
        first = deployment.send(call)
        data_of(first)
        after = player.holdings()
        player.daily()
        again = [deployment.send(call) for _ in range(2)]
        for answer in again:
            same(answer.status, first.status, "the status", first, answer)
            same(answer.told(), first.told(), "the answer without its trace id", first, answer)
        same(
            {**player.balances(), "NEUR": after["balances"]["NEUR"]},
            after["balances"],
            "what the player has after the same battle again",
            first,
            *again,
        )

    @needs(Capability.FUNDS)
    def test_first_answer_of_a_purchase_is_never_replaced(self, deployment: Deployment) -> None:
        """The same key brings the first answer of a training and a repair, byte for byte.

        A failure means that a purchase whose answer was lost is paid for twice.
        """
        player, broker = funded(deployment)
        calls = [player.paying(deed, broker, deployment.key()) for deed in ("train", "repair")]
        first = [deployment.send(call) for call in calls]
        for answer in first:
            flat_of(answer)
        after = player.holdings()
        for call, told in zip(calls, first, strict=True):
            again = deployment.send(call)
            same(again.status, told.status, "the status", told, again)
            same(again.told(), told.told(), "the answer without its trace id", told, again)
            same(again.body.get("requestId"), call.body_key(), "the key in the answer", again)
        same(player.holdings(), after, "what the player has after the same purchases again")

    @needs(Capability.FUNDS, Capability.BATTLES)
    def test_a_refusal_is_remembered_too(self, deployment: Deployment) -> None:
        """A key that was refused for want of energy stays refused after the broker has rested.

        A failure means that a retry which nobody waits for any more takes effect later.
        """
        player, broker = funded(deployment)
        data_of(player.fight(broker))
        call = player.fighting(broker, deployment.key())
        first = deployment.send(call)
        refusal_of(first, (403, 429), "no energy", "cooldown")
        flat_of(player.pay("repair", broker))
        again = deployment.send(call)
        same(again.status, first.status, "the status", first, again)
        same(again.told(), first.told(), "the answer without its trace id", first, again)

    @needs(Capability.FUNDS)
    def test_the_same_key_with_another_body_is_refused(self, deployment: Deployment) -> None:
        """A key stands for one body: another one under it is 409, and nothing happens.

        A failure means that a client's mistake is answered with something else than was asked.
        """
        player, broker = funded(deployment)
        key = deployment.key()
        flat_of(player.pay("train", broker, key, "speed"))
        before = player.holdings()
        for stat in ("risk", "intelligence"):
            refusal_of(player.pay("train", broker, key, stat), 409, "requestId already used")
        absent = player.pay("train", ABSENT_ID, key, "speed")
        refusal_of(absent, 409, "requestId already used")
        same(player.holdings(), before, "what the player has after other bodies under one key")

    @needs(Capability.BATTLES)
    def test_the_same_key_for_another_battle_is_refused(self, deployment: Deployment) -> None:
        """A battle's key with another mode or broker is 409, and no battle is fought.

        A failure means that two battles share one key, and nobody can tell which was paid.
        """
        player, broker = fighter(deployment)
        key = deployment.key()
        first = player.fight(broker, key)
        data_of(first)
        before = player.holdings()
        others = [mode["key"] for mode in deployment.modes[1:3]]
        calls = [player.fighting(ABSENT_ID, key)]
        calls += [player.fighting(broker, key, mode) for mode in others]
        for call in calls:
            answer = deployment.send(call)
            refusal_of(answer, 409, "requestId already used")
        same(player.holdings(), before, "what the player has after other battles under one key")

    @needs(Capability.FUNDS, Capability.BATTLES)
    def test_answers_are_remembered_per_principal_command_and_key(
        self, deployment: Deployment
    ) -> None:
        """A key of one player and command says nothing about any other's.

        A failure means that a player who guesses a key reads or blocks another's battle.
        """
        key = deployment.key()
        battles = []
        for _ in range(2):
            player, broker = funded(deployment)
            fought = player.fight(broker, key)
            trained = player.pay("train", broker, key)
            flat_of(trained)
            battles.append(data_of(fought))
            same(battles[-1].get("ownerTelegramId"), player.id, "whose battle it is", fought)
            flat_of(player.pay("repair", broker, key))
        owes(battles[0]["_id"] != battles[1]["_id"], "two players' battles are two")

    @pytest.mark.parametrize(
        ("deed", "make"),
        [
            pytest.param("battle", _battle, id="battle"),
            pytest.param("train", _training, id="training"),
        ],
    )
    @needs(Capability.FUNDS, Capability.BATTLES)
    def test_one_command_sent_many_times_at_once_takes_effect_once(
        self, deployment: Deployment, deed: str, make: Doing
    ) -> None:
        """Of many calls at once under one key one takes effect, and all have its answer.

        A failure means that a nervous finger, or a retry of a proxy, plays or pays twice.
        """
        player, broker = rested(deployment)
        before = player.holdings()
        answers = deployment.at_once([make(player, broker, deployment.key())] * AT_ONCE)
        done = [answer for answer in answers if answer.is_granted]
        for answer in answers:
            owes(
                answer.is_granted or (answer.status, answer.code) == (409, IN_PROGRESS),
                "each call has the first answer, or is told that it is being made",
                answer,
            )
        owes(done, "one of the calls takes effect", *answers)
        for answer in done[1:]:
            same(answer.told(), done[0].told(), "the answer without its trace id", done[0], answer)
        _one_effect(player, broker, deed, before, done[0])

    @needs(Capability.FUNDS)
    def test_of_two_bodies_at_once_under_one_key_one_is_taken(self, deployment: Deployment) -> None:
        """Whichever comes first has the key; every other body is 409, and costs nothing.

        A failure means that the key protects only who comes late.
        """
        player, broker = funded(deployment)
        key, before, untrained = deployment.key(), player.balances(), player.broker(broker)
        price = player.me()["economy"]["trainNeurCost"]
        calls = [player.paying("train", broker, key, stat) for stat in ("speed", "risk") * 6]
        answers = deployment.at_once(calls)
        for answer in answers:
            if not answer.is_granted:
                refusal_of(answer, 409, "requestId already used", IN_PROGRESS)
        done = {answer.told() for answer in answers if answer.is_granted}
        same(len(done), 1, "how many different answers were good", *answers)
        after = player.balances()
        same(before["NEUR"] - after["NEUR"], price, "what was paid", *answers)
        trained = player.broker(broker)
        gained = sum(trained[stat] - untrained[stat] for stat in ("speed", "risk"))
        same(gained, 1, "how many points were given", *answers)


def _key_required(answer: Answer) -> None:
    """Raise AssertionError unless a call was refused for its key, by the code or by the field."""
    refusal_of(answer, 400, "requestId required", "validation_error")
    named = answer.code == "requestId required" or "requestId" in (answer.details or {})
    owes(named, "the refusal names requestId", answer)


def _one_effect(
    player: Player, broker: str, deed: str, before: Mapping[str, Mapping[str, int]], answer: Answer
) -> None:
    """Raise AssertionError unless what an answer says happened, and happened once."""
    held, owed = player.balances(), dict(before["balances"])
    if deed == "battle":
        won = data_of(answer)
        owed["AIBA"] += won["rewardAiba"]
        owed["NEUR"] += won["rewardNeur"]
        owed["STARS"] += won["starsGranted"]
        owed["DIAMONDS"] += won["firstWinDiamond"]
    else:
        owed["NEUR"] = flat_of(answer)["neurBalance"]
        price = player.me()["economy"]["trainNeurCost"]
        same(before["balances"]["NEUR"] - owed["NEUR"], price, "what was paid", answer)
        same(player.broker(broker), flat_of(answer)["broker"], "the broker as it is listed", answer)
    same(held, owed, "the balances after one effect", answer)
