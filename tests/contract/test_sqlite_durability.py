"""What the SQLite store acknowledged survives a crash, wherever it strikes."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiba_domain.application.audit import audit_store
from aiba_domain.money import Currency
from aiba_domain.ports import UnitOfWork
from aiba_domain.testing.contracts.store import Desk, movement, player, refusal
from tests.support.stores import sqlite_desk

AT = 1_767_268_800_000
UNITS = 12


def write(desk: Desk, number: int) -> None:
    """Commit the `number`-th unit: a posting, a record and an answer."""

    async def work(unit: UnitOfWork) -> None:
        await unit.write(
            at=AT,
            postings=(movement(number + 1, credit=f"player:{number}"),),
            changed=(player(f"{number}"),),
            remember=refusal(f"k{number}"),
        )

    desk.transact(work)


def surviving(folder: Path) -> int:
    """Open a database after a crash; check that it holds whole units and return how many."""
    with sqlite_desk(folder / "arena.db") as (desk, store):
        report = desk.run(audit_store(store))
        assert report.is_sound, report.faults
        count = report.entries
        for number in range(UNITS):
            held = number < count
            assert desk.balance(f"player:{number}") == (number + 1 if held else 0)
            assert (desk.player(f"{number}") is not None) == held
            assert (desk.remembered(refusal(f"k{number}").scope) is not None) == held
        if count < UNITS:
            write(desk, count)
            assert desk.balance(f"player:{count}") == count + 1
    return count


@dataclass(frozen=True)
class Wreck:
    """A database as a crash leaves it: main file and log, and the log's size at each answer."""

    main: Path
    log: bytes
    acknowledged: tuple[int, ...]


@pytest.fixture(name="wreck", scope="module")
def _wreck(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wreck]:
    folder = tmp_path_factory.mktemp("wreck")
    path, log = folder / "arena.db", folder / "arena.db-wal"
    with sqlite_desk(path) as (desk, _):
        sizes = []
        for number in range(UNITS):
            write(desk, number)
            sizes.append(log.stat().st_size)
        main = folder / "copy.db"
        shutil.copy(path, main)
        yield Wreck(main=main, log=log.read_bytes(), acknowledged=tuple(sizes))


def test_what_is_made_is_its_owner_s_alone(tmp_path: Path) -> None:
    """Folder, database and the files beside it; what was there before stays as it was."""
    folder = tmp_path / "new"
    with sqlite_desk(folder / "arena.db") as (desk, _):
        write(desk, 0)
        modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
        assert set(modes) >= {"arena.db", "arena.db-wal"}
        assert set(modes.values()) == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / "arena.db").chmod(0o640)
    with sqlite_desk(folder / "arena.db"):
        assert (folder / "arena.db").stat().st_mode & 0o777 == 0o640


def test_reopening_finds_everything(tmp_path: Path) -> None:
    """After an orderly end all is there, and the numbering goes on."""
    path = tmp_path / "arena.db"
    for number in range(UNITS):
        with sqlite_desk(path) as (desk, _):
            write(desk, number)
    assert surviving(tmp_path) == UNITS


def test_a_crash_loses_nothing_that_was_acknowledged(wreck: Wreck, tmp_path: Path) -> None:
    """The files as they are while the store is open hold every answered unit."""
    shutil.copy(wreck.main, tmp_path / "arena.db")
    (tmp_path / "arena.db-wal").write_bytes(wreck.log)
    assert surviving(tmp_path) == UNITS


@settings(max_examples=25)
@given(data=st.data())
def test_a_torn_write_loses_only_what_was_not_acknowledged(
    wreck: Wreck, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """A log that ends anywhere, even within a page, leaves exactly the units written whole."""
    cut = data.draw(st.integers(0, len(wreck.log)))
    folder = tmp_path_factory.mktemp("torn")
    shutil.copy(wreck.main, folder / "arena.db")
    (folder / "arena.db-wal").write_bytes(wreck.log[:cut])
    assert surviving(folder) == sum(size <= cut for size in wreck.acknowledged)


_WORKER = """
import asyncio, sys
from pathlib import Path
from aiba_adapters.sqlite import SqliteStore
from aiba_domain.testing.contracts.store import movement

async def main():
    store = SqliteStore(Path(sys.argv[1]))

    async def one(number):
        await store.transact(lambda unit: unit.write(
            at=1, postings=(movement(1, credit=f"player:{number}"),)))
        sys.stdout.write(f"{number}\\n")
        sys.stdout.flush()

    for start in range(0, 100_000, 8):
        await asyncio.gather(*(one(start + step) for step in range(8)))

asyncio.run(main())
"""


def test_sigkill_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Every unit that a killed process had reported as done is there, each once."""
    path = tmp_path / "arena.db"
    worker = subprocess.Popen(  # noqa: S603 - this test's own worker
        [sys.executable, "-c", _WORKER, str(path)], stdout=subprocess.PIPE, text=True
    )
    assert worker.stdout is not None
    told = [next(worker.stdout).strip() for _ in range(100)]
    worker.kill()
    told += [line.strip() for line in worker.stdout if line.endswith("\n")]
    worker.wait()
    worker.stdout.close()
    with sqlite_desk(path) as (desk, store):
        report = desk.run(audit_store(store))
        assert report.is_sound, report.faults
        held = desk.read(lambda read: read.accounts())
        players = {name for name, _ in held if name.startswith("player:")}
        assert {f"player:{number}" for number in told} <= players
        assert all(held[name, Currency.NEUR] == 1 for name in players)
        assert report.entries == len(players)
