"""Battles over HTTP: against routes that do nothing, and with a long ledger against a short one."""

import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final
from urllib.request import urlopen

from aiba_adapters.sessions import SessionTokens
from aiba_adapters.sqlite import SqliteStore
from aiba_domain.application.audit import audit_store
from aiba_entry.stores import DATABASE
from bench.history import write_history
from bench.load import CONNECTIONS, Load, Run, request
from bench.pipelines import open_arena
from bench.report import MEGABYTE, Figure
from bench.service import GUARDED_NO_OP, NO_OP, SECRETS, Served, started

BATTLE: Final = "/api/battle/run"
_SLICES: Final = 8
_HOUR_MS: Final = 3_600_000
_MEMORY: Final = "aiba_process_resident_memory_bytes"


class Requests:
    """Makes requests of all players in turn, each with an id of its own."""

    def __init__(self, brokers: Mapping[str, str]) -> None:
        """Play with these brokers, by player."""
        tokens = SessionTokens(SECRETS["SESSION_SECRET"].encode())
        expiry = time.time_ns() // 1_000_000 + _HOUR_MS
        self._players = [
            (tokens.issue(player, "bench", expiry), broker) for player, broker in brokers.items()
        ]
        self._run = f"{time.time_ns():x}"
        self._numbers = itertools.count()

    def to(self, path: str) -> Callable[[], bytes]:
        """Return what makes the next request to a route that takes a battle's body."""

        def make() -> bytes:
            number = next(self._numbers)
            token, broker = self._players[number % len(self._players)]
            body = f'{{"requestId":"{self._run}-{number}","brokerId":"{broker}","modeKey":"bench"}}'
            return request(path, body.encode(), token)

        return make


async def measure_serving(
    folder: Path, *, rounds: int, seconds: float, players: int
) -> list[Figure]:
    """Load one service with its no-ops and its battles in alternating rounds."""
    paths = (NO_OP, GUARDED_NO_OP, BATTLE)
    runs: dict[str, list[Run]] = {path: [] for path in paths}
    with started(folder, players=players) as served:
        requests = Requests(served.brokers)
        load = await Load.connect(served.port)
        for path in paths:
            await load.run(requests.to(path), count=10 * CONNECTIONS)
        for _ in range(rounds):
            for path in paths:
                runs[path].append(checked(await load.run(requests.to(path), seconds=seconds)))
        load.close()
        memory = resident_bytes(served)
    await check_ledger(folder)
    return _serving_figures(runs[NO_OP], runs[GUARDED_NO_OP], runs[BATTLE], memory)


def _serving_figures(
    no_op: Sequence[Run], guarded: Sequence[Run], battle: Sequence[Run], memory: int
) -> list[Figure]:
    tail = median(run.percentile_ms(99) / run.percentile_ms(50) for run in battle)
    return [
        _loaded(f"no-op POST, {CONNECTIONS} connections", no_op),
        _loaded("no-op POST behind session and limits", guarded),
        _loaded("durable battle/run", battle),
        Figure(name="battle/run : no-op", value=_paired(battle, no_op), unit="x", at_least=0.25),
        Figure(name="battle/run : guarded no-op", value=_paired(battle, guarded), unit="x"),
        Figure(name="battle/run, p99 : median", value=tail, unit="x", below=5),
        Figure(
            name="errors",
            value=sum(run.errors for run in (*no_op, *guarded, *battle)),
            note=f"of {sum(len(run.latencies) for run in (*no_op, *guarded, *battle)):,} requests",
            below=1,
        ),
        Figure(
            name="resident memory of that service",
            value=memory / MEGABYTE,
            unit="MB",
            below=250,
            note=f"after {sum(len(run.latencies) for run in battle):,} battles",
        ),
    ]


async def measure_growth(
    folder: Path, *, few: int, many: int, rounds: int, battles: int, players: int
) -> list[Figure]:
    """Fight the same battles on a short and on a long ledger, a slice here and a slice there.

    Each round takes a new copy of the short one, so that it stays short.
    """
    short, long = folder / "short", folder / "long"
    for place, rows in ((short, few), (long, many)):
        await make_ledger(place, rows=rows, players=players)
    on_short: list[Run] = []
    on_long: list[Run] = []
    memory = 0
    for _ in range(rounds):
        with (
            copied(short, folder / "copy") as copy,
            started(copy, players=players) as here,
            started(long, players=players) as there,
        ):
            await _compare(here, there, battles, on_short, on_long)
            memory = max(memory, resident_bytes(there))
    await check_ledger(long)
    return [
        _loaded(f"battle/run with {few:,} ledger rows", on_short),
        _loaded(f"battle/run with {many:,} ledger rows", on_long),
        Figure(
            name=f"{many:,} rows : {few:,} rows",
            value=_paired(on_long, on_short),
            unit="x",
            at_least=0.9,
        ),
        Figure(
            name=f"resident memory with {many:,} rows",
            value=memory / MEGABYTE,
            unit="MB",
            below=250,
        ),
    ]


async def make_ledger(folder: Path, *, rows: int, players: int) -> None:
    """Make a database with about so many ledger rows, and check that its ledger is sound."""
    store = SqliteStore(folder / DATABASE)
    try:
        arena = await open_arena(store, players=players)
        await write_history(store, arena.pipeline, arena.seats, rows=rows)
    finally:
        await store.close()
    await check_ledger(folder)


async def check_ledger(folder: Path) -> None:
    """Audit a database; a benchmark that breaks the books has measured nothing."""
    store = SqliteStore(folder / DATABASE)
    try:
        report = await audit_store(store)
    finally:
        await store.close()
    if not report.is_sound:
        raise RuntimeError(f"the ledger is not sound: {report.faults[:3]}")


@contextmanager
def copied(folder: Path, copy: Path) -> Iterator[Path]:
    """Lend a copy of a database, so that the original keeps its size."""
    shutil.copytree(folder, copy)
    try:
        yield copy
    finally:
        shutil.rmtree(copy)


async def _compare(
    here: Served, there: Served, battles: int, on_here: list[Run], on_there: list[Run]
) -> None:
    """Fight on two services in turn, after a slice each that doesn't count."""
    sides = [
        (Requests(served.brokers), await Load.connect(served.port), runs)
        for served, runs in ((here, on_here), (there, on_there))
    ]
    size = max(1, battles // _SLICES)
    for number in range(_SLICES + 1):
        for requests, load, runs in sides if number % 2 else reversed(sides):
            run = checked(await load.run(requests.to(BATTLE), count=size))
            if number:
                runs.append(run)
    for _, load, _ in sides:
        load.close()


def checked(run: Run) -> Run:
    """Return a round, unless nothing of it came through."""
    if run.errors == len(run.latencies):
        raise RuntimeError(f"not one request was answered with 200: {run.first_error[:400]!r}")
    return run


def resident_bytes(served: Served) -> int:
    """Return how much memory a service says it has."""
    return int(metric(served, _MEMORY))


def metric(served: Served, name: str) -> float:
    """Return what a service says of a series, 0 if there is none of that name and labels."""
    address = f"http://127.0.0.1:{served.port}/metrics"
    with urlopen(address, timeout=10) as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith(f"{name} "):
                return float(line.removeprefix(name))
    return 0.0


def cpu_seconds(pid: int) -> float:
    """Return how much processor time a process has taken with all its threads, in seconds."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _loaded(name: str, runs: Sequence[Run]) -> Figure:
    p50, p99 = (median(run.percentile_ms(each) for run in runs) for each in (50, 99))
    return Figure(
        name=name,
        value=median(run.rate for run in runs),
        unit="/s",
        note=f"p50 {p50:.1f} ms, p99 {p99:.1f} ms",
    )


def _paired(runs: Sequence[Run], others: Sequence[Run]) -> float:
    """Return the median of the ratios of rounds that ran one after the other."""
    return median(run.rate / other.rate for run, other in zip(runs, others, strict=True))
