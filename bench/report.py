"""What was measured, beside what it should be, as text, Markdown or JSON."""

import json
import os
import platform
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

MEGABYTE: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number. `at_least` and `below` are its target, where it has one."""

    name: str
    value: float
    unit: str = ""
    at_least: float | None = None
    below: float | None = None
    note: str = ""

    @property
    def is_met(self) -> bool | None:
        """Tell whether the target is met; None without one."""
        if self.at_least is not None:
            return self.value >= self.at_least
        return None if self.below is None else self.value < self.below

    @property
    def text(self) -> str:
        """Return the value as people read it."""
        return _amount(self.value, self.unit) + (f" ({self.note})" if self.note else "")

    @property
    def target(self) -> str:
        """Return the target as people read it, `""` without one."""
        if self.at_least is not None:
            return f"at least {_amount(self.at_least, self.unit)}"
        return "" if self.below is None else f"below {_amount(self.below, self.unit)}"

    def to_json(self) -> dict[str, object]:
        """Return the figure as JSON-able values."""
        return {
            "name": self.name,
            "value": self.value,
            "unit": self.unit,
            "atLeast": self.at_least,
            "below": self.below,
            "met": self.is_met,
            "note": self.note,
        }


def rate(name: str, values: Sequence[float], *, note: str = "") -> Figure:
    """Return a rate a second as the median of several rounds."""
    return Figure(name=name, value=median(values), unit="/s", note=note)


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where the numbers come from."""

    name: str
    cpu: str
    cores: int
    system: str
    python: str
    sqlite: str
    load: float

    @staticmethod
    def this() -> "Machine":
        """Describe the machine this runs on."""
        return Machine(
            name=platform.node(),
            cpu=_cpu(),
            cores=len(os.sched_getaffinity(0))
            if hasattr(os, "sched_getaffinity")
            else os.cpu_count() or 1,
            system=f"{platform.system()} {platform.release()} {platform.machine()}",
            python=f"{platform.python_implementation()} {platform.python_version()}",
            sqlite=sqlite3.sqlite_version,
            load=round(os.getloadavg()[0], 2),
        )

    @property
    def text(self) -> str:
        """Return the description in one line."""
        return (
            f"{self.name}: {self.cpu}, {self.cores} cores, {self.system}, {self.python},"
            f" SQLite {self.sqlite}, load average {self.load} at the start"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A whole run."""

    machine: Machine
    figures: Sequence[Figure]
    seconds: float

    @property
    def missed(self) -> list[Figure]:
        """Return the figures that miss their target."""
        return [figure for figure in self.figures if figure.is_met is False]

    def to_text(self) -> str:
        """Return the table for a terminal."""
        rows = [(figure.name, figure.text, figure.target, _mark(figure)) for figure in self.figures]
        widths = [max(len(row[column]) for row in rows) for column in range(3)]
        lines = [self.machine.text, ""]
        lines += [
            "  ".join((name.ljust(widths[0]), text.ljust(widths[1]), target.ljust(widths[2]), mark))
            for name, text, target, mark in rows
        ]
        lines += ["", f"{len(self.missed)} targets missed; took {self.seconds:.0f} s"]
        return "\n".join(line.rstrip() for line in lines)

    def to_markdown(self) -> str:
        """Return the table for a README."""
        lines = [self.machine.text + ".", "", "| | measured | target |", "|---|---|---|"]
        lines += [
            f"| {figure.name} | {figure.text} | {figure.target} {_mark(figure)} |".replace(
                "  ", " "
            )
            for figure in self.figures
        ]
        return "\n".join(lines)

    def to_json(self) -> str:
        """Return everything as JSON."""
        machine = {name: getattr(self.machine, name) for name in Machine.__slots__}
        figures = [figure.to_json() for figure in self.figures]
        whole = {"machine": machine, "seconds": round(self.seconds, 1), "figures": figures}
        return json.dumps(whole, indent=2)


def _mark(figure: Figure) -> str:
    return {None: "", True: "met", False: "MISSED"}[figure.is_met]


def _amount(value: float, unit: str) -> str:
    text = f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
    return f"{text}{unit if unit.startswith('/') else f' {unit}' if unit else ''}"


def _cpu() -> str:
    """Return the processor's name; `platform` knows it on few systems."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown processor"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
