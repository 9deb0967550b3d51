"""How long it takes to import the library, and to have a healthy service."""

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Final
from urllib.error import URLError
from urllib.request import urlopen

from bench.report import Figure
from bench.service import SECRETS, stop

LIBRARY: Final = "import aiba_domain"
EVERYTHING: Final = (
    "import aiba_domain; [getattr(aiba_domain, name) for name in aiba_domain.__all__]"
)
_PATIENCE_S: Final = 30.0
_LOOK_S: Final = 0.005


def measure_startup(data_dir: Path, *, rounds: int) -> list[Figure]:
    """Time imports against a bare interpreter, and the service from its start to its health."""
    bare, library, everything = (
        median(times) for times in _alternate(("pass", LIBRARY, EVERYTHING), rounds)
    )
    healthy = [_seconds_to_health(data_dir) for _ in range(min(rounds, 5))]
    return [
        Figure(name="import aiba_domain", value=(library - bare) * 1000, unit="ms", below=60),
        Figure(
            name="import aiba_domain, and every name it offers",
            value=(everything - bare) * 1000,
            unit="ms",
        ),
        Figure(
            name="aiba serve to its first 200 of /health", value=median(healthy), unit="s", below=3
        ),
    ]


def _alternate(programs: Sequence[str], rounds: int) -> list[list[float]]:
    """Run programs in turn; return their times in seconds. The first, cold turn doesn't count."""
    times: list[list[float]] = [[] for _ in programs]
    for turn in range(rounds + 1):
        for program, kept in zip(programs, times, strict=True):
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True, env=_as_installed())
            if turn:
                kept.append(time.perf_counter() - started)
    return times


def _as_installed() -> dict[str, str]:
    """Return the environment without the switch that makes Python compile anew at each start."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _seconds_to_health(data_dir: Path) -> float:
    """Start the service on a database that is there after the first time, as `make run` does."""
    environ = {
        **_as_installed(),
        **SECRETS,
        "APP_ENV": "dev",
        "PORT": "0",
        "AIBA_DATA_DIR": str(data_dir),
        "LOG_LEVEL": "WARNING",
        "PYTHONUNBUFFERED": "1",
    }
    program = "from aiba_entry.cli.main import main; main()"
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", program, "serve"], env=environ, stdout=subprocess.PIPE, text=True
    )
    try:
        _wait_for_health(_health_address(process))
        return time.perf_counter() - started
    finally:
        stop(process)


def _health_address(process: "subprocess.Popen[str]") -> str:
    for line in process.stdout or ():
        if "/health" in line:
            return line.split()[-1]
    raise RuntimeError("the service did not start; its own words are above")


def _wait_for_health(address: str) -> None:
    give_up = time.monotonic() + _PATIENCE_S
    while time.monotonic() < give_up:
        try:
            with urlopen(address, timeout=_PATIENCE_S) as answer:  # noqa: S310 - printed by it
                if answer.status == 200:
                    return
        except URLError:
            time.sleep(_LOOK_S)
    raise TimeoutError(f"{address} never answered 200")
