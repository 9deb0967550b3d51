"""Running a simulation, and making a failing one short.

A plan says what to run: a seed and a number of steps. What happens in a step follows from the seed
and the step's number alone, so a plan may leave steps out and the others stay what they are.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Final

from aiba_domain.instants import DAY
from aiba_domain.ports import Store
from aiba_domain.testing.simulation import cast
from aiba_domain.testing.simulation.dice import Dice
from aiba_domain.testing.simulation.ending import end
from aiba_domain.testing.simulation.happenings import HAPPENINGS
from aiba_domain.testing.simulation.signers import Isolated
from aiba_domain.testing.simulation.site import Site
from aiba_domain.testing.simulation.world import Happening, World

PLAYERS: Final = 3
"""How many players a small world has."""

LONGEST_S: Final = 60.0
"""After how many seconds, and a tenth for each step, a run in which somebody waits is given up."""

MOST_STEPS: Final = 60_000
"""How many steps are run in all to make a failing plan shorter."""

_NAMES: Final = re.compile(r"\S*\d\S*|[^A-Za-z ]+")
_ENDS: Final = 1 << 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What to run. `only` are the numbers of the steps to take, None for all of 1 to `steps`."""

    seed: int
    steps: int
    players: int = PLAYERS
    only: tuple[int, ...] | None = None

    @property
    def numbers(self) -> Sequence[int]:
        """The numbers of the steps, in order."""
        return range(1, self.steps + 1) if self.only is None else self.only


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a run went: its trace, how often each thing happened, and the failure, None without one.

    `digest` is the SHA-256 of the trace in hex: equal exactly for equal runs. `days` are simulated
    ones. `failed_at` is the number of the step that failed, 0 for the beginning or the end.
    """

    plan: Plan
    trace: tuple[str, ...]
    digest: str
    counts: Mapping[str, int]
    days: float
    failure: str | None = None
    failed_at: int = 0

    @property
    def kind(self) -> str:
        """What kind of failure it is: the words it begins with, without numbers and ids."""
        return " ".join(_NAMES.sub(" ", self.failure or "").split()[:8])


OpenStore = Callable[[], Awaitable[Store]]


def simulate(
    plan: Plan, site: Site, open_store: OpenStore, isolated: Isolated | None = None
) -> Outcome:
    """Live through a plan over an empty store, then let everything come to its end.

    Claims are signed by a model, or by replicas of an isolated signer if one is given.

    A broken rule is an outcome with a failure; nothing is raised for it. Runs an event loop.
    """
    world = World(plan.seed, site, plan.players, isolated)
    try:
        asyncio.run(_live(world, plan, open_store))
    except Exception as fault:  # noqa: BLE001 - whatever it was, it is how the run has failed
        notes = "".join(f"; {note}" for note in getattr(fault, "__notes__", ()))
        failure: str | None = f"{type(fault).__name__}: {fault}{notes}"
    else:
        failure = None
    return Outcome(
        plan=plan,
        trace=tuple(world.trace),
        digest=sha256("\n".join(world.trace).encode()).hexdigest(),
        counts=dict(sorted(world.counts.items())),
        days=(world.now - cast.START) / DAY,
        failure=failure,
        failed_at=world.number if failure else 0,
    )


async def _live(world: World, plan: Plan, open_store: OpenStore) -> None:
    store = await open_store()
    try:
        task = asyncio.current_task()
        assert task is not None
        async with asyncio.timeout(LONGEST_S + len(plan.numbers) / 10):
            await world.begin(store)
            for number in plan.numbers:
                dice = Dice(plan.seed, number)
                await world.step(number, dice, dice.weighted(HAPPENINGS))  # as _happening does
                if task.cancelling():  # the time is over, and the step took it for a death
                    raise asyncio.CancelledError
            await end(world, Dice(plan.seed, _ENDS))
    finally:
        world.is_over = True
        world.gate.close()
        await store.close()


def _happening(seed: int, number: int) -> Happening:
    """Return what happens in a step."""
    return Dice(seed, number).weighted(HAPPENINGS)


def shrink(outcome: Outcome, run: Callable[[Plan], Outcome], *, most: int = MOST_STEPS) -> Outcome:
    """Return a failing run of the same kind with as few steps as running `most` in all can find.

    Leaves out all steps of a kind, one kind after another, and then ever smaller parts of the rest,
    for as long as what is left still fails alike.
    """
    best, left = outcome, most

    def attempt(numbers: Sequence[int]) -> bool:
        nonlocal best, left
        left -= len(numbers) + 1
        found = run(replace(best.plan, only=tuple(numbers)))
        if found.failure is None or found.kind != outcome.kind:
            return False
        best = found
        return True

    numbers = list(best.plan.numbers)
    if best.failed_at:
        numbers = [number for number in numbers if number <= best.failed_at]
    attempt(numbers)
    seed = best.plan.seed
    for kind, _ in HAPPENINGS.entries:
        kept = [number for number in numbers if _happening(seed, number) is not kind]
        if len(kept) < len(numbers) and left > 0 and attempt(kept):
            numbers = kept
    size = len(numbers)
    while size and left > 0:
        start, shrunk = 0, False
        while start < len(numbers) and left > 0:
            kept = numbers[:start] + numbers[start + size :]
            if attempt(kept):
                numbers, shrunk = kept, True
            else:
                start += size
        if size == 1 and not shrunk:
            break
        size = size if shrunk and size == 1 else size // 2
    return best
