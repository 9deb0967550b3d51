"""One secret's files: the one in use, the next one, and the one before, moved by single renames.

The file in use is there and whole at every moment. Whatever a death leaves behind is known again by
what is in the files, and the same step goes on from there.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Final

from aiba_entry.overlap import NEXT, PREVIOUS
from aiba_entry.variables import read_secret_file, trimmed

_MODE: Final = 0o600


class Stage(StrEnum):
    """How far a change has come."""

    STEADY = "steady"
    """There is the one in use alone."""
    ANNOUNCED = "announced"
    """The next one is there too, and nothing is made with it."""
    IN_USE = "in use"
    """The new one is in use, and the one before is there too."""
    TAKING = "taking into use"
    """A death came between the two renames that bring the next one into use."""
    RETURNING = "returning"
    """A death came between the two renames that bring the one before back."""


class ShelfFault(Exception):  # noqa: N818 - named for the state of the files
    """The files can't be used, or a step doesn't follow from where they are; shows no secret."""


class Shelf:
    """The files of one secret: `path`, and beside it those with `_NEXT` and `_PREVIOUS` behind.

    A file that is named in small letters has `-next` and `-previous` instead.
    """

    def __init__(self, path: Path) -> None:
        """Keep the one in use at `path`."""
        self.path = path
        self.next = path.with_name(path.name + _spelled(NEXT, path.name))
        self.previous = path.with_name(path.name + _spelled(PREVIOUS, path.name))

    @property
    def stage(self) -> Stage:
        """Return how far a change has come. Raises ShelfFault where nothing led to these files."""
        used = self.value(self.path)
        after = self.value(self.next) if self.next.exists() else None
        before = self.value(self.previous) if self.previous.exists() else None
        if after is None:
            return Stage.STEADY if before in (None, used) else Stage.IN_USE
        if before is None and after != used:
            return Stage.ANNOUNCED
        if before == used and after != used:
            return Stage.TAKING
        if after == used and before not in (None, used):
            return Stage.RETURNING
        names = f"{self.path.name}, {self.next.name}, {self.previous.name}"
        raise ShelfFault(f"no change ends with these files: {names}")

    def value(self, path: Path) -> str:
        """Return what a file holds. Raises ShelfFault if it can't be read or is empty."""
        try:
            text = trimmed(read_secret_file(str(path)).text)
        except (OSError, ValueError):
            raise ShelfFault(f"{path.name} can't be read as UTF-8 text") from None
        if not text:
            raise ShelfFault(f"{path.name} is empty")
        return text

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep others from changing secrets in this directory at the same time."""
        try:
            descriptor = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise ShelfFault(f"{self.path.parent.name}: {error.strerror}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for draft in self.path.parent.glob(f".{self.path.name}.*.draft"):
                draft.unlink()
            yield
        except BlockingIOError:
            raise ShelfFault("somebody else is changing secrets in this directory") from None
        except OSError as error:
            raise ShelfFault(f"{self.path.name}: {error.strerror}") from None
        finally:
            os.close(descriptor)

    def create(self, value: str) -> None:
        """Put the first one there. Raises ShelfFault if there is one already."""
        try:
            self._add(self.path, value)
        except FileExistsError:
            raise ShelfFault(f"{self.path.name} is there already; it isn't overwritten") from None

    def announce(self, value: str) -> None:
        """Put the next one beside the one in use."""
        self._add(self.next, value)

    def take(self) -> None:
        """Bring the next one into use, and keep the one before; goes on after a death."""
        if not self.previous.exists():
            self.previous.hardlink_to(self.path)
            self._settle()
        self.next.replace(self.path)
        self._settle()

    def put_back(self) -> None:
        """Bring the one before back into use, with the newer one as the next; goes on too."""
        if not self.next.exists():
            self.next.hardlink_to(self.path)
            self._settle()
        self.previous.replace(self.path)
        self._settle()

    def replace(self, value: str, *, keep: bool) -> None:
        """Put another one into use at once; `keep` says whether the one before stays there."""
        draft = self._draft(value)
        if keep and not self.previous.exists():
            self.previous.hardlink_to(self.path)
            self._settle()
        draft.replace(self.path)
        self._settle()

    def restore(self) -> None:
        """Bring the one before back into use at once; the newer one is gone."""
        self.previous.replace(self.path)
        self._settle()

    def drop(self, path: Path) -> None:
        """Take the next one, or the one before, away."""
        path.unlink(missing_ok=True)
        self._settle()

    def _add(self, path: Path, value: str) -> None:
        draft = self._draft(value)
        try:
            # A link never replaces what is there.
            path.hardlink_to(draft)
        finally:
            draft.unlink()
        self._settle()

    def _draft(self, value: str) -> Path:
        """Write a value into a file of its owner alone, or of whoever may read the one in use."""
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(8)}.draft")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(f"{value}\n")
                file.flush()
                if self.path.exists():
                    like = self.path.stat()
                    os.fchown(descriptor, like.st_uid, like.st_gid)
                    os.fchmod(descriptor, like.st_mode & 0o770)
                os.fsync(descriptor)
        except BaseException:
            draft.unlink()
            raise
        return draft

    def _settle(self) -> None:
        """Wait until the directory's change is on the disk."""
        descriptor = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def file_in(folder: Path, name: str, *, small: bool = False) -> Path:
    """Return where a directory keeps a secret: under its name, or that in small letters.

    Where it keeps none yet, `small` says which.
    """
    known = [path for path in (folder / _small(name), folder / name) if path.exists()]
    return known[0] if known else folder / (_small(name) if small else name)


def _small(name: str) -> str:
    return name.lower().replace("_", "-")


def _spelled(ending: str, name: str) -> str:
    return _small(ending) if name.islower() else ending
