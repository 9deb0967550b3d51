#!/usr/bin/env python3
"""Mutation score of the domain: change its rules one place at a time, and see which tests notice.

    python tools/mutation.py [claims economy battle] [--quick] [--jobs N] [--report FILE]

The last commit is copied to `build/mutation/copy` and mutated there with mutmut's operators; the
working tree is never touched. `mutation_pytest.py` then runs the tests against each mutant, each in
a process of its own. Every mutant is judged anew on every run; what is remembered of earlier ones,
`build/mutation/results.json`, only says which test to try first. With `--quick`, a mutant that was
killed before counts as killed, and only those are judged that are new or lived.

Exit status 1 if a package's score is below the goal, or if a mutant lives on whose reason
`mutation_reasons.toml` doesn't give.
"""

import argparse
import difflib
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from mutmut.mutation.data import LineSpan
from mutmut.mutation.file_mutation import mutate_file_contents

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parent
BUILD: Final = ROOT / "build" / "mutation"
COPY: Final = BUILD / "copy"
RESULTS: Final = BUILD / "results.json"
REASONS: Final = HERE / "mutation_reasons.toml"

PACKAGES: Final = ("claims", "economy", "battle")
GOAL: Final = 90.0
"""The score that each package must reach, in percent."""

TESTS: Final[Mapping[str, tuple[str, ...]]] = {
    "claims": ("tests/unit/claims",),
    "economy": ("tests/unit/economy", "tests/unit/test_vectors.py"),
    "battle": (
        "tests/unit/battle",
        "tests/unit/moderation",
        "tests/unit/test_vectors.py",
    ),
}
"""The tests that must kill a package's mutants: those of its own rules, not whatever else runs."""

SLOW: Final = (
    "--ignore=tests/unit/claims/test_simulation.py",
    *(
        f"--deselect=tests/unit/{test}"
        for test in (
            "battle/test_engine.py::test_d55_honest_play_is_never_an_anomaly",
            "battle/test_engine.py::test_d55_the_top_broker_is_not_flagged",
            "battle/test_modes.py::test_terms_are_all_that_enters_a_battle",
            "battle/test_receipt.py::test_every_way_to_replay_gives_the_same_score",
            "battle/test_receipt.py::test_no_result_and_no_field_of_the_seed_can_be_changed_unnoticed",
            "claims/test_defects.py::test_d80_a_battle_and_its_claim_survive_a_crash_anywhere",
            "claims/test_settlement.py::test_more_claims_than_a_page_holds_are_all_settled",
        )
    ),
)
"""What takes a second or more for each mutant that lives: others must find what it finds."""

_GENERATED: Final = re.compile(r"x(?:_|ǁ\w+ǁ)(\w+?)__mutmut_(?:orig|\d+)\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One change of one function: `was` and `becomes` are the changed code without its layout.

    `nth` tells changes of one function apart that read the same.
    """

    name: str
    where: str
    was: str
    becomes: str
    nth: int

    @property
    def package(self) -> str:
        """The package of the domain that it is in."""
        return self.name.split(".")[1]

    @property
    def module(self) -> str:
        """Its module inside the domain."""
        return ".".join(self.name.split(".")[1:-1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """How a mutant ended at a commit: `killed` by a test, `survived`, `timeout`, or `crashed`."""

    mutant: Mutant
    status: str
    killer: str
    commit: str


def main() -> int:
    """Measure, print the table, and say whether the goal is reached."""
    arguments = _arguments()
    packages = tuple(name for name in PACKAGES if name in arguments.packages) or PACKAGES
    commit = _git("rev-parse", "HEAD")
    if _git("status", "--porcelain", "--", "src", "tests"):
        print("note: what is not committed is not measured", file=sys.stderr)
    _copy_commit(commit)
    mutants = [mutant for package in packages for mutant in _mutate(package)]
    print(f"{len(mutants)} mutants of {', '.join(packages)} at {commit[:12]}")
    memory = _Memory(commit)
    verdicts = []
    for package in packages:
        mine = [one for one in mutants if one.package == package]
        known = memory.killed(mine) if arguments.quick else []
        judged = {verdict.mutant.name for verdict in known}
        verdicts += known
        verdicts += _judge([one for one in mine if one.name not in judged], memory, arguments.jobs)
    table = _table(verdicts, packages)
    print(table)
    explained, unexplained = _explain(verdicts)
    for verdict in unexplained:
        print(f"\nno reason is given for {_shown(verdict)}")
    if arguments.report:
        kept = sum(verdict.commit != commit for verdict in verdicts)
        text = _report(commit, kept, table, explained, unexplained)
        Path(arguments.report).write_text(text, encoding="utf-8")
    return 1 if unexplained or any(_score(verdicts, name) < GOAL for name in packages) else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Measure the mutation score of the domain.")
    parser.add_argument("packages", nargs="*", help=f"of {', '.join(PACKAGES)}; all by default")
    parser.add_argument("--quick", action="store_true", help="only those not yet killed")
    parser.add_argument("--jobs", type=int, default=1, help="mutants at the same time")
    parser.add_argument("--report", help="write the table and the survivors to this file")
    arguments = parser.parse_args()
    if unknown := set(arguments.packages) - set(PACKAGES):
        parser.error(f"no package with a score: {', '.join(sorted(unknown))}")
    return arguments


def _git(*words: str) -> str:
    done = subprocess.run(  # noqa: S603 - fixed words
        ["git", "-C", str(ROOT), *words],  # noqa: S607 - whichever git made the repository
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()


def _copy_commit(commit: str) -> None:
    """Unpack a commit into the copy, in place of what was there."""
    if COPY.exists():
        subprocess.run(["rm", "-rf", str(COPY)], check=True)  # noqa: S603, S607 - a fixed path
    COPY.mkdir(parents=True)
    archive = subprocess.run(  # noqa: S603 - fixed words
        ["git", "-C", str(ROOT), "archive", commit],  # noqa: S607 - as above
        check=True,
        capture_output=True,
    )
    with tarfile.open(fileobj=io.BytesIO(archive.stdout)) as packed:
        packed.extractall(COPY, filter="data")


def _mutate(package: str) -> Iterator[Mutant]:
    """Put every mutant of a package into its files in the copy, asleep until it is chosen."""
    for path in sorted((COPY / "src" / "aiba_domain" / package).glob("*.py")):
        mutated = mutate_file_contents(str(path), path.read_text(encoding="utf-8"))
        path.write_text(mutated.code, encoding="utf-8")
        module = f"aiba_domain.{package}.{path.stem}"
        spans, lines = mutated.line_span_by_function_name, mutated.code.splitlines()
        seen: Counter[tuple[str, str, str]] = Counter()
        for name in mutated.mutant_names:
            original = name.rpartition("_")[0] + "_orig"
            was, becomes = _changed(_body(lines, spans[original]), _body(lines, spans[name]))
            where = f"{package}.{path.stem}.{_readable(name)}"
            nth = seen[where, was, becomes]
            seen[where, was, becomes] += 1
            yield Mutant(name=f"{module}.{name}", where=where, was=was, becomes=becomes, nth=nth)


def _body(lines: Sequence[str], span: LineSpan) -> list[str]:
    """Return the lines of a generated function under the name that it had."""
    return [_GENERATED.sub(r"\1", line) for line in lines[span.start - 1 : span.end]]


def _changed(was: list[str], becomes: list[str]) -> tuple[str, str]:
    """Return the lines in which two bodies differ, each side as one line."""
    gone, come = [], []
    for line in difflib.ndiff(was, becomes):
        if line.startswith("- "):
            gone.append(line[2:].strip())
        elif line.startswith("+ "):
            come.append(line[2:].strip())
    return " ".join(gone), " ".join(come)


def _readable(name: str) -> str:
    """Return `Class.method` or `function` for a generated name."""
    return name.partition("__mutmut")[0].removeprefix("x_").removeprefix("xǁ").replace("ǁ", ".")


class _Memory:
    """What earlier runs found, by what a mutant changes rather than by its number."""

    def __init__(self, commit: str) -> None:
        """Remember what is found now as found at `commit`."""
        self._commit = commit
        self._found: dict[str, dict[str, str]] = {}
        if RESULTS.exists():
            self._found = json.loads(RESULTS.read_text(encoding="utf-8"))

    def killer(self, mutant: Mutant) -> str:
        """Return the test that killed a mutant the last time, `""` for none."""
        return self._found.get(_key(mutant), {}).get("killer", "")

    def killed(self, mutants: Sequence[Mutant]) -> list[Verdict]:
        """Return the mutants that were killed the last time."""
        found = ((mutant, self._found.get(_key(mutant))) for mutant in mutants)
        return [
            Verdict(mutant=mutant, **entry)
            for mutant, entry in found
            if entry is not None and entry["status"] == "killed"
        ]

    def keep(self, mutant: Mutant, status: str, killer: str) -> Verdict:
        """Keep how a mutant ended, and return it."""
        entry = {"status": status, "killer": killer, "commit": self._commit}
        self._found[_key(mutant)] = entry
        return Verdict(mutant=mutant, **entry)

    def save(self) -> None:
        """Write it all down."""
        text = json.dumps(self._found, indent=0, ensure_ascii=False)
        RESULTS.write_text(text, encoding="utf-8")


def _key(mutant: Mutant) -> str:
    return f"{mutant.where}|{mutant.was}|{mutant.becomes}|{mutant.nth}"


def _judge(mutants: Sequence[Mutant], memory: _Memory, jobs: int) -> list[Verdict]:
    """Run a package's tests against its mutants. Raises CalledProcessError if they fail without."""
    if not mutants:
        return []
    package = mutants[0].package
    asked = BUILD / f"{package}.mutants.json"
    found = BUILD / f"{package}.verdicts.jsonl"
    pairs = [[mutant.name, memory.killer(mutant)] for mutant in mutants]
    asked.write_text(json.dumps(pairs), encoding="utf-8")
    paths = os.pathsep.join((str(HERE), str(COPY / "src")))
    subprocess.run(  # noqa: S603 - fixed words
        [
            *(sys.executable, "-m", "pytest", "-q", "-s", "-p", "mutation_pytest"),
            *("-p", "no:cacheprovider", f"--basetemp={BUILD / 'tmp'}"),
            *(f"--mutants={asked}", f"--verdicts={found}", f"--mutant-jobs={jobs}"),
            *TESTS[package],
            *SLOW,
        ],
        cwd=COPY,
        env={**os.environ, "PYTHONPATH": paths, "HYPOTHESIS_PROFILE": "mutation", "CI": "true"},
        check=True,
    )
    by_name = {mutant.name: mutant for mutant in mutants}
    entries = map(json.loads, found.read_text(encoding="utf-8").splitlines())
    verdicts = [
        memory.keep(by_name[entry["name"]], entry["status"], entry["killer"]) for entry in entries
    ]
    memory.save()
    return verdicts


def _score(verdicts: Sequence[Verdict], package: str) -> float:
    """Return the share of a package's mutants that a test killed, in percent."""
    mine = [one for one in verdicts if one.mutant.package == package]
    return 100 * sum(one.status == "killed" for one in mine) / max(1, len(mine))


def _table(verdicts: Sequence[Verdict], packages: Sequence[str]) -> str:
    """Return the table of all modules, packages and the whole."""
    rows = [
        "| module | mutants | killed | survived | timeout | crashed | score |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]

    def row(name: str, mine: Sequence[Verdict]) -> str:
        count = [sum(one.status == status for one in mine) for status in _STATUSES]
        score = 100 * count[0] / max(1, len(mine))
        cells = " | ".join(str(number) for number in (len(mine), *count))
        return f"| {name} | {cells} | {score:.1f} % |"

    for package in packages:
        whole = [one for one in verdicts if one.mutant.package == package]
        rows.extend(
            row(f"`{module}`", [one for one in whole if one.mutant.module == module])
            for module in sorted({one.mutant.module for one in whole})
        )
        rows.append(row(f"**{package}**", whole))
    rows.append(row("**all**", verdicts))
    return "\n".join(rows)


_STATUSES: Final = ("killed", "survived", "timeout", "crashed")


def _explain(
    verdicts: Sequence[Verdict],
) -> tuple[dict[tuple[str, str, str], list[Verdict]], list[Verdict]]:
    """Return the survivors by place, line and reason, and those without a reason."""
    reasons: dict[tuple[str, str, str], str] = {}
    for entry in tomllib.loads(REASONS.read_text(encoding="utf-8")).get("survivor", []):
        for becomes in entry["becomes"]:
            reasons[entry["where"], entry["was"], becomes] = entry["reason"]
    explained: dict[tuple[str, str, str], list[Verdict]] = {}
    unexplained = []
    for verdict in verdicts:
        mutant = verdict.mutant
        if verdict.status == "killed":
            continue
        reason = reasons.get((mutant.where, mutant.was, mutant.becomes))
        if reason is None:
            unexplained.append(verdict)
        else:
            explained.setdefault((mutant.where, mutant.was, reason), []).append(verdict)
    return explained, unexplained


def _shown(verdict: Verdict) -> str:
    mutant = verdict.mutant
    return f"{mutant.where} ({verdict.status})\n- {mutant.was}\n+ {mutant.becomes}"


def _report(
    commit: str,
    kept: int,
    table: str,
    explained: Mapping[tuple[str, str, str], Sequence[Verdict]],
    unexplained: Sequence[Verdict],
) -> str:
    """Return the page of the documentation."""
    text = (HERE / "mutation_report.md").read_text(encoding="utf-8")
    parts = []
    for (where, was, reason), verdicts in sorted(explained.items()):
        lines = [f"- {was}", *(f"+ {one.mutant.becomes}" for one in verdicts)]
        parts.append(f"**`{where}`** ({verdicts[0].status}): {reason}\n\n" + _block(lines))
    for verdict in unexplained:
        lines = _shown(verdict).splitlines()
        parts.append(f"**`{lines[0]}`**: no reason is given yet.\n\n" + _block(lines[1:]))
    for name, value in (
        ("date", datetime.now(UTC).strftime("%Y-%m-%d")),
        ("commit", commit[:12]),
        ("kept", f"; {kept} of the kills were seen at commits before it" if kept else ""),
        ("table", table),
        ("survivors", "\n\n".join(parts)),
    ):
        text = text.replace("{{" + name + "}}", value)
    return text


def _block(lines: Sequence[str]) -> str:
    return "\n".join(("```diff", *lines, "```"))


if __name__ == "__main__":
    raise SystemExit(main())
