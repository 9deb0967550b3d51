"""The properties that kill: of suites, rules, machine, crash matrix, simulations and histories."""

import asyncio
import inspect
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, cast

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import initialize, run_state_machine_as_test

from aiba_domain.application.pipeline import Pipeline
from aiba_domain.ports import Store
from aiba_domain.testing import claims_simulation
from aiba_domain.testing.chain import JETTON_MASTER, VAULT, signature_of
from aiba_domain.testing.contracts import (
    ClockContract,
    PortContract,
    RateLimiterContract,
    SeedSecretsContract,
    SignerContract,
)
from aiba_domain.testing.contracts import rate_limiter as limiter_suite
from aiba_domain.testing.contracts import signer as signer_suite
from aiba_domain.testing.contracts.desk import Desk
from aiba_domain.testing.contracts.store_suite import StoreSuite
from aiba_domain.testing.crash_matrix import Cell, Depth, Fault, Parts, run_matrix
from aiba_domain.testing.doubles import Tally
from aiba_domain.testing.history import judge, record
from aiba_domain.testing.history.workload import Workload
from aiba_domain.testing.machines import ArenaMachine
from aiba_domain.testing.mutants.build import Build
from aiba_domain.testing.mutants.service import Service, served
from aiba_domain.testing.mutants.wrapping import LaterStore
from aiba_domain.testing.simulation import Parts as SiteParts
from aiba_domain.testing.simulation import PipelineSite, Plan, Process, simulate
from aiba_domain.testing.simulation.pipeline_site import PipelineProcess

CLAIM_STEPS: Final = 800
"""How long a life of withdrawals is."""
DAY_STEPS: Final = 200
"""How long a simulated life of the whole service is."""
EXAMPLES: Final = 4
"""How many random lives of the state machine are one attempt."""
LIFE_STEPS: Final = 40
"""How long each of them is."""


# A property of a contract suite.


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractProperty:
    """One property of a suite, with the arguments of one of its cases, or of one example of it.

    A property that is drawn is run on that example alone: what kills must not hang on a draw.
    """

    suite: type[PortContract]
    test: str
    arguments: tuple[object, ...] = ()
    unit: str = "run"

    @property
    def name(self) -> str:
        """Return the suite's name and the property's, with its case."""
        case = f"[{'-'.join(map(str, self.arguments))}]" if self.arguments else ""
        return f"{self.suite.__name__}.{self.test}{case}"

    @property
    def basis(self) -> str:
        """Return the name."""
        return self.name

    def attempt(self, build: Build, number: int) -> None:
        """Run the property on the build's adapter."""
        del number
        test = getattr(self.suite, self.test)
        drawn = getattr(test, "hypothesis", None)
        run: Callable[..., None] = test if drawn is None else drawn.inner_test
        _, given, *names = inspect.signature(run).parameters
        with _subject(self.suite, build) as (suite, subject):
            run(suite, **{given: subject}, **dict(zip(names, self.arguments, strict=True)))


@contextmanager
def _subject(kind: type[PortContract], build: Build) -> Iterator[tuple[PortContract, Any]]:
    """Give a suite over a build, and what its properties are given: the adapter at a desk."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        suite = _over(kind, build)
        runner = stack.enter_context(asyncio.Runner(loop_factory=suite.new_loop))
        if isinstance(suite, StoreSuite):
            store = runner.run(suite.open_store(folder))
            stack.callback(lambda: runner.run(store.close()))
            yield suite, Desk(runner, store)
        elif isinstance(suite, RateLimiterContract):
            yield suite, limiter_suite.Counter(runner, build.open_limiter())
        elif isinstance(suite, SignerContract):
            yield suite, signer_suite.Desk(runner, build.make_signer([]), (VAULT, JETTON_MASTER))
        elif isinstance(suite, SeedSecretsContract):
            yield suite, suite.make_secrets(_A_ROOT)
        elif isinstance(suite, ClockContract):
            yield suite, build.make_clock()
        else:
            raise TypeError(f"{kind.__name__} is of no part of a build")


_A_ROOT: Final = "a root of seed secrets for a suite"


def _over(kind: type[PortContract], build: Build) -> PortContract:
    """Return a suite over a build."""

    async def open_store(_suite: object, folder: Path) -> Store:
        return await build.open_store(folder)

    members = {
        "open_store": open_store,
        "open_limiter": lambda _suite, _folder: build.open_limiter(),
        "open_signer": lambda _suite, _folder: build.make_signer([]),
        "make_secrets": lambda _suite, root: build.make_seeds(root),
        "make_clock": lambda _suite: build.make_clock(),
        "accepts": lambda _suite, signed: signed.signature == signature_of(signed.terms),
        "vault": VAULT,
        "jetton_master": JETTON_MASTER,
    }
    made: Any = type(f"Faulty{kind.__name__}", (kind,), {"__doc__": kind.__doc__, **members})
    return cast("PortContract", made())


# A rule of the service.


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleProperty:
    """A rule that the service keeps, told by what its answers and its ledger say."""

    rule: Callable[[Service], None]
    unit: str = "run"

    @property
    def name(self) -> str:
        """Return the rule's name and where it is written."""
        return f"rules.{self.rule.__module__.rpartition('.')[2]}.{self.rule.__name__}"

    @property
    def basis(self) -> str:
        """Return the name."""
        return self.name

    def attempt(self, build: Build, number: int) -> None:
        """Try the rule on a service over a new store."""
        del number
        with served(build) as service:
            self.rule(service)


# A rule of the state machine.


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineProperty:
    """A rule or an invariant of `ArenaMachine`, in random lives that the attempt's number seeds.

    `also` are other rules that see the same fault: whichever comes to it first.
    """

    rule: str
    also: frozenset[str] = frozenset()
    unit: str = f"{EXAMPLES} lives of {LIFE_STEPS} steps"

    @property
    def name(self) -> str:
        """Return the rule's name."""
        return f"{ArenaMachine.__name__}.{self.rule}"

    @property
    def basis(self) -> str:
        """Return the machine's name: all of its rules are tried in the same lives."""
        return ArenaMachine.__name__

    def attempt(self, build: Build, number: int) -> None:
        """Live; what fails must be this rule, or one of those beside it."""
        with TemporaryDirectory() as folder:
            machine = hypothesis.seed(number)(_machine(build, Path(folder)))
            try:
                run_state_machine_as_test(machine, settings=_LIVES)
            except Exception as failure:
                places = {frame.name for frame in traceback.extract_tb(failure.__traceback__)}
                if places.isdisjoint({self.rule, *self.also}):
                    raise RuntimeError(f"another rule failed first: {failure}") from failure
                raise


_LIVES: Final = settings(
    max_examples=EXAMPLES,
    stateful_step_count=LIFE_STEPS,
    deadline=None,
    database=None,
    derandomize=False,
    phases=[Phase.generate],
    print_blob=False,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)


def _machine(build: Build, folder: Path) -> type[ArenaMachine]:
    """Return the machine over a build: begun by sound parts, then lived by the build's."""
    numbers = iter(range(10**9))

    class Faulty(ArenaMachine):
        """The arena over a build."""

        async def open_store(self) -> Store:
            """Open a store of this life alone."""
            own = folder / f"life-{next(numbers)}"
            own.mkdir()
            return await build.open_store(own)

        @initialize()
        def begin(self) -> None:
            """Begin, then let the build's own parts take over."""
            super().begin()
            self.play.pipeline = build.pipeline(
                store=self.play.faults,
                clock=self.play.clock,
                seeds=self.play.seeds,
                observer=self.play.seen,
                handlers=build.handlers,
            )

    return Faulty


# A cell of the crash matrix.


@dataclass(frozen=True, slots=True, kw_only=True)
class CellProperty:
    """A cell of the crash matrix, in as few scenarios as there are to it."""

    call: str
    fault: Fault
    unit: str = "cell"

    @property
    def name(self) -> str:
        """Return the cell's own name."""
        return f"crash matrix, {Cell(call=self.call, fault=self.fault)}"

    @property
    def basis(self) -> str:
        """Return the name."""
        return self.name

    def attempt(self, build: Build, number: int) -> None:
        """Run the cell."""
        del number
        parts = Parts(
            make_signer=build.make_signer,
            reader=build.reader,
            handlers=build.handlers,
            pipeline=build.pipeline,
            withdrawals=build.withdrawals,
        )
        cell = Cell(call=self.call, fault=self.fault)
        report = run_matrix(build.open_store, parts=parts, only={cell}, depth=Depth.SHORT)
        assert report.runs, f"{cell} was not run"
        failures = [failure for verdict in report.failed for failure in verdict.failures]
        assert not failures, failures[0]


# An audit of a simulation.


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimsProperty:
    """The audit of withdrawals: what ledger, claims, signatures and chain agree on."""

    name: str = "claims simulation, audit"
    unit: str = f"life of {CLAIM_STEPS} steps"

    @property
    def basis(self) -> str:
        """Return the name."""
        return self.name

    def attempt(self, build: Build, number: int) -> None:
        """Live through the attempt's own seed."""
        with TemporaryDirectory() as folder:
            store = partial(LaterStore, build.open_store, Path(folder))
            claims_simulation.simulate(
                number, CLAIM_STEPS, store, served_by=build.withdrawals, read_by=build.reader
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class LifeProperty:
    """The audit of days of the whole service, whatever goes wrong meanwhile."""

    name: str = "simulation, audit"
    unit: str = f"life of {DAY_STEPS} steps"

    @property
    def basis(self) -> str:
        """Return the name."""
        return self.name

    def attempt(self, build: Build, number: int) -> None:
        """Live through the attempt's own seed."""
        with TemporaryDirectory() as folder:
            outcome = simulate(
                Plan(seed=number, steps=DAY_STEPS),
                _Site(build),
                lambda: build.open_store(Path(folder)),
            )
        assert outcome.failure is None, outcome.failure


class _Site(PipelineSite):
    """A site whose processes are made of a build."""

    def __init__(self, build: Build) -> None:
        super().__init__(build.withdrawals)
        self._build = build

    def start(self, parts: SiteParts) -> Process:
        process = PipelineProcess(parts, self._build.withdrawals)
        pipeline: Pipeline = self._build.pipeline(
            store=parts.store,
            clock=parts.clock,
            seeds=parts.seeds,
            observer=Tally(),
            handlers=self._build.handlers,
        )
        process.pipeline = pipeline
        process.withdrawals = self._build.withdrawals(
            pipeline=pipeline,
            store=parts.store,
            signer=parts.signer,
            chain=parts.chain,
            contracts=parts.contracts,
        )
        return process


# The history check.


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryProperty:
    """Linearizability of what clients at once are told, account by account."""

    name: str = "HistoryContract.test_clients_at_once_are_told_what_an_order_explains"
    unit: str = "history"

    @property
    def basis(self) -> str:
        """Return the name."""
        return self.name

    def attempt(self, build: Build, number: int) -> None:
        """Record the history of the attempt's own seed, and judge it."""
        with TemporaryDirectory() as folder:
            history = record(build.open_store, Path(folder), Workload(seed=number))
        judgement = judge(history)
        assert judgement.is_sound, judgement.text()
