"""What came of a suite: passed, failed, blocked and not declared, as JSON and as JUnit XML."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final
from xml.etree import ElementTree as ET

FORMAT: Final = 1
"""The version of the JSON form: a reader refuses a higher one."""


class Outcome(StrEnum):
    """What came of one property.

    BLOCKED: a property that it builds on failed, so it was not tried. NOT_DECLARED: it needs a
    capability that the adapter doesn't declare. Neither of them is a pass.
    """

    PASSED = "passed"
    FAILED = "failed"
    BLOCKED = "blocked"
    NOT_DECLARED = "not declared"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one case of a property.

    `name` is the property's; `case` is the name with its parameters, where it has any. `owed` says
    what the port owes, `found` what the adapter did instead, or why it was not tried.
    """

    name: str
    case: str
    outcome: Outcome
    owed: str
    found: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of a suite on one adapter.

    `capabilities` are those declared. `base` names the properties that block all others when they
    fail. `seed` repeats the drawn examples where the Hypothesis profile doesn't fix them itself.
    """

    suite: str
    suite_version: str
    port: str
    adapter: str
    adapter_version: str
    capabilities: tuple[str, ...]
    base: tuple[str, ...]
    seed: int
    results: Sequence[Result]

    @property
    def is_green(self) -> bool:
        """Whether something passed and nothing failed or was blocked."""
        count = self.counts()
        return count[Outcome.PASSED] > 0 and not (count[Outcome.FAILED] or count[Outcome.BLOCKED])

    def counts(self) -> dict[Outcome, int]:
        """Return how many cases came to each outcome."""
        counted = Counter(result.outcome for result in self.results)
        return {outcome: counted[outcome] for outcome in Outcome}

    def failures(self) -> list[Result]:
        """Return what failed."""
        return [result for result in self.results if result.outcome is Outcome.FAILED]

    def text(self) -> str:
        """Return the report for a reader: the counts, and every failure with both sides."""
        counts = ", ".join(f"{count} {outcome}" for outcome, count in self.counts().items())
        lines = [f"{self.suite} {self.suite_version} on {self.adapter}: {counts}"]
        if self.adapter_version:
            lines[0] = lines[0].replace(self.adapter, f"{self.adapter} {self.adapter_version}", 1)
        if not any(self.counts().values()):
            lines.append("no property was run, which is a failure")
        for result in self.failures():
            mark = " (base)" if result.name in self.base else ""
            lines += [f"FAILED {result.case}{mark}", f"  the port owes: {result.owed}"]
            lines += [f"  {line}" for line in result.found.splitlines()]
        return "\n".join(lines)

    def json(self) -> str:
        """Return the report as a JSON object, with sorted keys."""
        document: dict[str, Any] = {
            "format": FORMAT,
            "suite": self.suite,
            "suiteVersion": self.suite_version,
            "port": self.port,
            "adapter": self.adapter,
            "adapterVersion": self.adapter_version,
            "capabilities": list(self.capabilities),
            "base": list(self.base),
            "seed": self.seed,
            "isGreen": self.is_green,
            "counts": {outcome.value: count for outcome, count in self.counts().items()},
            "results": [asdict(result) for result in self.results],
        }
        return json.dumps(document, indent=2, sort_keys=True)

    def junit(self) -> str:
        """Return the report as JUnit XML, one test case for each case of a property.

        What is blocked or not declared is `skipped`, with that word first in its message. A run
        without a property has one failed case that says so, so that no reader takes it for green.
        """
        results = self.results or (_NOTHING_RUN,)
        counts = Counter(result.outcome for result in results)
        totals = {
            "tests": str(len(results)),
            "failures": str(counts[Outcome.FAILED]),
            "errors": "0",
            "skipped": str(counts[Outcome.BLOCKED] + counts[Outcome.NOT_DECLARED]),
            "time": _seconds(sum(result.seconds for result in results)),
        }
        outer = {name: value for name, value in totals.items() if name != "skipped"}
        root = ET.Element("testsuites", {"name": self.suite, **outer})
        suite = ET.SubElement(
            root, "testsuite", {"name": _legal(f"{self.suite}/{self.adapter}"), **totals}
        )
        properties = ET.SubElement(suite, "properties")
        for name, value in (
            ("suite.version", self.suite_version),
            ("port", self.port),
            ("adapter", self.adapter),
            ("adapter.version", self.adapter_version),
            ("capabilities", ", ".join(self.capabilities)),
            ("seed", str(self.seed)),
        ):
            ET.SubElement(properties, "property", {"name": name, "value": _legal(value)})
        for result in results:
            suite.append(self._case(result))
        ET.indent(root)
        return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode")

    def _case(self, result: Result) -> ET.Element:
        case = ET.Element(
            "testcase",
            {
                "classname": _legal(f"{self.suite}.{self.adapter}"),
                "name": _legal(result.case),
                "time": _seconds(result.seconds),
            },
        )
        if result.outcome is Outcome.FAILED:
            first = result.found.partition("\n")[0]
            failure = ET.SubElement(case, "failure", {"message": _legal(first), "type": "property"})
            failure.text = _legal(f"the port owes: {result.owed}\n{result.found}")
        elif result.outcome is not Outcome.PASSED:
            ET.SubElement(case, "skipped", {"message": _legal(result.found)})
        return case

    def write(self, *, json_file: Path | None = None, junit_file: Path | None = None) -> None:
        """Write the files that are asked for, as UTF-8."""
        if json_file is not None:
            json_file.write_text(self.json() + "\n", encoding="utf-8")
        if junit_file is not None:
            junit_file.write_text(self.junit() + "\n", encoding="utf-8")


_NOTHING_RUN: Final = Result(
    name="suite",
    case="suite",
    outcome=Outcome.FAILED,
    owed="a suite is run",
    found="no property was run",
    seconds=0.0,
)


def _seconds(value: float) -> str:
    return f"{value:.3f}"


def _legal(text: str) -> str:
    """Return a text with every character that XML can't hold written out as an escape."""
    return "".join(
        character
        if character in "\t\n\r"
        or " " <= character <= "\ud7ff"
        or "\ue000" <= character <= "\ufffd"
        or character >= "\U00010000"
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )
