"""Entries of the ledger as an audit sees them: whatever is stored, before anyone has judged it."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, NamedTuple

START: Final = ""
"""The place before the first entry."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerPage:
    """Entries in the ledger's order, and the place after the last of them.

    `place` means something to the store that gave it, for as long as it is open, and nothing to
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


def line_of(row: Row) -> bytes:
    """Return the bytes of an entry that are hashed: a JSON list in ASCII, without spaces."""
    number, at, currency, amount, *texts = row
    if type(number) is type(at) is type(amount) is int and _are_plain((currency, *texts)):
        # What nearly all entries are, in a quarter of the time.
        quoted = '","'.join(texts)
        return f'[{number},{at},"{currency}",{amount},"{quoted}"]'.encode("ascii")
    return _encode(row).encode("ascii")


def digest_of(row: Row) -> bytes:
    """Return the SHA-256 of an entry's bytes."""
    return sha256(line_of(row)).digest()


def _are_plain(texts: Sequence[str]) -> bool:
    """Tell whether JSON writes texts as they are; a store may hold something else for one."""
    try:
        text = "".join(texts)
    except TypeError:
        return False
    return text.isascii() and text.isprintable() and '"' not in text and "\\" not in text
