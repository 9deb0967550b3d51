"""A pytest plugin that runs the collected tests against one mutant after another.

The tests are collected once. Each mutant gets a process of its own, forked from there, which wakes
the mutant, runs the tests that reach its function until one fails, and ends. So a mutant costs its
tests and little more; none sees what another left behind.

Which tests reach a function is learnt first, from a run without a mutant in which every test must
pass. Each test starts without the domain's caches, since one that an earlier test had filled would
answer in a mutant's place. A mutant is out of time by the processor's clock, so that a busy machine
kills none; what ran out of time is tried once more, alone and with more of it.
"""

import gc
import json
import os
import resource
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import _lru_cache_wrapper
from pathlib import Path
from typing import Final, NoReturn

import pytest
from hypothesis import HealthCheck, Phase, settings
from mutmut.mutation import trampoline

# A failure that kills a mutant needs no small example, which costs far more than the failure.
settings.register_profile(
    "mutation",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=40,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)

SURVIVED: Final = 0
KILLED: Final = 1
MEMORY: Final = 4 * 2**30
"""How many bytes a mutant may fill, so that a loop without an end fails before the machine does."""
SPARE_S: Final = 5.0
"""What a mutant may take beside ten times what its tests take without it, in seconds."""
TIMEOUTS: Final = (signal.SIGPROF, signal.SIGALRM)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Take the list of mutants and the file for what became of them."""
    group = parser.getgroup("mutation")
    group.addoption(
        "--mutants", required=True, help="JSON: pairs of a mutant and a test to try first"
    )
    group.addoption("--verdicts", required=True, help="JSON lines: what became of each mutant")
    group.addoption("--mutant-jobs", type=int, default=1, help="mutants at the same time")


def pytest_runtest_setup() -> None:
    """Forget what earlier tests computed."""
    for cache in _caches():
        cache.cache_clear()


def _caches() -> Iterator["_lru_cache_wrapper[object]"]:
    for name, module in list(sys.modules.items()):
        if name.startswith("aiba_domain.") and not name.startswith("aiba_domain.testing"):
            for value in list(vars(module).values()):
                if isinstance(value, _lru_cache_wrapper):
                    yield value


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> None:
    """In a mutant's process, end at the first failure: nobody reads how it came about."""
    if _killer != _NOBODY and call.excinfo is not None:
        skipped = isinstance(call.excinfo.value, pytest.skip.Exception)
        if not skipped and item.get_closest_marker("xfail") is None:
            _end(KILLED, item.nodeid)


_NOBODY: Final = -1
_killer = _NOBODY
"""In a mutant's process, where to write which test killed it."""


def _end(status: int, killer: str = "") -> NoReturn:
    os.write(_killer, killer.encode())
    os._exit(status)


@dataclass(slots=True)
class Reach:
    """What a run without a mutant shows: who calls which function, and how long it takes."""

    tests: dict[str, list[str]] = field(default_factory=dict)
    took_s: dict[str, float] = field(default_factory=dict)
    cpu_s: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Running:
    """A mutant under test in the process `pid`; `answer` is where its killer can be read."""

    name: str
    pid: int
    answer: int


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool:
    """Judge every mutant; exit with an error if the tests can't judge any."""
    config = session.config
    asked: list[tuple[str, str]] = json.loads(Path(config.getoption("--mutants")).read_text())
    reach = _reach(session)
    with Path(config.getoption("--verdicts")).open("w", encoding="utf-8") as verdicts:
        judge = Judge(session, reach, asked)
        judge.check_the_tests()
        for name, status, killer in judge.verdicts(config.getoption("--mutant-jobs")):
            print(json.dumps({"name": name, "status": status, "killer": killer}), file=verdicts)
            verdicts.flush()
    return True


def _reach(session: pytest.Session) -> Reach:
    """Run all tests without a mutant, in a process of their own, and see what each one calls."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        with os.fdopen(write, "w", encoding="utf-8") as pipe:
            json.dump(_watched(session), pipe)
        os._exit(0)
    os.close(write)
    with os.fdopen(read, encoding="utf-8") as pipe:
        answer = pipe.read()
    os.waitpid(pid, 0)
    found = json.loads(answer or '{"failed": "the process of the tests ended"}')
    if "failed" in found:
        pytest.exit(f"without any mutant a test fails: {found['failed']}", returncode=1)
    return Reach(**found)


def _watched(session: pytest.Session) -> dict[str, object]:
    _limit_memory()
    hits: set[str] = set()

    def hit(name: str, caller: str | None = None) -> None:
        del caller
        hits.add(name)

    vars(trampoline)["record_trampoline_hit"] = hit
    trampoline.set_mutant_under_test("stats")
    tests: defaultdict[str, list[str]] = defaultdict(list)
    took: dict[str, float] = {}
    cpu: dict[str, float] = {}
    items = session.items
    for item, following in zip(items, [*items[1:], None], strict=True):
        hits.clear()
        start, start_cpu = time.perf_counter(), time.process_time()
        item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
        took[item.nodeid] = time.perf_counter() - start
        cpu[item.nodeid] = time.process_time() - start_cpu
        if session.testsfailed:
            return {"failed": item.nodeid}
        for name in hits:
            tests[name].append(item.nodeid)
    return {"tests": tests, "took_s": took, "cpu_s": cpu}


def _limit_memory() -> None:
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))


class Judge:
    """Runs tests against mutants, those first that killed their neighbours."""

    def __init__(
        self, session: pytest.Session, reach: Reach, asked: Sequence[tuple[str, str]]
    ) -> None:
        """Judge `asked`, pairs of a mutant's name and a test to try first, `""` for none."""
        self._items = {item.nodeid: item for item in session.items}
        self._reach = reach
        self._first = {name: first for name, first in asked if first in self._items}
        self._waiting = [name for name, _first in asked]
        self._killers: defaultdict[str, Counter[str]] = defaultdict(Counter)
        gc.collect()
        gc.freeze()

    def check_the_tests(self) -> None:
        """Exit unless they pass in a process without a mutant, and fail in one that breaks all."""
        tests = sorted(self._items, key=self._reach.took_s.__getitem__)
        for name, due in (("", "survived"), ("fail", "killed")):
            _one, status, killer = self._wait([self._start(name, tests, patience=1)])
            if status != due:
                pytest.exit(f"mutant {name!r} {status} instead of {due}: {killer}", returncode=1)
        self._killers.clear()

    def verdicts(self, jobs: int) -> Iterator[tuple[str, str, str]]:
        """Yield each mutant with `killed`, `survived`, `timeout` or `crashed`, and its killer."""
        again: list[str] = []
        running: list[Running] = []
        count: Counter[str] = Counter()
        waiting = list(reversed(self._waiting))
        while waiting or running:
            while waiting and len(running) < jobs:
                name = waiting.pop()
                running.append(self._start(name, self._order(name), patience=1))
            one, status, killer = self._wait(running)
            running.remove(one)
            if status in ("timeout", "crashed"):
                again.append(one.name)
                continue
            count[status] += 1
            self._tell(count, len(again))
            yield one.name, status, killer
        for name in again:
            one, status, killer = self._wait([self._start(name, self._order(name), patience=3)])
            count[status] += 1
            self._tell(count, 0)
            yield name, status, killer

    def _tell(self, count: Counter[str], again: int) -> None:
        done = sum(count.values())
        if done % 50 == 0 or done + again == len(self._waiting):
            shown = ", ".join(f"{number} {status}" for status, number in sorted(count.items()))
            print(f"{done} of {len(self._waiting)}: {shown}, {again} to try again", flush=True)

    def _order(self, name: str) -> list[str]:
        """Return the tests that reach a mutant's function, the likeliest killers first."""
        function = name.partition("__mutmut_")[0]
        killers, first = self._killers[function], self._first.get(name)
        took = self._reach.took_s
        return sorted(
            self._reach.tests.get(function, []),
            key=lambda test: (test != first, -killers[test], took[test]),
        )

    def _start(self, name: str, tests: Sequence[str], *, patience: int) -> Running:
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            self._run(name, tests, write, patience)
        os.close(write)
        return Running(name, pid, read)

    def _run(self, name: str, tests: Sequence[str], answer: int, patience: int) -> NoReturn:
        """Run tests in a mutant's process until one fails."""
        global _killer  # noqa: PLW0603 - a process has one mutant
        _killer = answer
        silence = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silence, 1)
        os.dup2(silence, 2)
        cpu = patience * (SPARE_S + 10 * sum(self._reach.cpu_s[test] for test in tests))
        took = patience * (12 * SPARE_S + 50 * sum(self._reach.took_s[test] for test in tests))
        signal.setitimer(signal.ITIMER_PROF, cpu)
        signal.alarm(int(took))
        _limit_memory()
        trampoline.set_mutant_under_test(name)
        items = [self._items[test] for test in tests]
        test = ""
        try:
            for item, following in zip(items, [*items[1:], None], strict=True):
                test = item.nodeid
                item.ihook.pytest_runtest_protocol(item=item, nextitem=following)
        except BaseException:  # noqa: BLE001 - even an interruption comes from the mutant here
            _end(KILLED, test)
        _end(SURVIVED)

    def _wait(self, running: Sequence[Running]) -> tuple[Running, str, str]:
        """Wait for one of the processes; return it, how its mutant ended, and the killer."""
        pid, ended = os.wait()
        one = next(each for each in running if each.pid == pid)
        with os.fdopen(one.answer, encoding="utf-8") as pipe:
            killer = pipe.read()
        if os.WIFSIGNALED(ended):
            return one, "timeout" if os.WTERMSIG(ended) in TIMEOUTS else "crashed", ""
        if os.WEXITSTATUS(ended) == KILLED:
            self._killers[one.name.partition("__mutmut_")[0]][killer] += 1
            return one, "killed", killer
        return one, "survived" if os.WEXITSTATUS(ended) == SURVIVED else "crashed", ""
