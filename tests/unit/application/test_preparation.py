"""A store is made ready once, however many start at the same moment."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiba_adapters.sqlite import SqliteStore
from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.application.upkeep import prepare, rotate_seed
from aiba_domain.battle.mode_commands import SeedModes
from aiba_domain.economy.commands import ChangePolicy
from aiba_domain.errors import DomainError, InvariantViolation
from aiba_domain.ports import Reader, Store
from aiba_domain.testing.doubles import FixedSeeds, SettableClock, Tally
from aiba_domain.testing.playground import OPERATOR, Call, Playground
from tests.support.arena import fight, set_up, starter, sure
from tests.support.stores import STORES, opener


def pipeline_over(store: Store, seeds: FixedSeeds) -> Pipeline:
    """Return a pipeline over a store that may not be ready yet."""
    return Pipeline(
        store=store, clock=SettableClock(), seeds=seeds, observer=Tally(), handlers=HANDLERS
    )


@pytest.fixture(name="runner")
def _runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


async def counts(read: Reader) -> tuple[int, int, int]:
    """Return how many modes and epochs there are, and the version of the policy."""
    return len(await read.modes()), len(await read.epochs()), (await read.policy()).version


@pytest.mark.parametrize("kind", STORES)
def test_d53_concurrent_first_use_makes_one_of_everything(
    runner: asyncio.Runner, kind: str, tmp_path: Path
) -> None:
    """Ten preparations at once leave one policy, the default modes once and one seed epoch."""

    async def at_once() -> tuple[int, int, int]:
        store, seeds = await opener(kind, tmp_path)(), FixedSeeds()
        pipeline = pipeline_over(store, seeds)
        await asyncio.gather(*(prepare(pipeline, store, seeds) for _ in range(10)))
        found = await store.read(counts)
        await store.close()
        return found

    assert runner.run(at_once()) == (15, 1, 1)


def test_d53_two_processes_may_start_on_one_new_file(
    runner: asyncio.Runner, tmp_path: Path
) -> None:
    """Two stores on one file are prepared at once, and agree on what is there."""

    async def at_once() -> list[tuple[int, int, int]]:
        seeds = FixedSeeds()
        stores = [SqliteStore(tmp_path / "arena.db") for _ in range(2)]
        await asyncio.gather(
            *(prepare(pipeline_over(store, seeds), store, seeds) for store in stores * 3)
        )
        found = [await store.read(counts) for store in stores]
        for store in stores:
            await store.close()
        return found

    assert runner.run(at_once()) == [(15, 1, 1)] * 2


def test_d53_concurrent_changes_of_the_policy_are_all_kept(play: Playground) -> None:
    """Twenty operators change a field each at once: twenty versions, no change lost."""
    fields = [f"{name}_neur_cost" for name in ("train", "repair", "combine")]
    calls = [
        Call(principal=OPERATOR, command=ChangePolicy(changes={fields[n % 3]: 1_000 + n}))
        for n in range(20)
    ]
    play.together(calls)
    policy = play.read(lambda read: read.policy())
    assert policy.version == 21
    assert [getattr(policy, name) for name in fields] == [1_018, 1_019, 1_017]


def test_preparing_again_keeps_what_operators_changed(play: Playground) -> None:
    """A restart adds missing defaults and touches nothing else."""
    changed = sure("prediction", energy_cost=3)
    set_up(play, changed)
    before = play.read(lambda read: read.modes())
    assert play.operate(SeedModes()).modes == ()
    play.run(prepare(play.pipeline, play.store, play.seeds))
    assert play.read(lambda read: read.modes()) == before
    assert play.read(counts) == (15, 1, 2)


def test_a_rotation_that_comes_late_opens_nothing(play: Playground) -> None:
    """Of several rotations at once one takes place; the others are told that it moved on."""

    async def at_once() -> list[object]:
        return await asyncio.gather(
            *(rotate_seed(play.pipeline, play.store, play.seeds) for _ in range(5)),
            return_exceptions=True,
        )

    results = play.run(at_once())
    late = [result for result in results if isinstance(result, DomainError)]
    assert [error.code for error in late] == ["seed epoch moved on"] * len(late)
    epochs = play.read(lambda read: read.epochs())
    assert len(epochs) == 1 + len(results) - len(late)
    assert [epoch.closed_at is None for epoch in epochs] == [False] * (len(epochs) - 1) + [True]


def test_no_battle_is_drawn_under_a_commitment_that_cannot_be_kept(play: Playground) -> None:
    """With another root the open epoch's secret is not at hand: refused until a new one opens."""
    set_up(play)
    broker = starter(play, "1")
    other = FixedSeeds("another root, as long as it has to be")
    play.pipeline = pipeline_over(play.store, other)
    with pytest.raises(InvariantViolation):
        fight(play, "1", broker, "k")
    play.run(prepare(play.pipeline, play.store, other))
    first, second = play.read(lambda read: read.epochs())
    assert first.closed_at is not None
    assert first.revealed_secret is None
    assert second.closed_at is None
    assert fight(play, "1", broker, "k").receipt.inputs.epoch == 2
