"""Proofs that entries are among those that a checkpoint sealed, and it among those of the newest.

Whoever has kept the hash of the newest needs nothing else to check one, and no other entries: some
ten hashes lead from an entry to its checkpoint's `entries`, and one for each doubling of the chain
from that checkpoint's hash to one of the newest's `trees`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from aiba_domain.ledger_audit.chain import Checkpoint
from aiba_domain.ledger_audit.merkle import leaf_of, node_of, path_of, sizes_of
from aiba_domain.ledger_audit.rows import Row, line_of


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryProof:
    """An entry as the bytes that are hashed, its place in the checkpoint from 0, and its path."""

    line: str
    place: int
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerProof:
    """The entries of an account in a checkpoint, each with its proof, and the checkpoint's own.

    `history` leads from the checkpoint's hash to the tree of `head` that it is in; it is empty if
    the checkpoint is the head. `older` is the number of the one before with entries of the account.
    """

    checkpoint: Checkpoint
    entries: tuple[EntryProof, ...]
    history: tuple[str, ...]
    head: Checkpoint
    older: int | None


def prove_entries(rows: Sequence[Row], account: str) -> tuple[EntryProof, ...]:
    """Return those of a checkpoint's entries that are from or to an account, with their paths."""
    lines = [line_of(row) for row in rows]
    leaves = [leaf_of(line) for line in lines]
    return tuple(
        EntryProof(
            line=lines[place].decode("ascii"),
            place=place,
            path=tuple(each.hex() for each in path_of(leaves, place)),
        )
        for place, row in enumerate(rows)
        if account in (row.debit, row.credit)
    )


def steps_of(number: int, head: Checkpoint) -> list[int]:
    """Return the numbers of the checkpoints that `history_of` needs, in order.

    A perfect tree that ends with a checkpoint is made of that one's hash and of its `trees`, so
    there is one for each hash of the path.
    """
    if number >= head.number:
        return []
    start, size = _tree_with(number, head)
    place = number - 1 - start
    return [start + (((place >> level) ^ 1) + 1 << level) for level in range(size.bit_length() - 1)]


def history_of(steps: Sequence[Checkpoint]) -> tuple[str, ...]:
    """Return the path from a checkpoint's hash to one of the head's trees.

    Raises LookupError or ValueError if one of the steps isn't as it was sealed.
    """
    return tuple(_tree_ending_with(each, level) for level, each in enumerate(steps))


def _tree_with(number: int, head: Checkpoint) -> tuple[int, int]:
    """Return how many checkpoints are before the head's tree that one is in, and its size."""
    start = 0
    for size in sizes_of(head.number - 1):
        if number <= start + size:
            return start, size
        start += size
    return start, 1


def _tree_ending_with(checkpoint: Checkpoint, level: int) -> str:
    """Return the root of the perfect tree over 2^level checkpoints up to one."""
    peaks = [bytes.fromhex(each) for each in checkpoint.trees]
    root = leaf_of(bytes.fromhex(checkpoint.hash))
    for _ in range(level):
        if not peaks:
            msg = f"checkpoint {checkpoint.number} isn't as it was sealed"
            raise LookupError(msg)
        root = node_of(peaks.pop(), root)
    return root.hex()
