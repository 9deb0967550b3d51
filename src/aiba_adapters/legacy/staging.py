"""The rows of the source in a file of our own, found by what an import asks for.

The source is read once, in the order it likes; what is looked up afterwards is looked up here, so
an import needs no more memory for a large database than for a small one. The file is of no use
once an import has ended, and is made anew by the next.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from aiba_adapters.legacy.bson_values import document
from aiba_adapters.legacy.rows import TRANSIENT, Digest, RowSource
from aiba_adapters.steps import Tell
from aiba_domain.legacy.columns import (
    WITH_PLAYERS,
    canonical_hash,
    claim_place,
    columns,
    hash_uses,
    used_keys,
)
from aiba_domain.legacy.units import UsedKey
from aiba_domain.legacy.values import Document, born

_TABLES: Final = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE docs (
    n INTEGER PRIMARY KEY, collection TEXT NOT NULL, id TEXT NOT NULL, owner TEXT NOT NULL,
    at INTEGER NOT NULL, ref TEXT NOT NULL, key TEXT NOT NULL, raw BLOB NOT NULL
);
CREATE TABLE hashes (
    hash TEXT, text TEXT NOT NULL, family TEXT NOT NULL, collection TEXT NOT NULL,
    owner TEXT NOT NULL, at INTEGER NOT NULL, n INTEGER NOT NULL
);
CREATE TABLE claims (
    owner TEXT NOT NULL, source_type TEXT NOT NULL, key TEXT NOT NULL, part TEXT NOT NULL,
    n INTEGER NOT NULL
);
CREATE TABLE keys (
    owner TEXT NOT NULL, command TEXT NOT NULL, key TEXT NOT NULL,
    PRIMARY KEY (owner, command, key)
) WITHOUT ROWID;
CREATE TABLE issued (
    id TEXT PRIMARY KEY, target TEXT NOT NULL, seqno TEXT NOT NULL, at INTEGER NOT NULL,
    body TEXT NOT NULL
) WITHOUT ROWID;
"""
_FILLED: Final = ("docs", "hashes", "claims", "keys")
_INDEXES: Final = """
CREATE INDEX docs_in_time ON docs (collection, at, id, n);
CREATE INDEX docs_by_owner ON docs (collection, owner, key);
CREATE INDEX docs_by_id ON docs (collection, id);
CREATE INDEX docs_by_ref ON docs (collection, ref);
CREATE INDEX docs_by_key ON docs (collection, key);
CREATE INDEX hashes_by_hash ON hashes (hash, at, n);
CREATE INDEX claims_by_place ON claims (owner, source_type, key, part, n);
CREATE INDEX issued_in_order ON issued (target, seqno, at, id);
"""
# The index is named in each question: SQLite would rather save itself a sort of ten rows by going
# through a collection in its order.
_ROW: Final = "SELECT n, collection, id, owner, at, ref, key, raw FROM docs"
_BATCH: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of the source: what it is found by, its bytes and its values."""

    n: int
    collection: str
    id: str
    owner: str
    at: int
    ref: str
    key: str
    raw: bytes
    document: Document


class Staging:
    """The staged rows of one source."""

    def __init__(self, path: Path) -> None:
        """Make the file anew; one of an earlier import is removed."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        self._path = path
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.executescript(_TABLES)
        self.counts: dict[str, int] = {}
        self.digest = ""

    def fill(self, source: RowSource, tell: Tell) -> None:
        """Read the whole source, whatever was read before.

        Raises Unavailable, SnapshotLost, and ValueError for a row that is no BSON.
        """
        for table in _FILLED:
            self._connection.execute(f"DELETE FROM {table}")  # noqa: S608 - ours
        self.counts.clear()
        sizes = source.collections()
        total, done, digest, batch = sum(sizes.values()), 0, Digest(), _Batch(self._connection)
        for name in sorted(sizes):
            if name not in TRANSIENT:
                digest.start(name)
            self.counts[name] = 0
            for raw in source.rows(name):
                if name not in TRANSIENT:
                    digest.add(raw)
                batch.add(name, raw)
                self.counts[name] += 1
                done += 1
                if done % _BATCH == 0:
                    batch.write()
                    tell("read the source", done, max(total, done))
        batch.write()
        tell("read the source", done, max(done, 1))
        self._connection.executescript(_INDEXES)
        self.digest = digest.hex()

    def each(self, collection: str) -> Iterator[Row]:
        """Yield a collection's rows, oldest first."""
        yield from self._rows(
            "INDEXED BY docs_in_time WHERE collection = ? ORDER BY at, id, n", collection
        )

    def of_owner(self, collection: str, owner: str) -> list[Row]:
        """Return an owner's rows of a collection, oldest first."""
        order = "INDEXED BY docs_by_owner WHERE collection = ? AND owner = ? ORDER BY at, id, n"
        return list(self._rows(order, collection, owner))

    def first_of_owner(self, collection: str, owner: str) -> Row | None:
        """Return an owner's oldest row of a collection that has an id."""
        order = (
            "INDEXED BY docs_by_owner WHERE collection = ? AND owner = ? AND id <> ''"
            " ORDER BY at, id, n LIMIT 1"
        )
        return next(self._rows(order, collection, owner), None)

    def each_of_owner(self, collection: str, owner: str) -> Iterator[Row]:
        """Yield an owner's rows of a collection, in no order that means anything."""
        yield from self._rows(
            "INDEXED BY docs_by_owner WHERE collection = ? AND owner = ?", collection, owner
        )

    def oldest_of_owner(self, collection: str, owner: str) -> Row | None:
        """Return an owner's oldest row of a collection."""
        order = (
            "INDEXED BY docs_by_owner WHERE collection = ? AND owner = ? ORDER BY at, id, n LIMIT 1"
        )
        return next(self._rows(order, collection, owner), None)

    def by_id(self, collection: str, own_id: str) -> Row | None:
        """Return the row with an id."""
        order = "INDEXED BY docs_by_id WHERE collection = ? AND id = ? ORDER BY n LIMIT 1"
        return next(self._rows(order, collection, own_id), None) if own_id else None

    def row(self, n: int) -> Row:
        """Return a row by its number."""
        return next(self._rows("WHERE n = ?", n))

    def is_first(self, row: Row, *, within_owner: bool = False) -> bool:
        """Tell whether no older row of its collection, or of its owner's there, has its key."""
        query = (
            "SELECT 1 FROM docs INDEXED BY docs_by_key WHERE collection = ? AND key = ?"
            " AND (at, id, n) < (?, ?, ?) AND owner = coalesce(?, owner)"
        )
        owner = row.owner if within_owner else None
        values = (row.collection, row.key, row.at, row.id, row.n, owner)
        return self._connection.execute(query, values).fetchone() is None

    def count_by_ref(self, collection: str, ref: str) -> int:
        """Count the rows of a collection that refer to something."""
        query = (
            "SELECT COUNT(*) FROM docs INDEXED BY docs_by_ref"
            " WHERE collection = ? AND ref = ? AND owner <> ''"
        )
        return int(self._connection.execute(query, (collection, ref)).fetchone()[0])

    def owners(self) -> Iterator[str]:
        """Yield whoever becomes a player."""
        marks = ",".join("?" * len(WITH_PLAYERS))
        query = (
            f"SELECT DISTINCT owner FROM docs WHERE collection IN ({marks})"  # noqa: S608 - marks
            " AND owner <> '' ORDER BY owner"
        )
        for (owner,) in self._connection.execute(query, WITH_PLAYERS):
            yield owner

    def owners_alike(self) -> Iterator[str]:
        """Yield ids of users that differ from another's only in case."""
        query = (
            "SELECT MIN(owner) FROM (SELECT DISTINCT owner FROM docs WHERE collection = 'users'"
            " AND owner <> '') GROUP BY LOWER(owner) HAVING COUNT(*) > 1 ORDER BY 1"
        )
        for (owner,) in self._connection.execute(query):
            yield owner

    def wallets_shared(self) -> int:
        """Count the wallets that several users have set."""
        query = (
            "SELECT COUNT(*) FROM (SELECT key FROM docs WHERE collection = 'users' AND key <> ''"
            " GROUP BY key HAVING COUNT(DISTINCT owner) > 1)"
        )
        return int(self._connection.execute(query).fetchone()[0])

    def payments(self) -> Iterator[tuple[str, str, int, bool]]:
        """Yield each payment's hash with its first user, when, and whether it was used again.

        It is no second use where two rows tell of one purchase: the table of hashes and the thing.
        """
        query = (
            "SELECT hash, owner, at, collection, family FROM hashes"
            " WHERE hash IS NOT NULL ORDER BY hash, at, n"
        )
        found = self._connection.execute(query)
        for canonical, uses in groupby(found, key=lambda use: str(use[0])):
            rows = list(uses)
            collections, families = {row[3] for row in rows}, {row[4] for row in rows}
            again = len(rows) > len(collections) or len(families) > 1
            yield canonical, rows[0][1], rows[0][2], again

    def no_payments(self) -> Iterator[Row]:
        """Yield the rows that tell of a payment whose hash is none."""
        query = "SELECT DISTINCT n FROM hashes WHERE hash IS NULL ORDER BY n"
        for (n,) in self._connection.execute(query):
            yield self.row(n)

    def withdrawals(self) -> Iterator[tuple[tuple[str, str, str], list[int], list[int]]]:
        """Yield each withdrawal's place with its ledger rows and its battles, by number."""
        query = (
            "SELECT owner, source_type, key, group_concat(part || n, ' ') FROM"
            " (SELECT * FROM claims ORDER BY owner, source_type, key, part, n)"
            " GROUP BY owner, source_type, key"
        )
        for owner, source_type, key, parts in self._connection.execute(query):
            words = sorted(parts.split(" "), key=lambda word: (word[0], int(word[1:])))
            rows = [int(word[1:]) for word in words if word[0] == "L"]
            battles = [int(word[1:]) for word in words if word[0] == "B"]
            yield (owner, source_type, key), rows, battles

    def keep_issued(self, own_id: str, target: str, seqno: int, at: int, body: str) -> None:
        """Keep a claim, to be found again by its recipient's order."""
        values = (own_id, target, f"{seqno:020d}", at, body)
        self._connection.execute("INSERT OR REPLACE INTO issued VALUES (?, ?, ?, ?, ?)", values)

    def issued(self) -> Iterator[tuple[str, int, int, bool]]:
        """Yield each claim's body, its recipient's last seqno and when, and if it is a second.

        A second is one under a seqno that an older claim to the recipient has.
        """
        query = (
            "SELECT one.body, (SELECT seqno FROM issued WHERE target = one.target"
            " ORDER BY seqno DESC, at, id LIMIT 1), (SELECT at FROM issued WHERE"
            " target = one.target ORDER BY seqno DESC, at, id LIMIT 1), EXISTS (SELECT 1 FROM"
            " issued AS old WHERE old.target = one.target AND old.seqno = one.seqno"
            " AND (old.at, old.id) < (one.at, one.id))"
            " FROM issued AS one ORDER BY one.target, one.seqno, one.at, one.id"
        )
        for body, last, at, second in self._connection.execute(query):
            yield body, int(last), int(at), bool(second)

    def forget_issued(self) -> None:
        """Forget the claims that were kept."""
        self._connection.execute("DELETE FROM issued")

    def used_keys(self) -> Iterator[UsedKey]:
        """Yield the idempotency keys that were used up."""
        query = "SELECT owner, command, key FROM keys ORDER BY owner, command, key"
        for owner, command, key in self._connection.execute(query):
            yield UsedKey(player_id=owner, command=command, key=key)

    def close(self) -> None:
        """Close and remove the file."""
        self._connection.close()
        self._path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # something else of the operator's is there
            self._path.parent.rmdir()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _rows(self, where: str, *values: object) -> Iterator[Row]:
        for found in self._connection.execute(f"{_ROW} {where}", values):
            n, collection, own_id, owner, at, ref, key, raw = found
            yield Row(
                n=n,
                collection=collection,
                id=own_id,
                owner=owner,
                at=at,
                ref=ref,
                key=key,
                raw=raw,
                document=document(raw),
            )


class _Batch:
    """Rows that wait to be written together."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._n = 0
        self._waiting: Mapping[str, list[tuple[Any, ...]]] = {
            "docs": [],
            "hashes": [],
            "claims": [],
            "keys": [],
        }

    def add(self, collection: str, raw: bytes) -> None:
        row = document(raw)
        self._n += 1
        n, found, at = self._n, columns(collection, row), born(row)
        waiting = self._waiting
        waiting["docs"].append(
            (n, collection, found.id, found.owner, at, found.ref, found.key, raw)
        )
        for use in hash_uses(collection, row):
            canonical = canonical_hash(use.hash)
            use_row = (canonical, use.hash, use.family, collection, found.owner, at, n)
            waiting["hashes"].append(use_row)
        place = claim_place(collection, row)
        if place is not None:
            waiting["claims"].append((*place, "L" if collection == "ledgerentries" else "B", n))
        for key in used_keys(collection, row):
            waiting["keys"].append((key.player_id, key.command, key.key))

    def write(self) -> None:
        self._connection.execute("BEGIN")
        for table, rows in self._waiting.items():
            if rows:
                marks = ",".join("?" * len(rows[0]))
                statement = f"INSERT OR IGNORE INTO {table} VALUES ({marks})"  # noqa: S608 - ours
                self._connection.executemany(statement, rows)
                rows.clear()
        self._connection.execute("COMMIT")
