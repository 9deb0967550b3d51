"""A report tells passed, failed, blocked and not declared apart, for every reader of it."""

import json
import os
from pathlib import Path
from typing import NoReturn
from xml.etree import ElementTree as ET

import hypothesis.core
import pytest

from aiba_adapters.memory import MemoryStore
from aiba_adapters.ratelimit import MemoryRateLimiter
from aiba_adapters.sqlite import SqliteStore
from aiba_domain.ports import Verdict
from aiba_domain.testing import (
    Capability,
    ClockContract,
    Outcome,
    RateLimiterContract,
    Report,
    Result,
    StoreContract,
    check,
)
from aiba_domain.testing.__main__ import main
from aiba_domain.testing.contracts import PortContract, RecoveryContract
from aiba_domain.testing.contracts.suite import needed

SERIALIZABLE = frozenset({Capability.SERIALIZABLE})


async def open_good(folder: Path) -> MemoryRateLimiter:  # noqa: ARG001 - in memory
    """Open a limiter that keeps the contract."""
    return MemoryRateLimiter()


class CaseBlind(MemoryRateLimiter):
    """Takes `K` for `k`."""

    async def hit(self, name: str, key: str, *, limit: int, window_ms: int, now_ms: int) -> Verdict:
        """Count a hit of the wrong key."""
        lower = key.lower()
        return await super().hit(name, lower, limit=limit, window_ms=window_ms, now_ms=now_ms)


async def open_case_blind(folder: Path) -> CaseBlind:  # noqa: ARG001 - in memory
    """Open a limiter that breaks one property."""
    return CaseBlind()


async def open_nothing(folder: Path) -> MemoryRateLimiter:  # noqa: ARG001 - as the port asks
    """Fail to open."""
    raise RuntimeError("no server at limiter.example \x00\x1b")


async def open_memory(folder: Path) -> MemoryStore:  # noqa: ARG001 - it has no file
    """Open a store that nothing outlives."""
    return MemoryStore()


async def open_file(folder: Path) -> SqliteStore:
    """Open a file; also from another process."""
    return SqliteStore(folder / "arena.db")


class Clockless(ClockContract):
    """Has no clock, and properties that were meddled with."""

    test_an_instant_is_a_whole_number = None  # type: ignore[assignment]

    def make_clock(self) -> NoReturn:
        """Skip what can't be passed."""
        pytest.skip("no clock here")


def good() -> Report:
    """Run the limiter that keeps the contract."""
    return check(RateLimiterContract, open_good, capabilities=SERIALIZABLE, adapter_version="1.2")


def test_a_good_adapter_passes_what_it_declares_and_nothing_more() -> None:
    """What isn't declared is told as that, never as passed."""
    report = good()
    assert report.is_green
    assert report.counts()[Outcome.FAILED] == report.counts()[Outcome.BLOCKED] == 0
    assert {result.name for result in report.results if result.outcome is Outcome.NOT_DECLARED} == {
        "test_two_limiters_on_one_state_count_together",
        "test_counts_are_there_after_a_restart",
    }
    assert (report.suite, report.adapter, report.adapter_version) == (
        "RateLimiterContract",
        "open_good",
        "1.2",
    )
    assert report.text().endswith("12 passed, 0 failed, 0 blocked, 2 not declared")


def test_nothing_declared_is_nothing_more_tried() -> None:
    """Without its capability the concurrent property isn't run."""
    report = check(RateLimiterContract, open_good, adapter="mine")
    assert report.counts() == {
        Outcome.PASSED: 11,
        Outcome.FAILED: 0,
        Outcome.BLOCKED: 0,
        Outcome.NOT_DECLARED: 3,
    }


def test_a_failure_says_what_is_owed_and_what_was_found() -> None:
    """With the line of the suite where they parted."""
    report = check(RateLimiterContract, open_case_blind)
    (failure,) = report.failures()
    assert failure.case == "test_keys_and_names_count_apart[K]"
    assert failure.owed.startswith("Another key or another limit's name has a count of its own")
    assert "another key's first hit is allowed" in failure.found
    assert "rate_limiter.py:" in failure.found
    assert failure.found in report.text().replace("\n  ", "\n")
    assert not report.is_green


def test_a_broken_base_property_blocks_the_others() -> None:
    """One failure, and nobody has to read the ten that follow from it."""
    report = check(RateLimiterContract, open_nothing, capabilities=SERIALIZABLE)
    (failure,) = report.failures()
    assert failure.name in report.base
    assert failure.found.startswith("RuntimeError: no server at limiter.example")
    blocked = [result for result in report.results if result.outcome is Outcome.BLOCKED]
    assert len(blocked) == 11
    assert {result.found for result in blocked} == {f"blocked: {failure.name}"}
    assert report.counts()[Outcome.PASSED] == 0


def test_a_run_of_nothing_is_a_failure() -> None:
    """Neither the report nor a reader of its XML takes it for green."""
    report = Report(
        suite="S",
        suite_version="1",
        port="P",
        adapter="a",
        adapter_version="",
        capabilities=(),
        base=(),
        seed=0,
        results=(),
    )
    assert not report.is_green
    assert "no property was run, which is a failure" in report.text()
    (suite,) = ET.fromstring(report.junit())  # noqa: S314 - written just now
    assert suite.get("failures") == "1"


def test_meddling_with_a_suite_is_a_failure() -> None:
    """A property that is taken out, or skipped by the adapter's author, has not passed."""
    report = check(Clockless)
    assert not report.is_green
    found = {result.name: result.found for result in report.failures()}
    assert "replaced or taken out" in found["test_an_instant_is_a_whole_number"]
    assert "no clock here" in found["test_an_instant_is_in_milliseconds_since_the_epoch"]


def test_the_same_seed_draws_the_same_and_leaves_pytest_alone() -> None:
    """Also while pytest is running: its own variables and seed are as before."""
    before = dict(os.environ), hypothesis.core.global_force_seed
    first, second = ([(result.case, result.outcome) for result in good().results] for _ in range(2))
    assert first == second
    assert (dict(os.environ), hypothesis.core.global_force_seed) == before


def test_other_processes_open_the_adapter_by_its_opener() -> None:
    """A function at the top of a module is enough for killed and concurrent processes."""
    kinds = frozenset({Capability.REOPEN, Capability.DURABLE, Capability.SHARED})
    report = check(RecoveryContract, open_file, capabilities=kinds)
    assert report.is_green, report.text()
    assert report.counts()[Outcome.NOT_DECLARED] == 1


def test_a_promise_that_is_not_kept_is_found() -> None:
    """A store in memory that says it is durable and shared fails each of these properties."""
    kinds = frozenset({Capability.REOPEN, Capability.DURABLE, Capability.SHARED})
    report = check(RecoveryContract, open_memory, capabilities=kinds)
    assert {failure.name for failure in report.failures()} == {
        name for name, test in RecoveryContract.properties().items() if needed(test) & kinds
    }
    assert "answered units that are lost: the port owes []" in report.text()


def test_an_opener_that_no_process_finds_is_told_so() -> None:
    """A function within a function can't be opened elsewhere, and the message says what to do."""

    async def open_here(folder: Path) -> SqliteStore:
        return SqliteStore(folder / "arena.db")

    report = check(RecoveryContract, open_here, capabilities={Capability.DURABLE})
    (failure,) = report.failures()
    assert "write it at the top of a module" in failure.found


def test_what_cannot_be_run_is_refused_by_name() -> None:
    """A typo in a capability or a hook is no silent loss of properties."""
    with pytest.raises(TypeError, match=r"capabilities: durable; it knows reopen, serializable"):
        check(RateLimiterContract, open_good, capabilities={Capability.DURABLE})
    with pytest.raises(TypeError, match=r"^outrage: RateLimiterContract has no such hook"):
        check(RateLimiterContract, open_good, outrage=None)
    with pytest.raises(TypeError, match=r"RateLimiterContract needs its open_limiter"):
        check(RateLimiterContract)
    with pytest.raises(TypeError, match=r"Clockless has one already"):
        check(Clockless, open_good)
    with pytest.raises(TypeError, match=r"subclasses no suite"):
        check(PortContract)


def test_json_holds_everything() -> None:
    """Suite and adapter with their versions, capabilities, base properties, counts and results."""
    report = good()
    document = json.loads(report.json())
    assert document["format"] == 1
    assert document["suiteVersion"] == RateLimiterContract.version
    assert document["adapter"] == "open_good"
    assert document["capabilities"] == ["serializable"]
    assert document["base"] == ["test_hits_are_allowed_up_to_the_limit"]
    assert document["isGreen"] is True
    assert document["counts"] == {"passed": 12, "failed": 0, "blocked": 0, "not declared": 2}
    assert len(document["results"]) == 14
    assert set(document["results"][0]) == {"name", "case", "outcome", "owed", "found", "seconds"}


# The attributes and children that the schema of Jenkins's JUnit reader allows, which other
# readers (GitLab, GitHub's actions, Azure) share.
ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "disabled", "errors"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"name", "classname", "time", "assertions", "status"},
    "failure": {"message", "type"},
    "skipped": {"message", "type"},
}
CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase"},
    "properties": {"property"},
    "property": set(),
    "testcase": {"failure", "skipped"},
    "failure": set(),
    "skipped": set(),
}
REQUIRED = {
    "testsuite": {"name", "tests", "failures", "errors", "time"},
    "property": {"name", "value"},
    "testcase": {"name", "classname", "time"},
}


def check_junit(text: str) -> ET.Element:
    """Check a document against the format, and its counts against its cases."""
    root = ET.fromstring(text)  # noqa: S314 - written just now
    assert root.tag == "testsuites"
    for element in root.iter():
        assert set(element.attrib) <= ATTRIBUTES[element.tag]
        assert set(element.attrib) >= REQUIRED.get(element.tag, set())
        assert {child.tag for child in element} <= CHILDREN[element.tag]
    (suite,) = root
    assert suite[0].tag == "properties"
    cases = suite.findall("testcase")
    assert all(len(case) <= 1 for case in cases)
    for element in (root, suite):
        assert int(element.attrib["tests"]) == len(cases) > 0
        assert int(element.attrib["failures"]) == len(suite.findall("testcase/failure"))
        assert element.attrib["errors"] == "0"
    assert int(suite.attrib["skipped"]) == len(suite.findall("testcase/skipped"))
    assert float(suite.attrib["time"]) >= 0
    assert len({case.attrib["name"] for case in cases}) == len(cases)
    return suite


def test_junit_is_what_ci_readers_take() -> None:
    """Passed, not declared, failed and blocked, each in its own form."""
    suite = check_junit(good().junit())
    assert {skipped.attrib["message"] for skipped in suite.iter("skipped")} == {
        "not declared: shared",
        "not declared: reopen",
    }
    named = {each.attrib["name"]: each.attrib["value"] for each in suite.iter("property")}
    assert named["suite.version"] == RateLimiterContract.version
    assert (named["adapter"], named["adapter.version"]) == ("open_good", "1.2")
    assert named["capabilities"] == "serializable"
    broken = check_junit(check(RateLimiterContract, open_nothing).junit())
    (failure,) = broken.iter("failure")
    assert "\\x00\\x1b" in failure.attrib["message"]
    assert (failure.text or "").startswith("the port owes: The first hits are allowed")
    blocked = [each.attrib["message"] for each in broken.iter("skipped")]
    assert sum(message.startswith("blocked: ") for message in blocked) == 10


@pytest.mark.parametrize("text", ["\x00", "\x1b", "\ufffe", "\ud800", "<&\"'>", "é\U0001f600\t\n"])
def test_junit_takes_any_text(text: str) -> None:
    """What XML can't hold is written out, the rest survives."""
    result = Result(
        name="p", case=f"p[{text}]", outcome=Outcome.FAILED, owed=text, found=text, seconds=0.1
    )
    report = Report(
        suite="S",
        suite_version="1",
        port="P",
        adapter=text,
        adapter_version=text,
        capabilities=(),
        base=(),
        seed=0,
        results=(result,),
    )
    suite = check_junit(report.junit().encode("utf-8").decode())
    if text.isprintable():
        assert suite.findall("testcase")[0].attrib["name"] == f"p[{text}]"


def test_the_command_writes_both_files_and_ends_by_the_outcome(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 where all is green, 1 where not, 2 for what is no adapter's class."""
    files = ["--json", str(tmp_path / "r.json"), "--junit", str(tmp_path / "r.xml")]
    assert main(["tests.contract.ports.test_limiter:TestMemoryRateLimiter", *files]) == 0
    assert "12 passed, 0 failed" in capsys.readouterr().out
    assert json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))["isGreen"]
    check_junit((tmp_path / "r.xml").read_text(encoding="utf-8"))
    assert main(["tests.unit.testing.test_report:Clockless"]) == 1
    assert "FAILED test_an_instant_is_a_whole_number" in capsys.readouterr().out
    for odd in ("nowhere:X", "json:loads", "json", "tests.contract.ports.test_limiter:X"):
        assert main([odd]) == 2
        assert odd in capsys.readouterr().err
    assert main([]) == 0
    assert f"StoreContract {StoreContract.version}: " in capsys.readouterr().out
