"""The matrix: every port call times every kind of fault, in every scenario that makes the call."""

import asyncio
import json
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Final

from aiba_domain.testing.crash_matrix.bench import Bench
from aiba_domain.testing.crash_matrix.calls import Fault, calls, reason_against
from aiba_domain.testing.crash_matrix.judging import Ending, Watch, compare, end_of
from aiba_domain.testing.crash_matrix.parts import Need, OpenStore, Parts
from aiba_domain.testing.crash_matrix.scenarios import SCENARIOS, Scenario
from aiba_domain.testing.crash_matrix.stage import set_up
from aiba_domain.testing.crash_matrix.wiring import Injector, Strike

EACH_TIME: Final = frozenset({"PaymentReader.payment", "Signer.sign", "Store.transact"})
"""The calls that are struck each time that any scenario makes them: what they do stays done."""

IN_EACH_SCENARIO: Final = frozenset(
    {"ChainReader.view", "Key.sign", "ProtectionStore.transact", "UnitOfWork.write"}
)
"""The calls that are struck in each scenario that makes them, the first time and the last."""


class Depth(StrEnum):
    """In how many scenarios a cell is run."""

    SHORT = "short"
    """Once; a command's write once for every command."""
    USUAL = "usual"
    """As `EACH_TIME` and `IN_EACH_SCENARIO` say of what moves money, and all others once."""
    FULL = "full"
    """Every call each time that any scenario makes it."""


class Status(StrEnum):
    """What came of a cell."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_APPLICABLE = "n/a"
    NOT_DECLARED = "not declared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A port call and a kind of fault. Its text names it, as in `UnitOfWork.write: crash after`."""

    call: str
    fault: Fault

    def __str__(self) -> str:
        return f"{self.call}: {self.fault}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of a cell: in how many runs, and how those that failed did, scenario by scenario.

    `reason` says why nothing was run.
    """

    cell: Cell
    status: Status
    runs: int = 0
    failures: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MatrixReport:
    """All cells that were asked for, in the ports' order."""

    verdicts: tuple[Verdict, ...]

    @property
    def is_passed(self) -> bool:
        """Whether something ran and nothing failed; what isn't declared is not passed."""
        return self.runs > 0 and not self.failed

    @property
    def failed(self) -> tuple[Verdict, ...]:
        """The verdicts of the cells that failed."""
        return tuple(each for each in self.verdicts if each.status is Status.FAILED)

    @property
    def runs(self) -> int:
        """How many runs there were."""
        return sum(each.runs for each in self.verdicts)

    def count(self, status: Status) -> int:
        """Return how many cells came to something."""
        return sum(each.status is status for each in self.verdicts)

    def to_json(self) -> str:
        """Return the report as JSON: counts, and every cell with what came of it."""
        cells = [
            {
                "call": each.cell.call,
                "fault": each.cell.fault,
                "status": each.status,
                "runs": each.runs,
                "failures": list(each.failures),
                "reason": each.reason,
            }
            for each in self.verdicts
        ]
        counts = {status: self.count(status) for status in Status}
        return json.dumps({"runs": self.runs, **counts, "cells": cells}, indent=2)


def cells() -> tuple[Cell, ...]:
    """Return all cells, in the ports' order, also those that can't be struck."""
    return tuple(Cell(call=call, fault=fault) for call in calls() for fault in Fault)


def run_matrix(
    open_store: OpenStore,
    *,
    parts: Parts | None = None,
    only: Collection[Cell] | None = None,
    scenarios: Collection[str] | None = None,
    depth: Depth = Depth.USUAL,
    folder: Path | None = None,
    report: Callable[[Verdict], None] = lambda _verdict: None,
) -> MatrixReport:
    """Run all cells, or `only` some, and return what came of them.

    `scenarios` are the names of those that are lived through, all of `SCENARIOS` by default.
    Stores are opened in `folder`, or in one that goes away. `report` is told every verdict as soon
    as it is there.
    """
    verdicts = []
    with opened(
        open_store, parts or Parts(), scenarios=scenarios, depth=depth, folder=folder
    ) as matrix:
        for cell in cells():
            if only is None or cell in only:
                verdict = matrix.judge(cell)
                report(verdict)
                verdicts.append(verdict)
    return MatrixReport(verdicts=tuple(verdicts))


@contextmanager
def opened(
    open_store: OpenStore,
    parts: Parts,
    *,
    scenarios: Collection[str] | None = None,
    depth: Depth = Depth.USUAL,
    folder: Path | None = None,
) -> Iterator["Matrix"]:
    """Give a matrix while the context lasts; its runs are in `folder`, or in one that goes away."""
    with asyncio.Runner() as runner, tempfile.TemporaryDirectory() as own:
        yield Matrix(open_store, parts, runner, folder or Path(own), depth, scenarios)


class Matrix:
    """Runs cells, one after another. What a scenario does undisturbed is found out once."""

    def __init__(
        self,
        open_store: OpenStore,
        parts: Parts,
        runner: asyncio.Runner,
        folder: Path,
        depth: Depth = Depth.USUAL,
        scenarios: Collection[str] | None = None,
    ) -> None:
        """Run in a folder, on a runner that whoever made it closes."""
        self._open_store = open_store
        self._parts = parts
        self._runner = runner
        self._folder = folder
        self._depth = depth
        wanted = SCENARIOS if scenarios is None else scenarios
        self._scenarios = [each for each in SCENARIOS.values() if each.name in wanted]
        self._numbers = count()
        self._undisturbed: dict[str, tuple[Ending, Mapping[str, int]]] = {}
        self._stage: Path | None = None

    def judge(self, cell: Cell) -> Verdict:
        """Run a cell in the scenarios that make its call, and judge each run."""
        reason = reason_against(calls()[cell.call], cell.fault)
        if reason is not None:
            return Verdict(cell=cell, status=Status.NOT_APPLICABLE, reason=reason)
        runs, failures = 0, list[str]()
        for scenario, strike in self.strikes(cell):
            failure = self.failure_of(scenario, strike)
            runs += 1
            failures += [] if failure is None else [failure]
        if runs:
            status = Status.FAILED if failures else Status.PASSED
            return Verdict(cell=cell, status=status, runs=runs, failures=tuple(failures))
        lack = [
            need for each in SCENARIOS.values() if cell.call in each.reaches for need in each.needs
        ]
        if lack:
            reason = ", ".join(sorted(set(lack)))
            return Verdict(cell=cell, status=Status.NOT_DECLARED, reason=reason)
        text = f"no scenario reaches {cell.call}"
        return Verdict(cell=cell, status=Status.FAILED, failures=(text,))

    def strikes(self, cell: Cell) -> Iterator[tuple[Scenario, Strike]]:
        """Yield the runs of a cell at this depth: the scenarios, and when the fault strikes."""
        has_run = False
        for scenario in self._in_order(cell.call):
            for nth in self._when(scenario, cell.call, has_run=has_run):
                has_run = True
                yield scenario, Strike(call=cell.call, fault=cell.fault, nth=nth)

    def _in_order(self, call: str) -> list[Scenario]:
        """Return the scenarios that can be lived through; where one will do, the likely first."""
        able = [each for each in self._scenarios if not self._parts.lack(each.needs)]
        if self._depth is Depth.SHORT:
            able.sort(key=lambda each: call not in each.reaches)
        return able

    def _when(self, scenario: Scenario, call: str, *, has_run: bool) -> Collection[int]:
        """Return which of the times that a scenario makes a call are struck."""
        is_write = call == "UnitOfWork.write" and scenario.is_command
        if self._depth is Depth.SHORT and has_run and not is_write:
            return ()
        times = self._times(scenario, call)
        is_each_time = self._depth is Depth.USUAL and call in EACH_TIME
        if self._depth is Depth.FULL or is_each_time or not times:
            return range(1, times + 1)
        if self._depth is Depth.USUAL and call in IN_EACH_SCENARIO:
            return {1, times}
        return () if has_run and not is_write else (1,)

    def failure_of(self, scenario: Scenario, strike: Strike) -> str | None:
        """Let a fault strike in a scenario; return what was wrong then, None if nothing was."""
        what = "without a fault"
        try:
            owed, _ = self.undisturbed(scenario)
            what = str(strike)
            ending, injector = self._run(scenario, strike)
            assert injector.has_struck, "the scenario doesn't come so far"
            compare(ending, owed, scenario, strike)
        except Exception as failure:  # noqa: BLE001 - whatever it is, it is what the cell came to
            kind = "" if isinstance(failure, AssertionError) else f"{type(failure).__name__}: "
            return f"{scenario.name}, {what}: {kind}{failure}"
        return None

    def undisturbed(self, scenario: Scenario) -> tuple[Ending, Mapping[str, int]]:
        """Return how a scenario ends without a fault, and how often it makes each call."""
        if scenario.name not in self._undisturbed:
            ending, injector = self._run(scenario, None)
            self._undisturbed[scenario.name] = (ending, injector.reached)
        return self._undisturbed[scenario.name]

    def _times(self, scenario: Scenario, call: str) -> int:
        """Return how often a scenario makes a call; once where it fails even undisturbed."""
        try:
            return self.undisturbed(scenario)[1].get(call, 0)
        except Exception:  # noqa: BLE001 - the run that is to be struck fails with it, and is told
            return 1

    def _run(self, scenario: Scenario, strike: Strike | None) -> tuple[Ending, Injector]:
        return self._runner.get_loop().run_until_complete(self._live(scenario, strike))

    async def _live(self, scenario: Scenario, strike: Strike | None) -> tuple[Ending, Injector]:
        """Live through a scenario on a new store."""
        folder = self._folder / f"run-{next(self._numbers)}"
        bench = Bench(self._open_store, self._parts, folder)
        await self._set(bench, scenario)
        try:
            await scenario.prepare(bench)
            bench.seen.events.clear()
            bench.look = Watch(bench).look
            await bench.look()
            bench.injector.strike = strike
            bench.injector.is_armed = True
            await scenario.act(bench)
            bench.injector.is_armed = False
            return await end_of(bench), bench.injector
        finally:
            await bench.close()
            shutil.rmtree(folder, ignore_errors=True)

    async def _set(self, bench: Bench, scenario: Scenario) -> None:
        """Open a bench with the stage set, unless the scenario begins with nothing."""
        is_isolated = Need.ISOLATED in scenario.needs
        if self._parts.is_in_folder and not scenario.begins_empty:
            shutil.copytree(await self._copied(), bench.folder)
            await bench.open(is_isolated=is_isolated)
            return
        bench.folder.mkdir(parents=True)
        await bench.open(is_isolated=is_isolated)
        if not scenario.begins_empty:
            await set_up(bench)

    async def _copied(self) -> Path:
        """Return the folder of a closed store with the stage set, made at the first call."""
        if self._stage is None:
            self._stage = self._folder / "stage"
            self._stage.mkdir(parents=True)
            bench = Bench(self._open_store, self._parts, self._stage)
            await bench.open()
            await set_up(bench)
            await bench.close()
        return self._stage


def unreached(matrix: Matrix, scenarios: Sequence[Scenario]) -> dict[str, list[str]]:
    """Return, by scenario, the calls that it is there for and doesn't make."""
    found = {}
    for scenario in scenarios:
        _, reached = matrix.undisturbed(scenario)
        missing = [call for call in scenario.reaches if call not in reached]
        if missing:
            found[scenario.name] = missing
    return found
