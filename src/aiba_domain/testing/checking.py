"""Runs a suite on an adapter from Python, and reports: the same properties that pytest runs.

It is pytest that runs them, in this process, with a configuration of its own and no plugins but
Hypothesis's, so a property has one meaning however it is run. A pytest that is already running may
call this; a running event loop may not, since the properties bring their own.
"""

import asyncio
import contextlib
import inspect
import os
import sys
import time
import types
from collections.abc import Callable, Collection, Generator, Iterator
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, cast

import hypothesis.core
import pytest

from aiba_domain.testing.contracts.registry import Suite, describe, suite_of
from aiba_domain.testing.contracts.suite import BLOCKED, NOT_DECLARED, Capability, PortContract
from aiba_domain.testing.report import Outcome, Report, Result

_MODULE: Final = """\
from aiba_domain.testing.checking import UNDER_TEST

TestAdapter = UNDER_TEST[{key!r}]
"""
UNDER_TEST: Final[dict[str, type[PortContract]]] = {}
"""The classes that are being run, for the module that pytest is given."""

_keys = count()


def check(
    contract: type[PortContract],
    fixture: Callable[..., Any] | None = None,
    *,
    capabilities: Collection[Capability] | None = None,
    adapter: str = "",
    adapter_version: str = "",
    seed: int = 0,
    **hooks: Any,
) -> Report:
    """Run a suite on an adapter and report what came of each property.

    `contract` is a suite with its one `fixture` (what its abstract method would do, without
    `self`), or a subclass that has it. `hooks` are the suite's further attributes and methods,
    these too without `self`: `check(SignerContract, open_signer, vault=..., accepts=...)`.
    `adapter` is the name in the report, by default that of the fixture or class. `seed` starts the
    drawing of examples, unless the loaded Hypothesis profile derandomizes.

    Raises TypeError for a class that is no suite or lacks its fixture, for a capability or a hook
    that the suite doesn't know, and inside a running event loop.
    """
    with contextlib.suppress(RuntimeError):
        asyncio.get_running_loop()
        raise TypeError("check() brings event loops of its own: call it outside of any")
    kind = _completed(contract, fixture, capabilities, hooks)
    suite = describe(kind)
    started = _Run(kind, suite)
    _execute(kind, started, seed)
    return Report(
        suite=suite.name,
        suite_version=suite.version,
        port=suite.port,
        adapter=adapter or _name(contract, fixture),
        adapter_version=adapter_version,
        capabilities=tuple(sorted(kind.capabilities)),
        base=suite.base,
        seed=seed,
        results=started.results(),
    )


def _name(contract: type[PortContract], fixture: Callable[..., Any] | None) -> str:
    named = contract if fixture is None else fixture
    return getattr(named, "__qualname__", repr(named))


def _completed(
    contract: type[PortContract],
    fixture: Callable[..., Any] | None,
    capabilities: Collection[Capability] | None,
    hooks: dict[str, Any],
) -> type[PortContract]:
    """Return a class of its own for this run: what is noted of base properties is its alone."""
    suite_of(contract)
    members: dict[str, Any] = {"__doc__": contract.__doc__, "opener": fixture or contract}
    if capabilities is not None:
        members["capabilities"] = frozenset(capabilities)
    given = dict(hooks)
    missing = sorted(contract.__abstractmethods__)
    if fixture is not None:
        if len(missing) != 1:
            raise TypeError(f"fixture: {contract.__name__} has one already")
        given[missing[0]] = fixture
    elif missing:
        raise TypeError(f"fixture: {contract.__name__} needs its {', '.join(missing)}")
    for name, hook in given.items():
        if not hasattr(contract, name) and name not in _annotations(contract):
            raise TypeError(f"{name}: {contract.__name__} has no such hook")
        members[name] = staticmethod(hook) if inspect.isroutine(hook) else hook
    made: Any = types.new_class(
        f"Test{contract.__name__}", (contract,), exec_body=lambda body: body.update(members)
    )
    return cast("type[PortContract]", made)


def _annotations(contract: type) -> set[str]:
    return {name for kind in contract.__mro__ for name in inspect.get_annotations(kind)}


class _Run:
    """What pytest tells of a run; every property of the suite gets a result, whatever happens."""

    def __init__(self, kind: type[PortContract], suite: Suite) -> None:
        self._kind = kind
        self._suite = suite
        self._home = Path(inspect.getfile(suite_of(kind))).parent
        self._found: dict[str, tuple[str, Outcome, str, float]] = {}
        self._errors: list[str] = []

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep what kept pytest from finding the properties."""
        if report.failed:
            self._errors.append(report.longreprtext)

    def pytest_itemcollected(self, item: pytest.Item) -> None:
        """Count on a result of each case."""
        name = getattr(item, "originalname", None) or item.name
        self._found[item.name] = (name, Outcome.FAILED, "it was found and not run", 0.0)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """Time a case as a whole."""
        began = time.perf_counter()
        done = yield
        name, outcome, found, _ = self._found[item.name]
        self._found[item.name] = (name, outcome, found, time.perf_counter() - began)
        return done

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Keep what came of a part of a case: a failure anywhere in it is one of the case."""
        report = yield
        name, outcome, found, seconds = self._found[item.name]
        if report.failed:
            told = _told(call.excinfo, report.longreprtext, self._home)
            outcome, found = Outcome.FAILED, told
        elif report.skipped:
            outcome, found = _skipped(call.excinfo)
        elif call.when == "call":
            outcome, found = Outcome.PASSED, ""
        self._found[item.name] = (name, outcome, found, seconds)
        return report

    def results(self) -> tuple[Result, ...]:
        """Return a result for each case, and for each property that had none."""
        owed = {one.name: one.owed for one in self._suite.properties}
        results = [
            Result(
                name=name,
                case=case,
                outcome=outcome,
                owed=owed.get(name, ""),
                found=found,
                seconds=seconds,
            )
            for case, (name, outcome, found, seconds) in self._found.items()
        ]
        suite = suite_of(self._kind).properties()
        mine = self._kind.properties()
        ran = {result.name for result in results}
        for name, text in owed.items():
            gone = name not in ran
            replaced = mine.get(name) is not suite[name]
            if gone or replaced:
                reason = "\n".join(["the property was replaced or taken out", *self._errors])
                results = [result for result in results if result.name != name]
                results.append(
                    Result(
                        name=name,
                        case=name,
                        outcome=Outcome.FAILED,
                        owed=text,
                        found=reason,
                        seconds=0.0,
                    )
                )
        return tuple(results)


def _told(error: "pytest.ExceptionInfo[BaseException] | None", fallback: str, home: Path) -> str:
    """Return what an adapter did: the error's own words, and the line of the suite it arose at.

    `home` is the folder of the suite.
    """
    if error is None:
        return fallback
    lines = [str(error.value) or type(error.value).__name__]
    if not isinstance(error.value, AssertionError | pytest.fail.Exception):
        lines[0] = f"{type(error.value).__name__}: {lines[0]}"
    lines += getattr(error.value, "__notes__", [])
    places = [entry for entry in error.traceback if Path(entry.path).parent == home]
    places = [entry for entry in places if Path(entry.path).name != "expect.py"]
    if places:
        place = places[-1]
        file = Path(place.path).name
        lines.append(f"at {file}:{place.lineno + 1}: {str(place.statement).strip()}")
    return "\n".join(lines)


def _skipped(error: "pytest.ExceptionInfo[BaseException] | None") -> tuple[Outcome, str]:
    reason = str(error.value) if error is not None else ""
    if reason.startswith(NOT_DECLARED):
        return Outcome.NOT_DECLARED, reason
    if reason.startswith(BLOCKED):
        return Outcome.BLOCKED, reason
    return Outcome.FAILED, f"skipped by something else than the suite: {reason}"


def _execute(kind: type[PortContract], run: _Run, seed: int) -> None:
    """Let pytest run a class with nothing around it but what this says."""
    key = f"test_adapter_{next(_keys)}"
    UNDER_TEST[key] = kind
    with TemporaryDirectory() as folder, _undisturbed():
        module, configuration = Path(folder, f"{key}.py"), Path(folder, "pytest.ini")
        module.write_text(_MODULE.format(key=key), encoding="utf-8")
        configuration.write_text("[pytest]\n", encoding="utf-8")
        pytest.main(
            [
                str(module),
                f"--rootdir={folder}",
                f"--confcutdir={folder}",
                f"--config-file={configuration}",
                f"--basetemp={folder}/tests",
                "--import-mode=importlib",
                "--disable-plugin-autoload",
                "-p_hypothesis_pytestplugin",
                f"--hypothesis-seed={seed}",
                "--capture=no",
                "-pno:cacheprovider",
                "-pno:terminal",
            ],
            plugins=[run],
        )
    del UNDER_TEST[key]
    sys.modules.pop(key, None)


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Keep this run and one of pytest's around it out of each other's way."""
    names = ("PYTEST_ADDOPTS", "PYTEST_PLUGINS", "PYTEST_CURRENT_TEST")
    before = {name: os.environ.pop(name) for name in names if name in os.environ}
    seed = hypothesis.core.global_force_seed
    try:
        yield
    finally:
        hypothesis.core.global_force_seed = seed
        os.environ.update(before)
