"""What tests of backups set up: ledgers of any length, and deaths at every step of the disk."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, Final, TypeVar

from aiba_adapters.backups import Manifest, take
from aiba_adapters.backups.sqlite import FILE, SqliteBackups
from aiba_adapters.sqlite import SqliteStore
from aiba_domain.application.audit import audit_store
from aiba_domain.ports import Reader, Store, UnitOfWork
from aiba_domain.testing.contracts.store import movement, player, refusal

T = TypeVar("T")

AT: Final = 1_767_268_800_000
TOUCHING: Final = (
    *("open", "os.mkdir", "os.rename", "os.link", "os.remove", "os.rmdir", "shutil.rmtree"),
    *("os.listdir", "os.scandir", "sqlite3.connect"),
)
"""The audit events of what these commands do to a disk; a death is tried before each."""


def silent(_stage: str, _done: int, _total: int) -> None:
    """Show no progress."""


def backups_at(folder: Path) -> SqliteBackups:
    """Return the backups of a data directory; its clock stands still."""
    return SqliteBackups(folder / FILE, now=lambda: AT)


async def write(store: Store, number: int) -> None:
    """Commit the `number`-th unit: a posting, a record and an answer."""

    async def work(unit: UnitOfWork) -> None:
        await unit.write(
            at=AT + number,
            postings=(movement(number + 1, credit=f"player:{number}"),),
            changed=(player(f"{number}"),),
            remember=refusal(f"k{number}"),
        )

    await store.transact(work)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end."""
    return asyncio.run(work)


def with_store(folder: Path, work: Callable[[SqliteStore], Awaitable[T]]) -> T:
    """Open a data directory's store, work on it, and close it."""

    async def opened() -> T:
        store = SqliteStore(folder / FILE)
        try:
            return await work(store)
        finally:
            await store.close()

    return run(opened())


def make_store(folder: Path, units: int) -> None:
    """Make a data directory whose store has so many units."""

    async def work(store: SqliteStore) -> None:
        for number in range(units):
            await write(store, number)

    with_store(folder, work)


def backup(folder: Path, target: Path) -> Manifest:
    """Take a backup of a data directory."""
    return run(take(backups_at(folder), target, tell=silent))


def units_in(folder: Path) -> int:
    """Check that a store holds whole units from the first one on, and return how many."""

    async def work(store: SqliteStore) -> int:
        report = await audit_store(store)
        assert report.is_sound, report.faults

        async def look(read: Reader) -> None:
            for number in range(report.entries):
                balances = await read.balances(f"player:{number}")
                assert list(balances.values()) == [number + 1]
                assert await read.player(f"{number}") is not None

        await store.read(look)
        return report.entries

    return with_store(folder, work)


def deaths(work: Callable[[], object], within: Path) -> Iterator[int]:
    """Do `work` in processes that are killed before their 1st, 2nd, ... touch of a folder.

    Yields after each death, with its number; ends when the work came to its end.
    """
    step = 0
    while True:
        step += 1
        child = os.fork()
        if child == 0:
            _die_at(step, str(within))
            work()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            assert os.waitstatus_to_exitcode(status) == 0
            return
        assert os.WTERMSIG(status) == signal.SIGKILL
        yield step


def _die_at(step: int, within: str) -> None:
    left = step

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event in TOUCHING and any(within in str(each) for each in arguments):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
