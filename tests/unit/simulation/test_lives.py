"""Days of the whole service with all that can go wrong, from seeds: no rule is ever broken."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from aiba_domain.testing.simulation import MOST_STEPS, Outcome, Plan, shrink
from aiba_domain.testing.simulation.dice import Dice, Table
from aiba_entry.cli.simulate import World, run_plan

STEPS: Final = 150
CORE: Final = World(through="pipeline", store="memory", steps=STEPS, players=3)
WHOLE: Final = World(through="http", store="memory", steps=STEPS, players=3)
ISOLATED: Final = replace(CORE, signer="isolated")
WHOLE_ISOLATED: Final = replace(WHOLE, signer="isolated")


def live(world: World, seeds: Iterable[int]) -> Counter[str]:
    """Live through all seeds and count what happened; the first that fails is named."""
    counts: Counter[str] = Counter()
    for seed in seeds:
        outcome = run_plan(world, world.plan(seed))
        if outcome.failure:
            told = "\n  ".join(outcome.trace[-30:])
            pytest.fail(f"{world.command(outcome.plan)}: {outcome.failure}\n  {told}")
        counts.update(outcome.counts)
    return counts


def test_no_rule_is_broken_in_200_lives() -> None:
    """150 seeds of the core and 50 of the whole application, in which nearly everything happens.

    In 75 of them the claims are signed by replicas of the isolated signer.
    """
    counts = live(CORE, range(90)) + live(ISOLATED, range(90, 150))
    counts += live(WHOLE, range(150, 185)) + live(WHOLE_ISOLATED, range(185, 200))
    for happened in (
        "Crash at store.transact",
        "Crash at store.transacted",
        "Lost at net.answer",
        "Lost at net.request",
        "Unavailable at store.transact",
        "battle answered banned",
        "battle answered cooldown",
        "battle answered guild required",
        "battle answered no energy",
        "battle answered not your broker",
        "battle answered ok",
        "battle answered rate_limited",
        "battle answered requestId already used",
        "battle answered requestId required",
        "battles recounted",
        "claim answered claim limit",
        "claim answered claim not signed",
        "claim answered claims paused",
        "claim answered insufficient AIBA",
        "claim answered ok",
        "claim answered pending_claim",
        "claim answered unavailable",
        "claims signed",
        "combine answered ok",
        "combo answered ok",
        "daily answered daily cap reached",
        "daily answered ok",
        "deaths",
        "session answered telegram auth failed",
        "settle did",
        "signer deaths",
        "signer died at signer.write",
        "signer died at signer.written",
        "signer refused over_claim_limit",
        "signer refused seqno_already_signed",
        "upkeep did",
        "vault EXPIRED",
        "vault PAID",
        "vault SENDER",
        "vault SEQNO",
        "wallet answered wallet already connected",
    ):
        assert counts[happened] >= 3, happened


@pytest.mark.soak
@pytest.mark.parametrize("part", range(10))
def test_no_rule_is_broken_in_10_000_lives(request: pytest.FixtureRequest, part: int) -> None:
    """1,000 seeds a part, every tenth of the whole application; `--hypothesis-seed` moves them."""
    chosen = request.config.getoption("--hypothesis-seed")
    first = (int(chosen) % 10**9) * 10_000 if str(chosen).isdigit() else 0
    seeds = range(first + 1_000 * part, first + 1_000 * (part + 1))
    live(CORE, (seed for seed in seeds if seed % 10 > 3))
    live(ISOLATED, (seed for seed in seeds if 0 < seed % 10 <= 3))
    live(WHOLE, seeds[::20])
    live(WHOLE_ISOLATED, seeds[10::20])


@pytest.mark.parametrize("world", [CORE, WHOLE, ISOLATED], ids=["core", "whole", "isolated"])
def test_a_seed_replays_to_the_byte(world: World) -> None:
    """The same seed gives the same trace, here and in a process that hashes otherwise."""
    first, again = (run_plan(world, world.plan(7)) for _ in range(2))
    assert first.trace == again.trace
    assert first.digest != run_plan(world, world.plan(8)).digest
    code = (
        "from aiba_entry.cli.simulate import World, run_plan\n"
        f"world = World(through={world.through!r}, store='memory', steps={STEPS}, players=3,"
        f" signer={world.signer!r})\n"
        "print(run_plan(world, world.plan(7)).digest)"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    other = subprocess.run(  # noqa: S603 - this interpreter on a fixed text
        [sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True
    )
    assert other.stdout.splitlines()[-1] == first.digest


@pytest.mark.parametrize("through", ["pipeline", "http"])
def test_both_stores_give_the_same_trace(through: str) -> None:
    """A life over SQLite is the life over memory, to the byte."""
    memory, sqlite = (
        World(through=through, store=store, steps=80, players=3) for store in ("memory", "sqlite")
    )
    for seed in (1, 2):
        first = run_plan(memory, memory.plan(seed))
        assert first.failure is None
        assert run_plan(sqlite, sqlite.plan(seed)).trace == first.trace


def test_any_steps_can_be_left_out() -> None:
    """What is left of a life without any of its steps still breaks no rule."""
    for seed in range(20):
        numbers = tuple(number for number in range(1, STEPS + 1) if Dice(seed, number).chance(400))
        outcome = run_plan(CORE, CORE.plan(seed, numbers))
        assert outcome.failure is None, CORE.command(outcome.plan)


def outcome_of(plan: Plan, needed: Sequence[int]) -> Outcome:
    """Return a failure if all needed steps are taken."""
    fails = set(needed) <= set(plan.numbers)
    return Outcome(
        plan=plan,
        trace=(),
        digest="",
        counts={},
        days=0,
        failure=f"AssertionError: entry {len(plan.numbers)} is wrong" if fails else None,
        failed_at=max(needed) if fails else 0,
    )


@pytest.mark.parametrize("needed", [(1,), (3, 77), (5, 6, 7, 149), tuple(range(1, 40, 3))])
def test_a_failure_is_shrunk_to_the_steps_it_needs(needed: Sequence[int]) -> None:
    """Exactly the needed steps are left, and no more steps are run than was said."""
    run = 0

    def counted(plan: Plan) -> Outcome:
        nonlocal run
        run += len(plan.numbers) + 1
        return outcome_of(plan, needed)

    short = shrink(counted(Plan(seed=1, steps=STEPS)), counted)
    assert short.plan.only == tuple(needed)
    assert run <= MOST_STEPS + 2 * STEPS


def test_the_dice_fall_alike_everywhere_and_evenly() -> None:
    """A step's throws are known for ever, lie in their bounds, and follow the weights."""
    dice = Dice(42, 7)
    assert [dice.below(1_000) for _ in range(6)] == [767, 381, 608, 823, 696, 360]
    assert {Dice(1, step).below(3) for step in range(50)} == {0, 1, 2}
    table = Table(("seldom", 1), ("often", 9))
    thrown = Counter(Dice(3, step).weighted(table) for step in range(10_000))
    assert 800 < thrown["seldom"] < 1_200
    assert {Dice(0, step).between(-1, 1) for step in range(50)} == {-1, 0, 1}


def test_a_trace_names_no_place_of_this_machine(tmp_path: Path) -> None:
    """Nothing in a trace depends on where it was made."""
    world = World(through="http", store="sqlite", steps=40, players=2)
    text = "\n".join(run_plan(world, world.plan(5)).trace)
    assert str(tmp_path.parent) not in text
    assert "0x" not in text
