"""Merkle trees as in RFC 9162: what one entry needs to prove that it is among those sealed.

A leaf is hashed behind a byte 0 and an inner node behind a byte 1, so that none passes for the
other. A tree of any size is made of perfect ones, the largest first.
"""

from collections.abc import Sequence
from hashlib import sha256


def leaf_of(line: bytes) -> bytes:
    """Return the hash of a leaf."""
    return sha256(b"\0" + line).digest()


def node_of(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node."""
    return sha256(b"\1" + left + right).digest()


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root over hashes of leaves; that of none is the SHA-256 of nothing."""
    level = list(leaves) or [sha256().digest()]
    while len(level) > 1:
        level = _above(level)
    return level[0]


def path_of(leaves: Sequence[bytes], place: int) -> tuple[bytes, ...]:
    """Return the hashes beside the way from a leaf to the root, the lowest first."""
    path, level = [], list(leaves)
    while len(level) > 1:
        beside = place ^ 1
        if beside < len(level):
            path.append(level[beside])
        level, place = _above(level), place // 2
    return tuple(path)


def led_to(leaf: bytes, place: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """Return the root that a path leads to from a leaf; None if it isn't as long as it must be."""
    left = list(path)
    while size > 1:
        if place % 2 or place + 1 < size:
            if not left:
                return None
            beside = left.pop(0)
            leaf = node_of(beside, leaf) if place % 2 else node_of(leaf, beside)
        place, size = place // 2, (size + 1) // 2
    return None if left else leaf


def grown(peaks: Sequence[bytes], count: int, leaf: bytes) -> tuple[bytes, ...]:
    """Return the roots of the perfect trees over one leaf more than `count`, the largest first."""
    *rest, last = [*peaks, leaf]
    while count & 1:
        last = node_of(rest.pop(), last)
        count >>= 1
    return (*rest, last)


def sizes_of(count: int) -> list[int]:
    """Return the sizes of the perfect trees over so many leaves, the largest first."""
    return [1 << bit for bit in reversed(range(count.bit_length())) if count >> bit & 1]


def _above(level: Sequence[bytes]) -> list[bytes]:
    pairs = zip(level[::2], level[1::2], strict=False)
    above = [sha256(b"\1" + left + right).digest() for left, right in pairs]
    return [*above, level[-1]] if len(level) % 2 else above
