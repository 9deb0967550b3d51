"""What the source holds and what this service holds of it, added up apart from how it came over."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Final

from aiba_domain.economy.ledger import BUYBACK, CHAIN, CLAIMS, RESERVE, TREASURY, Posting
from aiba_domain.legacy.accounts import DEBT, HISTORY
from aiba_domain.legacy.claims import is_withdrawal
from aiba_domain.legacy.fields import Fields
from aiba_domain.legacy.findings import Book, Findings
from aiba_domain.legacy.history import LEDGER, book_of, exact_amount
from aiba_domain.legacy.people import BALANCES, PENDING, USERS
from aiba_domain.legacy.values import Document, number, telegram_id
from aiba_domain.legacy.world import DAYS, EMITTED, GUILDS, LOCKS, SINGLES, SPENT, STAKES, VAULTS
from aiba_domain.money import Currency

Totals = dict[tuple[Book, str], Fraction]

MONEY_IN: Final = (USERS, GUILDS, *SINGLES, STAKES, LOCKS, DAYS, LEDGER)
"""The collections whose rows hold money."""

_ROOTS: Final[Mapping[str, tuple[Book, int]]] = {
    "player": (Book.PLAYERS, 1),
    "guild": (Book.GUILDS, 1),
    "emission": (Book.EMITTED, -1),
    "sink": (Book.SPENT, 1),
    TREASURY: (Book.TREASURY, 1),
    RESERVE: (Book.RESERVE, 1),
    BUYBACK: (Book.BUYBACK, 1),
    CLAIMS: (Book.CLAIMS, 1),
    CHAIN: (Book.CLAIMS, 1),
    "held:nobody": (Book.NOBODY, 1),
    "held:pending": (Book.PENDING, 1),
    "held:stake": (Book.STAKES, 1),
    "held:guild": (Book.GUILDS, 1),
    "held:claim": (Book.CLAIMS, 1),
}


def money_of(collection: str, row: Document) -> Iterator[tuple[Book, str, Fraction]]:
    """Yield the exact amounts that a row of the source holds; what is no number is none."""
    names: dict[str, tuple[Book, str]] = {}
    if collection == USERS:
        known = telegram_id(row.get("telegramId")) is not None
        book = Book.PLAYERS if known else Book.NOBODY
        names = {name: (book, currency) for name, currency in BALANCES.items()}
        names[PENDING] = (Book.PENDING, Currency.AIBA)
    elif collection == GUILDS:
        names = {name: (Book.GUILDS, currency) for name, currency in VAULTS.items()}
    elif collection in SINGLES:
        book, _, money = SINGLES[collection]
        names = {name: (book, currency) for name, currency in money.items()}
    elif collection == STAKES or (collection == LOCKS and row.get("status", "active") == "active"):
        names = {"amount": (Book.STAKES, Currency.AIBA)}
    elif collection == DAYS:
        names = {name: (Book.EMITTED, currency) for name, (_, currency) in EMITTED.items()}
        names |= {name: (Book.SPENT, currency) for name, (_, currency) in SPENT.items()}
    elif collection == LEDGER:
        yield from _moved(row)
    for name, (book, currency) in names.items():
        amount = number(row.get(name))
        if amount is not None:
            yield book, currency, amount


def _moved(row: Document) -> Iterator[tuple[Book, str, Fraction]]:
    amount = exact_amount(Fields(LEDGER, row, Findings()))
    if amount is None:
        return
    yield book_of(row["direction"]), str(row["currency"]), amount
    if is_withdrawal(row):
        yield Book.CLAIMS, Currency.AIBA, amount


def books_of(balances: Mapping[tuple[str, Currency], int]) -> Totals:
    """Return what the accounts of this service hold, by the books of the one before."""
    found: Totals = {}
    for (account, currency), balance in balances.items():
        if account.startswith(DEBT):
            book, sign = Book(account.removeprefix(DEBT).partition(":")[0]), 1
        else:
            root, _, rest = account.partition(":")
            name = f"{root}:{rest.partition(':')[0]}" if root == "held" else root
            if name not in _ROOTS:
                continue
            book, sign = _ROOTS[name]
        place = (book, currency)
        found[place] = found.get(place, Fraction(0)) + sign * balance
    return found


def add_history(posting: Posting, totals: Totals) -> None:
    """Add a posting of the earlier ledger to what it comes to, by direction; no other counts."""
    if HISTORY in (posting.debit, posting.credit):
        credit = posting.debit == HISTORY
        place = (Book.HISTORY_CREDITS if credit else Book.HISTORY_DEBITS, posting.currency)
        totals[place] = totals.get(place, Fraction(0)) + posting.amount
