"""One transaction on the protection store's file, and the digest by which the file proves itself.

The digest is the sum, modulo 2^256, of the SHA-256 of every row that protects. It is kept up with
each change and worked out anew when the store is opened, so a file that was put together from two
copies (an old database with a newer write-ahead log beside it) is found out.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import Any, Final

from aiba_domain.claims.model import ClaimTerms
from aiba_domain.signing.interchange import Protection, higher, usage_keys
from aiba_domain.signing.model import (
    Charge,
    Lock,
    Mark,
    Network,
    Protected,
    Standing,
    StoreState,
    Usage,
)
from aiba_domain.signing.trail import Entry, Kind, checkpoint

_DIGEST_BYTES: Final = 32
_MODULUS: Final = 2 ** (8 * _DIGEST_BYTES)
_SEQNO_BYTES: Final = 8
_CLAIM: Final = "payload_hash, valid_until_s, most, day, day_most"
_TABLES: Final = {
    "claims": f"vault, recipient, seqno, {_CLAIM}",
    "marks": "vault, recipient, seqno, quarantined_until_s",
    "usage": "vault, scope, amount",
}

_UPSERTS: Final = {
    "claims": "INSERT INTO claims VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
    " payload_hash = excluded.payload_hash, valid_until_s = excluded.valid_until_s,"
    " most = excluded.most, day = excluded.day, day_most = excluded.day_most",
    "marks": "INSERT INTO marks VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
    " seqno = excluded.seqno, quarantined_until_s = excluded.quarantined_until_s",
    "usage": "INSERT INTO usage VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET"
    " amount = excluded.amount",
}

Row = tuple[str | int | bytes, ...]


class ProtectionTransaction:
    """A transaction's view. `begin` reads the store's state, `finish` writes it back."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Work on a connection that its owner begins and commits transactions on."""
        self._execute = connection.execute
        self._state = StoreState(network=Network.MAINNET, store="")
        self._checkpoint = self._time_s = self._digest = 0
        self._lines: list[tuple[int, bytes]] = []

    def create(self, state: StoreState) -> None:
        """Write a new store's state, in the transaction that is under way."""
        self._state = state
        self._execute(
            "INSERT INTO state VALUES (1, ?, ?, NULL, 0, 0, 0, ?, 0, ?, 0, 0, ?)",
            (state.store, state.network, state.head, state.head, bytes(_DIGEST_BYTES)),
        )

    def begin(self) -> None:
        """Read the state, once the write lock is held."""
        row = self._execute(
            "SELECT store, network, locked, quarantined_until_s, new_key, sequence, head,"
            " known_to, known_head, checkpoint, time_s, digest FROM state"
        ).fetchone()
        store, network, locked, until, new_key, sequence, head, *row = row
        known_to, known_head, self._checkpoint, self._time_s, digest = row
        self._state = StoreState(
            network=Network(network),
            store=store,
            locked=Lock(locked) if locked else None,
            quarantined_until_s=until,
            new_key=bool(new_key),
            sequence=sequence,
            head=head,
            known_to=known_to,
            known_head=known_head,
        )
        self._digest = int.from_bytes(digest, "big")
        self._lines = []

    def finish(self) -> None:
        """Write the state and the log's new lines, right before the commit."""
        state = self._state
        self._execute(
            "UPDATE state SET locked = ?, quarantined_until_s = ?, new_key = ?, sequence = ?,"
            " head = ?, known_to = ?, known_head = ?, checkpoint = ?, time_s = ?, digest = ?",
            (
                state.locked,
                state.quarantined_until_s,
                state.new_key,
                state.sequence,
                state.head,
                state.known_to,
                state.known_head,
                self._checkpoint,
                self._time_s,
                self._digest.to_bytes(_DIGEST_BYTES, "big"),
            ),
        )
        for line in self._lines:
            self._execute("INSERT INTO outbox VALUES (?, ?)", line)

    @property
    def entries_since_checkpoint(self) -> int:
        """How many entries no checkpoint signs yet."""
        return self._state.sequence - self._checkpoint

    def state(self) -> StoreState:
        """Return what the store says of itself."""
        return self._state

    def standing(self, terms: ClaimTerms, day: str) -> Standing:
        """Return what a decision about these terms in a UTC day needs."""
        amounts = [self._amount(key) for key in usage_keys(terms.vault, terms.recipient, day)]
        recipient_day, per_day, lifetime = amounts
        return Standing(
            state=self._state,
            protected=self._protected((terms.vault, terms.recipient, _blob(terms.seqno))),
            mark=self._mark((terms.vault, terms.recipient)),
            usage=Usage(recipient_day=recipient_day, day=per_day, lifetime=lifetime),
        )

    def protect(self, terms: ClaimTerms, record: Protected, charge: Charge) -> None:
        """Store what is signed, raise the watermark, and charge the record's day."""
        self._keep((terms.vault, terms.recipient, _blob(terms.seqno)), record)
        self.raise_mark(terms.vault, terms.recipient, Mark(seqno=terms.seqno))
        charges = (charge.day, charge.day, charge.lifetime)
        keys = usage_keys(terms.vault, terms.recipient, record.day)
        for usage_key, more in zip(keys, charges, strict=True):
            if more:
                self._use(usage_key, self._amount(usage_key) + more)

    def raise_mark(self, vault: str, recipient: str, mark: Mark) -> None:
        """Raise a recipient's watermark and quarantine."""
        known = self._mark((vault, recipient))
        self._put(
            "marks",
            (vault, recipient),
            _mark_row(known) if known else None,
            _mark_row(higher(known, mark)),
        )

    def lock(self, reason: Lock) -> None:
        """Sign nothing more until the store is unlocked."""
        self._state = replace(self._state, locked=reason, new_key=False)

    def learned(self, *, is_complete: bool, quarantined_until_s: int) -> None:
        """Say that the memory holds all that the log tells, or that it can't."""
        self._state = self._state.learned(
            is_complete=is_complete, quarantined_until_s=quarantined_until_s
        )

    def unlock(self, *, quarantined_until_s: int, new_key: bool = False) -> None:
        """Open the store, with its quarantine; one that is longer already stays."""
        until = max(quarantined_until_s, self._state.quarantined_until_s)
        self._state = self._state.unlocked(until, new_key=new_key)

    def dump(self) -> Protection:
        """Return everything that protects."""
        claims = self._execute(f"SELECT {_TABLES['claims']} FROM claims")  # noqa: S608 - constants
        marks = self._execute(f"SELECT {_TABLES['marks']} FROM marks")  # noqa: S608 - constants
        usage = self._execute("SELECT vault, scope, amount FROM usage")
        return Protection(
            network=self._state.network,
            store=self._state.store,
            sequence=self._state.sequence,
            time_s=self._time_s,
            claims={
                (vault, recipient, _seqno(seqno)): _protected(row)
                for vault, recipient, seqno, *row in claims
            },
            marks={
                (vault, recipient): Mark(seqno=_seqno(seqno), quarantined_until_s=until)
                for vault, recipient, seqno, until in marks
            },
            usage={(vault, scope): amount for vault, scope, amount in usage},
        )

    def restore(self, protection: Protection) -> None:
        """Take over a merged protection."""
        for (vault, recipient, seqno), record in protection.claims.items():
            self._keep((vault, recipient, _blob(seqno)), record)
        for (vault, recipient), mark in protection.marks.items():
            self.raise_mark(vault, recipient, mark)
        for usage_key, amount in protection.usage.items():
            self._use(usage_key, amount)

    def recipients(self) -> Iterable[tuple[str, str]]:
        """Return every (vault, recipient) that is known."""
        return self._execute("SELECT vault, recipient FROM marks").fetchall()

    def note(self, kind: Kind, time_s: int, facts: Mapping[str, object]) -> None:
        """Add an entry to the log."""
        state = self._state
        self._add(
            Entry(
                number=state.sequence + 1,
                previous=state.head,
                kind=kind,
                time_s=time_s,
                facts=facts,
            )
        )
        self._time_s = max(self._time_s, time_s)

    def sign_log(self, sign: Callable[[bytes], bytes], public_key: bytes) -> None:
        """Add a checkpoint to the log."""
        state = self._state
        self._add(checkpoint(state.sequence + 1, state.head, self._time_s, sign, public_key))
        self._checkpoint = self._state.sequence

    def follow(self, sequence: int, head: bytes) -> None:
        """Go on with the log after an entry that this store doesn't know: it was restored."""
        state = self._state
        if sequence == state.sequence and head != state.head:
            state = state.learned(is_complete=False)  # the log is of another life of this store
        self._state = replace(state, sequence=sequence, head=head)
        self._checkpoint = min(self._checkpoint, sequence)
        self._execute("DELETE FROM outbox")

    def lines_after(self, number: int) -> list[tuple[int, bytes]]:
        """Return the log's committed lines after an entry, as far as the store still keeps them."""
        return self._execute(
            "SELECT number, line FROM outbox WHERE number > ? ORDER BY number", (number,)
        ).fetchall()

    def forget_lines(self, number: int) -> None:
        """Drop the lines up to an entry, which the log's file holds durably."""
        self._execute("DELETE FROM outbox WHERE number <= ?", (number,))

    def is_whole(self) -> bool:
        """Tell whether the rows are those that the digest was kept over."""
        total = 0
        for table, columns in _TABLES.items():
            for row in self._execute(f"SELECT {columns} FROM {table}"):  # noqa: S608 - constants
                total += _row_digest(table, row)
        return total % _MODULUS == self._digest

    def _add(self, entry: Entry) -> None:
        line, head = entry.line()
        self._lines.append((entry.number, line))
        self._state = self._state.noted(entry.number, head)

    def _keep(self, key: tuple[str, str, bytes], record: Protected) -> None:
        known = self._protected(key)
        self._put("claims", key, _claim_row(known) if known else None, _claim_row(record))

    def _protected(self, key: tuple[str, str, bytes]) -> Protected | None:
        row = self._execute(
            f"SELECT {_CLAIM} FROM claims WHERE vault = ? AND recipient = ? AND seqno = ?",  # noqa: S608 - constants
            key,
        ).fetchone()
        return None if row is None else _protected(row)

    def _mark(self, key: tuple[str, str]) -> Mark | None:
        row = self._execute(
            "SELECT seqno, quarantined_until_s FROM marks WHERE vault = ? AND recipient = ?", key
        ).fetchone()
        return None if row is None else Mark(seqno=_seqno(row[0]), quarantined_until_s=row[1])

    def _amount(self, key: tuple[str, str]) -> int:
        row = self._execute(
            "SELECT amount FROM usage WHERE vault = ? AND scope = ?", key
        ).fetchone()
        return 0 if row is None else int(row[0])

    def _use(self, key: tuple[str, str], amount: int) -> None:
        known = self._amount(key)
        if amount > known:
            self._put("usage", key, (known,) if known else None, (amount,))

    def _put(self, table: str, key: Row, known: Row | None, row: Row) -> None:
        """Insert a row or replace the known one, and keep the digest."""
        if known == row:
            return
        self._execute(_UPSERTS[table], key + row)
        if known is not None:
            self._digest -= _row_digest(table, key + known)
        self._digest = (self._digest + _row_digest(table, key + row)) % _MODULUS


def _blob(seqno: int) -> bytes:
    """Write a seqno, which may pass what SQLite's integers hold, so that its order is kept."""
    return seqno.to_bytes(_SEQNO_BYTES, "big")


def _seqno(blob: bytes) -> int:
    return int.from_bytes(blob, "big")


def _claim_row(record: Protected) -> Row:
    return (
        record.payload_hash,
        record.valid_until_s,
        record.most,
        record.day,
        record.day_most,
    )


def _protected(row: Sequence[Any]) -> Protected:
    payload_hash, valid_until_s, most, day, day_most = row
    return Protected(
        payload_hash=payload_hash,
        valid_until_s=valid_until_s,
        most=most,
        day=day,
        day_most=day_most,
    )


def _mark_row(mark: Mark) -> Row:
    return (_blob(mark.seqno), mark.quarantined_until_s)


def _row_digest(table: str, row: Row) -> int:
    return int.from_bytes(sha256(f"{table}{row!r}".encode()).digest(), "big")
