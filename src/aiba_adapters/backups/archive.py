"""A backup as a folder: written aside and renamed when whole, never over another; and checked."""

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from aiba_adapters.backups import manifest as manifests
from aiba_adapters.backups.manifest import FileFacts, Manifest
from aiba_adapters.backups.ports import Backups, Dumps, Tell

_CHUNK: Final = 1024 * 1024
_DRAFT: Final = ".draft"
_OWNER_ONLY: Final = 0o700
_OWNER_S_FILE: Final = 0o600


class BackupExists(Exception):  # noqa: N818 - named for the state of the target
    """There is something at the target already; nothing is written over it."""


class BackupRefused(Exception):  # noqa: N818 - a refusal
    """A folder isn't a backup that can be put back; `problems` names all that is wrong."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


async def take(backups: Dumps, target: Path, *, tell: Tell) -> Manifest:
    """Take a backup into the new folder `target`, which is there whole or not at all.

    What an earlier attempt at the same target left is swept away. Raises BackupExists,
    Unavailable, and OSError.
    """
    with _draft(target) as folder:
        snapshot = await backups.dump(folder, tell=tell)
        names = sorted(each.name for each in folder.iterdir())
        manifest = Manifest(
            store=backups.kind,
            schema=snapshot.schema,
            taken_at=snapshot.taken_at,
            rows=snapshot.rows,
            ledger=snapshot.ledger,
            files={name: _facts(folder / name, tell) for name in names},
        )
        with (folder / manifests.NAME).open("x", encoding="utf-8") as file:
            file.write(manifests.write(manifest))
            file.flush()
            os.fsync(file.fileno())
        sync_folder(folder)
        try:
            folder.rename(target)
        except OSError as error:
            raise BackupExists(f"{target} can't be made: {error.strerror}") from error
    sync_folder(target.parent)
    return manifest


def check(source: Path, backups: Backups, *, tell: Tell) -> Manifest:
    """Return the manifest of a backup of which every byte is as it was written.

    Raises BackupRefused for one that is damaged, of another kind of store, or of a newer schema.
    """
    manifest = manifest_of(source)
    if manifest.store != backups.kind:
        raise BackupRefused((f"it is of a {manifest.store} store, this one is {backups.kind}",))
    if manifest.schema > backups.newest_schema:
        newest = backups.newest_schema
        raise BackupRefused(
            (f"its schema version is {manifest.schema}, this build knows up to {newest}",)
        )
    problems = []
    for name, facts in manifest.files.items():
        try:
            found = _facts(source / name, tell)
        except OSError as error:
            problems.append(f"{name} can't be read: {error.strerror}")
            continue
        if found.size != facts.size:
            problems.append(f"{name} has {found.size} bytes, the manifest says {facts.size}")
        elif found != facts:
            problems.append(f"{name} is damaged: its SHA-256 is {found.sha256}, not {facts.sha256}")
    if problems:
        raise BackupRefused(tuple(problems))
    return manifest


def manifest_of(source: Path) -> Manifest:
    """Read a backup's manifest, of any kind of store. Raises BackupRefused."""
    try:
        return manifests.read((source / manifests.NAME).read_bytes())
    except FileNotFoundError:
        raise BackupRefused((f"{source} is no backup: it has no {manifests.NAME}",)) from None
    except OSError as error:
        raise BackupRefused((f"{manifests.NAME} can't be read: {error.strerror}",)) from None
    except manifests.ManifestFaulty as error:
        raise BackupRefused((f"{manifests.NAME} {error}",)) from None


def copy(source: Path, target: Path, *, tell: Tell) -> FileFacts:
    """Copy a file durably, for its owner alone, and return the facts of what was copied."""
    digest, done, size = hashlib.sha256(), 0, source.stat().st_size
    made = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, _OWNER_S_FILE)
    with os.fdopen(made, "wb") as writing, source.open("rb") as reading:
        while chunk := reading.read(_CHUNK):
            digest.update(chunk)
            writing.write(chunk)
            done += len(chunk)
            tell("copy", done, max(size, done))
        writing.flush()
        os.fsync(writing.fileno())
    return FileFacts(size=done, sha256=digest.hexdigest())


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _facts(path: Path, tell: Tell) -> FileFacts:
    digest, done, size = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
            done += len(chunk)
            tell("hash", done, max(size, done))
    return FileFacts(size=done, sha256=digest.hexdigest())


@contextlib.contextmanager
def _draft(target: Path) -> Iterator[Path]:
    """Give a folder beside the target to write into; it is gone afterwards unless renamed.

    A lock on it tells it from one that a killed process has left.
    """
    if os.path.lexists(target):
        raise BackupExists(f"{target} is there already; a backup never replaces anything")
    target.parent.mkdir(parents=True, exist_ok=True)
    for left in target.parent.glob(f".{target.name}.*{_DRAFT}"):
        with contextlib.suppress(OSError), _locked(left):  # one that is being written stays
            shutil.rmtree(left)
    folder = target.with_name(f".{target.name}.{secrets.token_hex(8)}{_DRAFT}")
    folder.mkdir(mode=_OWNER_ONLY)
    with _locked(folder):
        try:
            yield folder
        finally:
            if folder.exists():
                shutil.rmtree(folder)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
