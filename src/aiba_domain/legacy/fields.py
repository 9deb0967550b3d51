"""Reading a document's fields: each as what it must be, with a finding where it isn't."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Final

from aiba_domain.legacy.findings import Book, Code, Findings
from aiba_domain.legacy.values import (
    NOBODY,
    Document,
    Plain,
    decimal_text,
    moment,
    name_of,
    number,
    object_id,
)
from aiba_domain.money import MAX_AMOUNT

_EXACT_IN_DOUBLES: Final = 2**53


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of one document of a collection; what is wrong with one goes to `found`."""

    collection: str
    document: Document
    found: Findings

    def note(self, code: Code, detail: str = "") -> None:
        """Note a finding about this document."""
        self.found.note(code, f"{self.collection} {name_of(self.document)} {detail}".strip())

    def text(self, name: str, default: str = "", *, required: bool = False) -> str:
        """Return a trimmed text."""
        value = self._value(name, required=required)
        if value is None:
            return default
        if isinstance(value, str):
            return value.strip()
        self.note(Code.WRONG_TYPE, name)
        return default

    def choice(self, name: str, choices: Mapping[str, str], default: str) -> str:
        """Return what a text of an enumeration stands for."""
        given = self.text(name, "")
        if not given:
            return default
        if given not in choices:
            self.note(Code.ENUM_UNKNOWN, name)
            return default
        return choices[given]

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a bool."""
        value = self.document.get(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        self.note(Code.WRONG_TYPE, name)
        return default

    def whole(self, name: str, default: int = 0, *, low: int = 0, high: int = MAX_AMOUNT) -> int:
        """Return a whole number, rounded down, within `low` and `high`."""
        value = self.document.get(name)
        if value is None:
            return default
        exact = number(value)
        if exact is None:
            self.note(Code.WRONG_TYPE, name)
            return default
        kept = min(high, max(low, floor(exact)))
        if kept != exact:
            self.note(Code.OUT_OF_RANGE, name)
        return kept

    def at(self, name: str) -> int | None:
        """Return an instant in ms, None for none."""
        value = self.document.get(name)
        if value is None:
            return None
        found = moment(value)
        if found is None:
            self.note(Code.WRONG_TYPE, name)
        return found

    def reference(self, name: str) -> str | None:
        """Return an ObjectId's digits, None for none."""
        value = self.document.get(name)
        if value is None or value == "":
            return None
        found = object_id(value)
        if found is None:
            self.note(Code.WRONG_TYPE, name)
        return found

    def part(self, name: str) -> Document:
        """Return an object within the document; an absent one is empty."""
        value = self.document.get(name)
        if isinstance(value, Mapping):
            return value
        if value is not None:
            self.note(Code.WRONG_TYPE, name)
        return NOBODY

    def items(self, name: str) -> tuple[Plain, ...]:
        """Return a list's values; an absent one is empty."""
        value = self.document.get(name)
        if isinstance(value, list | tuple):
            return tuple(value)
        if value is not None:
            self.note(Code.WRONG_TYPE, name)
        return ()

    def money(self, name: str, book: Book, currency: str) -> Fraction:
        """Return an amount exactly, 0 for what is none; `whole_units` makes units of it."""
        value = self.document.get(name)
        if value is None:
            self.note(Code.FIELD_MISSING, name)
            return Fraction(0)
        exact = number(value)
        if exact is None:
            self.note(Code.BALANCE_NO_NUMBER, name)
            return Fraction(0)
        if abs(exact) > MAX_AMOUNT:
            self.note(Code.BALANCE_TOO_LARGE, name)
            self.found.correct(book, currency, Code.BALANCE_TOO_LARGE, exact)
            return Fraction(0)
        if isinstance(value, float) and abs(exact) > _EXACT_IN_DOUBLES:
            self.note(Code.BALANCE_INEXACT, f"{name}={decimal_text(exact)}")
        return exact

    def _value(self, name: str, *, required: bool) -> Plain:
        value = self.document.get(name)
        if value is None and required:
            self.note(Code.FIELD_MISSING, name)
        return value


def whole_units(amount: Fraction, book: Book, currency: str, found: Findings, example: str) -> int:
    """Return the whole units of an exact amount, rounded down; what that takes off is listed.

    An amount that came to more than 64 bits by summing is 0, and listed as a whole.
    """
    units = floor(amount)
    if abs(units) > MAX_AMOUNT:
        found.note(Code.BALANCE_TOO_LARGE, example)
        found.correct(book, currency, Code.BALANCE_TOO_LARGE, amount)
        return 0
    if units != amount:
        found.note(Code.BALANCE_FRACTION, f"{example}={decimal_text(amount)}")
        found.correct(book, currency, Code.BALANCE_FRACTION, amount - units)
    if units < 0:
        found.note(Code.BALANCE_NEGATIVE, f"{example}={units}")
    return units
