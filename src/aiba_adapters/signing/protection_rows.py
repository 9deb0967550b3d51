"""The rows that protect, within one transaction, and the digest by which the file proves itself.

What a transaction reads and changes is kept until its end, so rows that many requests share, such
as what a day has used, are read and written once for all of them.

The digest is the sum, modulo 2^256, of the SHA-256 of every row. It is kept up with each change and
worked out anew when the store is opened, so a file that was put together from two copies (an old
database with a newer write-ahead log beside it) is found out.
"""

import sqlite3
from collections.abc import Iterator
from enum import StrEnum
from hashlib import sha256
from typing import Final

DIGEST_BYTES: Final = 32
_MODULUS: Final = 2 ** (8 * DIGEST_BYTES)

Row = tuple[str | int | bytes, ...]


class Table(StrEnum):
    """The tables whose rows protect."""

    CLAIMS = "claims"
    MARKS = "marks"
    USAGE = "usage"


_READS: Final = {
    Table.CLAIMS: "SELECT payload_hash, valid_until_s, most, day, day_most FROM claims"
    " WHERE vault = ? AND recipient = ? AND seqno = ?",
    Table.MARKS: "SELECT seqno, quarantined_until_s FROM marks WHERE vault = ? AND recipient = ?",
    Table.USAGE: "SELECT amount FROM usage WHERE vault = ? AND scope = ?",
}
_WRITES: Final = {
    Table.CLAIMS: "INSERT INTO claims VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
    " payload_hash = excluded.payload_hash, valid_until_s = excluded.valid_until_s,"
    " most = excluded.most, day = excluded.day, day_most = excluded.day_most",
    Table.MARKS: "INSERT INTO marks VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
    " seqno = excluded.seqno, quarantined_until_s = excluded.quarantined_until_s",
    Table.USAGE: "INSERT INTO usage VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET"
    " amount = excluded.amount",
}
_ALL: Final = {
    Table.CLAIMS: "SELECT vault, recipient, seqno, payload_hash, valid_until_s, most, day, day_most"
    " FROM claims",
    Table.MARKS: "SELECT vault, recipient, seqno, quarantined_until_s FROM marks",
    Table.USAGE: "SELECT vault, scope, amount FROM usage",
}


class ProtectionRows:
    """The rows of the transaction that is under way. A row is what follows its key."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Read and write on a connection whose transactions others begin and commit."""
        self._connection = connection
        self._digest = 0
        self._stored: dict[tuple[Table, Row], Row | None] = {}
        self._changed: dict[tuple[Table, Row], Row] = {}

    def begin(self, digest: bytes) -> None:
        """Start with nothing read, and the digest of all that is stored."""
        self._digest = int.from_bytes(digest, "big")
        self._stored.clear()
        self._changed.clear()

    def read(self, table: Table, key: Row) -> Row | None:
        """Return a row as it is now, None where there is none."""
        place = (table, key)
        changed = self._changed.get(place)
        if changed is not None:
            return changed
        if place not in self._stored:
            self._stored[place] = self._connection.execute(_READS[table], key).fetchone()
        return self._stored[place]

    def write(self, table: Table, key: Row, row: Row) -> None:
        """Insert a row, or put it in place of the one that is there."""
        if self.read(table, key) != row:
            self._changed[table, key] = row

    def flush(self) -> bytes:
        """Store what was changed, and return the digest of all that is stored now."""
        for table, write in _WRITES.items():
            rows = [key + row for (where, key), row in self._changed.items() if where is table]
            if rows:
                self._connection.executemany(write, rows)
        for place, row in self._changed.items():
            table, key = place
            stored = self._stored[place]
            if stored is not None:
                self._digest -= _row_digest(table, key + stored)
            self._digest += _row_digest(table, key + row)
            self._stored[place] = row
        self._changed.clear()
        self._digest %= _MODULUS
        return self._digest.to_bytes(DIGEST_BYTES, "big")

    def every(self, table: Table) -> Iterator[Row]:
        """Yield each row of a table behind its key."""
        self.flush()
        yield from self._connection.execute(_ALL[table])

    def is_whole(self) -> bool:
        """Tell whether the rows are those that the digest was kept over."""
        digests = (_row_digest(table, row) for table in Table for row in self.every(table))
        return sum(digests) % _MODULUS == self._digest


def _row_digest(table: Table, row: Row) -> int:
    return int.from_bytes(sha256(f"{table.value}{row!r}".encode()).digest(), "big")
