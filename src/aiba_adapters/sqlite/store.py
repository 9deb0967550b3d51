"""The store on SQLite: WAL, full sync, one writer, and one commit for all who wait for one.

Units of work run one after another inside a transaction that is committed in a thread, so that the
event loop goes on while the disk syncs. Whoever arrives meanwhile shares the next commit.

A unit that fails takes nothing with it. Few do, and fewer after they have written, so only then is
the batch undone and run again with a savepoint for each: a savepoint copies every page it changes.
"""

import asyncio
import contextlib
import os
import sqlite3
import time
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from aiba_adapters.sqlite import presence
from aiba_adapters.sqlite.schema import migrate
from aiba_adapters.sqlite.unit_of_work import SqliteUnitOfWork
from aiba_domain.errors import InvariantViolation
from aiba_domain.ports import Reader, Unavailable, UnitOfWork

T = TypeVar("T")

_BUSY_TIMEOUT_MS: Final = 10_000
_OWNER_S_FILE: Final = 0o600
_OWNER_S_FOLDER: Final = 0o700
_RETRY_MS: Final = 10
_PRIMARY_CODE: Final = 0xFF
_MAX_BATCH: Final = 128
_STATEMENTS: Final = 256
# The indexes on ids are hit all over, and they are what grows with the ledger: about 80 MiB for a
# million entries. Memory is taken as it fills.
_WRITER_CACHE_KIB: Final = 96 * 1024
_READER_CACHE_KIB: Final = 8 * 1024


def connect(path: Path) -> sqlite3.Connection:
    """Open the database with the settings that make a commit durable.

    A new file is its owner's alone, and so are those that SQLite makes beside it.
    """
    with contextlib.suppress(OSError):  # it is there, or SQLite says what is wrong
        path.touch(mode=_OWNER_S_FILE, exist_ok=False)
    connection = sqlite3.connect(
        path,
        timeout=_BUSY_TIMEOUT_MS / 1_000,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_STATEMENTS,
    )
    _write_ahead(connection)
    connection.execute("PRAGMA synchronous = FULL")
    # In pages: hot ones come together in the log, and the stop for copying it back comes rarer.
    connection.execute("PRAGMA wal_autocheckpoint = 4000")
    connection.execute(f"PRAGMA cache_size = -{_READER_CACHE_KIB}")
    # Without this a REPLACE would get past the triggers that keep the ledger and the answers.
    connection.execute("PRAGMA recursive_triggers = ON")
    return connection


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Turn the write-ahead log on; SQLite itself doesn't wait for a lock to change the mode."""
    for _ in range(_BUSY_TIMEOUT_MS // _RETRY_MS):
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & _PRIMARY_CODE != sqlite3.SQLITE_BUSY:
                raise
            time.sleep(_RETRY_MS / 1_000)
        else:
            return
    connection.execute("PRAGMA journal_mode = WAL")


class _Job:
    """A unit of work that waits for its turn, and the future of whoever waits for it."""

    __slots__ = ("done", "failure", "result", "work")

    def __init__(
        self, work: Callable[[UnitOfWork], Awaitable[Any]], done: "asyncio.Future[Any]"
    ) -> None:
        self.work = work
        self.done = done
        self.result: Any = None
        self.failure: BaseException | None = None

    def settle(self) -> None:
        """Tell the one who waits, unless it went away."""
        if self.done.done():
            return
        if self.failure is None:
            self.done.set_result(self.result)
        else:
            self.done.set_exception(self.failure)


class SqliteStore:
    """A durable store in one file. Open it in the event loop that will use it.

    An answered unit of work survives a crash of the process and of the machine. Several processes
    may have the file open; each waits up to 10 s for another's transaction.
    """

    def __init__(self, path: Path) -> None:
        """Open or create the database at `path` and bring its schema up to date.

        Raises Unavailable while a backup is being put back there.
        """
        path.parent.mkdir(mode=_OWNER_S_FOLDER, parents=True, exist_ok=True)
        self._leave = weakref.finalize(self, os.close, presence.enter(path.parent))
        self._writer = connect(path)
        try:
            migrate(self._writer)
            self._writer.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
            self._reader = connect(path)
            # The event loop never waits for another process's lock: `_begin` waits in the thread.
            self._writer.execute("PRAGMA busy_timeout = 0")
        except BaseException:
            self._writer.close()
            raise
        self._unit = SqliteUnitOfWork(self._writer)
        self._read_unit = SqliteUnitOfWork(self._reader)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sqlite-commit")
        self._queue: deque[_Job] = deque()
        self._running: asyncio.Task[None] | None = None
        self._closed = False

    async def transact(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run `work` in its turn and return its result after the commit."""
        self._check_open()
        loop = asyncio.get_running_loop()
        job = _Job(work, loop.create_future())
        self._queue.append(job)
        if self._running is None:
            self._running = loop.create_task(self._run())
        result: T = await job.done
        return result

    async def read(self, work: Callable[[Reader], Awaitable[T]]) -> T:
        """Run `work` against the last committed state."""
        self._check_open()
        self._reader.execute("BEGIN")
        try:
            return _drive(work(self._read_unit))
        except sqlite3.OperationalError as error:
            raise Unavailable(str(error)) from error
        finally:
            if self._reader.in_transaction:  # an error of the disk may have ended it
                self._reader.execute("COMMIT")

    async def check(self) -> None:
        """Commit nothing, durably: takes its turn like any unit of work."""

        async def nothing(_unit: UnitOfWork) -> None:
            return None

        await self.transact(nothing)

    async def close(self) -> None:
        """Let every accepted unit of work end, then close the file."""
        self._closed = True
        if self._running is not None:
            # Whoever gives up on closing must not take the units of work under way along.
            await asyncio.shield(self._running)
        self._thread.shutdown()
        self._reader.close()
        self._writer.close()
        self._leave()

    def _check_open(self) -> None:
        if self._closed:
            msg = "the store is closed"
            raise Unavailable(msg)

    async def _run(self) -> None:
        """Work off the queue in batches of one commit each, until it is empty."""
        loop = asyncio.get_running_loop()
        try:
            while self._queue:
                batch = self._take()
                try:
                    await self._begin(loop)
                    if not self._run_together(batch):
                        self._writer.execute("ROLLBACK")
                        await self._begin(loop)
                        self._run_apart(batch)
                    await loop.run_in_executor(self._thread, self._commit)
                except sqlite3.Error as error:
                    self._fail(batch, error)
                for job in batch:
                    job.settle()
        finally:
            self._running = None

    def _take(self) -> list[_Job]:
        batch: list[_Job] = []
        while self._queue and len(batch) < _MAX_BATCH:
            job = self._queue.popleft()
            if not job.done.cancelled():
                batch.append(job)
        return batch

    async def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take the file's write lock, waiting in the thread if another process holds it."""
        try:
            self._writer.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            await loop.run_in_executor(self._thread, self._begin_patiently)

    def _begin_patiently(self) -> None:
        execute = self._writer.execute
        execute(f"PRAGMA busy_timeout = {_BUSY_TIMEOUT_MS}")
        try:
            execute("BEGIN IMMEDIATE")
        finally:
            execute("PRAGMA busy_timeout = 0")

    def _commit(self) -> None:
        self._writer.execute("COMMIT")

    def _run_together(self, batch: Sequence[_Job]) -> bool:
        """Run units one after another; False if one failed that had written, so all must be undone.

        An error of the disk is nobody's failure: it goes on and ends the whole batch.
        """
        for job in batch:
            changes = self._writer.total_changes
            self._run_one(job)
            if job.failure is not None and self._writer.total_changes != changes:
                return False
        return True

    def _run_apart(self, batch: Sequence[_Job]) -> None:
        """Run units under a savepoint each, to which a failed one goes back."""
        execute = self._writer.execute
        for job in batch:
            execute("SAVEPOINT unit")
            self._run_one(job)
            if job.failure is not None:
                execute("ROLLBACK TO unit")
            execute("RELEASE unit")

    def _run_one(self, job: _Job) -> None:
        """Run one unit of work and keep its result or its failure, whatever an earlier run gave."""
        job.result = job.failure = self._unit.failure = None
        try:
            job.result = _drive(job.work(self._unit))
            self._unit.check()
        except sqlite3.OperationalError:
            raise
        except Exception as failure:  # noqa: BLE001 - handed to the one who waits for this unit
            job.failure = failure

    def _fail(self, batch: list[_Job], error: sqlite3.Error) -> None:
        """Undo the whole batch: nothing of it is durable, and everyone is told so."""
        if self._writer.in_transaction:
            with contextlib.suppress(sqlite3.Error):  # SQLite has rolled back by itself
                self._writer.execute("ROLLBACK")
        for job in batch:
            job.failure = Unavailable(str(error))
            job.failure.__cause__ = error


def _drive(work: Awaitable[T]) -> T:
    """Run a coroutine that waits for nothing but this store, whose methods never suspend."""
    if not isinstance(work, Coroutine):
        msg = "a unit of work must be a coroutine"
        raise InvariantViolation(msg)
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    msg = "a unit of work waited for something other than the store"
    raise InvariantViolation(msg)
