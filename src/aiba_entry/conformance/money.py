"""Properties of money: what the answers say adds up, and nobody spends what they haven't got."""

from collections.abc import Callable
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.testing.contracts.suite import Capability, needs
from aiba_entry.conformance.answers import Answer, Call
from aiba_entry.conformance.deployment import BALANCES, PAID, Deployment, Player, funded, rested
from aiba_entry.conformance.expect import data_of, evidence, flat_of, owes, refusal_of, same
from aiba_entry.conformance.keys import AT_ONCE
from aiba_entry.conformance.suite import HttpSuite, few

STATS: Final = ("speed", "risk", "intelligence")
DEEDS: Final = ("daily", "train", "repair", "upgrade", "battle", "again", "other body")
Plan = list[tuple[str, int]]
"""What a player does: a deed, and a number that chooses the stat, the mode or the earlier call."""

_ENOUGH: Final = 12


class MoneySuite(HttpSuite):
    """Properties of money."""

    @few(8)
    @given(plan=st.lists(st.tuples(st.sampled_from(DEEDS), st.integers(0, 5)), max_size=8))
    @needs(Capability.FUNDS)
    def test_balances_are_the_sums_of_the_answers(self, deployment: Deployment, plan: Plan) -> None:
        """Whatever a player does in whatever order, each balance is the sum of what was answered.

        A failure means that money appears or vanishes without anybody being told.
        """

        def play() -> None:
            player, broker = funded(deployment)
            books = Books(player, broker)
            for deed, number in plan:
                books.do(deed, number)
                books.check()

        deployment.attempt("sums", plan, play)

    @needs(Capability.FUNDS)
    def test_read_follows_the_units_that_were_answered(self, deployment: Deployment) -> None:
        """Whoever was answered finds the effect in the next read, balance and broker alike.

        A failure means that clients show, and decide on, money that is spent already.
        """
        player, broker = funded(deployment)
        for stat in STATS:
            answer = player.pay("train", broker, stat=stat)
            read = player.get("/api/economy/me")
            if answer.is_granted:
                told = flat_of(answer)
                same(data_of(read)["neurBalance"], told["neurBalance"], "NEUR", answer, read)
                mine = player.get("/api/brokers/mine")
                same(data_of(mine)[0], told["broker"], "the broker", answer, mine)

    @needs(Capability.FUNDS)
    def test_a_price_is_what_is_taken(self, deployment: Deployment) -> None:
        """A training and a repair cost what `economy` says, and give what was bought.

        A failure means that players pay another price than they are shown.
        """
        player, broker = funded(deployment)
        prices = player.me()["economy"]
        for deed in ("train", "repair"):
            before, owned = player.balances(), player.broker(broker)
            answer = player.pay(deed, broker)
            bought = flat_of(answer)
            price = prices[PAID[deed][1]]
            same(before["NEUR"] - bought["neurBalance"], price, f"the price of {deed}", answer)
            if deed == "train":
                same(bought["broker"]["speed"], min(100, owned["speed"] + 1), "the stat", answer)
            else:
                same(bought["broker"]["cooldowns"], {}, "the cooldowns after a repair", answer)

    @needs(Capability.FUNDS)
    def test_guarded_account_never_goes_below_zero(self, deployment: Deployment) -> None:
        """Who spends on is refused as soon as a price isn't covered, and keeps the rest.

        A failure means that players owe what nobody will ever collect.
        """
        player, broker = funded(deployment)
        price = player.me()["economy"]["trainNeurCost"]
        for _ in range(_ENOUGH):
            before = player.balances()
            answer = player.pay("train", broker)
            after = player.balances()
            owes(min(after.values()) >= 0, "no balance is below 0", answer)
            if before["NEUR"] < price:
                refusal_of(answer, 403, "insufficient NEUR")
                same(after, before, "the balances after a refusal", answer)
                return
            flat_of(answer)
        owes(after["NEUR"] >= price, "the rewards of a day are spent at some time")

    @needs(Capability.FUNDS)
    def test_only_one_of_many_units_can_take_the_last_unit(self, deployment: Deployment) -> None:
        """Of purchases at once as many are paid as there is money for, the others refused.

        A failure means that players buy more than they can pay by clicking fast.
        """
        player, broker = funded(deployment)
        before, owned = player.balances(), player.broker(broker)
        price = player.me()["economy"]["trainNeurCost"]
        calls = [
            player.paying("train", broker, deployment.key(), STATS[n % 3]) for n in range(AT_ONCE)
        ]
        answers = deployment.at_once(calls)
        paid = _paid(answers, "insufficient NEUR")
        after, trained = player.balances(), player.broker(broker)
        same(len(paid), min(AT_ONCE, before["NEUR"] // price), "how many were paid", *answers)
        same(after["NEUR"], before["NEUR"] - price * len(paid), "what is left", *paid)
        gained = sum(trained[stat] - owned[stat] for stat in STATS)
        same(gained, len(paid), "how many points were given", *paid)

    @needs(Capability.FUNDS)
    def test_concurrent_units_are_serial(self, deployment: Deployment) -> None:
        """Different purchases at once have the effect of some order: no payment is lost.

        A failure means that one of two writes at once is forgotten, with its money.
        """
        player, broker = funded(deployment)
        before = player.balances()
        prices = player.me()["economy"]
        deeds = ("repair", "train") * (AT_ONCE // 2)
        calls = [player.paying(deed, broker, deployment.key()) for deed in deeds]
        answers = deployment.at_once(calls)
        paid = _paid(answers, "insufficient NEUR")
        costs = [prices[PAID[deed][1]] for deed, a in zip(deeds, answers, strict=True) if a in paid]
        after = player.balances()
        same(after["NEUR"], before["NEUR"] - sum(costs), "what is left of NEUR", *paid)
        told = sorted(flat_of(answer)["neurBalance"] for answer in paid)
        same(told[:1], [after["NEUR"]], "the lowest balance that was answered", *paid)
        same(len(set(told)), len(told), "how many different balances were answered", *paid)

    def test_what_is_given_once_is_given_once(self, deployment: Deployment) -> None:
        """Of many at once one gets the free broker, and one the day's reward.

        A failure means that whoever clicks fast gets what everybody gets, many times.
        """
        player = deployment.newcomer()
        starters = deployment.at_once([player.posting("/api/brokers/starter")] * AT_ONCE)
        made = [answer for answer in starters if answer.is_granted]
        for answer in starters:
            if not answer.is_granted:
                refusal_of(answer, 409, "starter already granted", "in_progress")
        ids = {data_of(answer, 201)["_id"] for answer in made}
        same(len(ids), 1, "how many free brokers were given", *made)
        same(len(player.brokers()), 1, "how many brokers are listed", *made)
        calls = [
            player.posting("/api/daily/claim", requestId=deployment.key()) for _ in range(AT_ONCE)
        ]
        claims = [answer for answer in deployment.at_once(calls) if answer.is_granted]
        rewards = sum(flat_of(answer)["neurReward"] for answer in claims)
        most = max((flat_of(answer)["neurReward"] for answer in claims), default=0)
        same(rewards, most, "the sum of the day's rewards", *claims)
        same(player.balances()["NEUR"], rewards, "NEUR after the day's reward", *claims)

    @needs(Capability.DAILY_CAPS, Capability.BATTLES)
    def test_what_a_day_emits_is_within_its_cap(self, deployment: Deployment) -> None:
        """What this run was given on one UTC day is at most the cap that the operator told.

        A failure means that more money comes into the game than was promised.
        """
        calls: list[Call] = []
        for _ in range(_ENOUGH):
            player = deployment.newcomer()
            broker = player.starter()
            calls.append(player.fighting(broker, deployment.key()))
            calls.append(player.posting("/api/daily/claim", requestId=deployment.key()))
        answers = deployment.at_once(calls)
        for answer in answers:
            if not answer.is_granted:
                refusal_of(answer, 503, "daily cap reached")
        emitted = deployment.emitted()
        for (day, currency), amount in emitted.items():
            cap = deployment.terms.caps().get(currency)
            owes(
                cap is None or amount <= cap,
                f"{day} emits at most {cap} {currency}, not the {amount} that were answered",
                *answers,
            )

    @needs(Capability.FUNDS, Capability.BATTLES)
    def test_a_battle_moves_what_it_says(self, deployment: Deployment) -> None:
        """A battle adds the rewards of its answer to the balances, and nothing else.

        A failure means that what a player is told to have won isn't what they get.
        """
        player, broker = rested(deployment)
        for mode in deployment.modes[:2]:
            before = player.balances()
            answer = player.fight(broker, mode=mode["key"])
            won = data_of(answer)
            owed = {
                "AIBA": before["AIBA"] + won["rewardAiba"],
                "NEUR": before["NEUR"] + won["rewardNeur"],
                "STARS": before["STARS"] + won["starsGranted"],
                "DIAMONDS": before["DIAMONDS"] + won["firstWinDiamond"],
            }
            owes(min(won["rewardAiba"], won["rewardNeur"]) >= 0, "rewards are 0 or more", answer)
            same(player.balances(), owed, "the balances after a battle", answer)


class Books:
    """A player's own books, kept from nothing but the answers; the service's must agree."""

    def __init__(self, player: Player, broker: str) -> None:
        """Begin with what the player holds."""
        self._player = player
        self._broker = broker
        self._holds = player.balances()
        self._prices = player.me()["economy"]
        self._calls: list[Call] = []
        self._answers: list[Answer] = []

    def do(self, deed: str, number: int) -> None:
        """Do something and enter what it changed; it must be granted if it can be paid."""
        acts: dict[str, Callable[[int], None]] = {
            "daily": self._daily,
            "battle": self._battle,
            "again": self._again,
            "other body": self._other_body,
        }
        act = acts.get(deed)
        if act is None:
            self._pay(deed, number)
        else:
            act(number)

    def check(self) -> None:
        """Raise AssertionError unless the service's balances are those of the books."""
        me = self._player.get("/api/economy/me")
        held = {currency: data_of(me)[name] for currency, name in BALANCES.items()}
        if held != self._holds:
            raise AssertionError(
                f"the answers add up to {self._holds}; the service says {held}"
                f"{evidence((*self._answers[-2:], me))}"
            )

    def _send(self, call: Call) -> Answer:
        answer = self._player.deployment.send(call)
        self._answers.append(answer)
        return answer

    def _first(self, call: Call) -> Answer:
        self._calls.append(call)
        return self._send(call)

    def _key(self) -> str:
        return self._player.deployment.key()

    def _daily(self, _: int) -> None:
        answer = self._first(self._player.posting("/api/daily/claim", requestId=self._key()))
        if answer.is_granted:
            told = flat_of(answer)
            self._holds["NEUR"] += told["neurReward"]
            same(told["neurBalance"], self._holds["NEUR"], "NEUR as answered", answer)
        else:
            refusal_of(answer, 503, "daily cap reached")

    def _pay(self, deed: str, number: int) -> None:
        currency, price = PAID[deed][0], self._prices[PAID[deed][1]]
        call = self._player.paying(deed, self._broker, self._key(), STATS[number % 3])
        answer = self._first(call)
        if self._holds[currency] < price:
            refusal_of(answer, 403, f"insufficient {currency}")
            return
        told = flat_of(answer)
        self._holds[currency] -= price
        same(told[BALANCES[currency]], self._holds[currency], f"{currency} as answered", answer)

    def _battle(self, number: int) -> None:
        modes = self._player.deployment.modes
        if not modes:
            return
        mode = modes[number % len(modes)]["key"]
        answer = self._first(self._player.fighting(self._broker, self._key(), mode))
        if not answer.is_granted:
            refusal_of(answer, (403, 429), "no energy", "cooldown")
            return
        won = data_of(answer)
        self._holds["AIBA"] += won["rewardAiba"]
        self._holds["NEUR"] += won["rewardNeur"]
        self._holds["STARS"] += won["starsGranted"]
        self._holds["DIAMONDS"] += won["firstWinDiamond"]

    def _again(self, number: int) -> None:
        """Repeat an earlier call under its key: nothing is entered, since nothing may change."""
        if self._calls:
            self._send(self._calls[number % len(self._calls)])

    def _other_body(self, number: int) -> None:
        """Use an earlier key for a body of its own."""
        calls = [call for call in self._calls if "train" in call.path]
        if calls:
            earlier = calls[number % len(calls)]
            stat = STATS[(STATS.index(_stat(earlier)) + 1) % 3]
            key = str(earlier.body_key())
            answer = self._send(self._player.paying("train", self._broker, key, stat))
            refusal_of(answer, 409, "requestId already used")


def _stat(call: Call) -> str:
    return str(call.body["stat"]) if isinstance(call.body, dict) else ""


def _paid(answers: list[Answer], code: str) -> list[Answer]:
    """Return the answers that granted a purchase; every other one says that money is lacking."""
    for answer in answers:
        if not answer.is_granted:
            refusal_of(answer, 403, code)
    return [answer for answer in answers if answer.is_granted]
