"""The chain of checkpoints: each covers some entries, what accounts then held, and those before.

Whoever has kept the hash of one checkpoint can tell whether any entry up to there was changed,
taken out, put in or moved since, from nothing but the entries and the chain; and whether one entry
is among them, from that entry and some thirty hashes (`proofs`).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from aiba_domain.ledger_audit.balances import seal_of
from aiba_domain.ledger_audit.merkle import grown, leaf_of, root_of
from aiba_domain.ledger_audit.rows import Row, line_of

NO_HASH: Final = "0" * 64
"""What the first checkpoint names as the hash of the one before."""

MARK: Final = 8
"""How many hex digits of an entry's leaf a checkpoint keeps, by which the faulty one is found."""

MAX_BATCH: Final = 1_000
"""The most entries that one checkpoint covers."""

_NO_TREE: Final = "none"
"""The root over what isn't a chain, which no checkpoint names."""

Held = Mapping[str, Mapping[str, int]]
"""What accounts hold by the first part of their names and by currency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """The entries from `first` to `last`, sealed at `at` (ms, UTC).

    `moved` is the sum of their amounts by currency; `held` what all accounts held after the last of
    them, by the first part of their names, which sums to 0 in each currency; `balances` the seal of
    each account's balance then. `entries` is the root of the Merkle tree over them. `before` and
    `hash` are the hashes of the checkpoint before and of this one; `trees` are the roots of the
    perfect Merkle trees over all hashes before, the largest first.

    `marks`, the first digits of each leaf, and `place`, where the store finds the first entry, only
    help to find things and aren't covered by `hash`: what they lead to is.
    """

    number: int
    first: int
    last: int
    at: int
    moved: Mapping[str, int]
    held: Held
    balances: str
    entries: str
    trees: tuple[str, ...]
    before: str
    hash: str
    marks: str
    place: str

    @property
    def count(self) -> int:
        """How many entries it covers."""
        return self.last - self.first + 1


def unreadable(number: int) -> Checkpoint:
    """Return what stands for a checkpoint that a store can't read: it seals nothing."""
    return Checkpoint(
        number=number,
        first=0,
        last=-1,
        at=0,
        moved={},
        held={},
        balances="",
        entries="",
        trees=(),
        before="",
        hash="",
        marks="",
        place="",
    )


class Batch:
    """Takes in entries in order until they are sealed or compared with a checkpoint.

    `place` is where the store finds the first of them.
    """

    def __init__(self, place: str = "") -> None:
        """Begin with none."""
        self.place = place
        self.moved: dict[str, int] = {}
        self.first_at = 0
        self._leaves: list[bytes] = []

    @property
    def count(self) -> int:
        """How many entries were taken in."""
        return len(self._leaves)

    @property
    def entries(self) -> str:
        """The root of the Merkle tree over them."""
        return root_of(self._leaves).hex()

    @property
    def marks(self) -> str:
        """The first digits of each leaf."""
        return "".join(leaf.hex()[:MARK] for leaf in self._leaves)

    def add(self, rows: Sequence[Row]) -> None:
        """Take in the next entries."""
        if not self._leaves and rows:
            self.first_at = rows[0].at if type(rows[0].at) is int else 0
        self._leaves += [leaf_of(line_of(row)) for row in rows]
        moved = self.moved
        for row in rows:
            if type(row.amount) is int and type(row.currency) is str:
                moved[row.currency] = moved.get(row.currency, 0) + row.amount

    def seal(self, last: Checkpoint | None, held: Held, total: int, at: int) -> Checkpoint:
        """Return the checkpoint of the entries taken in, which are at least one.

        `total` is the sum over all accounts' balances after the last of them.
        """
        first = last.last + 1 if last else 1
        made = Checkpoint(
            number=last.number + 1 if last else 1,
            first=first,
            last=first + self.count - 1,
            at=at,
            moved=dict(sorted(self.moved.items())),
            held=held,
            balances=seal_of(total),
            entries=self.entries,
            trees=trees_after(last),
            before=last.hash if last else NO_HASH,
            hash="",
            marks=self.marks,
            place=self.place,
        )
        return replace(made, hash=hash_of(made))

    def first_other(self, checkpoint: Checkpoint) -> int | None:
        """Return the number of the first entry that isn't the one which was sealed, None if none.

        That is one past the last where entries are missing at the end, and the first one of the
        batch where the entries differ and the marks don't tell which.
        """
        marks = checkpoint.marks
        for place, leaf in enumerate(self._leaves):
            if leaf.hex()[:MARK] != marks[place * MARK : (place + 1) * MARK]:
                return checkpoint.first + place
        if self.count != checkpoint.count:
            return checkpoint.first + self.count
        is_same = self.entries == checkpoint.entries and len(marks) == MARK * self.count
        return None if is_same and self.moved == dict(checkpoint.moved) else checkpoint.first


def trees_after(last: Checkpoint | None) -> tuple[str, ...]:
    """Return the roots over the hashes of all checkpoints up to one."""
    if last is None:
        return ()
    before = last.number - 1
    if before < 0 or len(last.trees) != before.bit_count():
        return (_NO_TREE,)
    try:
        peaks = [bytes.fromhex(each) for each in last.trees]
        leaf = leaf_of(bytes.fromhex(last.hash))
    except ValueError:
        return (_NO_TREE,)
    return tuple(each.hex() for each in grown(peaks, before, leaf))


def hash_of(checkpoint: Checkpoint) -> str:
    """Return the hash of a checkpoint: the SHA-256 of what it seals."""
    return sha256(sealed_text(checkpoint).encode("ascii")).hexdigest()


def sealed_text(checkpoint: Checkpoint) -> str:
    """Return what a checkpoint's hash covers, as JSON in ASCII with sorted names, no spaces."""
    return json.dumps(sealed_part(checkpoint), sort_keys=True, separators=(",", ":"))


def sealed_part(checkpoint: Checkpoint) -> dict[str, object]:
    """Return what a checkpoint's hash covers, by name."""
    return {
        "number": checkpoint.number,
        "first": checkpoint.first,
        "last": checkpoint.last,
        "at": checkpoint.at,
        "moved": dict(checkpoint.moved),
        "held": {root: dict(held) for root, held in checkpoint.held.items()},
        "balances": checkpoint.balances,
        "entries": checkpoint.entries,
        "trees": list(checkpoint.trees),
        "before": checkpoint.before,
    }


def follows(checkpoint: Checkpoint, last: Checkpoint | None) -> bool:
    """Tell whether a checkpoint is whole and comes right after `last`."""
    owed = (last.number + 1, last.last + 1, last.hash) if last else (1, 1, NO_HASH)
    return (
        (checkpoint.number, checkpoint.first, checkpoint.before) == owed
        and 1 <= checkpoint.count <= MAX_BATCH
        and checkpoint.hash == hash_of(checkpoint)
        and checkpoint.trees == trees_after(last)
    )


def broken_link(checkpoints: Iterable[Checkpoint], last: Checkpoint | None = None) -> int | None:
    """Return the number of the first checkpoint that doesn't follow, None if all do."""
    for checkpoint in checkpoints:
        if not follows(checkpoint, last):
            return last.number + 1 if last else 1
        last = checkpoint
    return None
