"""What the ledger must hold after all that clients were told, and nothing beside that.

Every posting on a player's account is told to that player sooner or later, was asked for, and is
there once. What was told to have happened is there, and stays.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from aiba_domain.battle.modes import ModeTerms
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.ports import Entry
from aiba_domain.testing.auditor import utc_day
from aiba_domain.testing.simulation.site import Ask, Told

Source = tuple[str, str, str]
"""A player, a type of source, and what names it: a key, or a day for the daily rewards."""

What = tuple[str, str, int]
"""A reason, a currency, and +1 for what came or -1 for what went."""

_SOURCES: Final = {
    "train": "broker_train",
    "repair": "broker_repair",
    "upgrade": "broker_upgrade",
    "combine": "broker_combine",
    "battle": "battle",
    "claim": "aiba_claim",
}
_DAILY: Final = {"daily_claim": "neurReward", "daily_combo": "bonusAiba"}
_CLAIMS: Final = ("aiba_claim", "battle_auto_claim")
_PRICES: Final = {
    "train": ("NEUR", "train_neur_cost"),
    "repair": ("NEUR", "repair_neur_cost"),
    "upgrade": ("AIBA", "upgrade_aiba_cost"),
    "combine": ("NEUR", "combine_neur_cost"),
}


class Effects:
    """Compares what was asked, what was told, and what the ledger wrote."""

    def __init__(self, modes: Mapping[str, ModeTerms]) -> None:
        """Start with nothing; `modes` are all there will be, by key."""
        self.written: dict[Source, dict[What, int]] = defaultdict(dict)
        self.spent: Counter[tuple[str, str]] = Counter()
        self.shared: Counter[str] = Counter()
        self._modes = modes
        self._asked: dict[Source, int] = {}
        self._refused: set[Source] = set()
        self._told: dict[Source, dict[What, tuple[int, ...]]] = {}
        self._fresh: list[Source] = []
        self._daily: Counter[tuple[str, str]] = Counter()
        self._banned: dict[str, int] = {}

    def asked(self, ask: Ask, version: int) -> None:
        """Note that a player asked for something, first when a version of the policy held."""
        if ask.kind in ("daily", "combo"):
            source = "daily_claim" if ask.kind == "daily" else "daily_combo"
            self._asked.setdefault((ask.player, source, ""), version)
        elif ask.key and ask.kind in _SOURCES:
            self._asked.setdefault((ask.player, _SOURCES[ask.kind], ask.key), version)
            if ask.body.get("autoClaim"):
                self._asked.setdefault((ask.player, "battle_auto_claim", ask.key), version)

    def told(self, ask: Ask, told: Told, policies: Sequence[EconomyPolicy]) -> None:
        """Note the first answer to a request; those that cost or bring something are checked."""
        if ask.kind in ("daily", "combo") and told.is_ok:
            source = "daily_claim" if ask.kind == "daily" else "daily_combo"
            reward = told.body[_DAILY[source]]
            assert isinstance(reward, int)
            self._daily[ask.player, source] += reward
        if ask.key is None or ask.kind not in _SOURCES:
            return
        place = (ask.player, _SOURCES[ask.kind], ask.key)
        if not told.is_ok:
            assert place not in self.written, f"{place} was refused with {told.code} and posted"
            self._refused.add(place)
        elif ask.kind == "battle":
            self._told[place] = self._battle(told.body)
            self._fresh.append(place)
        elif ask.kind in _PRICES:
            self._told[place] = self._price(ask, place, policies)
            self._fresh.append(place)

    def _battle(self, body: Mapping[str, object]) -> dict[What, tuple[int, ...]]:
        """Return what a battle must have posted on the account of who fought it."""
        mode, shared = self._modes[str(body["modeKey"])], _whole(body["guildShareNeur"])
        amounts: dict[What, object] = {
            ("entry", "NEUR", -1): mode.entry_neur,
            ("entry", "AIBA", -1): mode.entry_aiba,
            ("battle_reward", "AIBA", 1): body["rewardAiba"],
            ("battle_reward", "NEUR", 1): _whole(body["rewardNeur"]) - shared,
            ("battle_reward", "STARS", 1): body["starsGranted"],
            ("first_win", "DIAMONDS", 1): body["firstWinDiamond"],
        }
        self.shared["told"] += shared
        return {what: (_whole(amount),) for what, amount in amounts.items() if amount}

    def _price(
        self, ask: Ask, place: Source, policies: Sequence[EconomyPolicy]
    ) -> dict[What, tuple[int, ...]]:
        """Return the payment that must be there, at a price in force since it was asked for."""
        currency, field = _PRICES[ask.kind]
        since = policies[self._asked[place] - 1 :]
        return {(ask.kind, currency, -1): tuple(getattr(policy, field) for policy in since)}

    def banned(self, player: str, until: int) -> None:
        """Note that a player is banned until an instant by the clock of who decides; 0 lifts it."""
        self._banned[player] = until

    def enter(self, entry: Entry) -> None:
        """Take in one posting of the ledger."""
        posting = entry.posting
        self._share(entry)
        if posting.currency == "AIBA" and posting.credit.startswith("sink:"):
            self.spent[posting.debit[7:], posting.credit.split(":")[1]] += posting.amount
        for account, sign in ((posting.debit, -1), (posting.credit, 1)):
            if account.startswith("player:") and posting.reason != "guild_creator_earnings":
                self._enter(entry, account[7:], sign)

    def _share(self, entry: Entry) -> None:
        if entry.posting.reason in ("guild_creator_earnings", "guild_share"):
            self.shared["written"] += entry.posting.amount

    def _enter(self, entry: Entry, player: str, sign: int) -> None:
        posting = entry.posting
        place = (player, posting.source_type, posting.source_id)
        what = (posting.reason, str(posting.currency), sign)
        if posting.source_type == "deposit":
            return
        written = self.written[place]
        assert what not in written, f"{place} has posted {what} twice"
        written[what] = posting.amount
        asked = (player, posting.source_type, "") if posting.source_type in _DAILY else place
        assert asked in self._asked, f"{place} has posted {what} and was never asked for"
        assert place not in self._refused, f"{place} was refused and has posted {what}"
        if posting.reason != "claim_refunded":
            until = self._banned.get(player, 0)
            assert entry.at >= until, f"{player} is banned until {until}: {what} at {entry.at}"
        if posting.source_type in _DAILY:
            day, named = utc_day(entry.at), posting.source_id
            assert named == day, f"{what} of {player} names {named} on {day}"

    def compare(self) -> None:
        """Check that what was told since the last time is there as it was told."""
        for place in self._fresh:
            self._compare(place)
        self._fresh.clear()

    def _compare(self, place: Source) -> None:
        written, told = self.written.get(place, {}), self._told[place]
        fits = written.keys() == told.keys() and all(
            written[what] in amounts for what, amounts in told.items()
        )
        assert fits, f"{place} was told {told} and has posted {written}"

    def ended(self) -> None:
        """Check both sides whole, once all was answered: nothing is lost, and nothing besides."""
        for place in self._told:
            self._compare(place)
        dailies: Counter[tuple[str, str]] = Counter()
        for place, written in self.written.items():
            player, source, _ = place
            if source in _DAILY:
                dailies[player, source] += sum(written.values())
            elif source not in _CLAIMS:
                assert place in self._told, f"{place} has posted {written} and nobody was told"
        told = +self._daily
        assert dailies == told, f"daily rewards told are {told}, written {dailies}"
        assert self.shared["told"] == self.shared["written"], f"guilds' shares: {self.shared}"


def _whole(value: object) -> int:
    assert type(value) is int, value
    return value
