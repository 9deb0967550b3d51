"""The chain of checkpoints: each covers some entries, what accounts then held, and the one before.

Whoever has kept the hash of one checkpoint can tell whether any entry up to there was changed,
taken out, put in or moved since, from nothing but the entries and the chain.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from aiba_domain.ledger_audit.rows import Row, digest_of

NO_HASH: Final = "0" * 64
"""What the first checkpoint names as the hash of the one before."""

MARK: Final = 8
"""How many hex digits of an entry's digest a checkpoint keeps, by which the faulty one is found."""

MAX_BATCH: Final = 1_000
"""The most entries that one checkpoint covers."""

Held = Mapping[str, Mapping[str, int]]
"""What accounts hold by the first part of their names and by currency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The entries from `first` to `last`, sealed at `at` (ms, UTC).

    `moved` is the sum of their amounts by currency; `held` what all accounts held after the last of
    them, by the first part of their names, which sums to 0 in each currency. `entries` is the
    SHA-256 of the entries' digests one after another, `marks` the first digits of each. `before`
    and `hash` are the hashes of the checkpoint before and of this one.
    """

    number: int
    first: int
    last: int
    at: int
    moved: Mapping[str, int]
    held: Held
    entries: str
    marks: str
    before: str
    hash: str

    @property
    def count(self) -> int:
        """How many entries it covers."""
        return self.last - self.first + 1


class Batch:
    """Takes in entries in order until they are sealed or compared with a checkpoint."""

    def __init__(self) -> None:
        """Begin with none."""
        self.moved: dict[str, int] = {}
        self.first_at = 0
        self._digest = sha256()
        self._marks: list[str] = []
        self._numbers: list[int] = []

    @property
    def count(self) -> int:
        """How many entries were taken in."""
        return len(self._marks)

    @property
    def last(self) -> int:
        """The number of the last entry, 0 without one."""
        return self._numbers[-1] if self._numbers else 0

    def add(self, row: Row) -> None:
        """Take in the next entry."""
        if not self._marks:
            self.first_at = row.at
        digest = digest_of(row)
        self._digest.update(digest)
        self._marks.append(digest.hex()[:MARK])
        self._numbers.append(row.number)
        if type(row.amount) is int:
            self.moved[row.currency] = self.moved.get(row.currency, 0) + row.amount

    def seal(self, last: Checkpoint | None, held: Held, at: int) -> Checkpoint:
        """Return the checkpoint of the entries taken in, which are at least one."""
        first = last.last + 1 if last else 1
        made = Checkpoint(
            number=last.number + 1 if last else 1,
            first=first,
            last=first + self.count - 1,
            at=at,
            moved=dict(sorted(self.moved.items())),
            held=held,
            entries=self._digest.hexdigest(),
            marks="".join(self._marks),
            before=last.hash if last else NO_HASH,
            hash="",
        )
        return replace(made, hash=hash_of(made))

    def first_other(self, checkpoint: Checkpoint) -> int | None:
        """Return the number of the first entry that isn't the one which was sealed, None if none.

        That is one past the last where entries are missing at the end, and the first one of the
        batch where the entries differ and the marks don't tell which.
        """
        marks = checkpoint.marks
        for place, mark in enumerate(self._marks):
            if mark != marks[place * MARK : (place + 1) * MARK]:
                return checkpoint.first + place
        if self.count != checkpoint.count:
            return checkpoint.first + self.count
        is_same = self._digest.hexdigest() == checkpoint.entries
        return None if is_same and dict(self.moved) == dict(checkpoint.moved) else checkpoint.first


def hash_of(checkpoint: Checkpoint) -> str:
    """Return the hash of a checkpoint: the SHA-256 of all it says, as JSON with sorted names."""
    told = {
        "number": checkpoint.number,
        "first": checkpoint.first,
        "last": checkpoint.last,
        "at": checkpoint.at,
        "moved": dict(checkpoint.moved),
        "held": {root: dict(held) for root, held in checkpoint.held.items()},
        "entries": checkpoint.entries,
        "marks": checkpoint.marks,
        "before": checkpoint.before,
    }
    text = json.dumps(told, sort_keys=True, separators=(",", ":"))
    return sha256(text.encode("ascii")).hexdigest()


def follows(checkpoint: Checkpoint, last: Checkpoint | None) -> bool:
    """Tell whether a checkpoint is whole and comes right after `last`."""
    owed = (last.number + 1, last.last + 1, last.hash) if last else (1, 1, NO_HASH)
    return (
        (checkpoint.number, checkpoint.first, checkpoint.before) == owed
        and 1 <= checkpoint.count <= MAX_BATCH
        and checkpoint.hash == hash_of(checkpoint)
    )


def broken_link(checkpoints: Iterable[Checkpoint], last: Checkpoint | None = None) -> int | None:
    """Return the number of the first checkpoint that doesn't follow, None if all do."""
    for checkpoint in checkpoints:
        if not follows(checkpoint, last):
            return last.number + 1 if last else 1
        last = checkpoint
    return None
