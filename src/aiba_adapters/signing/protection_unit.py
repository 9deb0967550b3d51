"""One transaction on the protection store's file: a unit of work, and the log's new lines."""

import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from aiba_adapters.signing.protection_rows import DIGEST_BYTES, ProtectionRows, Row, Table
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
from aiba_domain.signing.trail import Entry, HandOver, Kind, checkpoint

_SEQNO_BYTES: Final = 8


class ProtectionTransaction:
    """A transaction's view. `begin` reads the store's state, `finish` writes it back."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Work on a connection that its owner begins and commits transactions on."""
        self._connection = connection
        self._execute = connection.execute
        self._rows = ProtectionRows(connection)
        self._state = StoreState(network=Network.MAINNET, store="")
        self._checkpoint = self._time_s = 0
        self._lines: list[tuple[int, bytes]] = []

    def create(self, state: StoreState) -> None:
        """Write a new store's state, in the transaction that is under way."""
        self._state = state
        self._execute(
            "INSERT INTO state VALUES (1, ?, ?, NULL, 0, 0, 0, ?, 0, ?, 0, 0, ?)",
            (state.store, state.network, state.head, state.head, bytes(DIGEST_BYTES)),
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
        self._rows.begin(digest)
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
                self._rows.flush(),
            ),
        )
        self._connection.executemany("INSERT INTO outbox VALUES (?, ?)", self._lines)

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
        claim = self._rows.read(Table.CLAIMS, _claim_key(terms))
        mark = self._rows.read(Table.MARKS, (terms.vault, terms.recipient))
        return Standing(
            state=self._state,
            protected=_protected(claim) if claim else None,
            mark=_mark(mark) if mark else None,
            usage=Usage(recipient_day=recipient_day, day=per_day, lifetime=lifetime),
        )

    def protect(self, terms: ClaimTerms, record: Protected, charge: Charge) -> None:
        """Store what is signed, raise the watermark, and charge the record's day."""
        self._rows.write(Table.CLAIMS, _claim_key(terms), _claim_row(record))
        self.raise_mark(terms.vault, terms.recipient, Mark(seqno=terms.seqno))
        charges = (charge.day, charge.day, charge.lifetime)
        keys = usage_keys(terms.vault, terms.recipient, record.day)
        for usage_key, more in zip(keys, charges, strict=True):
            if more:
                self._rows.write(Table.USAGE, usage_key, (self._amount(usage_key) + more,))

    def raise_mark(self, vault: str, recipient: str, mark: Mark) -> None:
        """Raise a recipient's watermark and quarantine."""
        key = (vault, recipient)
        known = self._rows.read(Table.MARKS, key)
        raised = higher(_mark(known) if known else None, mark)
        self._rows.write(Table.MARKS, key, _mark_row(raised))

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
        rows: dict[Table, list[Any]] = {table: [*self._rows.every(table)] for table in Table}
        return Protection(
            network=self._state.network,
            store=self._state.store,
            sequence=self._state.sequence,
            time_s=self._time_s,
            claims={
                (vault, recipient, _seqno(seqno)): _protected(row)
                for vault, recipient, seqno, *row in rows[Table.CLAIMS]
            },
            marks={(vault, recipient): _mark(row) for vault, recipient, *row in rows[Table.MARKS]},
            usage={(vault, scope): amount for vault, scope, amount in rows[Table.USAGE]},
        )

    def restore(self, protection: Protection) -> None:
        """Take over a merged protection."""
        for (vault, recipient, seqno), record in protection.claims.items():
            key = (vault, recipient, _blob(seqno))
            self._rows.write(Table.CLAIMS, key, _claim_row(record))
        for (vault, recipient), mark in protection.marks.items():
            self.raise_mark(vault, recipient, mark)
        for usage_key, amount in protection.usage.items():
            self._use(usage_key, amount)

    def recipients(self) -> Iterable[tuple[str, str]]:
        """Return every (vault, recipient) that is known."""
        marks: Iterable[Any] = self._rows.every(Table.MARKS)
        return [(vault, recipient) for vault, recipient, *_ in marks]

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

    def hand_log_over(self, who: HandOver) -> None:
        """Let another key sign the log from here on."""
        state = self._state
        self._add(who.entry(state.sequence + 1, state.head, self._time_s))
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
        """Tell whether the rows are those that the store wrote."""
        return self._rows.is_whole()

    def _add(self, entry: Entry) -> None:
        line, head = entry.line()
        self._lines.append((entry.number, line))
        self._state = self._state.noted(entry.number, head)

    def _use(self, key: tuple[str, str], amount: int) -> None:
        if amount > self._amount(key):
            self._rows.write(Table.USAGE, key, (amount,))

    def _amount(self, key: tuple[str, str]) -> int:
        row: Any = self._rows.read(Table.USAGE, key)
        return 0 if row is None else int(row[0])


def _blob(seqno: int) -> bytes:
    """Write a seqno, which may pass what SQLite's integers hold, so that its order is kept."""
    return seqno.to_bytes(_SEQNO_BYTES, "big")


def _seqno(blob: bytes) -> int:
    return int.from_bytes(blob, "big")


def _claim_key(terms: ClaimTerms) -> Row:
    return (terms.vault, terms.recipient, _blob(terms.seqno))


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


def _mark(row: Sequence[Any]) -> Mark:
    seqno, quarantined_until_s = row
    return Mark(seqno=_seqno(seqno), quarantined_until_s=quarantined_until_s)
