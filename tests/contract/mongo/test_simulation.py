"""Days of the whole service over MongoDB: byte by byte the same traces as over the others."""

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiba_domain.ports import Reader, UnitOfWork
from aiba_domain.testing.contracts.samples import AT, player
from aiba_domain.testing.simulation import Outcome
from aiba_entry.cli.scratch_mongo import Scratch, scratch
from aiba_entry.cli.simulate import World, run_plan
from tests.support.mongo import server_uri


@pytest.fixture(name="databases", scope="module")
def _databases() -> Iterator[tuple[str, str]]:
    uri = server_uri()
    with scratch(uri) as prefix:
        yield uri, prefix


def lived(seed: int, store: str, databases: tuple[str, str], **world: object) -> Outcome:
    """Run a seed over a kind of store."""
    known = World(
        store=store,
        mongo=databases if store == "mongo" else None,
        **({"through": "pipeline", "steps": 40, "players": 3} | world),  # type: ignore[arg-type]
    )
    return run_plan(known, known.plan(seed))


def agree(seed: int, databases: tuple[str, str], **world: object) -> None:
    """Check that a seed breaks no rule, and has one trace over all stores."""
    by_memory, by_sqlite, by_mongo = (
        lived(seed, store, databases, **world) for store in ("memory", "sqlite", "mongo")
    )
    assert by_mongo.failure is None
    assert by_mongo.trace == by_memory.trace
    assert by_mongo.digest == by_memory.digest == by_sqlite.digest


@pytest.mark.parametrize("seed", [1])
def test_a_seed_has_one_trace_over_every_store(seed: int, databases: tuple[str, str]) -> None:
    """Nothing is left out of the comparison: who was told what, when, and every entry's number."""
    agree(seed, databases)


def test_so_it_has_through_the_whole_application(databases: tuple[str, str]) -> None:
    """Over HTTP too, with the isolated signer."""
    agree(2, databases, through="http", signer="isolated", steps=20)


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(1_000, 1_300))
def test_many_seeds_have_one_trace(seed: int, databases: tuple[str, str]) -> None:
    """Long lives, through the core and through the application in turn."""
    agree(seed, databases, steps=120, through=("pipeline", "http")[seed % 2])


def test_a_copied_folder_opens_a_copy(databases: tuple[str, str], tmp_path: Path) -> None:
    """What is written to the copy isn't in the original; a database is used again when it can."""
    places = Scratch(*databases)
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()

    async def keep(folder: Path, name: str) -> list[bool]:
        async def write(unit: UnitOfWork) -> None:
            await unit.write(at=AT, changed=(player(name),))

        async def known(read: Reader) -> list[bool]:
            return [await read.player(each) is not None for each in ("1", "2", "3")]

        store = await places.open(folder)
        try:
            await store.transact(write)
            return await store.read(known)
        finally:
            await store.close()

    assert asyncio.run(keep(first, "1")) == [True, False, False]
    shutil.copytree(first, second)
    assert asyncio.run(keep(second, "2")) == [True, True, False]
    assert asyncio.run(keep(first, "1")) == [True, False, False]
    shutil.rmtree(second)
    second.mkdir()
    assert asyncio.run(keep(second, "3")) == [False, False, True]
