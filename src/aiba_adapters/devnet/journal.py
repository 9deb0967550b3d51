"""A file that grows by whole lines, each on the disk before anybody hears of what it says.

A line is eight hex digits of CRC-32, a space, and its text. The checksum covers the line's number
too, so that a line that is gone, moved or repeated is found like one that was altered.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self
from zlib import crc32

_CHECKSUM_LENGTH = 8
_OWNER_ONLY = 0o600


class JournalUnusable(Exception):  # noqa: N818 - named for the state of the journal
    """A journal can't be read or written; the text names the file, and the line if there is one."""


class JournalDamaged(JournalUnusable):
    """A line isn't what was written."""

    def __init__(self, path: Path, line: int, reason: str) -> None:
        super().__init__(f"{path}, line {line}: {reason}")


class Journal:
    """An open journal, at its end. Belongs to one process, which sees to that."""

    def __init__(self, path: Path) -> None:
        """Open a file that is there. `read` it to its end before appending to it."""
        self.path = path
        self._lines = 0
        self._failed = False
        try:
            self._file = os.open(path, os.O_RDWR | os.O_APPEND)
        except OSError as error:
            raise JournalUnusable(f"{path} can't be opened: {error.strerror}") from None

    @classmethod
    def create(cls, path: Path, texts: Sequence[bytes]) -> Self:
        """Make a journal with these lines: it is there with all of them, or not at all."""
        draft = path.with_name(f".{path.name}.draft")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNER_ONLY)
            with os.fdopen(descriptor, "wb") as file:
                file.writelines(_line(number, text) for number, text in enumerate(texts, 1))
                file.flush()
                os.fsync(descriptor)
            draft.rename(path)
            _sync_directory(path.parent)
        except OSError as error:
            raise JournalUnusable(f"{path} can't be made: {error.strerror}") from None
        journal = cls(path)
        journal._lines = len(texts)
        return journal

    def read(self) -> Iterator[tuple[int, bytes]]:
        """Yield the lines with their numbers, from 1.

        A last line without its end was never answered for: it is completed if only the end is
        missing, else cut off. Raises JournalDamaged for any other line that isn't what was written.
        """
        with self.path.open("rb") as file:
            place = 0
            for number, line in enumerate(file, 1):
                is_whole = line.endswith(b"\n")
                text = line.removesuffix(b"\n")[_CHECKSUM_LENGTH + 1 :]
                if line.removesuffix(b"\n") + b"\n" != _line(number, text):
                    if not is_whole:
                        os.ftruncate(self._file, place)
                        break
                    raise JournalDamaged(self.path, number, "it isn't what was written there")
                if not is_whole:
                    self._write(b"\n")
                self._lines = number
                yield number, text
                place += len(line)

    def append(self, text: bytes) -> None:
        """Write a line down for good. Raises JournalUnusable; the journal takes no more then."""
        self._write(_line(self._lines + 1, text))
        self._lines += 1

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _write(self, data: bytes) -> None:
        if self._failed:
            raise JournalUnusable(f"{self.path} failed before")
        try:
            while data:
                data = data[os.write(self._file, data) :]
            os.fdatasync(self._file)
        except OSError as error:
            self._failed = True
            raise JournalUnusable(f"{self.path} can't be written: {error.strerror}") from None


def _line(number: int, text: bytes) -> bytes:
    return b"%08x %b\n" % (crc32(text, crc32(b"%d " % number)), text)


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)
