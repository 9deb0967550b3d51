"""An independent model of balances and caps, which shares no code with the ledger it checks.

It knows account names and the meaning of a policy's numbers from the documentation alone, and is
fed from two sides: with what the ledger wrote, and with what the answers said. Both must agree with
what the store holds.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final

from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.money import Currency
from aiba_domain.ports import Entry

_LARGEST: Final = 9_223_372_036_854_775_807
_SOURCES: Final = ("emission", "chain", "operator")
_HOUR: Final = 3_600_000

Place = tuple[str, str]
"""An account and a currency, both as plain text."""


class Auditor:
    """Follows a ledger entry by entry and keeps its own books."""

    def __init__(self) -> None:
        """Start with an empty ledger."""
        self.seen = 0
        self.history: dict[Place, int] = defaultdict(int)
        self.expected: dict[Place, int] = defaultdict(int)
        self.emitted: dict[tuple[str, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))

    def expect(self, account: str, currency: str, change: int) -> None:
        """Note what an answer says about an account."""
        self.expected[account, str(currency)] += change

    def follow(self, entries: Iterable[Entry], policy: EconomyPolicy) -> None:
        """Enter what the ledger wrote since the last call, all of it decided under `policy`.

        Raises AssertionError at the first entry that breaks a rule.
        """
        for entry in entries:
            if entry.number <= self.seen:
                continue
            assert entry.number == self.seen + 1, f"entry {entry.number} follows {self.seen}"
            self.seen = entry.number
            self._enter(entry, policy)

    def compare(self, stored: Mapping[tuple[str, Currency], int]) -> None:
        """Check the stored balances against both books, and that they sum to 0 per currency."""
        held = {(name, str(currency)): balance for (name, currency), balance in stored.items()}
        totals: dict[str, int] = defaultdict(int)
        for place in sorted(held.keys() | self.history.keys()):
            balance, history = held.get(place, 0), self.history.get(place, 0)
            assert balance == history, f"{place} stores {balance}, its history is {history}"
            assert abs(balance) <= _LARGEST, f"{place} holds {balance}"
            totals[place[1]] += balance
            if place[0].split(":")[0] not in _SOURCES:
                assert balance >= 0, f"{place} owes {-balance}"
        assert not any(totals.values()), f"currencies sum to {dict(totals)}"

    def compare_answers(
        self, stored: Mapping[tuple[str, Currency], int], owners: Iterable[str]
    ) -> None:
        """Check the balances of the accounts in `owners` against what the answers said."""
        held = {(name, str(currency)): balance for (name, currency), balance in stored.items()}
        mine = set(owners)
        for place in sorted(held.keys() | self.expected.keys()):
            if place[0] in mine:
                balance, answered = held.get(place, 0), self.expected.get(place, 0)
                assert balance == answered, f"{place} holds {balance}, answers said {answered}"

    def _enter(self, entry: Entry, policy: EconomyPolicy) -> None:
        posting = entry.posting
        currency = str(posting.currency)
        assert 1 <= posting.amount <= _LARGEST, f"entry {entry.number} moves {posting.amount}"
        self.history[posting.debit, currency] -= posting.amount
        self.history[posting.credit, currency] += posting.amount
        assert not posting.credit.startswith("emission:"), f"entry {entry.number} un-emits"
        for account in (posting.debit, posting.credit):
            if account.startswith(("emission:", "sink:")):
                assert account.split(":")[1] == utc_day(entry.at), f"{account} at {entry.at}"
        if posting.debit.startswith("emission:"):
            self._emit(entry, policy)

    def _emit(self, entry: Entry, policy: EconomyPolicy) -> None:
        """Count an emission and hold it against the caps and windows in force."""
        posting = entry.posting
        _, day, arena = posting.debit.split(":", 2)
        currency = str(posting.currency)
        used = self.emitted[currency, day]
        used[arena] += posting.amount
        caps = {
            "AIBA": (policy.daily_cap_aiba, policy.daily_cap_aiba_by_arena),
            "NEUR": (policy.daily_cap_neur, policy.daily_cap_neur_by_arena),
        }
        if currency not in caps:
            return
        cap, by_arena = caps[currency]
        assert sum(used.values()) <= cap, f"{day} emitted {dict(used)} {currency}, cap {cap}"
        arena_cap = by_arena.get(arena, _LARGEST)
        assert used[arena] <= arena_cap, f"{arena} emitted {used[arena]} {currency} on {day}"
        assert window_open(policy, arena, posting.league, entry.at), f"{arena} at {entry.at}"


def utc_day(instant: int) -> str:
    """Return the UTC day of an instant in ms."""
    return datetime.fromtimestamp(instant // 1_000, UTC).date().isoformat()


def window_open(policy: EconomyPolicy, arena: str, league: str, instant: int) -> bool:
    """Tell whether a policy lets an arena emit at an instant in ms."""
    windows = policy.emission_windows
    found = windows.usual
    for name in ("*", arena, f"{arena}:{league}"):
        found = windows.overrides.get(name, found)
    hour = instant // _HOUR % 24
    hours = range(found.start_hour, found.end_hour)
    if found.start_hour > found.end_hour:
        hours = range(found.start_hour, found.end_hour + 24)
    return hour in hours or hour + 24 in hours
