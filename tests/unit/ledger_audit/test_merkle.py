"""Merkle trees: the roots of RFC 9162, and paths that lead there and nowhere else."""

from hashlib import sha256

from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.ledger_audit.merkle import (
    grown,
    leaf_of,
    led_to,
    node_of,
    path_of,
    root_of,
    sizes_of,
)

LEAVES = st.lists(st.binary(max_size=2).map(leaf_of), min_size=1, max_size=40)


def by_the_book(leaves: list[bytes]) -> bytes:
    """Compute a root as RFC 9162 defines it, 2.1.1."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = max(1 << bit for bit in range(10) if 1 << bit < len(leaves))
    return node_of(by_the_book(leaves[:k]), by_the_book(leaves[k:]))


def test_the_vectors_of_certificate_transparency() -> None:
    """The roots of the published test vectors over the first leaves."""
    lines = ("", "00", "10", "2021", "3031", "40414243")
    leaves = [leaf_of(bytes.fromhex(line)) for line in lines]
    for count, root in (
        (0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (1, "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"),
        (2, "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"),
        (3, "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"),
        (4, "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"),
        (5, "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"),
        (6, "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"),
    ):
        assert root_of(leaves[:count]).hex() == root


@given(leaves=LEAVES, data=st.data())
def test_a_path_leads_from_its_leaf_to_the_root(leaves: list[bytes], data: st.DataObject) -> None:
    """And from no other leaf, from no other place with another leaf, nor cut or made longer."""
    root = root_of(leaves)
    assert root == by_the_book(leaves)
    place = data.draw(st.integers(0, len(leaves) - 1))
    path = path_of(leaves, place)
    assert led_to(leaves[place], place, len(leaves), path) == root
    other = data.draw(st.integers(0, len(leaves) - 1))
    if leaves[other] != leaves[place]:
        assert led_to(leaves[other], place, len(leaves), path) != root
        assert led_to(leaves[place], other, len(leaves), path) != root
    assert led_to(leaves[place], place, len(leaves), (*path, root)) is None
    if path:
        assert led_to(leaves[place], place, len(leaves), path[:-1]) is None


@given(leaves=LEAVES)
def test_perfect_trees_grow_leaf_by_leaf(leaves: list[bytes]) -> None:
    """Their roots are those over the leaves cut into perfect trees, the largest first."""
    peaks: tuple[bytes, ...] = ()
    for count, leaf in enumerate(leaves):
        peaks = grown(peaks, count, leaf)
    sizes = sizes_of(len(leaves))
    assert sum(sizes) == len(leaves)
    starts = [sum(sizes[:place]) for place in range(len(sizes))]
    trees = [leaves[start : start + size] for start, size in zip(starts, sizes, strict=True)]
    assert peaks == tuple(map(by_the_book, trees))
