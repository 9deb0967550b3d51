"""Currencies, amounts and exact multipliers: whole units and fractions, never floats."""

import re
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from aiba_domain.errors import InvalidInput

MAX_AMOUNT: Final = 2**63 - 1
"""The largest amount of any currency: what a signed 64-bit store can hold."""

BPS: Final = 10_000
"""Basis points in a whole."""

MAX_EXACT_DIGITS: Final = 40
# A decimal, or a fraction with a denominator above 0; no exponent, sign of plus, blank or `1_000`.
_EXACT: Final = re.compile(r"-?[0-9]+(\.[0-9]+|/0*[1-9][0-9]*)?")


class Currency(StrEnum):
    """The four currencies. Amounts are whole units; one AIBA is one smallest jetton unit."""

    AIBA = "AIBA"
    NEUR = "NEUR"
    STARS = "STARS"
    DIAMONDS = "DIAMONDS"


def amount(value: object, field: str) -> int:
    """Check that `value` is an amount: an int of 0 to `MAX_AMOUNT` whole units.

    Raises InvalidInput naming `field`; a bool or a float is never an amount.
    """
    if type(value) is not int:
        raise InvalidInput(field, "integer")
    if not 0 <= value <= MAX_AMOUNT:
        raise InvalidInput(field, "min:0" if value < 0 else f"max:{MAX_AMOUNT}")
    return value


def exact(value: str | int | Decimal | Fraction, field: str = "value") -> Fraction:
    """Read a configured multiplier exactly: `"1.2"`, `2`, `Decimal("0.05")` or `"25/24"`.

    Floats are refused, since their decimal text is already lost. Raises InvalidInput.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal | Fraction):
        raise InvalidInput(field, "number")
    if isinstance(value, str):
        if len(value) > MAX_EXACT_DIGITS:
            raise InvalidInput(field, f"maxLength:{MAX_EXACT_DIGITS}")
        if not _EXACT.fullmatch(value):
            raise InvalidInput(field, "number")
        return Fraction(value)
    if isinstance(value, Decimal):
        if not value.is_finite() or abs(value.adjusted()) > MAX_EXACT_DIGITS:
            raise InvalidInput(field, "number")
        return Fraction(value)
    return Fraction(value)


def exact_text(value: Fraction) -> str:
    """Write an exact multiplier so that `exact` reads it back: a decimal, or `n/d` if endless."""
    denominator = value.denominator
    for prime in (2, 5):
        while denominator % prime == 0:
            denominator //= prime
    if denominator != 1:
        return f"{value.numerator}/{value.denominator}"
    digits = 0
    while (value.numerator * 10**digits) % value.denominator:
        digits += 1
    scaled = value.numerator * 10**digits // value.denominator
    if not digits:
        return str(scaled)
    sign, text = ("-", str(-scaled)) if scaled < 0 else ("", str(scaled))
    text = text.rjust(digits + 1, "0")
    return f"{sign}{text[:-digits]}.{text[-digits:]}"


def share(total: int, bps: int) -> int:
    """Return `bps` basis points of `total`, rounded down; the caller keeps the remainder."""
    return total * bps // BPS
