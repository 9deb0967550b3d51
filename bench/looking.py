"""What looking costs: battles with metrics, logs and the ledger's audit, against those without.

`python -m bench.looking [--rounds N] [--seconds S] [--markdown]` measures it. Two services of the
same code run on databases of their own, and the rounds take turns. While one side plays, the other
one's process is stopped, so that neither its audit nor anything else of it takes part.

- *Looking* is the service as it is run: it counts, it writes a line for every request to a file of
  the same disk, its metrics are fetched once a round, and the ledger is audited and sealed as often
  as by default in the time that it plays: the clock goes on while its process is stopped, which is
  half of the time, so the audit waits twice as long.
- *Not looking* exists only here: nobody is told of events, requests aren't timed, no line is
  logged, and there is no audit. No setting of the service does that.

The audit comes by now and then, so rates are of all rounds together and no median of them. The
processor time of the looking side ends when the audit has gone through all of its battles.
"""

import argparse
import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

import uvloop
from dependency_injector import providers

from aiba_domain.events import Event
from aiba_entry.auditing import auditing
from aiba_entry.container import Container
from aiba_entry.observability import Metrics, configure_logging
from aiba_entry.service import open_container
from aiba_entry.settings import load
from bench.load import Load, Run
from bench.report import Figure, Machine, Report
from bench.service import SECRETS, Served, serve_players, started
from bench.serving import (
    BATTLE,
    Requests,
    check_ledger,
    checked,
    cpu_seconds,
    metric,
)

LEAST: Final = 0.9
"""How much of the rate without looking must be left."""

_PLAYERS: Final = 256
_LOOK: Final = "look"
_BLIND: Final = "blind"
_LOG: Final = "AIBA_BENCH_LOG"
_DEFAULT_AUDIT_SECONDS: Final = 10
_SIDES: Final = 2
_ROUNDS: Final = 'aiba_ledger_audit_runs_total{result="ok"}'
_ENTRIES: Final = "aiba_ledger_audit_entries"
_CAUGHT_UP: Final = 2
_CAUGHT_UP_SECONDS: Final = 120
_POLL_SECONDS: Final = 0.5


class Blind:
    """An observer that counts nothing."""

    def committed(self, event: Event) -> None:
        """Let it pass."""

    def failed(self, command: str) -> None:
        """Let it pass."""

    def replayed(self, command: str) -> None:
        """Let it pass."""


class NoTimes(Metrics):
    """Metrics that don't hear of requests."""

    def observe_request(
        self, method: str, path_template: str | None, status: int, seconds: float
    ) -> None:
        """Let it pass."""


class Side:
    """One of the two services, its connections, and what its rounds gave."""

    def __init__(self, served: Served, load: Load, *, looks: bool) -> None:
        """Play on a running service; `looks` tells which of the two it is."""
        self.served = served
        self.looks = looks
        self.runs: list[Run] = []
        self.cpu_s = 0.0
        self._load = load
        self._requests = Requests(served.brokers)

    async def play(self, seconds: float) -> None:
        """Fight for a while, alone on the machine."""
        with awake(self.served.pid):
            before = cpu_seconds(self.served.pid)
            playing = self._load.run(self._requests.to(BATTLE), seconds=seconds)
            if self.looks:
                run, _ = await asyncio.gather(
                    playing, asyncio.to_thread(metric, self.served, _ENTRIES)
                )
            else:
                run = await playing
            self.cpu_s += cpu_seconds(self.served.pid) - before
        self.runs.append(checked(run))

    async def catch_up(self) -> int:
        """Let the audit go through what is left; return how many entries it has seen."""
        with awake(self.served.pid):
            before = cpu_seconds(self.served.pid)
            # The round under way may have begun before the last battle.
            goal = await asyncio.to_thread(metric, self.served, _ROUNDS) + _CAUGHT_UP
            async with asyncio.timeout(_CAUGHT_UP_SECONDS):
                while True:
                    await asyncio.sleep(_POLL_SECONDS)
                    if await asyncio.to_thread(metric, self.served, _ROUNDS) >= goal:
                        break
            self.cpu_s += cpu_seconds(self.served.pid) - before
            return int(await asyncio.to_thread(metric, self.served, _ENTRIES))

    def forget(self) -> None:
        """Drop what was measured."""
        self.runs.clear()
        self.cpu_s = 0.0

    def close(self) -> None:
        """Close the connections."""
        self._load.close()

    @property
    def battles(self) -> int:
        """How many battles its rounds had."""
        return sum(len(run.latencies) for run in self.runs)

    @property
    def rate(self) -> float:
        """Its battles a second, of all rounds together."""
        return self.battles / sum(run.seconds for run in self.runs)

    @property
    def cpu_us(self) -> float:
        """How many microseconds of processor time a battle took, with all that came of it."""
        return self.cpu_s / self.battles * 1e6


@contextmanager
def awake(pid: int) -> Iterator[None]:
    """Let a stopped process run meanwhile."""
    os.kill(pid, signal.SIGCONT)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGSTOP)


@contextmanager
def _stopped(pid: int) -> Iterator[None]:
    """Stop a process; let it run at the end, so that it can be ended."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def measure_looking(
    folder: Path,
    *,
    rounds: int,
    seconds: float,
    audit_s: int = _DEFAULT_AUDIT_SECONDS,
    players: int = _PLAYERS,
) -> list[Figure]:
    """Fight on both services in turn, after a round each that doesn't count.

    The looking one audits its ledger every `audit_s` seconds of its own.
    """
    with ExitStack() as stack:
        looking, blind = sides = [
            await _open(stack, folder / name, players=players, audit_s=seconds_between)
            for name, seconds_between in ((_LOOK, _SIDES * audit_s), (_BLIND, 0))
        ]
        for number in range(rounds + 1):
            for side in sides if number % 2 else reversed(sides):
                await side.play(seconds)
            if not number:
                looking.forget()
                blind.forget()
        entries = await looking.catch_up()
    lines = _lines(_log_of(folder, _LOOK))
    if not entries or lines < looking.battles or _lines(_log_of(folder, _BLIND)):
        raise RuntimeError(f"not what it is named: {entries} entries audited, {lines} lines logged")
    for name in (_LOOK, _BLIND):
        await check_ledger(folder / name)
    return _figures(looking, blind, entries)


async def _open(stack: ExitStack, folder: Path, *, players: int, audit_s: int) -> Side:
    name = folder.name
    log = _log_of(folder.parent, name)
    more = {_LOG: str(log), "LEDGER_AUDIT_SECONDS": str(audit_s)}
    log.parent.mkdir(parents=True, exist_ok=True)
    served = stack.enter_context(
        started(folder, players=players, more=more, program=("bench.looking", name))
    )
    side = Side(served, await Load.connect(served.port), looks=name == _LOOK)
    stack.callback(side.close)
    stack.enter_context(_stopped(served.pid))
    return side


def _log_of(folder: Path, name: str) -> Path:
    return folder / f"{name}.log"


def _lines(path: Path) -> int:
    with path.open("rb") as lines:
        return sum(1 for _ in lines)


def _figures(looking: Side, blind: Side, entries: int) -> list[Figure]:
    errors = sum(run.errors for side in (looking, blind) for run in side.runs)
    return [
        Figure(
            name="battle/run with metrics, logs and audit : without",
            value=looking.rate / blind.rate,
            unit="x",
            at_least=LEAST,
            note=f"{looking.rate:,.0f}/s : {blind.rate:,.0f}/s, {len(looking.runs)} rounds",
        ),
        Figure(
            name="processor time of a battle without them : with",
            value=blind.cpu_us / looking.cpu_us,
            unit="x",
            at_least=LEAST,
            note=f"{blind.cpu_us:,.0f} us : {looking.cpu_us:,.0f} us,"
            f" {entries:,} entries audited meanwhile",
        ),
        Figure(
            name="errors with and without them",
            value=errors,
            below=1,
            note=f"of {looking.battles + blind.battles:,} battles",
        ),
    ]


async def _serve(name: str, players: int) -> None:
    async with open_container(load(os.environ)) as container:
        if name == _BLIND:
            _close_eyes(container)
        async with auditing(container):
            await serve_players(container, players)


def _close_eyes(container: Container) -> None:
    container.metrics.override(NoTimes())
    container.observer.override(providers.Object(Blind()))
    container.reset_singletons()


def serve_side(name: str, players: int) -> None:
    """Serve one of the two sides until a signal; its log goes to the file that is named for it."""
    level = "INFO" if name == _LOOK else "CRITICAL"
    with Path(os.environ[_LOG]).open("w", encoding="utf-8") as log:
        lines = configure_logging(level, stream=log, secrets=tuple(SECRETS.values()))
        with lines.gathered(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(name, players))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; return 1 if a target was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.looking", description=__doc__)
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round")
    parser.add_argument("--audit", type=int, default=_DEFAULT_AUDIT_SECONDS, help="seconds between")
    parser.add_argument("--markdown", action="store_true", help="print the table of the README")
    options = parser.parse_args(arguments)
    began, machine = time.monotonic(), Machine.this()
    with (
        tempfile.TemporaryDirectory(dir=Path(), prefix=".bench-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        figures = runner.run(
            measure_looking(
                Path(folder).resolve(),
                rounds=options.rounds,
                seconds=options.seconds,
                audit_s=options.audit,
            )
        )
    report = Report(machine=machine, figures=figures, seconds=time.monotonic() - began)
    print(report.to_markdown() if options.markdown else report.to_text())
    return 1 if report.missed else 0


if __name__ == "__main__":
    if sys.argv[1:2] in ([_LOOK], [_BLIND]):
        serve_side(sys.argv[1], int(sys.argv[2]))
    else:
        sys.exit(main())
