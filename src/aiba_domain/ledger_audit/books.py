"""The books of an audit: balances made again from the entries, each of which is judged."""

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Final

from aiba_domain.economy.ledger import is_account, may_go_negative
from aiba_domain.ledger_audit.balances import NOTHING_HELD, Holding, modulo, part_of
from aiba_domain.ledger_audit.caps import Caps
from aiba_domain.ledger_audit.chain import Checkpoint, Held
from aiba_domain.ledger_audit.findings import Finding, FindingKind
from aiba_domain.ledger_audit.rows import Row, has_its_types
from aiba_domain.money import MAX_AMOUNT, Currency

_CURRENCIES: Final = frozenset(each.value for each in Currency)
_EMISSION: Final = "emission:"
_SINK: Final = "sink:"
_LEGACY: Final = "legacy:"
"""What an emission goes to that another service made, under caps of its own."""

_ROOTS: Final = 20_000
"""Of how many accounts it is kept which sum they are in."""

MAX_FAULTS: Final = 1_000
"""How many faults of entries are kept; what comes after them is no news."""


class Books:
    """Takes in the ledger entry by entry, at a cost that doesn't depend on how many there were.

    What is wrong with an entry stays wrong, since entries never change: it stays in `faults`.
    `total` is the sum over all balances as of the last `settle`.
    """

    def __init__(self, keeps: Callable[[str], bool] | None = None) -> None:
        """Begin before the first entry, with all accounts or only those that are to be kept."""
        self.caps = Caps()
        self.last = 0
        self.entries = 0
        self.total = NOTHING_HELD
        self.faults: dict[tuple[FindingKind, str], Finding] = {}
        self._keeps = keeps
        self._balances: dict[str, dict[str, int]] = {}
        self._before: dict[str, Holding] = {}
        self._parts: dict[str, int] = {}
        self._parts_now: dict[str, int] = {}
        self._held: dict[str, dict[str, int]] = {}
        self._roots: dict[str, dict[str, int]] = {}
        self._touched: set[str] = set()
        self._at: object = None

    def go_on_after(self, last: Checkpoint, total: int, faults: Iterable[Finding]) -> None:
        """Begin after a checkpoint, with the sum over all balances then."""
        self.last = self.entries = last.last
        self.total = total
        self._held = {root: dict(held) for root, held in last.held.items()}
        self._roots.clear()
        self.faults = {(each.kind, each.subject): each for each in faults}

    def knows(self, account: str) -> bool:
        """Tell whether an account's balance is in the books."""
        return account in self._balances

    def open(self, account: str, held: Holding) -> None:
        """Put in what an account held as of the last `settle`."""
        self._balances[account] = dict(held)

    def changed(self) -> Mapping[str, Holding]:
        """Return what the accounts hold now that entries have named since the last `settle`."""
        return {account: self._balances[account] for account in self._before}

    def sum_now(self) -> int:
        """Return the sum over all balances as they are now."""
        total = self.total
        for account in self._before:
            part = part_of(account, self._balances[account])
            total += part - self._part_before(account)
            self._parts_now[account] = part
        return modulo(total)

    def settle(self, total: int) -> None:
        """Take what the accounts hold now, which has that sum, for what is settled."""
        self.total = total
        self._parts |= self._parts_now
        self._parts_now.clear()
        self._before.clear()

    def _part_before(self, account: str) -> int:
        known = self._parts.get(account)
        return part_of(account, self._before[account]) if known is None else known

    def close_accounts(self, *, above: int) -> None:
        """Let go of all balances if there are more; each is opened again before it is needed.

        Only right after `settle`; nothing is let go of while somebody owes within a unit of work.
        """
        if len(self._balances) > above and not self._touched:
            self._balances.clear()
            self._parts.clear()
            self.caps.forget()

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
        number, at, currency, amount, debit, credit = row[:6]
        self.entries += 1
        if number != self.last + 1:
            text = f"entry {number} comes after {self.last}"
            self._find(FindingKind.ORDER, f"entry {number}", text)
        self.last = number
        if at != self._at:
            if self._touched:
                self.end_of_unit()
            self._at = at
        wrong = fault_of(row, self._roots)
        if wrong is not None:
            text = f"entry {number}: {wrong}"
            self._find(FindingKind.ENTRY, f"entry {number}", text)
            return
        self._move(debit, currency, -amount)
        self._move(credit, currency, amount)
        if debit[0] == "s" or credit[0] == "e":
            self._judge_way(row)
        if debit.startswith(_EMISSION):
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

    def holding(self, account: str) -> Holding:
        """Return what an account holds, by currency."""
        return self._balances.get(account, {})

    def accounts(self) -> Iterable[str]:
        """Return the accounts that are in the books."""
        return self._balances.keys()

    def _move(self, account: str, currency: str, effect: int) -> None:
        held = self._roots.get(account)
        if held is None:
            held = self._root_of(account)
        held[currency] = held.get(currency, 0) + effect
        if self._keeps is not None and not self._keeps(account):
            return
        mine = self._balances.get(account)
        if mine is None:
            mine = self._balances[account] = {}
        if account not in self._before and self._keeps is None:
            self._before[account] = dict(mine)
        mine[currency] = mine.get(currency, 0) + effect
        if mine[currency] < 0 and not may_go_negative(account):
            self._touched.add(account)

    def _root_of(self, account: str) -> dict[str, int]:
        """Return what accounts hold whose names begin alike; the way there is kept for some."""
        held = self._held.setdefault(account.partition(":")[0], {})
        if len(self._roots) >= _ROOTS:
            self._roots.clear()
        self._roots[account] = held
        return held

    def _judge_way(self, row: Row) -> None:
        if row.debit.startswith(_SINK) or row.credit.startswith(_EMISSION):
            way = f"from {row.debit} to {row.credit}"
            text = f"entry {row.number}: {row.amount} {row.currency} went {way}"
            self._find(FindingKind.SINK, f"entry {row.number}", text)

    def _judge_emission(self, row: Row) -> None:
        over = self.caps.emit(row.debit, row.currency, row.amount)
        if over is not None and not row.credit.startswith(_LEGACY):
            subject = f"{row.debit} {row.currency}"
            text = f"{row.debit}: {over}, with entry {row.number}"
            self._find(FindingKind.CAP, subject, text)

    def _find(self, kind: FindingKind, subject: str, text: str) -> None:
        if len(self.faults) < MAX_FAULTS:
            self.faults.setdefault((kind, subject), Finding(kind=kind, subject=subject, text=text))


def fault_of(row: Row, known: Container[str] = ()) -> str | None:
    """Return why the ledger would never have taken an entry, None if it would.

    `known` are accounts of which there is no doubt that they are some.
    """
    if not has_its_types(row):
        return _wrong_type(row)
    if not 1 <= row.amount <= MAX_AMOUNT:
        return f"its amount {row.amount!r} is not in 1..{MAX_AMOUNT}"
    if row.currency not in _CURRENCIES:
        return f"there is no currency {row.currency!r}"
    if row.debit == row.credit:
        return f"it is from {row.debit} to itself"
    for each in (row.debit, row.credit):
        if each not in known and not is_account(each):
            return f"there is no account {each!r}"
    return None


def _wrong_type(row: Row) -> str:
    if type(row.number) is not int or type(row.at) is not int:
        return "its number or its instant is no integer"
    return "one of its texts is none" if type(row.amount) is int else "its amount is no integer"


class Tally:
    """Adds up what entries do to some accounts; what is wrong with an entry has no effect."""

    def __init__(self, counts: Callable[[str], bool]) -> None:
        """Count the accounts that `counts` says."""
        self.effects: dict[str, dict[str, int]] = {}
        self._counts = counts

    def add(self, rows: Iterable[Row]) -> None:
        """Add what entries do."""
        for row in rows:
            if fault_of(row) is None:
                for account, sign in ((row.debit, -1), (row.credit, 1)):
                    if self._counts(account):
                        mine = self.effects.setdefault(account, {})
                        mine[row.currency] = mine.get(row.currency, 0) + sign * row.amount
