"""The manifest: what a backup holds, and the hashes by which any changed byte is found.

It is written in one way only and seals itself, so a manifest that was changed is told as well.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Final

import msgspec

from aiba_domain.ports import Entry

FORMAT: Final = "aiba-backup"
VERSION: Final = 1
NAME: Final = "manifest.json"

_Count = Annotated[int, msgspec.Meta(ge=0)]
_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_FileName = Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9._-]{0,99}$")]


class ManifestFaulty(Exception):  # noqa: N818 - named for the state of the text
    """The text is no manifest that this build reads; says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerHead:
    """Where a ledger ends: how many entries, the last one's number and instant (ms), 0 without one.

    `digest` is the SHA-256 of all entries in order, so two ledgers of one digest are the same.
    """

    entries: _Count
    number: _Count
    at: _Count
    digest: _Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """One file of a backup: its length in bytes and its SHA-256 as hex."""

    size: _Count
    sha256: _Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup holds: which kind of store at which schema version, and from when (ms, UTC).

    Everything that was durable at `taken_at` is in it. `rows` counts by table.
    """

    store: str
    schema: _Count
    taken_at: _Count
    rows: Mapping[str, _Count]
    ledger: LedgerHead
    files: Mapping[_FileName, FileFacts]


def write(manifest: Manifest) -> str:
    """Return the manifest as a document that ends with the seal over all before it."""
    document: dict[str, object] = {
        "format": FORMAT,
        "version": VERSION,
        "store": manifest.store,
        "schema": manifest.schema,
        "takenAt": manifest.taken_at,
        "rows": dict(sorted(manifest.rows.items())),
        "ledger": asdict(manifest.ledger),
        "files": {name: asdict(facts) for name, facts in sorted(manifest.files.items())},
    }
    seal = hashlib.sha256(json.dumps(document).encode()).hexdigest()
    return json.dumps(document | {"seal": seal}, indent=1) + "\n"


def read(raw: bytes) -> Manifest:
    """Return the manifest that a document holds, to the byte. Raises ManifestFaulty."""
    try:
        document = json.loads(raw)
    except ValueError:
        raise ManifestFaulty("is no JSON document: it is damaged") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ManifestFaulty("is of something else than a backup of this service")
    version = document.get("version")
    if version != VERSION:
        raise ManifestFaulty(f"has format version {version!r}, this build reads {VERSION}")
    try:
        found = msgspec.convert(
            {
                name: document.get(key)
                for name, key in (
                    *((name, name) for name in ("store", "schema", "rows", "ledger", "files")),
                    ("taken_at", "takenAt"),
                )
            },
            Manifest,
        )
    except msgspec.ValidationError as error:
        raise ManifestFaulty(f"is damaged: {error}") from None
    if write(found).encode() != raw:
        raise ManifestFaulty("is damaged or was changed: its seal doesn't fit")
    return found


class LedgerDigest:
    """Takes in a ledger's entries in order, and tells at any moment where it would end there."""

    def __init__(self) -> None:
        """Begin with no entry."""
        self._digest = hashlib.sha256()
        self._entries = self._number = self._at = 0

    def add(self, entry: Entry) -> None:
        """Take in the next entry."""
        self._entries, self._number, self._at = self._entries + 1, entry.number, entry.at
        self._digest.update(msgspec.json.encode((entry.number, *_fields(entry))))

    @property
    def entries(self) -> int:
        """How many entries were taken in."""
        return self._entries

    @property
    def head(self) -> LedgerHead:
        """Where the ledger ends with what was taken in."""
        return LedgerHead(
            entries=self._entries,
            number=self._number,
            at=self._at,
            digest=self._digest.hexdigest(),
        )


def print_of(entry: Entry) -> bytes:
    """Return a short digest of an entry without its number."""
    return hashlib.blake2b(msgspec.json.encode(_fields(entry)), digest_size=16).digest()


def _fields(entry: Entry) -> tuple[object, ...]:
    posting = entry.posting
    return (
        *(entry.at, posting.currency.value, posting.amount),
        *(posting.debit, posting.credit, posting.reason, posting.arena, posting.league),
        *(posting.source_type, posting.source_id),
    )


def head_of(entries: Iterable[Entry]) -> LedgerHead:
    """Return where a ledger ends."""
    digest = LedgerDigest()
    for entry in entries:
        digest.add(entry)
    return digest.head
