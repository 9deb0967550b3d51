"""`python -m aiba_domain.testing`: run the suite that a class is, and report.

Ends with 0 if something passed and nothing failed, 1 if not, 2 for a class that can't be run.
"""

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from aiba_domain.testing.checking import check
from aiba_domain.testing.contracts.registry import SUITES, describe
from aiba_domain.testing.contracts.suite import PortContract


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one suite, or list them all; return how the process should end."""
    parser = argparse.ArgumentParser(
        prog="python -m aiba_domain.testing",
        description="Runs a contract suite on an adapter: a subclass of the suite, by its name.",
    )
    parser.add_argument("adapter", nargs="?", metavar="MODULE:CLASS", help="lists suites without")
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes the report as JSON")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="writes it as JUnit XML")
    parser.add_argument("--seed", type=int, default=0, help="starts the drawing of examples")
    parser.add_argument("--version", default="", help="the adapter's version, for the report")
    given = parser.parse_args(arguments)
    if given.adapter is None:
        sys.stdout.write(_list())
        return 0
    try:
        kind = _find(given.adapter)
        report = check(kind, adapter_version=given.version, seed=given.seed)
    except (ImportError, AttributeError, TypeError) as error:
        sys.stderr.write(f"{given.adapter}: {error}\n")
        return 2
    report.write(json_file=given.json, junit_file=given.junit)
    sys.stdout.write(report.text() + "\n")
    return 0 if report.is_green else 1


def _find(name: str) -> type[PortContract]:
    module, _, path = name.partition(":")
    if not path:
        raise TypeError("an adapter is named as MODULE:CLASS")
    if "" not in sys.path:
        sys.path.insert(0, "")  # the author's own folder, as with `python -m pytest`
    found: Any = import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    if not (isinstance(found, type) and issubclass(found, PortContract)):
        raise TypeError("it is no suite")
    return found


def _list() -> str:
    lines = []
    for contract in SUITES.values():
        suite = describe(contract)
        known = ", ".join(sorted(suite.capabilities)) or "none"
        lines.append(
            f"{suite.name} {suite.version}: {len(suite.properties)} properties of {suite.port}; "
            f"capabilities: {known}\n"
        )
    return "".join(lines)


if __name__ == "__main__":
    sys.exit(main())
