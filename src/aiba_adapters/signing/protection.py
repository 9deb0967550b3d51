"""The protection store on SQLite: what was signed is durable before a signature leaves.

Requests that arrive while the disk syncs share the next commit. A commit is in the store first
(WAL, full sync), then in the log's file beside it, and only then is anyone answered. Several
processes may have both files open: they take turns by the store's write lock.

A store that knows less than its log was put back from a backup. It locks itself and signs nothing
until `unlock`.
"""

import asyncio
import contextlib
import secrets
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from aiba_adapters.signing.audit_log import AuditLog, Tail
from aiba_adapters.signing.protection_schema import StoreDamaged, connect, create
from aiba_adapters.signing.protection_unit import ProtectionTransaction
from aiba_domain.signing.model import Lock, Network, StoreState
from aiba_domain.signing.ports import ProtectionUnavailable, ProtectionUnit
from aiba_domain.signing.trail import HandOver, Kind, TrailBroken, key_of, read_line

T = TypeVar("T")

CHECKPOINT_EVERY: Final = 1_000
"""After how many entries the log gets its next checkpoint."""

_STORE_BYTES: Final = 16
_MAX_BATCH: Final = 256

Probe = Callable[[str], None]
"""Called at each step towards durability, by its name; for tests that stop the process there."""

Work = Callable[[ProtectionUnit], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSigner:
    """Signs the log's checkpoints, with a key that signs nothing else.

    Where the log was signed by one of `beside` so far, that one hands it over first.
    """

    sign: Callable[[bytes], bytes]
    public_key: bytes
    beside: tuple["LogSigner", ...] = ()


def init(path: Path, log: Path, *, network: Network, new_key: bool) -> StoreState:
    """Make a new store and its log; FileExistsError rather than touch what is there.

    `new_key` is the operator's word that the key has never signed a claim. Without it the store
    starts locked, since it knows nothing of what the key has signed.
    """
    if path.exists():
        raise FileExistsError(f"there is something at {path} already")
    opened = AuditLog.create(log)
    try:
        connection = create(path)
        unit = ProtectionTransaction(connection)
        try:
            connection.execute("BEGIN IMMEDIATE")
            unit.create(StoreState(network=network, store=secrets.token_hex(_STORE_BYTES)))
            unit.begin()
            if new_key:
                unit.unlock(quarantined_until_s=0, new_key=True)
            else:
                unit.lock(Lock.NEW)
            facts = {"network": network.value, "new_key": new_key, "store": unit.state().store}
            unit.note(Kind.CREATED, 0, facts)
            unit.finish()
            connection.execute("COMMIT")
            with opened.held() as tail:
                _append(unit, opened, tail)
            return unit.state()
        finally:
            connection.close()
    finally:
        opened.close()


class ProtectionFile:
    """The store and its log, opened by one process, used by one thread at a time."""

    def __init__(
        self,
        path: Path,
        log: Path,
        *,
        signer: LogSigner | None = None,
        make_log: bool = False,
        probe: Probe = lambda _place: None,
    ) -> None:
        """Open both, check that the store is whole, and lock it if it was restored.

        Raises StoreMissing, StoreDamaged, LogMissing or TrailBroken. `make_log` makes a new log in
        place of a missing one; the store is locked then, since nothing tells how old it is.

        `signer` signs a new log, or takes it over from a key beside it. One that a stranger signs
        is left alone: whoever has that key may be another process at work.
        """
        self._signer = signer
        self._looked_at = 0
        self._probe = probe
        self._logged = 0
        self._connection = connect(path)
        try:
            self._unit = ProtectionTransaction(self._connection)
            self._check_whole(path)
            is_new = make_log and not log.exists()
            self._log = AuditLog.create(log) if is_new else AuditLog(log)
        except BaseException:
            self._connection.close()
            raise
        try:
            self._compare(is_new=is_new)
            self._take_log_over()
        except BaseException:
            self.close()
            raise

    def transact(self, works: Sequence[Work]) -> list[Any]:
        """Run works one after another in one transaction, and return when it is durable.

        Raises what a work raises, and then none has had an effect.
        """
        self.begin()
        results = self.decide(works)
        self.make_durable()
        return results

    def begin(self) -> None:
        """Begin a transaction: wait for the write lock, and read the store's state."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            self._probe("begun")
            self._unit.begin()
            self._unit.forget_lines(self._logged)
        except BaseException:
            self._undo()
            raise

    def decide(self, works: Sequence[Work]) -> list[Any]:
        """Run works in the transaction that was begun; if one fails, it is undone.

        Touches no disk but for rows that aren't in memory yet.
        """
        unit = self._unit
        try:
            results = [work(unit) for work in works]
            self._sign_log(CHECKPOINT_EVERY)
            unit.finish()
            self._probe("decided")
        except BaseException:
            self._undo()
            raise
        return results

    def make_durable(self) -> None:
        """Commit what was decided, then write it into the log; both are synced."""
        try:
            self._connection.execute("COMMIT")
        except BaseException:
            self._undo()
            raise
        self._probe("committed")
        with self._log.held() as tail:
            self._logged = _append(self._unit, self._log, tail)
        self._probe("logged")

    def _undo(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def checkpoint(self) -> None:
        """Sign the log as it stands, unless it ends with a checkpoint already."""
        if self._signer is not None:
            self._looked_at = 0
            self.transact([lambda _unit: self._sign_log(1)])

    def log_key(self) -> bytes | None:
        """Return the key that signs the log now, None while nothing has signed it."""
        with self._transaction():
            return self._log_key()

    def adopt_log(self) -> None:
        """Let the signer's key sign the log from here on, though the key before can't agree."""
        signer = self._signer
        if signer is not None:
            self.transact([lambda _unit: self._hand_over(signer, self._log_key(), None)])

    def _sign_log(self, least: int) -> None:
        """Sign the log once so many entries are unsigned, unless another key has it now."""
        signer, unit = self._signer, self._unit
        since = min(unit.entries_since_checkpoint, unit.state().sequence - self._looked_at)
        if signer is None or since < least:
            return
        self._looked_at = unit.state().sequence
        if self._log_key() in (None, signer.public_key):
            unit.sign_log(signer.sign, signer.public_key)

    def _take_log_over(self) -> None:
        """Sign a log that nobody has signed, or take it over from a key that stands beside."""
        signer = self._signer
        if signer is None or self.log_key() == signer.public_key:
            return

        def work(_unit: ProtectionUnit) -> None:
            key = self._log_key()
            if key is None:
                self._unit.sign_log(signer.sign, signer.public_key)
            for before in signer.beside:
                if before.public_key == key:
                    self._hand_over(signer, key, before.sign)

        self.transact([work])

    def _hand_over(
        self, signer: LogSigner, before: bytes | None, sign_before: Callable[[bytes], bytes] | None
    ) -> None:
        if before is not None and before != signer.public_key:
            who = HandOver(
                before=before, key=signer.public_key, sign=signer.sign, sign_before=sign_before
            )
            self._unit.hand_log_over(who)

    def _log_key(self) -> bytes | None:
        """Look for it among the lines that the log's file may lack yet, then in the file."""
        for _, line in reversed(self._unit.lines_after(0)):
            if (key := key_of(read_line(line)[0])) is not None:
                return key
        return self._log.key()

    def state(self) -> StoreState:
        """Return what the store says of itself now."""
        with self._transaction():
            return self._unit.state()

    def close(self) -> None:
        """Close both files."""
        self._connection.close()
        self._log.close()

    def _check_whole(self, path: Path) -> None:
        try:
            verdict = self._connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            with self._transaction():
                whole = self._unit.is_whole()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise
            raise StoreDamaged(f"{path}: {error}") from error
        if verdict != "ok" or not whole:
            raise StoreDamaged(f"{path} is not whole: put a backup in its place and unlock that")

    def _compare(self, *, is_new: bool) -> None:
        """Lock the store if its log tells that it is not the newest there was."""
        # The log first: what stands in it is in the store already, whoever else writes meanwhile.
        with self._log.held() as tail:
            end = tail
            with self._transaction():
                reason = self._suspicion(tail, is_new=is_new)
                if reason is not None:
                    end = self._lock(reason, tail)
            self._logged = _append(self._unit, self._log, end)

    def _suspicion(self, tail: Tail, *, is_new: bool) -> Lock | None:
        state = self._unit.state()
        if is_new:
            return Lock.LOG_CUT
        if tail.number == state.sequence:
            return None if tail.head == state.head else Lock.RESTORED
        if tail.number > state.sequence:
            return Lock.RESTORED
        # A crash between the commit and the log: the store still has the lines that follow.
        lines = self._unit.lines_after(tail.number)
        return None if _follow(lines, tail) else Lock.LOG_CUT

    def _lock(self, reason: Lock, tail: Tail) -> Tail:
        """Lock the store, going on after the later of its own last entry and the log's."""
        unit = self._unit
        state = unit.state()
        if tail.number < state.sequence:
            tail = Tail(number=state.sequence, head=state.head)
        unit.follow(tail.number, tail.head)
        unit.lock(reason)
        before = state.locked.value if state.locked else ""
        unit.note(Kind.LOCKED, 0, {"reason": reason, "before": before, "knew": state.sequence})
        unit.finish()
        return tail

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        execute = self._connection.execute
        execute("BEGIN IMMEDIATE")
        try:
            self._unit.begin()
            yield
            execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                execute("ROLLBACK")
            raise


def _append(unit: ProtectionTransaction, log: AuditLog, tail: Tail) -> int:
    """Write the committed lines that the log, which is held, doesn't have yet; return the last."""
    lines = unit.lines_after(tail.number)
    if not _follow(lines, tail):
        raise TrailBroken(
            f"the log ends at entry {tail.number}, which isn't where the store's go on"
        )
    if lines:
        number, line = lines[-1]
        tail = Tail(number=number, head=read_line(line)[1])
    log.append([line for _, line in lines], tail)
    return tail.number


def _follow(lines: Sequence[tuple[int, bytes]], tail: Tail) -> bool:
    """Tell whether lines go on where the log ends, without a gap."""
    if not lines:
        return True
    numbers = [number for number, _ in lines]
    expected = list(range(tail.number + 1, tail.number + 1 + len(lines)))
    return numbers == expected and read_line(lines[0][1])[0].previous == tail.head


class _Job:
    """A work that waits for its turn, and the future of whoever waits for it."""

    __slots__ = ("done", "work")

    def __init__(self, work: Work, done: "asyncio.Future[Any]") -> None:
        self.work = work
        self.done = done


class SqliteProtection:
    """A protection store for one event loop: what arrives together is durable together."""

    def __init__(self, file: ProtectionFile) -> None:
        """Take over an opened file; `close` closes it."""
        self._file = file
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="protection")
        self._queue: deque[_Job] = deque()
        self._running: asyncio.Task[None] | None = None
        self._closed = False

    async def transact(self, work: Callable[[ProtectionUnit], T]) -> T:
        """Run `work` in its turn and return its result once it is durable, the log included."""
        if self._closed:
            raise ProtectionUnavailable("the store is closed")
        loop = asyncio.get_running_loop()
        job = _Job(work, loop.create_future())
        self._queue.append(job)
        if self._running is None:
            self._running = loop.create_task(self._run())
        result: T = await job.done
        return result

    async def close(self) -> None:
        """Let everything accepted end, sign the log, then close both files; once is enough."""
        if self._closed:
            return
        self._closed = True
        if self._running is not None:
            await asyncio.shield(self._running)
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._file.checkpoint)
        finally:
            self._thread.shutdown()
            self._file.close()

    async def _run(self) -> None:
        try:
            while self._queue:
                batch = self._take()
                outcomes = await self._work_off(batch)
                for job, outcome in zip(batch, outcomes, strict=True):
                    _settle(job, outcome)
        finally:
            self._running = None

    def _take(self) -> list[_Job]:
        batch: list[_Job] = []
        while self._queue and len(batch) < _MAX_BATCH:
            job = self._queue.popleft()
            if not job.done.cancelled():
                batch.append(job)
        return batch

    async def _work_off(self, batch: Sequence[_Job]) -> list["_Result | Exception"]:
        """Run a batch in one transaction; where one of it fails, each in its own."""
        try:
            return await self._transact(batch)
        except _OUTAGES as error:
            return [_unavailable(error)] * len(batch)
        except Exception as error:  # noqa: BLE001 - handed to the one whose work it was
            if len(batch) == 1:
                return [error]
        return [(await self._work_off([job]))[0] for job in batch]

    async def _transact(self, batch: Sequence[_Job]) -> list["_Result | Exception"]:
        """Wait for lock and disk in the thread, and decide here.

        Two threads that both want the interpreter would hold each other up at every row.
        """
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._file.begin)
        results = self._file.decide([job.work for job in batch])
        await loop.run_in_executor(self._thread, self._file.make_durable)
        return [_Result(value) for value in results]


@dataclass(frozen=True, slots=True)
class _Result:
    value: Any


_OUTAGES: Final = (sqlite3.Error, OSError, TrailBroken)
"""What ends a whole transaction through no fault of the works in it."""


def _settle(job: _Job, outcome: "_Result | Exception") -> None:
    """Tell the one who waits, unless it went away."""
    if job.done.done():
        return
    if isinstance(outcome, _Result):
        job.done.set_result(outcome.value)
    else:
        job.done.set_exception(outcome)


def _unavailable(error: Exception) -> ProtectionUnavailable:
    unavailable = ProtectionUnavailable(str(error))
    unavailable.__cause__ = error
    return unavailable
