"""The ledger of the service before: its rows as postings to be read, and read back as rows.

A row's own id goes before its source's id, so a posting tells its row: "<row id>:<source id>",
under "legacy:<source type>". Everything else of a row (`requestId`, `meta`) is in the archive.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Final

from aiba_domain.economy.ledger import Posting
from aiba_domain.legacy.accounts import HISTORY, MIRROR, mirror_account
from aiba_domain.legacy.fields import Fields
from aiba_domain.legacy.findings import Book, Code
from aiba_domain.legacy.values import number, object_id, telegram_id
from aiba_domain.money import MAX_AMOUNT, Currency

LEDGER: Final = "ledgerentries"
CREDIT: Final = "credit"
DEBIT: Final = "debit"
_TYPE: Final = "legacy:"
_CURRENCIES: Final = {currency.value: currency for currency in Currency}


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyRow:
    """One row of the ledger of the service before; `at` is when it was made, in ms."""

    id: str
    player_id: str
    currency: Currency
    credit: bool
    amount: int
    reason: str
    arena: str
    league: str
    source_type: str
    source_id: str
    at: int


def book_of(direction: object) -> Book:
    """Return the book that a row's direction belongs to."""
    return Book.HISTORY_CREDITS if direction == CREDIT else Book.HISTORY_DEBITS


def exact_amount(row: Fields) -> Fraction | None:
    """Return what a row has moved, None if it has moved nothing or nobody can tell what."""
    document = row.document
    amount = number(document.get("amount"))
    is_known = (
        object_id(document.get("_id")) is not None
        and telegram_id(document.get("telegramId")) is not None
        and document.get("currency") in _CURRENCIES
        and document.get("direction") in (CREDIT, DEBIT)
    )
    if not is_known or amount is None or not 0 <= amount <= MAX_AMOUNT:
        return None
    return None if document.get("applied") is False else amount


def posting(row: Fields) -> Posting | None:
    """Return a row's posting, None for a row that is kept aside; says why."""
    exact = exact_amount(row)
    document = row.document
    if exact is None:
        applied = document.get("applied") is not False
        row.note(Code.LEDGER_MALFORMED if applied else Code.LEDGER_NOT_APPLIED)
        return None
    currency, units = _CURRENCIES[str(document["currency"])], floor(exact)
    if units != exact:
        row.note(Code.LEDGER_FRACTION)
        row.found.correct(
            book_of(document["direction"]), currency, Code.LEDGER_FRACTION, exact - units
        )
    if not units:
        row.note(Code.LEDGER_ZERO)
        return None
    mirror = mirror_account(str(telegram_id(document["telegramId"])))
    is_credit = document["direction"] == CREDIT
    return Posting(
        currency=currency,
        amount=units,
        debit=HISTORY if is_credit else mirror,
        credit=mirror if is_credit else HISTORY,
        reason=row.text("reason"),
        arena=row.text("arena"),
        league=row.text("league"),
        source_type=_TYPE + row.text("sourceType"),
        source_id=f"{object_id(document['_id'])}:{row.text('sourceId')}",
    )


def row_of(at: int, entry: Posting) -> LegacyRow | None:
    """Return the row that a posting of the ledger tells, None for any other posting."""
    is_credit = entry.debit == HISTORY
    mirror = entry.credit if is_credit else entry.debit
    if HISTORY not in (entry.debit, entry.credit) or not mirror.startswith(MIRROR):
        return None
    own_id, _, source_id = entry.source_id.partition(":")
    return LegacyRow(
        id=own_id,
        player_id=mirror.removeprefix(MIRROR),
        currency=entry.currency,
        credit=is_credit,
        amount=entry.amount,
        reason=entry.reason,
        arena=entry.arena,
        league=entry.league,
        source_type=entry.source_type.removeprefix(_TYPE),
        source_id=source_id,
        at=at,
    )


def history(entries: Iterable[tuple[int, Posting]]) -> Iterator[LegacyRow]:
    """Yield the rows that a ledger's postings tell, in its order."""
    for at, entry in entries:
        row = row_of(at, entry)
        if row is not None:
            yield row
