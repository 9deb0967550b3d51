"""The shipped rules, and what is wrong with what an expression asks for."""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from msgspec import yaml

from tests.support.exported import OPEN_LABELS, Labels, exported
from tests.support.promql import Wanted, read, takes

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / "deploy" / "prometheus"
ALERTS: Final = FOLDER / "aiba-alerts.yml"
RECORDING: Final = FOLDER / "aiba-recording.yml"
CASES: Final = tuple(sorted((FOLDER / "tests").glob("*.yml")))

SCRAPE: Final[Labels] = {
    "job": frozenset({"aiba", "aiba-signer"}),
    "instance": frozenset({"127.0.0.1:5000"}),
}
"""The labels that every scraped series gets, by the configuration that is shipped."""


def rules(file: Path) -> list[dict[str, Any]]:
    """Return the rules of a file, over all its groups."""
    return [rule for group in yaml.decode(file.read_bytes())["groups"] for rule in group["rules"]]


@cache
def recorded() -> Mapping[str, str]:
    """Return the expressions that are recorded, by their names."""
    return {rule["record"]: rule["expr"] for rule in rules(RECORDING)}


def series_of(expression: str) -> frozenset[str]:
    """Return the exported series that an expression reads, those of recorded ones included."""
    names = {wanted.name for wanted in read(expression).wanted}
    known = recorded()
    through = {name for each in names & known.keys() for name in series_of(known[each])}
    return frozenset((names - known.keys()) | through)


def faults(expression: str) -> list[str]:
    """Return what an expression asks for that nobody exports: names, labels, values."""
    query = read(expression)
    known = _known()
    found = [fault for wanted in query.wanted for fault in _faults(wanted, known)]
    labels = {label for wanted in query.wanted for label in known.get(wanted.name, {})}
    return found + [f"no series has {label}" for label in sorted(query.grouped_by - labels)]


@cache
def _known() -> Mapping[str, Labels]:
    series: dict[str, Labels] = {name: {**labels, **SCRAPE} for name, labels in exported().items()}
    series["up"] = SCRAPE
    for name, text in recorded().items():
        kept = read(text).grouped_by
        parts = [series[each] for each in series_of(text)]
        series[name] = {
            label: values for part in parts for label, values in part.items() if label in kept
        }
    return series


def _faults(wanted: Wanted, known: Mapping[str, Labels]) -> Iterator[str]:
    labels = known.get(wanted.name)
    if labels is None:
        yield f"nobody exports {wanted.name}"
        return
    for label, (operator, text) in wanted.labels.items():
        if label not in labels:
            yield f"{wanted.name} has no label {label}"
        elif text.startswith("$") or label in OPEN_LABELS:
            continue
        elif operator in ("=", "=~"):
            for one in _alternatives(operator, text):
                if not any(takes(operator, one, value) for value in labels[label]):
                    yield f"no {wanted.name} has {label} {operator} {one}"
        elif not any(not takes(operator, text, value) for value in labels[label]):
            yield f"every {wanted.name} has {label} {operator} {text}"


def _alternatives(operator: str, text: str) -> list[str]:
    """Return what a matcher names one by one, so that each of them is known."""
    plain = operator == "=~" and re.fullmatch(r"[\w|.-]+", text)
    return text.split("|") if plain else [text]
