"""The values of a document without its database: what is no JSON has a type of its own here."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from aiba_domain.ids import is_id
from aiba_domain.instants import LAST_WRITTEN


@dataclass(frozen=True, slots=True)
class Oid:
    """An ObjectId, as its 24 hex digits."""

    text: str


@dataclass(frozen=True, slots=True)
class Moment:
    """An instant in ms, UTC; any 64-bit number, also one that no calendar holds."""

    ms: int


@dataclass(frozen=True, slots=True)
class Alien:
    """A value of a kind that no field of these collections has, such as binary data."""

    kind: str


Plain = (
    None
    | bool
    | int
    | float
    | Decimal
    | str
    | Oid
    | Moment
    | Alien
    | Mapping[str, "Plain"]
    | Sequence["Plain"]
)
"""Any value of a document."""

Document = Mapping[str, Plain]

NOBODY: Final[Document] = {}
_SECOND: Final = 1_000
_MOST_DIGITS: Final = 400


def number(value: Plain) -> Fraction | None:
    """Return a finite number exactly, None for anything else; a bool is no number.

    Nor is a decimal far outside what a double can hold: nobody could write it down.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Decimal) and (
        not value.is_finite() or (value and abs(value.adjusted()) > _MOST_DIGITS)
    ):
        return None
    return Fraction(value)


def telegram_id(value: Plain) -> str | None:
    """Return whom a `telegramId` names: its trimmed text, also where a number was stored.

    None where it names nobody. Case is kept: ids that differ in it are different.
    """
    whole = number(value)
    if whole is not None:
        return str(whole) if whole.denominator == 1 else None
    if isinstance(value, str):
        return value.strip() or None
    return None


def object_id(value: Plain) -> str | None:
    """Return the 24 lower-case hex digits of an ObjectId, also of one stored as text."""
    text = value.text if isinstance(value, Oid) else value
    if isinstance(text, str) and is_id(text.lower()):
        return text.lower()
    return None


def moment(value: Plain) -> int | None:
    """Return an instant that a calendar holds in ms, None for anything else."""
    if isinstance(value, Moment) and 0 <= value.ms <= LAST_WRITTEN:
        return value.ms
    return None


def born(document: Document) -> int:
    """Return when a document was made: `createdAt`, else the second in its id, else 0; in ms."""
    at = moment(document.get("createdAt"))
    if at is not None:
        return at
    own = object_id(document.get("_id"))
    return int(own[:8], 16) * _SECOND if own else 0


def name_of(document: Document) -> str:
    """Return a text that names a document by its `_id`, of whatever type that is."""
    own = document.get("_id")
    return object_id(own) or (own if isinstance(own, str) else repr(own))


def decimal_text(value: Fraction) -> str:
    """Write a number in full: every double and every Decimal is a finite decimal."""
    digits = 0
    while (value * 10**digits).denominator != 1:
        digits += 1
    whole = abs(value.numerator * 10**digits // value.denominator)
    sign = "-" if value < 0 else ""
    text = str(whole).rjust(digits + 1, "0")
    return f"{sign}{text[:-digits]}.{text[-digits:]}" if digits else f"{sign}{text}"
