"""The log of a signer's decisions: entries chained by hash, and checkpoints signed over them.

An entry is one line: its hash in hex, a blank, and a JSON object with sorted names and no blanks.
The hash is the SHA-256 of the object's text, which names the hash before it, so a line can't be
changed, left out or moved without changing each line after it. A checkpoint signs all before it.
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
    the number of the last checkpoint whose signature was checked, 0 without one.
    """

    first: int
    last: int
    head: bytes
    signed_to: int
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


def checkpoint_message(number: int, previous: bytes) -> bytes:
    """Return what is signed by the checkpoint with a number, after the entry with a hash."""
    return _CHECKPOINT + number.to_bytes(8, "big") + previous


def checkpoint(
    number: int, previous: bytes, time_s: int, sign: Callable[[bytes], bytes], public_key: bytes
) -> Entry:
    """Return a checkpoint, signed over its number and everything before it."""
    signature = sign(checkpoint_message(number, previous))
    return Entry(
        number=number,
        previous=previous,
        kind=Kind.CHECKPOINT,
        time_s=time_s,
        facts={"key": public_key.hex(), "signature": signature.hex()},
    )


def verify_trail(
    lines: Iterable[bytes],
    *,
    public_key: bytes | None = None,
    verify: Callable[[bytes, bytes], bool] | None = None,
) -> Verified:
    """Check a log's lines, each with its end, and return what it holds.

    `verify` checks a checkpoint's signature (message, signature) under the expected `public_key`;
    without it no checkpoint counts as signed. Raises TrailBroken naming the line.
    """
    first = last = signed_to = 0
    head: bytes | None = None
    counts: dict[str, int] = {}
    for position, line in enumerate(lines, start=1):
        try:
            entry, digest = _entry_after(line, last, head)
            if entry.kind is Kind.CHECKPOINT and verify is not None:
                _check_signature(entry, public_key, verify)
                signed_to = entry.number
        except TrailBroken as broken:
            raise TrailBroken(f"line {position}: {broken}") from None
        first, last, head = first or entry.number, entry.number, digest
        counts[entry.kind.value] = counts.get(entry.kind.value, 0) + 1
    if head is None:
        raise TrailBroken("the log is empty")
    return Verified(first=first, last=last, head=head, signed_to=signed_to, counts=counts)


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


def _check_signature(
    entry: Entry, public_key: bytes | None, verify: Callable[[bytes, bytes], bool]
) -> None:
    key, signature = entry.facts.get("key"), entry.facts.get("signature")
    if not isinstance(key, str) or not isinstance(signature, str):
        raise TrailBroken("a checkpoint without its signature")
    if public_key is not None and key != public_key.hex():
        raise TrailBroken("a checkpoint by another key")
    try:
        genuine = verify(checkpoint_message(entry.number, entry.previous), bytes.fromhex(signature))
    except ValueError:
        genuine = False
    if not genuine:
        raise TrailBroken("a checkpoint that its key didn't sign")
