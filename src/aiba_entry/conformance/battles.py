"""Properties of battles: what they cost, how they are listed, and that receipts can be checked."""

import json
from typing import Final

from aiba_domain.battle.receipt import from_json, verify
from aiba_domain.errors import InvalidInput
from aiba_domain.fairness.epochs import commitment
from aiba_domain.testing.contracts.suite import Capability, needs
from aiba_entry.conformance.answers import Answer, Json
from aiba_entry.conformance.deployment import Deployment, Player, fighter, rested
from aiba_entry.conformance.expect import data_of, owes, refusal_of, same
from aiba_entry.conformance.keys import AT_ONCE
from aiba_entry.conformance.suite import HttpSuite, beyond

_PAGES: Final = (1, 2, 100)


class BattlesSuite(HttpSuite):
    """Properties of battles."""

    @needs(Capability.BATTLES)
    def test_a_battle_costs_energy_and_sets_a_cooldown(self, deployment: Deployment) -> None:
        """After a battle its mode's energy is gone, its cooldown runs, and the broker says so.

        A failure means that players fight without end, and emission with them.
        """
        player, broker = fighter(deployment)
        mode, before = deployment.modes[0], player.broker(broker)
        answer = player.fight(broker)
        fought, after = data_of(answer), player.broker(broker)
        spent = before["energy"] - after["energy"]
        owes(spent in (mode["energyCost"], mode["energyCost"] - 1), "the energy is taken", answer)
        same(after["lastBattleAt"], fought["createdAt"], "lastBattleAt", answer)
        if mode["cooldownSeconds"]:
            owes(mode["key"] in after["cooldowns"], "the mode's cooldown is shown", answer)

    @needs(Capability.BATTLES)
    def test_no_energy_is_no_battle(self, deployment: Deployment) -> None:
        """Without energy a battle is refused with what is needed and there, and moves nothing.

        A failure means that a broker that is tired earns as much as one that is not.
        """
        player, broker = fighter(deployment)
        for _ in range(_most_battles(deployment, player, broker)):
            answer = player.fight(broker)
            if not answer.is_granted:
                break
        before = player.holdings()
        refused = player.fight(broker)
        details = refusal_of(refused, (403, 429), "no energy", "cooldown")
        if refused.code == "no energy":
            owes(
                isinstance(details, dict) and details.get("have", 0) < details.get("need", 0),
                "the refusal says `need` and `have`",
                refused,
            )
        same(player.holdings(), before, "what the player has after a refused battle", refused)

    @needs(Capability.BATTLES, Capability.FUNDS)
    def test_a_cooldown_is_kept(self, deployment: Deployment) -> None:
        """A second battle in the same mode is 429 `cooldown` with what is left of it.

        A failure means that the pace of the game, and of its emission, is not what was set.
        """
        player, broker = rested(deployment)
        modes = [mode for mode in deployment.modes if mode["cooldownSeconds"]]
        if not modes:
            beyond("no mode with a cooldown is open to newcomers")
        mode = modes[0]
        data_of(player.fight(broker, mode=mode["key"]))
        refused = player.fight(broker, mode=mode["key"])
        details = refusal_of(refused, 429, "cooldown")
        left = details.get("retryAfterMs") if isinstance(details, dict) else None
        most = mode["cooldownSeconds"] * 1000
        owes(isinstance(left, int) and 0 < left <= most, "retryAfterMs is what is left", refused)
        owes("retry-after" not in refused.headers, "a cooldown is no limit on calls", refused)

    @needs(Capability.BATTLES)
    def test_battles_at_once_on_energy_for_one_are_one(self, deployment: Deployment) -> None:
        """Of battles at once as many are fought as there is energy for; the rest are refused.

        A failure means that energy limits only those who click slowly.
        """
        player, broker = fighter(deployment)
        most = _most_battles(deployment, player, broker)
        before = player.balances()
        calls = [player.fighting(broker, deployment.key()) for _ in range(AT_ONCE)]
        answers = deployment.at_once(calls)
        fought = [answer for answer in answers if answer.is_granted]
        for answer in answers:
            if not answer.is_granted:
                refusal_of(answer, (403, 429), "no energy", "cooldown")
        owes(1 <= len(fought) <= most, f"of {AT_ONCE} at once 1 to {most} are fought", *fought)
        owed = before["AIBA"] + sum(data_of(answer)["rewardAiba"] for answer in fought)
        same(player.balances()["AIBA"], owed, "AIBA after battles at once", *fought)

    @needs(Capability.BATTLES, Capability.HISTORY)
    def test_battles_are_listed_as_they_were_answered(self, deployment: Deployment) -> None:
        """The list holds each battle that was answered, field by field, and no other.

        A failure means that the history of a player isn't what happened.
        """
        player, broker = fighter(deployment)
        same(_listed(player), [], "the battles of a newcomer")
        answer = player.fight(broker)
        player.fight(broker)
        fought = data_of(answer)
        listed = _listed(player)
        same([each["_id"] for each in listed], [fought["_id"]], "which battles are listed", answer)
        # A claim made with the battle belongs to the answer; what the list shows of it may differ.
        known = {k: v for k, v in listed[0].items() if k in fought and k != "claim"}
        same(known, {k: fought[k] for k in known}, "the battle as it is listed", answer)

    @needs(Capability.BATTLES, Capability.HISTORY, Capability.FUNDS)
    def test_pages_of_battles_are_the_whole(self, deployment: Deployment) -> None:
        """Pages of any size, put together, are all battles newest first, each once.

        A failure means that battles can't be found, or are counted twice.
        """
        player, broker = rested(deployment)
        fought = [data_of(player.fight(broker, mode=mode["key"])) for mode in deployment.modes[:3]]
        newest_first = [each["createdAt"] for each in _listed(player)]
        same(newest_first, sorted(newest_first, reverse=True), "the order of battles")
        for limit in _PAGES:
            seen, path = [], f"/api/battles?limit={limit}"
            for _ in range(len(fought) + 1):
                page = player.get(path)
                items = data_of(page)["items"]
                owes(len(items) <= limit, f"a page has at most {limit} battles", page)
                seen += [item["_id"] for item in items]
                following = data_of(page)["next"]
                if following is None:
                    break
                path = f"/api/battles?limit={limit}&before={following}"
            same(sorted(seen), sorted(one["_id"] for one in fought), f"the pages of {limit}", page)


class ReceiptsSuite(HttpSuite):
    """Properties of receipts and seed epochs."""

    @needs(Capability.RECEIPTS)
    def test_epochs_are_ordered_and_the_last_is_open(self, deployment: Deployment) -> None:
        """Epochs come by number; the last is open and secret, a revealed one keeps its promise.

        A failure means that outcomes can be known before a battle, or nobody can check them.
        """
        answer = deployment.get("/api/fairness")
        epochs = data_of(answer)["epochs"]
        numbers = [epoch["number"] for epoch in epochs]
        same(numbers, sorted(set(numbers)), "the order of epochs", answer)
        owes(
            epochs[-1]["closedAt"] is None and epochs[-1]["revealedSecret"] is None,
            "the last epoch is open, and its secret not revealed",
            answer,
        )
        for epoch in epochs[:-1]:
            owes(epoch["closedAt"] is not None, "every epoch but the last is closed", answer)
            secret = epoch["revealedSecret"]
            if secret is not None:
                made = commitment(epoch["number"], secret)
                same(
                    made, epoch["commitment"], f"the commitment of epoch {epoch['number']}", answer
                )

    @needs(Capability.RECEIPTS)
    def test_a_commitment_is_never_changed(self, deployment: Deployment) -> None:
        """What was published of an epoch when this run began stands there still.

        A failure means that outcomes can be chosen after the bets.
        """
        answer = deployment.get("/api/fairness")
        shown = {epoch["number"]: epoch["commitment"] for epoch in data_of(answer)["epochs"]}
        kept = {number: shown.get(number) for number in deployment.promised}
        same(kept, deployment.promised, "the commitments published before", answer)

    @needs(Capability.RECEIPTS, Capability.BATTLES)
    def test_a_receipt_says_what_was_answered(self, deployment: Deployment) -> None:
        """The receipt has the battle's score, rewards, seed and broker, under a known commitment.

        A failure means that what can be verified isn't what was played.
        """
        player, broker = fighter(deployment)
        snapshot = player.broker(broker)
        answer = player.fight(broker)
        kept, receipt = _receipt(player, answer)
        fought = data_of(answer)
        inputs, outcome, grant = (receipt[part] for part in ("inputs", "outcome", "grant"))
        told = {
            "score": outcome["score"],
            "seedHex": outcome["seedHex"],
            "rewardAiba": grant["aiba"],
            "rewardNeur": grant["neur"],
            "_id": inputs["battleId"],
        }
        same(told, {name: fought[name] for name in told}, "what the receipt says", answer, kept)
        stats = ("intelligence", "speed", "risk", "level")
        fighting = {name: inputs["fighter"][name] for name in stats}
        same(fighting, {name: snapshot[name] for name in stats}, "the broker that fought", kept)
        published = data_of(deployment.get("/api/fairness"))["epochs"]
        promises = {epoch["number"]: epoch["commitment"] for epoch in published}
        same(inputs["commitment"], promises.get(inputs["epoch"]), "the commitment", kept)

    @needs(Capability.RECEIPTS, Capability.BATTLES)
    def test_a_receipt_never_changes(self, deployment: Deployment) -> None:
        """A battle read again later is the battle that was answered, receipt and all.

        A failure means that history can be rewritten.
        """
        player, broker = fighter(deployment)
        answer = player.fight(broker)
        first, receipt = _receipt(player, answer)
        shared = {k: v for k, v in data_of(first).items() if k in data_of(answer)}
        same(shared, {k: data_of(answer)[k] for k in shared}, "the battle read", answer, first)
        player.daily()
        again, later = _receipt(player, answer)
        same(later, receipt, "the receipt", first, again)

    @needs(Capability.RECEIPTS, Capability.BATTLES, Capability.ROTATION)
    def test_a_receipt_verifies_once_the_secret_is_revealed(self, deployment: Deployment) -> None:
        """When the epoch has ended, anyone recomputes the battle from its receipt and the secret.

        A failure means that the score was not the one that the seed gives: the draw was cheated.
        """
        rotate = deployment.terms.rotate
        if rotate is None:
            raise AssertionError("rotation is declared, and there is no command to rotate")
        player, broker = fighter(deployment)
        answer = player.fight(broker)
        kept, receipt = _receipt(player, answer)
        rotate()
        fairness = deployment.get("/api/fairness")
        epochs = {epoch["number"]: epoch for epoch in data_of(fairness)["epochs"]}
        number = receipt["inputs"]["epoch"]
        owes(number in epochs, "the epoch is still listed", fairness)
        secret = epochs[number]["revealedSecret"]
        owes(isinstance(secret, str), "the secret of an ended epoch is revealed", fairness)
        problems = [
            f"{found.field} is {found.stated}, recomputed {found.computed}"
            for found in verify(from_json(receipt), secret)
        ]
        same(problems, [], "what is wrong with the receipt", kept, fairness)
        again, later = _receipt(player, answer)
        same(later, receipt, "the receipt after the epoch's end", kept, again)
        stranger, other = fighter(deployment)
        newer, next_receipt = _receipt(stranger, stranger.fight(other))
        owes(
            next_receipt["inputs"]["epoch"] > receipt["inputs"]["epoch"],
            "a battle after the end belongs to the next epoch",
            newer,
        )


def _listed(player: Player) -> list[Json]:
    listed: list[Json] = data_of(player.get("/api/battles?limit=100"))["items"]
    return listed


def _receipt(player: Player, fought: Answer) -> tuple[Answer, Json]:
    """Return the answer that holds a battle's receipt, and the receipt, which is one in form."""
    answer = player.get(f"/api/battles/{data_of(fought)['_id']}")
    receipt = data_of(answer).get("receipt")
    try:
        from_json(receipt)
    except InvalidInput as refusal:
        owes(False, f"a battle has a receipt in its form ({refusal})", answer)  # noqa: FBT003
    return answer, json.loads(json.dumps(receipt))


def _most_battles(deployment: Deployment, player: Player, broker: str) -> int:
    """Return how many battles a broker's energy allows, one more for what comes back meanwhile."""
    mode, energy = deployment.modes[0], player.broker(broker)["energy"]
    cost = mode["energyCost"]
    if mode["cooldownSeconds"]:
        return 1
    return AT_ONCE if not cost else energy // cost + (energy % cost == cost - 1)
