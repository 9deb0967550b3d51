"""What an import asks of a source, and the digest by which a source is known again."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Final, Protocol

TRANSIENT: Final = frozenset({"actionrunkeys", "battlerunkeys"})
"""Collections whose rows the server itself deletes when their time is over."""


class SnapshotLost(Exception):  # noqa: N818 - named for what happened
    """The server doesn't keep the moment that is being read any longer."""


class RowSource(Protocol):
    """A database that is only read."""

    @property
    def is_snapshot(self) -> bool:
        """Whether all is read as it was at one moment."""
        ...

    def begin(self) -> None:
        """Begin to read one moment, where the server can. Raises Unavailable."""
        ...

    def collections(self) -> Mapping[str, int]:
        """Return the collections with how many rows each has, about. Raises Unavailable."""
        ...

    def rows(self, collection: str) -> Iterator[bytes]:
        """Yield the rows of a collection by `_id`, as their bytes.

        Raises Unavailable, and SnapshotLost where all is read as of one moment.
        """
        ...

    def release(self) -> None:
        """Read from now on what is there now."""
        ...


class Digest:
    """A digest of rows in their order, by collection."""

    def __init__(self) -> None:
        """Start with nothing."""
        self._hash = hashlib.sha256()

    def start(self, collection: str) -> None:
        """Go on with a collection."""
        self._hash.update(b"\x00" + collection.encode() + b"\x00")

    def add(self, raw: bytes) -> None:
        """Take a row in; each tells its own length."""
        self._hash.update(raw)

    def hex(self) -> str:
        """Return the digest so far."""
        return self._hash.hexdigest()


def digest_now(source: RowSource) -> str:
    """Read all rows as they are now, and return the digest of what doesn't go by itself."""
    source.release()
    digest = Digest()
    for name in sorted(source.collections()):
        if name not in TRANSIENT:
            digest.start(name)
            for raw in source.rows(name):
                digest.add(raw)
    return digest.hex()
