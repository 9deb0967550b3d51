"""The log of a signer's decisions: entries chained by hash, and checkpoints signed over them.

An entry is one line: its hash in hex, a blank, and a JSON object with sorted names and no blanks.
The hash is the SHA-256 of the object's text, which names the hash before it, so a line can't be
changed, left out or moved without changing each line after it. A checkpoint signs all before it.

The key of the checkpoints is changed by a hand-over: an entry that the key before and the new one
both sign. So whoever knows one of a log's keys can follow the log to its end.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Final

from aiba_domain.signing.model import HASH_BYTES

START: Final = bytes(HASH_BYTES)
"""What the first entry of a log names as the hash before it."""

MAX_LINE: Final = 4_096
"""The longest line, in bytes, with its end."""

_CHECKPOINT: Final = b"aiba-signer-audit-checkpoint:1\n"
_HAND_OVER: Final = b"aiba-signer-audit-hand-over:1\n"
_LINE: Final = re.compile(rb"([0-9a-f]{64}) (\{.*\})")
_encoded: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode
_FIELDS: Final = {"facts", "kind", "n", "prev", "t"}


class Kind(StrEnum):
    """What an entry is about."""

    CREATED = "created"
    STARTED = "started"
    SIGNED = "signed"
    SAME_AGAIN = "same_again"
    REFUSED = "refused"
    RAISED = "raised"
    LOCKED = "locked"
    UNLOCKED = "unlocked"
    IMPORTED = "imported"
    CHECKPOINT = "checkpoint"
    HANDED_OVER = "handed_over"


SIGNED_KINDS: Final = (Kind.CHECKPOINT, Kind.HANDED_OVER)
"""The entries that name the key which signs the log from there on."""

Sign = Callable[[bytes], bytes]
"""Returns a signature over a message."""

Genuine = Callable[[bytes, bytes, bytes], bool]
"""Tells whether a key of 32 bytes has made a signature over a message (key, message, signature)."""


class TrailBroken(Exception):  # noqa: N818 - it names a broken promise
    """A log isn't what was written; the text names the line and what is wrong with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry: its number from 1 on, chain time in seconds (0 if unknown), and its facts."""

    number: int
    previous: bytes
    kind: Kind
    time_s: int
    facts: Mapping[str, object]

    def line(self) -> tuple[bytes, bytes]:
        """Return the line without its end, and the entry's hash."""
        document = {
            "facts": dict(self.facts),
            "kind": self.kind.value,
            "n": self.number,
            "prev": self.previous.hex(),
            "t": self.time_s,
        }
        text = _encoded(document).encode()
        digest = sha256(text).digest()
        return digest.hex().encode() + b" " + text, digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What a log holds, if nothing is wrong with it.

    `first` and `last` are the numbers of its entries, `head` the last one's hash. `signed_to` is
    the number of the last entry whose signature was checked, 0 without one, and `key` the one that
    signs the log at its end.
    """

    first: int
    last: int
    head: bytes
    signed_to: int
    key: bytes | None
    counts: Mapping[str, int]


def read_line(line: bytes) -> tuple[Entry, bytes]:
    """Return the entry of a line without its end, and its hash; TrailBroken if it isn't one."""
    found = _LINE.fullmatch(line)
    if found is None:
        raise TrailBroken("not an entry")
    try:
        document = json.loads(found[2])
    except ValueError:
        raise TrailBroken("not JSON") from None
    if set(document) != _FIELDS:
        raise TrailBroken("other fields than an entry has")
    try:
        entry = Entry(
            number=document["n"],
            previous=bytes.fromhex(document["prev"]),
            kind=Kind(document["kind"]),
            time_s=document["t"],
            facts=document["facts"],
        )
        written, digest = entry.line()
    except (TypeError, ValueError):
        raise TrailBroken("a field that no entry has") from None
    if written != line:
        raise TrailBroken("its hash is another")
    return entry, digest


def key_of(entry: Entry) -> bytes | None:
    """Return the key that signs the log from an entry on; None if the entry names none.

    Raises TrailBroken for a key that is none.
    """
    return _key(entry, "key") if entry.kind in SIGNED_KINDS else None


def checkpoint_message(number: int, previous: bytes) -> bytes:
    """Return what is signed by the checkpoint with a number, after the entry with a hash."""
    return _CHECKPOINT + number.to_bytes(8, "big") + previous


def hand_over_message(number: int, previous: bytes, before: bytes, key: bytes) -> bytes:
    """Return what both keys sign where one hands the log over to the other."""
    return _HAND_OVER + number.to_bytes(8, "big") + previous + before + key


def checkpoint(number: int, previous: bytes, time_s: int, sign: Sign, public_key: bytes) -> Entry:
    """Return a checkpoint, signed over its number and everything before it."""
    signature = sign(checkpoint_message(number, previous))
    return Entry(
        number=number,
        previous=previous,
        kind=Kind.CHECKPOINT,
        time_s=time_s,
        facts={"key": public_key.hex(), "signature": signature.hex()},
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HandOver:
    """Who takes the log over from whom, by their public keys.

    Without `sign_before` the key before is lost, and says nothing to it.
    """

    before: bytes
    key: bytes
    sign: Sign
    sign_before: Sign | None

    def entry(self, number: int, previous: bytes, time_s: int) -> Entry:
        """Return the entry that does it, which signs everything before it too."""
        message = hand_over_message(number, previous, self.before, self.key)
        facts = {
            "before": self.before.hex(),
            "key": self.key.hex(),
            "signature": self.sign(message).hex(),
        }
        if self.sign_before is not None:
            facts |= {"before_signature": self.sign_before(message).hex()}
        return Entry(
            number=number,
            previous=previous,
            kind=Kind.HANDED_OVER,
            time_s=time_s,
            facts=facts,
        )


def verify_trail(
    lines: Iterable[bytes],
    *,
    public_key: bytes | None = None,
    genuine: Genuine | None = None,
) -> Verified:
    """Check a log's lines, each with its end, and return what it holds.

    `public_key` is one that signed the log once; whatever signs it later must have been named by
    it, or by one that it named. `genuine` checks signatures; without it no entry counts as signed.
    Raises TrailBroken naming the line.
    """
    first = last = 0
    head: bytes | None = None
    counts: dict[str, int] = {}
    keys = _Keys(public_key, genuine)
    for position, line in enumerate(lines, start=1):
        try:
            entry, digest = _entry_after(line, last, head)
            if entry.kind in SIGNED_KINDS:
                keys.follow(entry, position)
        except TrailBroken as broken:
            raise TrailBroken(f"line {position}: {broken}") from None
        first, last, head = first or entry.number, entry.number, digest
        counts[entry.kind.value] = counts.get(entry.kind.value, 0) + 1
    if head is None:
        raise TrailBroken("the log is empty")
    keys.require_known()
    return Verified(
        first=first,
        last=last,
        head=head,
        signed_to=keys.signed_to,
        key=keys.current,
        counts=counts,
    )


class _Keys:
    """Which key signs a log, entry after entry, and whether the one that is known vouches for it.

    It does from where it signs itself, over everything before, and on through each hand-over that
    the key before has signed.
    """

    def __init__(self, known: bytes | None, genuine: Genuine | None) -> None:
        self.current: bytes | None = None
        self.signed_to = 0
        self._known = known
        self._genuine = genuine
        self._is_vouched = False
        self._first_position = 0

    def follow(self, entry: Entry, position: int) -> None:
        """Go on to an entry that names a key."""
        self._first_position = self._first_position or position
        if entry.kind is Kind.CHECKPOINT:
            self._check_point(entry)
        else:
            self._hand_over(entry)
        if self._genuine is not None and (self._known is None or self._is_vouched):
            self.signed_to = entry.number

    def require_known(self) -> None:
        """Raise TrailBroken if the log is signed, but never by the key that is known."""
        if self._known is not None and self.current is not None and not self._is_vouched:
            raise TrailBroken(f"line {self._first_position}: a checkpoint by another key")

    def _check_point(self, entry: Entry) -> None:
        key = _key(entry, "key")
        if self.current not in (None, key):
            raise TrailBroken("a checkpoint by another key")
        message = checkpoint_message(entry.number, entry.previous)
        self._check(entry, "signature", key, message)
        self.current = key
        self._is_vouched = self._is_vouched or key == self._known

    def _hand_over(self, entry: Entry) -> None:
        before, key = _key(entry, "before"), _key(entry, "key")
        if self.current not in (None, before):
            raise TrailBroken("handed over by another key than the log's")
        message = hand_over_message(entry.number, entry.previous, before, key)
        self._check(entry, "signature", key, message)
        is_named = "before_signature" in entry.facts
        if is_named:
            self._check(entry, "before_signature", before, message)
        was_vouched = self._is_vouched or before == self._known
        self._is_vouched = key == self._known or (is_named and was_vouched)
        if was_vouched and not self._is_vouched:
            raise TrailBroken("taken over by a key that the one before didn't name")
        self.current = key

    def _check(self, entry: Entry, name: str, key: bytes, message: bytes) -> None:
        signature = _bytes(entry, name)
        if self._genuine is not None and not self._genuine(key, message, signature):
            raise TrailBroken(f"a {entry.kind.value} that its key didn't sign")


def _entry_after(line: bytes, last: int, head: bytes | None) -> tuple[Entry, bytes]:
    """Read the line that follows the entry with a number and hash."""
    if not line.endswith(b"\n") or len(line) > MAX_LINE:
        raise TrailBroken("the line doesn't end as it should")
    entry, digest = read_line(line[:-1])
    if head is None:
        _check_first(entry)
    elif entry.number != last + 1 or entry.previous != head:
        raise TrailBroken("it doesn't follow the one before")
    return entry, digest


def _check_first(entry: Entry) -> None:
    if type(entry.number) is not int or entry.number < 1:
        raise TrailBroken("no number of an entry")
    if entry.number == 1 and entry.previous != START:
        raise TrailBroken("it says that something came before the first entry")


def _key(entry: Entry, name: str) -> bytes:
    key = _bytes(entry, name)
    if len(key) != HASH_BYTES:
        raise TrailBroken("a key that is none")
    return key


def _bytes(entry: Entry, name: str) -> bytes:
    text = entry.facts.get(name)
    try:
        return bytes.fromhex(text if isinstance(text, str) else "none")
    except ValueError:
        raise TrailBroken(f"a {entry.kind.value} without its {name.replace('_', ' ')}") from None
