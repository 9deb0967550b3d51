"""MongoDB's schema in steps: a plan, one migrator at a time, and deaths wherever you like."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from pymongo import MongoClient
from pymongo.database import Database

from aiba_adapters.mongo import TurnLost, TurnTaken, Unfit, migrations, open_store, opened
from aiba_adapters.mongo.migrations import STEPS, Make, Rewrite, Tally
from aiba_adapters.mongo.schema import declared
from aiba_adapters.mongo.transaction import Stored
from aiba_adapters.mongo.turns import Turn
from aiba_domain.ports import Unavailable
from aiba_entry.cli.main import main
from tests.contract.mongo.deaths import die
from tests.contract.process.support import environment
from tests.support.mongo import empty_uri, failing, server_uri

AT: Final = 1_767_268_800_000
HOUR: Final = 3_600_000
ROWS: Final = 8
BEFORE: Final = range(1, len(STEPS) + 1)
LAST: Final = len(STEPS) + 1
WORDS: Final = 34
"""How many commands and answers a short life has."""

COMMANDS: Final = ("find", "update", "commitTransaction", "delete")
FAULTS: Final[tuple[dict[str, Any], ...]] = ({"closeConnection": True}, {"errorCode": 11600})


def mark(stored: Stored) -> Stored | None:
    """Count how often a document was rewritten; every third one is left as it is."""
    if int(stored["_id"]) % 3 == 2:
        return None
    return {**stored, "marks": stored.get("marks", 0) + 1}


MARKS: Final = Rewrite(does="mark every player", collection="players", rewrite=mark)


@pytest.fixture(name="uri", scope="module")
def _uri() -> Iterator[str]:
    """Return the URI of a database for this module, which each test empties as it likes."""
    uri, end = empty_uri()
    yield uri
    end()


@pytest.fixture(name="database")
def _database(uri: str) -> Iterator[Database[dict[str, Any]]]:
    """Return the database with this build's schema, and nothing in it."""
    client: MongoClient[dict[str, Any]]
    with MongoClient(uri) as client:
        database: Database[dict[str, Any]] = client.get_default_database()
        for name in database.list_collection_names():
            database[name].delete_many({})
        yield database


@pytest.fixture(name="patched")
def _patched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give this build one more step, which rewrites documents in batches of three."""
    monkeypatch.setattr(migrations, "STEPS", (*STEPS, MARKS))
    monkeypatch.setattr(migrations, "BATCH", 3)


@pytest.fixture(name="aiba")
def _aiba(uri: str, tmp_path: Path) -> Callable[..., Result]:
    """Run a command on the database."""

    def run(*words: str) -> Result:
        return CliRunner().invoke(main, words, env=environment(tmp_path, MONGO_URI=uri))

    return run


def take(uri: str, *, at: int = AT, tell: Callable[..., None] = lambda *_: None) -> None:
    """Take every step, by a clock that stands still."""

    async def work() -> None:
        async with opened(uri) as database:
            await migrations.take(database, now=lambda: at, tell=tell)

    asyncio.run(work())


def fill(database: Database[dict[str, Any]], rows: int) -> None:
    """Lay out a database of the build before, with so many players."""
    for name in ("players", "steps"):
        database[name].delete_many({})
    database.steps.insert_many([{"_id": each, "does": "all", "at": AT} for each in BEFORE])
    if rows:
        database.players.insert_many([{"_id": f"{each:03}", "n": each} for each in range(rows)])


def end_state(database: Database[dict[str, Any]]) -> tuple[list[Stored], list[Stored]]:
    """Return all that a migration leaves, but for who did it when."""
    notes = database.steps.find({"_id": {"$ne": "turn"}}, projection={"at": 0}, sort=[("_id", 1)])
    return list(database.players.find({}, sort=[("_id", 1)])), list(notes)


def expected(rows: int) -> tuple[list[Stored], list[Stored]]:
    """Return what a migration without a death leaves."""
    players: list[Stored] = [{"_id": f"{each:03}", "n": each} for each in range(rows)]
    steps: list[Stored] = [{"_id": each, "does": "all"} for each in BEFORE]
    steps.append({"_id": LAST, "does": "mark every player (rewrites players)"})
    return [mark(each) or each for each in players], steps


def test_a_plan_changes_nothing_and_the_command_takes_it(
    uri: str, database: Database[dict[str, Any]], aiba: Callable[..., Result]
) -> None:
    """A new database is shown every collection and index, then has them; both can be repeated."""
    database.client.drop_database(database.name)
    shown = aiba("migrate", "--dry-run")
    head, *steps = shown.output.splitlines()
    assert head == f"schema 0 of {len(STEPS)}"
    assert len(steps) == len(STEPS)
    assert steps[0].startswith("step 1: create collection players, create index players.by_wallet")
    assert database.list_collection_names() == []
    taken = aiba("migrate")
    assert taken.output.splitlines() == [head, *steps, f"schema {len(STEPS)} of {len(STEPS)}"]
    again = aiba("migrate")
    assert (again.exit_code, again.output) == (0, f"schema {len(STEPS)} of {len(STEPS)}\n")
    assert aiba("mongo", "check").exit_code == 0
    assert aiba("mongo", "init").output == "nothing was missing\n"
    assert uri not in taken.output


def test_every_name_is_made_by_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a later step makes the first one doesn't."""
    later = Make(makes=("claims.by_player", "listings"))
    monkeypatch.setattr(migrations, "STEPS", (*STEPS, later))
    made = [name for number in (*BEFORE, LAST) for name in migrations.made_by(number)]
    assert sorted(made) == sorted(declared())
    assert migrations.does(LAST) == [
        "create index claims.by_player",
        "create collection listings",
    ]


@pytest.mark.usefixtures("patched")
def test_a_start_names_the_steps_that_are_left_and_those_it_does_not_know(
    uri: str, database: Database[dict[str, Any]], aiba: Callable[..., Result]
) -> None:
    """A server that takes no step by itself refuses both, and so does `aiba mongo check`."""
    take(uri)
    database.steps.delete_one({"_id": LAST})
    with pytest.raises(Unfit) as caught:
        asyncio.run(open_store(uri))
    left = f"step {LAST} isn't taken: mark every player (rewrites players)"
    assert caught.value.problems == (left,)
    assert left in aiba("mongo", "check").output
    later = [{"_id": LAST, "does": "mark"}, {"_id": LAST + 1, "does": "tint every broker"}]
    database.steps.insert_many(later)
    newer = f"it has taken the steps {LAST + 1} (tint every broker); this build knows up to {LAST}"
    with pytest.raises(Unfit, match="knows up to") as caught:
        asyncio.run(open_store(uri, create=True))
    assert caught.value.problems == (newer,)
    refused = aiba("migrate", "--dry-run")
    assert (refused.exit_code, newer in refused.output) == (1, True)
    assert newer in aiba("mongo", "init").output


def test_a_half_restored_database_refuses_to_start_to_migrate_and_to_be_ready(
    uri: str, database: Database[dict[str, Any]], aiba: Callable[..., Result]
) -> None:
    """Also for a server that ran before, which tells whoever asks whether it is ready."""

    async def work() -> None:
        store = await open_store(uri, create=True)
        await store.check()
        database.steps.insert_one({"_id": migrations.RESTORING})
        with pytest.raises(Unavailable, match="half restored"):
            await store.check()
        await store.close()
        with pytest.raises(Unfit, match="half restored"):
            await open_store(uri, create=True)

    asyncio.run(work())
    database.steps.delete_many({"does": {"$exists": True}})
    assert "half restored" in aiba("migrate").output
    assert "half restored" in aiba("mongo", "init").output
    assert {each["_id"] for each in database.steps.find()} == {migrations.RESTORING, "turn"}


@pytest.mark.parametrize("deaths", [0, 2])
def test_the_scores_of_battles_of_the_build_before_are_added_up_once(
    uri: str, database: Database[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, deaths: int
) -> None:
    """Wherever a migration ends early; the battles stay as they are."""
    monkeypatch.setattr(migrations, "BATCH", 3)
    step = next(number for number in BEFORE if isinstance(STEPS[number - 1], Tally))
    database.steps.delete_many({})
    database.steps.insert_many([{"_id": each, "does": "all", "at": AT} for each in range(1, step)])
    due = {"a": 0, "b": 0}
    for number in range(ROWS):
        player, score = "ab"[number % 2], 2**62 if number == 0 else number
        body = {"receipt": {"outcome": {"score": score}}}
        database.battles.insert_one({"_id": f"{number}", "player_id": player, "body": body})
        due[player] += score
    before = list(database.battles.find())

    def die(_name: str, done: int, _total: int) -> None:
        raise ConnectionAbortedError(str(done))

    for _ in range(deaths):
        with pytest.raises(ConnectionAbortedError):
            take(uri, tell=die)
    take(uri)
    assert {each["_id"]: each["score"] for each in database.scores.find()} == due
    assert list(database.battles.find()) == before


@pytest.mark.usefixtures("patched")
@settings(max_examples=4)
@given(rows=st.integers(0, ROWS), deaths=st.lists(st.integers(1, 40), max_size=3))
def test_deaths_change_nothing_of_where_it_ends(uri: str, rows: int, deaths: list[int]) -> None:
    """Killed before or after any command, as often as you like: each document is rewritten once."""
    client: MongoClient[dict[str, Any]]
    with MongoClient(uri) as client:
        database: Database[dict[str, Any]] = client.get_default_database()
        fill(database, rows)
        for attempt, death in enumerate(deaths, start=1):
            die(lambda at=AT + attempt * HOUR: take(uri, at=at), death)  # type: ignore[misc]
        take(uri, at=AT + 100 * HOUR)
        assert end_state(database) == expected(rows)


@pytest.mark.usefixtures("patched")
def test_many_short_lives_come_to_the_end(uri: str, database: Database[dict[str, Any]]) -> None:
    """Each life has words for a batch or two, and goes on where the one before died."""
    fill(database, ROWS)
    seen = list[int]()
    for attempt in range(1, 9):
        die(lambda at=AT + attempt * HOUR: take(uri, at=at), WORDS)  # type: ignore[misc]
        note = database.steps.find_one({"_id": migrations.PROGRESS})
        seen.append(note["done"] if note else 0)
    take(uri, at=AT + 100 * HOUR)
    assert seen == sorted(seen)
    assert ROWS in seen
    assert end_state(database) == expected(ROWS)


@pytest.mark.usefixtures("patched", "strays")
@settings(max_examples=2)
@given(data=st.data())
def test_faults_change_nothing_of_where_it_ends(uri: str, data: st.DataObject) -> None:
    """A connection that is cut, a conflict, a failover: at any kind of command, again and again."""
    client: MongoClient[dict[str, Any]]
    with MongoClient(uri) as client:
        database: Database[dict[str, Any]] = client.get_default_database()
        fill(database, ROWS)
        commands = data.draw(st.lists(st.sampled_from(COMMANDS), min_size=1, max_size=2))
        for attempt, command in enumerate(commands, start=1):
            how: dict[str, Any] = data.draw(st.sampled_from(FAULTS))
            times = data.draw(st.integers(1, 3))
            with (
                failing(server_uri(), (command,), mode={"times": times}, **how),
                suppress(Unavailable),
            ):
                take(uri, at=AT + attempt * HOUR)
        take(uri, at=AT + 100 * HOUR)
        assert end_state(database) == expected(ROWS)


@pytest.mark.usefixtures("patched")
def test_progress_is_told_and_shown_by_a_plan(
    uri: str, database: Database[dict[str, Any]], aiba: Callable[..., Result]
) -> None:
    """So an operator sees how far a step was when it was stopped."""
    fill(database, ROWS)
    told: list[tuple[str, int, int]] = []

    class StopError(Exception):
        """Stands for an operator's Ctrl-C."""

    def tell(stage: str, done: int, total: int) -> None:
        told.append((stage, done, total))
        if done == 6:
            raise StopError

    with pytest.raises(StopError):
        take(uri, tell=tell)
    assert (
        f"step {LAST}: mark every player (rewrites players) (6 rows are done)"
        in aiba("migrate", "--dry-run").output
    )
    take(uri, tell=lambda *each: told.append(each))
    assert told == [(f"step {LAST}", done, ROWS) for done in (3, 6, ROWS, ROWS)]
    assert end_state(database) == expected(ROWS)


@asynccontextmanager
async def turn_at(uri: str, clock: list[int], **options: int) -> AsyncIterator[Turn]:
    """Take the turn by a clock that is moved by hand."""
    async with (
        opened(uri) as database,
        Turn.taken(database, doing="testing", now=lambda: clock[0], **options) as turn,
    ):
        yield turn


def test_who_was_taken_for_dead_commits_nothing_more(
    uri: str, database: Database[dict[str, Any]]
) -> None:
    """One that stood still in the middle of a batch wakes up, and finds that it has lost."""
    clock = [AT]

    async def work() -> None:
        async with turn_at(uri, clock) as slow:
            session = slow._session
            await session.start_transaction()
            await slow._renew(session)
            await slow.notes.insert_one({"_id": "left open"}, session=session)
            clock[0] += HOUR
            async with turn_at(uri, clock) as quick:
                await quick.batch(
                    lambda session: quick.notes.insert_one({"_id": "quick"}, session=session)
                )
                with pytest.raises(Exception, match="transaction"):
                    await session.commit_transaction()
                with pytest.raises(TurnLost):
                    await slow.batch(
                        lambda session: slow.notes.insert_one({"_id": "slow"}, session=session)
                    )

    asyncio.run(work())
    assert {each["_id"] for each in database.steps.find()} == {"turn", "quick"}


def test_one_migrator_at_a_time(uri: str, database: Database[dict[str, Any]]) -> None:
    """The second one is told what the first does, as soon as that shows that it lives."""
    database.steps.delete_many({})
    clock = [AT]

    async def first(is_there: asyncio.Event, may_end: asyncio.Event) -> None:
        async with turn_at(uri, clock) as turn:
            is_there.set()
            while not may_end.is_set():
                clock[0] += 1
                await turn._renew(None)

    async def work() -> None:
        is_there, may_end = asyncio.Event(), asyncio.Event()
        working = asyncio.create_task(first(is_there, may_end))
        await is_there.wait()
        with pytest.raises(TurnTaken, match="at it: testing"):
            async with turn_at(uri, clock):
                pass
        waiting = asyncio.create_task(waited())
        may_end.set()
        await asyncio.gather(working, waiting)

    async def waited() -> None:
        async with turn_at(uri, clock, patience_ms=HOUR):
            pass

    asyncio.run(work())


@pytest.mark.usefixtures("patched")
def test_many_migrators_at_once_rewrite_each_document_once(
    uri: str, database: Database[dict[str, Any]]
) -> None:
    """Whoever isn't first waits, and finds nothing to do."""
    fill(database, ROWS)

    async def work() -> None:
        async with opened(uri) as there:
            each = [
                migrations.take(there, now=lambda: AT, tell=lambda *_: None, patience_ms=HOUR)
                for _ in range(3)
            ]
            await asyncio.gather(*each)

    asyncio.run(work())
    assert end_state(database) == expected(ROWS)
