"""Entries of the ledger as an audit sees them: whatever is stored, before anyone has judged it."""

import json
import json.encoder
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

START: Final = ""
"""The place before the first entry."""

_quote: Final = json.encoder.encode_basestring_ascii
_encode: Final = json.JSONEncoder(separators=(",", ":"), default=repr).encode


class Row(NamedTuple):
    """One entry as it is stored; a store that somebody tampered with may hold anything in it.

    A tuple, since the audit goes through every entry there is.
    """

    number: int
    at: int
    currency: str
    amount: int
    debit: str
    credit: str
    reason: str
    arena: str
    league: str
    source_type: str
    source_id: str


_TYPES: Final = (int, int, str, int, *(str,) * 7)


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerPage:
    """Entries in the ledger's order, and the place after the last of them.

    `place` means something to the store that gave it, for as long as what it holds, and nothing to
    anyone else. `is_end` says that nothing came after them when they were read.
    """

    rows: Sequence[Row]
    place: str
    is_end: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredBalances:
    """What an account holds by the store's own account of it, by currency."""

    account: str
    held: Mapping[str, int]


def encoded(values: tuple[object, ...]) -> bytes:
    """Return the bytes of a few values that are hashed: a JSON list in ASCII, without spaces.

    What is neither a text nor an integer is there too where somebody has tampered with a store.
    """
    parts = [
        _quote(value)
        if type(value) is str
        else str(value)
        if type(value) is int
        else _encode(value)
        for value in values
    ]
    return f"[{','.join(parts)}]".encode("ascii")


def line_of(row: Row) -> bytes:
    """Return the bytes of an entry that are hashed."""
    if not has_its_types(row):
        return encoded(row)
    number, at, currency, amount, *texts = row
    text = "".join(texts)
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        # JSON writes nearly all as they are: seven texts are quoted at once, in half the time.
        quoted = '","'.join(texts)
        return f'[{number},{at},{_quote(currency)},{amount},"{quoted}"]'.encode("ascii")
    line = f"[{number},{at},{_quote(currency)},{amount},{','.join(map(_quote, texts))}]"
    return line.encode("ascii")


def has_its_types(row: Row) -> bool:
    """Tell whether an entry's values are of the types that they are declared with."""
    return tuple(map(type, row)) == _TYPES
