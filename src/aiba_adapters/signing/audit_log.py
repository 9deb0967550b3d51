"""The log's file: only appended to, durable before anything leaves, and read back from its end.

It lies apart from the store, so it outlives a store that is put back from a backup: a store that
knows fewer entries than its log was restored. Writers of several processes take turns by a lock on
the file.
"""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiba_domain.signing.trail import (
    MAX_LINE,
    SIGNED_KINDS,
    START,
    TrailBroken,
    key_of,
    read_line,
)


class LogMissing(Exception):  # noqa: N818 - named for the state of the file
    """There is no log where it should be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The last entry of a log: its number and hash; 0 for a log without entries."""

    number: int = 0
    head: bytes = START


_MODE: Final = 0o600
_BLOCK: Final = 1_048_576
_NAMES_KEY: Final = tuple(f'"kind":"{kind.value}"'.encode() for kind in SIGNED_KINDS)


class AuditLog:
    """The file, open for appending. Not for several threads at once."""

    def __init__(self, path: Path) -> None:
        """Open a log that exists, or raise LogMissing."""
        try:
            self._file = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        except FileNotFoundError:
            raise LogMissing(f"there is no audit log at {path}") from None
        self._known: tuple[int, Tail] | None = None

    @classmethod
    def create(cls, path: Path) -> "AuditLog":
        """Make a new log; raises FileExistsError rather than touch one that exists."""
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE))
        sync_folder(path.parent)
        return cls(path)

    @contextmanager
    def held(self) -> Iterator[Tail]:
        """Hold the file against every other writer, and give its last entry.

        Raises TrailBroken if its end is no entry.
        """
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            yield self._tail()
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def append(self, lines: Sequence[bytes], tail: Tail) -> None:
        """Write lines, the last of which is `tail`, and sync the file; only while it is held.

        Syncs also without lines: another process may have written them and died before its sync.
        """
        data = b"".join(line + b"\n" for line in lines)
        self._known = None
        written = 0
        while written < len(data):
            written += os.write(self._file, data[written:])
        os.fdatasync(self._file)
        self._known = (os.fstat(self._file).st_size, tail)

    def key(self) -> bytes | None:
        """Return the key that signs the log at its end, None if nothing was ever signed.

        Looks from the end back to the last entry that names one. Raises TrailBroken.
        """
        end = os.fstat(self._file).st_size
        while end > 0:
            start = max(0, end - _BLOCK)
            # It reaches into the block behind, where a line may go on.
            block = os.pread(self._file, end - start + MAX_LINE, start)
            found = max(block.rfind(mark) for mark in _NAMES_KEY)
            if found >= 0:
                return key_of(read_line(self._line_around(start + found))[0])
            end = start
        return None

    def _line_around(self, place: int) -> bytes:
        start = max(0, place - MAX_LINE)
        around = os.pread(self._file, 2 * MAX_LINE, start)
        first = around.rfind(b"\n", 0, place - start) + 1
        return around[first:].partition(b"\n")[0]

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _tail(self) -> Tail:
        size = os.fstat(self._file).st_size
        if self._known is not None and self._known[0] == size:
            return self._known[1]
        ending = os.pread(self._file, 2 * MAX_LINE, max(0, size - 2 * MAX_LINE))
        whole, _, torn = ending.rpartition(b"\n")
        if torn:
            # A writer died amid a line. It was never relied on: its entry is still in the store.
            if not whole and size > MAX_LINE:
                raise TrailBroken("the end of the log is no entry")
            os.ftruncate(self._file, size - len(torn))
            size -= len(torn)
        tail = Tail()
        if whole:
            entry, digest = read_line(whole.rpartition(b"\n")[2])
            tail = Tail(number=entry.number, head=digest)
        self._known = (size, tail)
        return tail


def sync_folder(folder: Path) -> None:
    """Make a new name in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def log_lines(path: Path) -> Iterator[bytes]:
    """Yield the lines of a log with their ends, none longer than an entry can be."""
    with path.open("rb") as file:
        while line := file.readline(MAX_LINE + 1):
            yield line
