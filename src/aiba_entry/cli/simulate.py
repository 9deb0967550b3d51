"""`aiba simulate`: the whole world in one process, under a scheduler that a seed decides."""

import contextlib
import json
import multiprocessing
import os
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from functools import cache, partial
from hashlib import sha256
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any, Final

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from aiba_adapters.memory import MemoryStore
from aiba_adapters.sqlite import SqliteStore
from aiba_domain.ports import Store
from aiba_domain.testing.simulation import (
    MOST_STEPS,
    PLAYERS,
    Outcome,
    PipelineSite,
    Plan,
    Site,
    shrink,
    simulate,
)
from aiba_entry.cli.scratch_mongo import Scratch, check_uri, scratch
from aiba_entry.cli.simulate_signer import ISOLATED
from aiba_entry.cli.simulate_site import HttpSite
from aiba_entry.observability import configure_logging

USUAL_STEPS: Final = 400
"""How many steps a run has unless told otherwise: about three simulated weeks."""

SEED_MAX: Final = 2**63 - 1

_INTERRUPTED: Final = 130
_RANGE: Final = re.compile(r"(\d{1,18})\.\.(\d{1,18})")
_SHOWN_LINES: Final = 60
_WIDTH: Final = 100
_PACKAGES: Final = ("aiba_domain", "aiba_adapters", "aiba_entry")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What a seed is run in: through which entry, over which store, who signs, and how large."""

    through: str
    store: str
    steps: int
    players: int
    signer: str = "model"
    mongo: tuple[str, str] | None = field(default=None, repr=False)
    """The server's URI, and with what the names of the databases begin that are made on it."""

    def plan(self, seed: int, only: tuple[int, ...] | None = None) -> Plan:
        """Return the plan of a seed, or of some of its steps."""
        return Plan(seed=seed, steps=self.steps, players=self.players, only=only)

    def command(self, plan: Plan) -> str:
        """Return the command that runs a plan in this world."""
        words = ["aiba simulate", f"--seed {plan.seed} --steps {plan.steps}"]
        if plan.players != PLAYERS:
            words.append(f"--players {plan.players}")
        if self.through != "http":
            words.append(f"--through {self.through}")
        if self.store != "memory":
            words.append(f"--store {self.store}")
        if self.store == "mongo":
            words.append("--mongo-uri URI")  # it may hold a password
        if self.signer != "model":
            words.append(f"--signer {self.signer}")
        if plan.only is not None:
            words.append(f"--only {write_numbers(plan.only)}")
        return " ".join(words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What many seeds came to together. `digest` is over their digests in the order of seeds."""

    seeds: int
    days: float
    seconds: float
    digest: str
    counts: Counter[str]
    failed: tuple[Outcome, ...]


@click.command("simulate")
@click.option("--seed", type=click.IntRange(0, SEED_MAX), help="Run one seed.  [default: 0]")
@click.option("--seeds", "span", metavar="A..B", help="Run the seeds A to B over all cores.")
@click.option(
    "--steps",
    type=click.IntRange(0, 100_000),
    default=USUAL_STEPS,
    show_default=True,
    help="How many steps a seed has.",
)
@click.option(
    "--players",
    type=click.IntRange(2, 7),
    default=PLAYERS,
    show_default=True,
    help="How many play.",
)
@click.option("--only", metavar="NUMBERS", help="Take only these steps of the seed: 3,8-12.")
@click.option(
    "--through",
    type=click.Choice(("http", "pipeline")),
    default="http",
    show_default=True,
    help="What clients talk to: the whole HTTP application, or the core alone.",
)
@click.option(
    "--store", type=click.Choice(("memory", "sqlite", "mongo")), default="memory", show_default=True
)
@click.option("--mongo-uri", help="For --store mongo: a server, which need not be empty.")
@click.option(
    "--signer",
    type=click.Choice(("model", "isolated")),
    default="model",
    show_default=True,
    help="Who signs claims: a model, or replicas of the isolated signer over one memory.",
)
@click.option("--jobs", type=click.IntRange(1, 256), help="How many cores.  [default: all]")
@click.option(
    "--trace",
    "trace_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Keep the trace here: of a failure the shrunk one, else of the one seed.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def simulate_command(  # noqa: PLR0913 - the options of the command
    *,
    seed: int | None,
    span: str | None,
    steps: int,
    players: int,
    only: str | None,
    through: str,
    store: str,
    mongo_uri: str | None,
    signer: str,
    jobs: int | None,
    trace_file: Path | None,
    as_json: bool,
) -> None:
    """Simulate days of the service with all that can go wrong, judged by an independent auditor.

    The same seed of the same version gives the same trace, byte by byte. A failure is shrunk to as
    few steps as still fail, printed with the command that replays it; then the exit code is 1.
    """
    world = World(through=through, store=store, steps=steps, players=players, signer=signer)
    with contextlib.ExitStack() as server:
        if store == "mongo":
            uri = check_uri(mongo_uri)
            world = replace(world, mongo=(uri, server.enter_context(scratch(uri))))
        _simulate(
            world,
            _seeds(seed, span),
            only,
            jobs or os.cpu_count() or 1,
            trace_file,
            as_json=as_json,
        )


def _simulate(
    world: World,
    seeds: range,
    only: str | None,
    jobs: int,
    trace_file: Path | None,
    *,
    as_json: bool,
) -> None:
    """Run the seeds, shrink a failure, tell of it all, and exit."""
    numbers = None if only is None else _numbers(only, world.steps)
    if numbers is not None and len(seeds) != 1:
        raise click.UsageError("--only goes with one --seed")
    console = Console(stderr=True)
    try:
        if len(seeds) == 1:
            summary, outcome = _one(world, world.plan(seeds[0], numbers))
        else:
            summary, outcome = _many(world, seeds, jobs, console), None
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        raise SystemExit(_INTERRUPTED) from None
    worst = _shortest(world, summary, console) if numbers is None else outcome
    failed = worst if worst is not None and worst.failure else None
    told = failed or outcome
    if trace_file is not None and told is not None:
        trace_file.write_text(trace_text(world, told), encoding="utf-8")
    if as_json:
        click.echo(json.dumps(_document(world, summary, failed), indent=2))
    else:
        _show(world, seeds, summary)
        if failed is not None:
            _show_failure(world, failed)
    raise SystemExit(1 if failed else 0)


def code_version() -> str:
    """Return the package's version and a digest of its code, which together name what ran."""
    digest = sha256()
    for package in _PACKAGES:
        folder = Path(sys.modules[package].__path__[0])
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.relative_to(folder).as_posix().encode())
            digest.update(path.read_bytes())
    return f"{version('aiba-arena')}+{digest.hexdigest()[:12]}"


def trace_text(world: World, outcome: Outcome) -> str:
    """Return a trace as a file: what ran, how it ended, the command that replays it, each step."""
    head = [
        f"# aiba-arena {code_version()}",
        f"# {world.command(outcome.plan)}",
        f"# digest {outcome.digest}",
        f"# {_told(outcome)}",
    ]
    return "\n".join((*head, *outcome.trace, ""))


def write_numbers(numbers: Sequence[int]) -> str:
    """Write rising numbers with the runs among them shortened: `3,8-12`."""
    runs: list[str] = []
    for _, run in groupby(enumerate(numbers), key=lambda item: item[1] - item[0]):
        found = [number for _, number in run]
        runs.append(f"{found[0]}" if len(found) == 1 else f"{found[0]}-{found[-1]}")
    return ",".join(runs)


def read_numbers(text: str, highest: int) -> tuple[int, ...]:
    """Read what `write_numbers` writes; numbers are 1 to `highest`. Raises ValueError."""
    numbers: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        low, high = int(first), int(last or first)
        if not 1 <= low <= high <= highest:
            raise ValueError(part)
        numbers += range(low, high + 1)
    if numbers != sorted(set(numbers)):
        raise ValueError(text)
    return tuple(numbers)


def _numbers(text: str, highest: int) -> tuple[int, ...]:
    try:
        return read_numbers(text, highest)
    except ValueError:
        raise click.BadParameter(
            f"{text!r} is no rising list of steps of 1 to {highest}, such as 3,8-12",
            param_hint="--only",
        ) from None


def _seeds(seed: int | None, span: str | None) -> range:
    if span is None:
        first = seed or 0
        return range(first, first + 1)
    if seed is not None:
        raise click.UsageError("--seed and --seeds exclude each other")
    found = _RANGE.fullmatch(span)
    if found is None or int(found[1]) > int(found[2]):
        raise click.BadParameter("two numbers such as 0..199", param_hint="--seeds")
    return range(int(found[1]), int(found[2]) + 1)


def _one(world: World, plan: Plan) -> tuple[Summary, Outcome]:
    _be_quiet()
    started = time.perf_counter()
    outcome = run_plan(world, plan)
    return _sum([outcome], time.perf_counter() - started), outcome


def _many(world: World, seeds: range, jobs: int, console: Console) -> Summary:
    """Run all seeds over the cores, up to the first that fails."""
    started = time.perf_counter()
    outcomes: list[Outcome] = []
    with _progress(console) as progress, _pool(jobs) as pool:
        task = progress.add_task("Simulate", total=len(seeds))
        waiting = {pool.submit(_short, world, seed) for seed in seeds}
        for done in as_completed(waiting):
            outcomes.append(done.result())
            days = sum(outcome.days for outcome in outcomes)
            rate = days / (time.perf_counter() - started)
            progress.update(task, advance=1, description=f"Simulate, {rate:,.0f} days/s")
            if outcomes[-1].failure is not None:
                pool.shutdown(wait=False, cancel_futures=True)
                break
    return _sum(outcomes, time.perf_counter() - started)


@contextlib.contextmanager
def _pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """Give a pool whose processes leave Ctrl-C to this one, and end at once when it is left."""
    pool = ProcessPoolExecutor(
        max_workers=jobs,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_begin_worker,
    )
    try:
        yield pool
    except BrokenProcessPool:
        raise click.ClickException("a process of the simulation was ended from outside") from None
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _begin_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _be_quiet()


def _be_quiet() -> None:
    """Keep the service's log to itself: what breaks here is meant to."""
    configure_logging("CRITICAL", stream=sys.stderr)


def _short(world: World, seed: int) -> Outcome:
    """Run a seed; keep its trace only if it fails, since it has to travel."""
    outcome = run_plan(world, world.plan(seed))
    return outcome if outcome.failure else replace(outcome, trace=())


def run_plan(world: World, plan: Plan) -> Outcome:
    """Run a plan in a world, over an empty store of its own."""
    site = _site(world.through)
    isolated = ISOLATED if world.signer == "isolated" else None
    if world.store == "memory":
        return simulate(plan, site, _open_memory, isolated)
    with tempfile.TemporaryDirectory(prefix="aiba-simulate-") as folder:
        opens = _open_sqlite if world.mongo is None else _databases(*world.mongo).open
        return simulate(plan, site, partial(opens, Path(folder)), isolated)


async def _open_memory() -> Store:
    return MemoryStore()


async def _open_sqlite(folder: Path) -> Store:
    return SqliteStore(folder / "simulated.db")


@cache
def _databases(uri: str, prefix: str) -> Scratch:
    """Return this process's databases, which it uses again from seed to seed."""
    return Scratch(uri, prefix)


@cache
def _site(through: str) -> Site:
    return HttpSite() if through == "http" else PipelineSite()


def _sum(outcomes: Sequence[Outcome], seconds: float) -> Summary:
    """Sum what seeds came to, in the order of seeds, however they were run."""
    ordered = sorted(outcomes, key=lambda outcome: outcome.plan.seed)
    counts: Counter[str] = Counter()
    for outcome in ordered:
        counts.update(outcome.counts)
    digests = [outcome.digest for outcome in ordered]
    return Summary(
        seeds=len(ordered),
        days=sum(outcome.days for outcome in ordered),
        seconds=seconds,
        digest=digests[0] if len(digests) == 1 else sha256("".join(digests).encode()).hexdigest(),
        counts=counts,
        failed=tuple(outcome for outcome in ordered if outcome.failure is not None),
    )


def _shortest(world: World, summary: Summary, console: Console) -> Outcome | None:
    """Return the first failure with as few steps as are found, None without a failure."""
    if not summary.failed:
        return None
    _be_quiet()
    with _progress(console) as progress:
        task = progress.add_task("Shrink the failure", total=MOST_STEPS)

        def run(plan: Plan) -> Outcome:
            progress.advance(task, len(plan.numbers) + 1)
            return run_plan(world, plan)

        return shrink(summary.failed[0], run)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


def _told(outcome: Outcome) -> str:
    """Say how a run ended."""
    if outcome.failure is None:
        return f"ok after {outcome.days:.1f} days"
    where = f"step {outcome.failed_at}" if outcome.failed_at else "the end"
    return f"FAILED at {where}: {outcome.failure}"


def _show(world: World, seeds: range, summary: Summary) -> None:
    """Print what ran and what happened in it."""
    rate = summary.days / summary.seconds
    names = f"seed {seeds[0]}" if len(seeds) == 1 else f"seeds {seeds[0]}..{seeds[-1]}"
    click.echo(f"version {code_version()}")
    click.echo(
        f"{names}, {world.steps} steps, {world.players} players"
        f" through {world.through} over {world.store}"
    )
    click.echo(f"digest {summary.digest}")
    click.echo(
        f"{summary.seeds} seeds, {summary.days:,.1f} simulated days in {summary.seconds:.1f} s:"
        f" {rate:,.0f} days/s"
    )
    table = Table("happened", "times", box=None)
    for name, count in sorted(summary.counts.items()):
        table.add_row(name, f"{count:,}")
    Console(width=_WIDTH).print(table)
    click.echo(f"{len(summary.failed)} violations")


def _show_failure(world: World, failed: Outcome) -> None:
    """Print a failure with the steps that lead to it and the command that replays it."""
    click.echo(_told(failed))
    for line in failed.trace[-_SHOWN_LINES:]:
        click.echo(f"  {line}")
    click.echo(f"replay: {world.command(failed.plan)}")


def _document(world: World, summary: Summary, failed: Outcome | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "ok": failed is None,
        "version": code_version(),
        "through": world.through,
        "store": world.store,
        "steps": world.steps,
        "players": world.players,
        "seeds": summary.seeds,
        "digest": summary.digest,
        "days": round(summary.days, 3),
        "seconds": round(summary.seconds, 3),
        "daysPerSecond": round(summary.days / summary.seconds, 1),
        "counts": dict(sorted(summary.counts.items())),
    }
    if failed is not None:
        found["failure"] = {
            "seed": failed.plan.seed,
            "step": failed.failed_at,
            "text": failed.failure,
            "replay": world.command(failed.plan),
            "trace": list(failed.trace),
        }
    return found
