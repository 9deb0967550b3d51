"""Backups of the embedded store: SQLite's online backup inside one read transaction.

The transaction pins one committed state, and in WAL mode readers and the writer don't wait for
each other: a server commits as ever while its store is copied, and its log grows meanwhile.
"""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote

from aiba_adapters.backups.archive import BackupRefused, copy, sync_folder
from aiba_adapters.backups.manifest import Manifest, head_of
from aiba_adapters.backups.ports import PlaceInUse, PlaceOccupied, Snapshot, Tell
from aiba_adapters.sqlite import SqliteStore, presence
from aiba_adapters.sqlite.schema import STEPS
from aiba_adapters.sqlite.unit_of_work import SqliteUnitOfWork
from aiba_adapters.steps import SchemaTooNew
from aiba_domain.outage import Unavailable
from aiba_domain.ports import Entry, Store

FILE: Final = "aiba.db"
"""The one file of such a backup beside its manifest."""

IGNORED: Final = ("dev-secrets.json",)
"""What may be in a data directory that counts as empty: no backup holds a secret."""

_HEADER: Final = b"SQLite format 3\0"
_COMPANIONS: Final = ("-wal", "-shm", "-journal")
_PAGES: Final = 1_000
_TELL_EVERY: Final = 20_000


class SqliteBackups:
    """The backups of the database at a path; `now` gives the instant in ms, UTC."""

    kind = "sqlite"
    can_replace = True
    is_numbered_by_commit = True

    def __init__(self, path: Path, *, now: Callable[[], int], is_scratch: bool = False) -> None:
        """Work for the database at `path`, which need not be there."""
        self._is_scratch = is_scratch
        self._path = path
        self._draft = path.with_name(f".{path.name}.restoring")
        self._now = now

    @property
    def newest_schema(self) -> int:
        """The newest schema version that this build knows."""
        return len(STEPS)

    async def schema(self) -> int | None:
        """Return the schema version of the database, None where there is none."""
        if not self._path.exists():
            return None
        with self._reading() as connection:
            return _schema(connection)

    async def dump(self, folder: Path, *, tell: Tell) -> Snapshot:
        """Copy one committed state into a folder, checked by SQLite and counted."""
        copied = folder / FILE
        with self._reading() as source, contextlib.closing(sqlite3.connect(copied)) as target:
            target.execute("PRAGMA journal_mode = OFF")
            target.execute("PRAGMA synchronous = OFF")
            # The instant comes before the state is pinned, so all that was durable then is in it.
            taken_at = self._now()
            source.execute("BEGIN")
            _schema(source)

            def progress(_status: int, remaining: int, total: int) -> None:
                tell("copy", total - remaining, total)

            source.backup(target, pages=_PAGES, progress=progress)
        # The copy says that it has a log, which it hasn't: it is whole as it is.
        with copied.open("rb+") as file:
            os.fsync(file.fileno())
        with _copy_at(copied) as connection:
            faults = _faults(connection)
            if faults:
                raise Unavailable(f"{self._path} is damaged: {'; '.join(faults)}")
            rows = _rows(connection)
            entries = _told(SqliteUnitOfWork(connection).entries(), rows["entries"], tell)
            return Snapshot(
                schema=_schema(connection), taken_at=taken_at, rows=rows, ledger=head_of(entries)
            )

    async def occupied(self) -> Sequence[str]:
        """Name what is in the directory of the database, but for secrets and drafts."""
        if not self._path.parent.exists():
            return ()
        names = sorted(each.name for each in self._path.parent.iterdir())
        return [name for name in names if name not in (*IGNORED, self._draft.name)]

    async def load(
        self, folder: Path, manifest: Manifest, *, replace: bool, tell: Tell
    ) -> str | None:
        """Put the database of a checked backup at the path by one rename.

        The one that was there is kept beside it.
        """
        directory = self._path.parent
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._alone(directory):
            there = await self.occupied()
            if there and not replace:
                raise PlaceOccupied(f"{directory} isn't empty: {', '.join(there)}")
            try:
                copied = copy(folder / FILE, self._draft, tell=tell)
                if copied != manifest.files.get(FILE):
                    raise BackupRefused((f"{FILE} has changed since it was checked",))
                kept = self._put_aside()
                self._draft.replace(self._path)
            finally:
                self._draft.unlink(missing_ok=True)
            sync_folder(directory)
        return None if kept is None else str(kept)

    def scratch(self, folder: Path) -> "SqliteBackups":
        """Return the same for a database in a folder of its own."""
        return SqliteBackups(folder / FILE, now=self._now, is_scratch=True)

    async def discard(self) -> None:
        """Remove the folder of a throw-away database."""
        if self._is_scratch:
            shutil.rmtree(self._path.parent, ignore_errors=True)

    async def faults(self) -> Sequence[str]:
        """Say what SQLite finds wrong with the file."""
        with self._reading() as connection:
            return _faults(connection)

    async def rows(self) -> Mapping[str, int]:
        """Count the rows by table."""
        with self._reading() as connection:
            connection.execute("BEGIN")
            return _rows(connection)

    async def open(self) -> Store:
        """Open the store that is there."""
        try:
            return SqliteStore(self._path)
        except (sqlite3.Error, SchemaTooNew) as error:
            raise Unavailable(f"{self._path} can't be opened: {error}") from error

    def _put_aside(self) -> Path | None:
        """Keep what is there under another name, with all that its log held; return the name.

        The database itself stays where it is until another takes its place: whenever this is
        killed, the old store is there and whole.
        """
        for left in self._path.parent.glob(f"{self._path.name}.replaced-*"):
            # A restore that was killed here has left a second name of the same file.
            if self._path.exists() and left.samefile(self._path):
                left.unlink()
        companions = [self._path.with_name(self._path.name + end) for end in _COMPANIONS]
        if self._path.exists():
            self._fold()
        elif not any(each.exists() for each in companions):
            return None
        kept = self._unused_name()
        if self._path.exists():
            kept.hardlink_to(self._path)
        for end, companion in zip(_COMPANIONS, companions, strict=True):
            if companion.exists():  # only where it couldn't be folded in, as it was damaged
                companion.rename(kept.with_name(kept.name + end))
        return kept

    def _unused_name(self) -> Path:
        at = self._now()
        while True:
            kept = self._path.with_name(f"{self._path.name}.replaced-{at}")
            if not kept.exists():
                return kept
            at += 1

    def _fold(self) -> None:
        """Bring a database's log into its one file, unless the file can't be read any more."""
        with self._path.open("rb") as file:
            if file.read(len(_HEADER)) != _HEADER:
                return
        with contextlib.closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            try:
                connection.execute("PRAGMA journal_mode = DELETE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                    raise self._in_use() from error
                raise
            except sqlite3.DatabaseError:
                return

    @contextlib.contextmanager
    def _alone(self, directory: Path) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(presence.alone(directory))
            except BlockingIOError:
                raise self._in_use() from None
            yield

    def _in_use(self) -> PlaceInUse:
        return PlaceInUse(f"{self._path} is in use: stop what works on it first")

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection that makes no database; raises Unavailable where none can be read."""
        if not self._path.exists():
            raise Unavailable(f"{self._path} is not there")
        try:
            with contextlib.closing(
                sqlite3.connect(f"{_uri(self._path)}?mode=rw", uri=True, isolation_level=None)
            ) as connection:
                _schema(connection)
                yield connection
        except sqlite3.Error as error:
            raise Unavailable(f"{self._path} can't be read: {error}") from error


@contextlib.contextmanager
def _copy_at(path: Path) -> Iterator[sqlite3.Connection]:
    """Give a connection to a copy that nobody changes; it makes no file beside it."""
    uri = f"{_uri(path)}?mode=ro&immutable=1"
    with contextlib.closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
        yield connection


def _uri(path: Path) -> str:
    return f"file:{quote(str(path.absolute()))}"


def _schema(connection: sqlite3.Connection) -> int:
    """Return the schema version, 0 for a database without this store's tables."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    query = "SELECT count(*) FROM sqlite_master WHERE name IN ('entries', 'accounts', 'answers')"
    return version if connection.execute(query).fetchone()[0] else 0


def _faults(connection: sqlite3.Connection) -> list[str]:
    try:
        found = [text for (text,) in connection.execute("PRAGMA integrity_check(10)")]
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return [] if found == ["ok"] else found


def _rows(connection: sqlite3.Connection) -> dict[str, int]:
    names = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    ).fetchall()
    return {
        name: connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0]  # noqa: S608 - the schema's own names
        for (name,) in sorted(names)
    }


def _told(entries: Iterable[Entry], total: int, tell: Tell) -> Iterator[Entry]:
    for done, entry in enumerate(entries, start=1):
        if done % _TELL_EVERY == 0 or done == total:
            tell("ledger", done, total)
        yield entry
