"""The ledger in pages, as it is stored: what an audit goes through.

Entries have no numbers of their own here: a place tells how many came before it, and the unit that
it is in. A unit that is still under way may come before entries that are there already, so an entry
is settled once no transaction can be under way that began before its unit did.
"""

import contextlib
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from bson import Timestamp
from pymongo import ASCENDING, DESCENDING

from aiba_adapters.mongo.shapes.money import AccountShape, UnitShape
from aiba_adapters.mongo.shapes.work import HealthShape
from aiba_adapters.mongo.transaction import Transaction
from aiba_domain.ledger_audit.rows import LedgerPage, Row, StoredBalances

HORIZON_S: Final = 90
"""After how many seconds of the cluster's time an entry's number is final.

MongoDB ends a transaction after `transactionLifetimeLimitSeconds`, 60 s, and looks every 30 s.
"""

_IN_ORDER: Final = [("stamp", ASCENDING), ("_id", ASCENDING)]
_MOST_AT_ONCE: Final = 1_000
_FEW: Final = 4


Spot = tuple[Timestamp, str, int]
"""Where an entry is: its unit's stamp and id, and its place among the unit's postings from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """After `number` entries, of which `offset` are of the unit `unit` with the stamp `stamp`."""

    number: int
    stamp: Timestamp
    offset: int
    unit: str

    @classmethod
    def read(cls, text: str) -> Self:
        number, time, inc, offset, unit = text.split(":", 4)
        stamp = Timestamp(int(time), int(inc))
        return cls(number=int(number), stamp=stamp, offset=int(offset), unit=unit)

    def __str__(self) -> str:
        stamp = self.stamp
        return f"{self.number}:{stamp.time}:{stamp.inc}:{self.offset}:{self.unit}"


def spot_of(place: str) -> Spot | None:
    """Return the spot of the last entry before a place, None for the start."""
    if not place:
        return None
    found = _Place.read(place)
    return found.stamp, found.unit, found.offset


def place_after(number: int, spot: Spot) -> str:
    """Return the place after an entry by its number and its spot."""
    stamp, unit, offset = spot
    return str(_Place(number=number, stamp=stamp, offset=offset, unit=unit))


async def newest_of(transaction: Transaction, account: str, end: Spot) -> Spot | None:
    """Return where the newest entry from or to an account is that isn't after a spot."""
    where = {"accounts": account, "stamp": {"$exists": True, "$lte": end[0]}}
    newest = [("stamp", DESCENDING), ("_id", DESCENDING)]
    units = transaction.each(UnitShape, where, sort=newest, batch_size=_FEW)
    async with contextlib.aclosing(units):
        async for unit in units:
            for offset in range(len(unit["postings"]), 0, -1):
                posting, spot = unit["postings"][offset - 1], (unit["stamp"], unit["_id"], offset)
                if spot <= end and account in (posting["debit"], posting["credit"]):
                    return spot
    return None


async def page_of(transaction: Transaction, after: str, limit: int, *, settled: bool) -> LedgerPage:
    """Return up to `limit` entries after a place."""
    place = _Place.read(after) if after else None
    rows: list[Row] = []
    units = _units(transaction, place, limit, settled=settled)
    async with contextlib.aclosing(units):
        async for unit in units:
            skipped = place.offset if place and place.unit == unit["_id"] else 0
            for offset, stored in enumerate(unit["postings"][skipped:], start=skipped + 1):
                if len(rows) == limit:
                    return LedgerPage(rows=rows, place=str(place or ""), is_end=False)
                number = place.number + 1 if place else 1
                rows.append(_row(number, stored))
                place = _Place(number=number, stamp=unit["stamp"], offset=offset, unit=unit["_id"])
    return LedgerPage(rows=rows, place=str(place or ""), is_end=True)


async def _units(
    transaction: Transaction, place: _Place | None, limit: int, *, settled: bool
) -> AsyncGenerator[Mapping[str, Any], None]:
    """Go through the units from the one that a place is in."""
    stamps: dict[str, Any] = {"$exists": True}
    if place is not None:
        stamps["$gte"] = place.stamp
    if settled:
        if transaction.stamp is None:
            await transaction.one(HealthShape, {})
        now = transaction.stamp
        stamps["$lte"] = Timestamp(max(0, now.time - HORIZON_S) if now else 0, 0)
    found = transaction.each(
        UnitShape,
        {"stamp": stamps},
        sort=_IN_ORDER,
        batch_size=min(limit + 1, _MOST_AT_ONCE),
    )
    async with contextlib.aclosing(found):
        async for unit in found:
            is_before = place and (unit["stamp"], unit["_id"]) < (place.stamp, place.unit)
            if not is_before:
                yield unit


async def stored_balances_of(
    transaction: Transaction, after: str, limit: int
) -> list[StoredBalances]:
    """Return up to `limit` accounts with names above `after`, the shares of each summed."""
    held: dict[str, dict[str, int]] = {}
    documents = transaction.each(
        AccountShape,
        {"account": {"$gt": after}},
        sort=[("account", ASCENDING)],
        batch_size=min(limit + 1, _MOST_AT_ONCE),
    )
    async with contextlib.aclosing(documents):
        async for stored in documents:
            account = stored["account"]
            if account not in held and len(held) == limit:
                break
            mine = held.setdefault(account, {})
            for currency, balance in stored["held"].items():
                mine[currency] = mine.get(currency, 0) + int(balance)
    return [StoredBalances(account=account, held=each) for account, each in held.items()]


def _row(number: int, stored: Mapping[str, Any]) -> Row:
    return Row(
        number,
        _plain(stored.get("at")),
        stored.get("currency"),  # type: ignore[arg-type] # whatever is stored
        _plain(stored.get("amount")),
        *(stored.get(name) for name in _TEXTS),  # type: ignore[arg-type]
    )


_TEXTS: Final = (
    "debit",
    "credit",
    "reason",
    "arena",
    "league",
    "source_type",
    "source_id",
)


def _plain(value: Any) -> Any:  # noqa: ANN401 - whatever is stored
    """Return an integer of BSON as one of Python, anything else as it is."""
    return int(value) if isinstance(value, int) and not isinstance(value, bool) else value
