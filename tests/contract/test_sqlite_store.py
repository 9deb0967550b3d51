"""The store on SQLite keeps the contract of stores, and commits for many at once."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aiba_adapters.sqlite import SqliteStore
from aiba_adapters.sqlite.store import connect
from aiba_domain.errors import InvariantViolation
from aiba_domain.ports import Reader, Store, Unavailable, UnitOfWork
from aiba_domain.testing.contracts import Capability, StoreContract
from aiba_domain.testing.contracts.store import Desk, movement, player, refusal
from tests.support.stores import sqlite_desk

AT = 1_767_268_800_000
Work = Callable[[UnitOfWork], Awaitable[Any]]


class TestSqliteStore(StoreContract):
    """The contract over one file."""

    capabilities = frozenset(
        {
            Capability.SERIALIZABLE,
            Capability.REOPEN,
            Capability.DURABLE,
            Capability.SHARED,
            Capability.FAULTS,
        }
    )

    async def open_store(self, folder: Path) -> SqliteStore:
        """Open a file, a new one in an empty folder."""
        return SqliteStore(folder / "arena.db")

    @contextlib.contextmanager
    def outage(self, adapter: SqliteStore) -> Iterator[None]:
        """Let every commit fail as on a broken disk."""

        def broken() -> None:
            raise sqlite3.OperationalError("disk I/O error")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(adapter, "_commit", broken)
            yield


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "arena.db"


@pytest.fixture(name="opened")
def _opened(path: Path) -> Iterator[tuple[Desk, SqliteStore]]:
    with sqlite_desk(path) as opened:
        yield opened


def credit(number: int, *, note: str = "") -> Work:
    """Return a unit that gives player `number` one NEUR and remembers it."""

    async def work(unit: UnitOfWork) -> int:
        await unit.write(
            at=AT,
            postings=(movement(1, credit=f"player:{number}"),),
            changed=(player(note),) if note else (),
            remember=refusal(f"k{number}"),
        )
        return number

    return work


async def at_once(store: Store, works: list[Work]) -> list[Any]:
    """Run all units at once; failures are returned."""
    return await asyncio.gather(*(store.transact(work) for work in works), return_exceptions=True)


def test_a_commit_is_durable(opened: tuple[Desk, SqliteStore]) -> None:
    """Both connections write ahead and sync in full, as the file and the connection report."""
    _, store = opened
    for connection in (store._writer, store._reader):
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)


def test_units_that_wait_share_a_commit(opened: tuple[Desk, SqliteStore]) -> None:
    """64 units at once take far fewer than 64 commits, and one alone takes one."""
    desk, store = opened
    statements: list[str] = []
    store._writer.set_trace_callback(statements.append)
    assert desk.run(at_once(store, [credit(number) for number in range(64)])) == list(range(64))
    assert statements.count("COMMIT") <= 4
    statements.clear()
    desk.transact(credit(64))
    assert statements.count("COMMIT") == 1


def test_more_units_than_a_batch_holds_are_all_done(opened: tuple[Desk, SqliteStore]) -> None:
    """A queue longer than one batch is worked off in several."""
    desk, store = opened
    assert desk.run(at_once(store, [credit(number) for number in range(300)])) == list(range(300))
    assert len(desk.entries()) == 300


def test_a_full_disk_is_unavailable_and_passes(opened: tuple[Desk, SqliteStore]) -> None:
    """While the file can't grow, units are refused whole; once it can, they work again."""
    desk, store = opened
    desk.transact(credit(0))
    pages = store._writer.execute("PRAGMA page_count").fetchone()[0]
    store._writer.execute(f"PRAGMA max_page_count = {pages + 2}")
    big = [credit(number, note=f"{number}" * 4_000) for number in range(1, 9)]
    results = desk.run(at_once(store, big))
    assert [type(result) for result in results] == [Unavailable] * 8
    assert len(desk.entries()) == 1
    store._writer.execute("PRAGMA max_page_count = 100000")
    assert desk.run(at_once(store, big)) == list(range(1, 9))
    assert len(desk.entries()) == 9


def test_a_locked_file_is_unavailable_and_passes(
    opened: tuple[Desk, SqliteStore], path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lock that another process doesn't give up in time is Unavailable, not a wait for ever."""
    monkeypatch.setattr("aiba_adapters.sqlite.store._BUSY_TIMEOUT_MS", 50)
    desk, store = opened
    other = connect(path)
    other.execute("BEGIN IMMEDIATE")
    results = desk.run(at_once(store, [credit(1), credit(2)]))
    assert [type(result) for result in results] == [Unavailable] * 2
    other.execute("ROLLBACK")
    other.close()
    assert desk.run(at_once(store, [credit(1), credit(2)])) == [1, 2]


def test_a_lock_of_another_process_stops_units_but_not_the_event_loop(
    opened: tuple[Desk, SqliteStore], path: Path
) -> None:
    """While a unit waits for another process's lock everything else in this process goes on."""
    desk, store = opened
    other = connect(path)
    other.execute("BEGIN IMMEDIATE")

    async def release_meanwhile() -> int:
        waiting = asyncio.create_task(store.transact(credit(1)))
        for _ in range(50):
            await asyncio.sleep(0.001)
            assert not waiting.done()
        assert await store.read(lambda read: read.balances("player:1")) == {}
        other.execute("COMMIT")
        result: int = await waiting
        return result

    assert desk.run(release_meanwhile()) == 1
    other.close()


def test_a_waiter_that_left_before_its_turn_has_no_effect(
    opened: tuple[Desk, SqliteStore],
) -> None:
    """A unit whose caller went away before its turn isn't run at all."""
    desk, store = opened
    ran: list[int] = []

    def noted(number: int) -> Work:
        async def work(unit: UnitOfWork) -> None:
            ran.append(number)
            await credit(number)(unit)

        return work

    async def leave() -> None:
        tasks = [asyncio.create_task(store.transact(noted(number))) for number in range(3)]
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    desk.run(leave())
    assert ran == [0, 2]
    assert desk.balance("player:1") == 0


def test_a_waiter_that_leaves_during_the_commit_leaves_its_effect(
    opened: tuple[Desk, SqliteStore],
) -> None:
    """Once a unit ran, its caller's going away changes nothing: the effect is whole and durable."""
    desk, store = opened

    async def leave() -> None:
        ran = asyncio.Event()

        async def work(unit: UnitOfWork) -> None:
            await credit(1)(unit)
            ran.set()

        task = asyncio.create_task(store.transact(work))
        await ran.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await store.check()

    desk.run(leave())
    assert desk.balance("player:1") == 1
    assert desk.remembered(refusal("k1").scope) is not None


def test_a_unit_may_wait_for_nothing_else(opened: tuple[Desk, SqliteStore]) -> None:
    """Work that waits for something beside the store would hold up everyone: it is undone."""
    desk, store = opened

    async def sleepy(unit: UnitOfWork) -> None:
        await credit(1)(unit)
        await asyncio.sleep(0)

    results = desk.run(at_once(store, [credit(0), sleepy, credit(2)]))
    assert results[::2] == [0, 2]
    assert isinstance(results[1], InvariantViolation)
    assert desk.balance("player:1") == 0


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb"])
def test_a_lone_surrogate_is_refused_whole(opened: tuple[Desk, SqliteStore], text: str) -> None:
    """What is no text at all can't be kept, and takes nothing with it."""
    desk, store = opened

    async def work(unit: UnitOfWork) -> None:
        await unit.write(at=AT, postings=(movement(1),), changed=(player(text),))

    results = desk.run(at_once(store, [work, credit(2)]))
    assert isinstance(results[0], UnicodeError)
    assert results[1] == 2
    assert desk.balance("player:1") == 0


def test_reads_of_a_damaged_file_are_unavailable(opened: tuple[Desk, SqliteStore]) -> None:
    """An error of the disk in a read is Unavailable, and the next read is on its own."""
    desk, store = opened

    async def broken(read: Reader) -> None:
        await read.policy()
        raise sqlite3.OperationalError("disk I/O error")

    with pytest.raises(Unavailable):
        desk.read(broken)
    assert not store._reader.in_transaction
    assert desk.read(lambda read: read.policy()).version == 1
