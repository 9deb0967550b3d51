"""Migrations as a command: a plan that changes nothing, batches, and deaths between them."""

import os
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from aiba_adapters.backups.sqlite import FILE
from aiba_adapters.sqlite import SqliteStore, schema
from aiba_adapters.sqlite.schema import STEPS, DataStep, migrate, pending
from aiba_adapters.sqlite.store import connect
from aiba_entry.cli.main import main
from tests.contract.backups.support import make_store, run, units_in, with_store, write
from tests.contract.process.support import environment

ROWS = 10


def rename(connection: sqlite3.Connection, after: str, limit: int) -> tuple[int, str]:
    """Mark players as a batch of a data step does, each once: twice would show."""
    query = "SELECT id FROM players WHERE id > ? ORDER BY id LIMIT ?"
    ids = [each for (each,) in connection.execute(query, (after, limit))]
    connection.executemany(
        "UPDATE players SET body = body || '!' WHERE id = ?", [(each,) for each in ids]
    )
    return len(ids), ids[-1] if ids else after


MARKS = DataStep(does="mark every player", total="SELECT count(*) FROM players", batch=rename)


@pytest.fixture(name="patched")
def _patched(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Give this build one more step, which rewrites rows in batches of three."""
    monkeypatch.setattr(schema, "STEPS", (*STEPS, MARKS))
    monkeypatch.setattr("aiba_entry.migrations.STEPS", (*STEPS, MARKS))
    monkeypatch.setattr(schema, "BATCH", 3)
    return monkeypatch


def aiba(folder: Path, *arguments: str) -> Result:
    """Run a command on a data directory."""
    return CliRunner().invoke(main, [*arguments], env=environment(folder))


def marks(folder: Path) -> list[int]:
    """Return how often each player was marked."""
    with closing(sqlite3.connect(folder / FILE)) as connection:
        bodies = connection.execute("SELECT body FROM players ORDER BY id")
        return [body.count("!") for (body,) in bodies]


def test_a_plan_changes_nothing_and_the_command_takes_it(tmp_path: Path) -> None:
    """An old database is shown what it lacks, then brought up to date; both can be repeated."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "STEPS", STEPS[:2])
        with closing(connect(tmp_path / FILE)) as connection:
            assert migrate(connection) == 2
    before = (tmp_path / FILE).read_bytes()
    shown = aiba(tmp_path, "migrate", "--dry-run")
    assert shown.exit_code == 0
    lines = shown.output.splitlines()
    assert lines[0] == f"schema 2 of {len(STEPS)}"
    assert lines[1].startswith("step 3: create table payments, create trigger payments_stay")
    assert len(lines) == 1 + len(STEPS) - 2
    assert (tmp_path / FILE).read_bytes() == before
    taken = aiba(tmp_path, "migrate")
    assert taken.output.splitlines() == [*lines, f"schema {len(STEPS)} of {len(STEPS)}"]
    again = aiba(tmp_path, "migrate")
    assert (again.exit_code, again.output) == (0, f"schema {len(STEPS)} of {len(STEPS)}\n")
    assert units_in(tmp_path) == 0


def test_no_store_is_made_and_a_newer_one_is_refused(tmp_path: Path) -> None:
    """The command says so; only a server makes a store."""
    shown = aiba(tmp_path, "migrate")
    assert "there is no store yet" in shown.output
    assert not (tmp_path / FILE).exists()
    make_store(tmp_path, 1)
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    refused = aiba(tmp_path, "migrate", "--dry-run")
    assert refused.exit_code == 1
    assert "knows up to" in refused.output


def test_a_store_in_use_is_not_migrated(tmp_path: Path, patched: pytest.MonkeyPatch) -> None:
    """A server of the build before must not find its tables changed."""
    with patched.context() as patch:
        patch.setattr(schema, "STEPS", STEPS)
        make_store(tmp_path, 2)

        store = run(_opened(tmp_path))
    refused = aiba(tmp_path, "migrate")
    assert refused.exit_code == 1
    assert "in use" in refused.output
    run(store.close())
    assert aiba(tmp_path, "migrate").exit_code == 0
    assert marks(tmp_path) == [1, 1]


async def _opened(folder: Path) -> SqliteStore:
    return SqliteStore(folder / FILE)


@settings(max_examples=6)
@given(rows=st.integers(0, ROWS), deaths=st.lists(st.integers(1, 12), max_size=3))
def test_a_data_step_goes_on_where_it_was_killed(
    tmp_path_factory: pytest.TempPathFactory, rows: int, deaths: list[int]
) -> None:
    """Killed before any statement, as often as you like: each row is rewritten once."""
    folder = tmp_path_factory.mktemp("killed")
    make_store(folder, rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schema, "STEPS", (*STEPS, MARKS))
        patch.setattr(schema, "BATCH", 3)
        for death in deaths:
            die_in(folder, death)
        with closing(connect(folder / FILE)) as connection:
            planned = pending(connection)
            assert [step.number for step in planned] in ([len(STEPS) + 1], [])
            seen: list[tuple[int, int]] = []
            migrate(connection, tell=lambda _step, done, total: seen.append((done, total)))
            assert pending(connection) == []
            assert connection.execute(
                "SELECT count(*) FROM sqlite_master WHERE name = 'migrating'"
            ).fetchone() == (0,)
        assert marks(folder) == [1] * rows
        assert seen == [] or seen[-1] == (rows, rows)


def die_in(folder: Path, statement: int) -> None:
    """Migrate in a process that is killed before its n-th statement, if there are so many."""
    child = os.fork()
    if child == 0:
        connection = connect(folder / FILE)
        left = statement

        def count(_text: str) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        connection.set_trace_callback(count)
        migrate(connection)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0


def test_a_server_takes_the_steps_when_it_opens(
    tmp_path: Path, patched: pytest.MonkeyPatch
) -> None:
    """Nobody has to run the command: opening goes on where it was left."""
    with patched.context() as patch:
        patch.setattr(schema, "STEPS", STEPS)
        make_store(tmp_path, ROWS)
    die_in(tmp_path, 12)

    async def work(store: SqliteStore) -> None:
        await write(store, ROWS)

    with_store(tmp_path, work)
    assert sorted(marks(tmp_path)) == [0, *[1] * ROWS]
