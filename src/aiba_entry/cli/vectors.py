"""`aiba vectors DIR`: run every golden file of a folder against this implementation."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import click

from aiba_domain.errors import DomainError
from aiba_entry.cli.vector_runners import RUNNERS, Given, Runner

Case = Mapping[str, Any]
Found = Mapping[str, object]

REFUSABLE: Final = frozenset({"coercion", "degenerate"})
"""The classes of bad input that a strict implementation may refuse."""

_CLAIM_INPUTS: Final = frozenset(
    ("id", "form", "vault", "jettonMaster", "to", "amount", "seqno", "validUntil", "seedHex")
)
_SPLIT_PARTS: Final = ("burn", "treasury", "rewards", "staking")


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one case ended; `decided` says why another answer than the file's is the right one."""

    kind: str
    detail: str = ""
    decided: str = ""


@click.command()
@click.argument("directory", type=click.Path(path_type=Path))
@click.pass_context
def vectors(context: click.Context, directory: Path) -> None:
    """Run every golden file in DIRECTORY and count its cases.

    Exits with 1 if a case fails, a file is unknown or there is none.
    """
    context.exit(run(directory))


def run(directory: Path) -> int:
    """Run every file of a folder, print its counts, and return the exit code."""
    files = sorted(directory.iterdir()) if directory.is_dir() else []
    if not files:
        click.echo(f"{directory}: no vectors", err=True)
        return 1
    return max([_run_file(file) for file in files])


def _run_file(file: Path) -> int:
    runner = RUNNERS.get(file.stem) if file.suffix == ".json" and file.is_file() else None
    if runner is None:
        click.echo(f"{file.name}: unknown, nothing here runs it", err=True)
        return 1
    try:
        cases = json.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)["cases"]
        verdicts = {str(case["id"]): judge(file.stem, runner, case) for case in cases}
    except ImportError as error:
        click.echo(f"{file.name}: needs an extra of this package ({error})", err=True)
        return 1
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        click.echo(f"{file.name}: not in the golden format ({error!r})", err=True)
        return 1
    failed = _report(file.name, verdicts)
    return 1 if failed or not verdicts else 0


def _report(name: str, verdicts: Mapping[str, Verdict]) -> int:
    """Print the counts of one file and what deserves a look; return how many cases failed."""
    count = dict.fromkeys(("passed", "refused", "failed"), 0)
    for verdict in verdicts.values():
        count[verdict.kind] += 1
    click.echo(f"{name}: " + ", ".join(f"{kind} {number}" for kind, number in count.items()))
    for identity, verdict in verdicts.items():
        if verdict.decided:
            click.echo(f"  decided {identity}: {verdict.decided}")
        if verdict.kind == "failed":
            click.echo(f"  FAILED {identity}: {verdict.detail}")
    return count["failed"]


def judge(stem: str, runner: Runner, case: Case) -> Verdict:
    """Run one case and compare it with what the file, or a decision against it, asks for."""
    case = _with_parts(stem, case)
    found: Found | None = None
    refusal = ""
    try:
        found = runner(case["in"])
    except DomainError as error:
        refusal = str(error)
    except (ArithmeticError, LookupError, TypeError, ValueError, AttributeError) as error:
        return Verdict("failed", f"stopped with {error!r}")
    if found is not None and _agrees(stem, case, found):
        return Verdict("passed")
    decided = _DECISIONS.get(stem, _undecided)(case, found)
    if decided:
        return Verdict("passed", decided=decided)
    if found is None and case.get("class") in REFUSABLE:
        return Verdict("refused")
    return Verdict("failed", f"expected {_wanted(stem, case)}, " + (refusal or f"found {found}"))


def _with_parts(stem: str, case: Case) -> Case:
    """Return a case with its `in` and `out`, which stand side by side in the file of claims."""
    if stem != "claims" or "in" in case:
        return case
    out = {name: value for name, value in case.items() if name not in _CLAIM_INPUTS}
    return {"id": case["id"], "in": case, "out": out}


def _wanted(stem: str, case: Case) -> object:
    return case["secure_verdict"] if stem == "init_data" else case["out"]


def _agrees(stem: str, case: Case, found: Found) -> bool:
    if stem == "init_data":
        return _is_secure(case, found)
    if stem == "readiness":
        from aiba_entry.readiness.vectors import agrees  # noqa: PLC0415 - an extra, as its runner

        return agrees(case, found)
    expected = case["out"]
    if case.get("class") == "extreme":
        return _as_doubles(found) == _as_doubles(expected)
    return bool(dict(found) == expected)


def _is_secure(case: Case, found: Found) -> bool:
    """Compare with the strict verdict; where either is right, only a wrong user is wrong."""
    verdict, original = case["secure_verdict"], case["original"]
    if verdict is not None and found["accepted"] is not verdict:
        return False
    if not found["accepted"] or not original["ok"]:
        return True
    return bool(found["user_id"] == original["user_id"])


def _as_doubles(record: Mapping[str, Any]) -> dict[str, float]:
    return {key: float(value) for key, value in record.items()}


def _undecided(_case: Case, _found: Found | None) -> str:
    return ""


def _decide_window(case: Case, found: Found | None) -> str:
    if found is None:
        odd = case["class"] == "map_odd"
        return "a malformed window is refused where it is set" if odd else ""
    if case["class"] != "proto_lookup":
        return ""
    own = case["in"]["config"]["emissionWindowsUtc"]["*"]
    if (found["start_hour"], found["end_hour"]) != (own["startHourUtc"], own["endHourUtc"]):
        return ""
    return "an arena's name is a plain key, so the window of '*' counts"


def _decide_split(case: Case, found: Found | None) -> str:
    given: Given = case["in"]
    if found is None:
        numbers = [given["amount"], *given.get("config", {}).values()]
        if case["class"] in REFUSABLE or all(type(n) is int and n >= 0 for n in numbers):
            return ""
        return "amounts and weights are whole numbers from 0 on; others are refused"
    if "exact_integer_differs" in case.get("tags", ()) and _is_exact_split(given, found):
        return "the reference rounds twice; exact parts sum to the amount"
    return ""


def _decide_readiness(case: Case, found: Found | None) -> str:
    from aiba_entry.readiness.vectors import decide  # noqa: PLC0415 - an extra, as its runner

    return decide(case, found)


def _is_exact_split(given: Given, found: Found) -> bool:
    """Tell whether parts are floors of exact shares with the remainder in staking."""
    weights = [given["config"].get(f"tokenSplit{part.capitalize()}Bps", 0) for part in _SPLIT_PARTS]
    exact: Sequence[int] = [
        int(given["amount"] * Fraction(weight, sum(weights) or 1)) for weight in weights[:-1]
    ]
    return [found[part] for part in _SPLIT_PARTS] == [*exact, given["amount"] - sum(exact)]


_DECISIONS: Final[Mapping[str, Callable[[Case, Found | None], str]]] = MappingProxyType(
    {
        "emission_window": _decide_window,
        "readiness": _decide_readiness,
        "token_splits": _decide_split,
    }
)
"""Where the files keep what the reference got wrong: why another answer is right, else `""`."""
