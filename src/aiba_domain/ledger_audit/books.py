"""The books of an audit: every balance made again from the entries, each of which is judged."""

from collections.abc import Iterable, Mapping
from typing import Final

from aiba_domain.economy.ledger import is_account, may_go_negative
from aiba_domain.ledger_audit.caps import Caps
from aiba_domain.ledger_audit.chain import Held
from aiba_domain.ledger_audit.findings import Finding, FindingKind
from aiba_domain.ledger_audit.rows import Row, StoredBalances
from aiba_domain.money import MAX_AMOUNT, Currency

_CURRENCIES: Final = frozenset(each.value for each in Currency)
_TYPES: Final = (int, int, str, int, *[str] * 7)
_EMISSION: Final = "emission:"
_SINK: Final = "sink:"
_LEGACY: Final = "legacy:"
"""What an emission goes to that another service made, under caps of its own."""

_NOTHING: Final[Mapping[str, int]] = {}

Place = tuple[str, str]
"""An account and a currency."""

Effects = Mapping[str, Mapping[str, int]]
"""What entries do to accounts, by currency."""


class Books:
    """Takes in the ledger entry by entry, at a cost that doesn't depend on how many there were.

    What is wrong with an entry stays wrong, since entries never change: it stays in `faults`.
    """

    def __init__(self) -> None:
        """Begin before the first entry."""
        self.caps = Caps()
        self.last = 0
        self.entries = 0
        self.faults: dict[tuple[FindingKind, str], Finding] = {}
        self._balances: dict[str, dict[str, int]] = {}
        self._held: dict[str, dict[str, int]] = {}
        self._touched: set[str] = set()
        self._at: object = None

    @property
    def held(self) -> Held:
        """What all accounts hold by the first part of their names, without what is 0."""
        found = {
            root: {currency: held[currency] for currency in sorted(held) if held[currency]}
            for root, held in sorted(self._held.items())
        }
        return {root: held for root, held in found.items() if held}

    def take(self, row: Row) -> None:
        """Take in the next entry."""
        self.entries += 1
        if row.number != self.last + 1:
            text = f"entry {row.number} comes after {self.last}"
            self._find(FindingKind.ORDER, f"entry {row.number}", text)
        self.last = row.number
        if row.at != self._at:
            self.end_of_unit()
            self._at = row.at
        wrong = fault_of(row)
        if wrong is not None:
            text = f"entry {row.number}: {wrong}"
            self._find(FindingKind.ENTRY, f"entry {row.number}", text)
            return
        self._move(row.debit, row.currency, -row.amount)
        self._move(row.credit, row.currency, row.amount)
        if row.debit.startswith(_SINK) or row.credit.startswith(_EMISSION):
            way = f"from {row.debit} to {row.credit}"
            text = f"entry {row.number}: {row.amount} {row.currency} went {way}"
            self._find(FindingKind.SINK, f"entry {row.number}", text)
        if row.debit.startswith(_EMISSION):
            self._judge_emission(row)

    def end_of_unit(self) -> None:
        """Judge who owes, which is done between units of work: within one money may pass through.

        A unit's entries follow one another at one instant, so where the instant changes one ends.
        """
        for account in self._touched:
            for currency, balance in self._balances[account].items():
                if balance < 0:
                    text = f"{account} owes {-balance} {currency} after entry {self.last}"
                    self._find(FindingKind.DEBT, account, text)
        self._touched.clear()

    def compare(self, stored: Iterable[StoredBalances], later: Effects) -> dict[Place, int]:
        """Return by how much stored balances differ from those of the books, where they do.

        `later` is what entries do that the books haven't taken in, and the stored balances have.
        """
        differences = {}
        for account in stored:
            mine = self._balances.get(account.account, _NOTHING)
            new = later.get(account.account, _NOTHING)
            for currency in mine.keys() | account.held.keys() | new.keys():
                owed = mine.get(currency, 0) + new.get(currency, 0)
                kept = account.held.get(currency, 0)
                if kept != owed:
                    difference = (kept if type(kept) is int else 0) - owed
                    differences[account.account, currency] = difference
        return differences

    def balance(self, account: str, currency: str) -> int:
        """Return what an account holds."""
        return self._balances.get(account, {}).get(currency, 0)

    def accounts(self) -> Iterable[str]:
        """Return the accounts that entries name."""
        return self._balances.keys()

    def _move(self, account: str, currency: str, effect: int) -> None:
        mine = self._balances.get(account)
        if mine is None:
            mine = self._balances[account] = {}
        mine[currency] = mine.get(currency, 0) + effect
        root = account.partition(":")[0]
        held = self._held.get(root)
        if held is None:
            held = self._held[root] = {}
        held[currency] = held.get(currency, 0) + effect
        if mine[currency] < 0 and not may_go_negative(account):
            self._touched.add(account)

    def _judge_emission(self, row: Row) -> None:
        over = self.caps.emit(row.debit, row.currency, row.amount)
        if over is not None and not row.credit.startswith(_LEGACY):
            subject = f"{row.debit} {row.currency}"
            text = f"{row.debit}: {over}, with entry {row.number}"
            self._find(FindingKind.CAP, subject, text)

    def _find(self, kind: FindingKind, subject: str, text: str) -> None:
        self.faults.setdefault((kind, subject), Finding(kind=kind, subject=subject, text=text))


def fault_of(row: Row) -> str | None:
    """Return why the ledger would never have taken an entry, None if it would."""
    return _wrong_type(row) or _wrong_value(row)


def _wrong_type(row: Row) -> str | None:
    if tuple(map(type, row)) == _TYPES:
        return None
    if type(row.number) is not int or type(row.at) is not int:
        return "its number or its instant is no integer"
    if any(type(text) is not str for text in (row.currency, *row[4:])):
        return "one of its texts is none"
    return "its amount is no integer"


def _wrong_value(row: Row) -> str | None:
    if not 1 <= row.amount <= MAX_AMOUNT:
        return f"its amount {row.amount!r} is not in 1..{MAX_AMOUNT}"
    if row.currency not in _CURRENCIES:
        return f"there is no currency {row.currency!r}"
    debit, credit = row.debit, row.credit
    if debit == credit:
        return f"it is from {debit} to itself"
    if is_account(debit) and is_account(credit):
        return None
    return f"there is no account {credit if is_account(debit) else debit!r}"


def effects_of(rows: Iterable[Row]) -> Effects:
    """Return what entries do to accounts; what is wrong with one has no effect."""
    effects: dict[str, dict[str, int]] = {}
    for row in rows:
        if fault_of(row) is None:
            for account, sign in ((row.debit, -1), (row.credit, 1)):
                mine = effects.setdefault(account, {})
                mine[row.currency] = mine.get(row.currency, 0) + sign * row.amount
    return effects
