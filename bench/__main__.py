"""`python -m bench [--quick] [--json | --markdown]`: measure everything, print one table."""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import uvloop

from bench import replay
from bench.claims import measure_claims
from bench.devnet import measure_chain
from bench.looking import measure_looking
from bench.mongo import PROCESSES, measure_mongo
from bench.pipelines import measure_pipelines
from bench.report import Figure, Machine, Report
from bench.serving import measure_growth, measure_serving
from bench.signer import measure_signer
from bench.startup import measure_startup


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """How much to measure: `loads` are rounds of `seconds` each, `few` and `many` ledger rows.

    The players take turns, so that a battle never meets another of the same player.
    """

    rounds: int
    loads: int
    seconds: float
    few: int
    many: int
    battles: int
    replays: int = 20_000
    claims: int = 4_000
    chain_claims: int = 400
    mongo_battles: int = 640
    mongo_processes: Sequence[int] = PROCESSES
    players: int = 256
    audit_s: int = 10


FULL: Final = Size(rounds=7, loads=21, seconds=1, few=10_000, many=1_000_000, battles=4_000)
QUICK: Final = Size(
    rounds=3,
    loads=7,
    seconds=0.5,
    few=10_000,
    many=100_000,
    battles=1_500,
    claims=2_000,
    chain_claims=100,
    mongo_battles=192,
)
_REPLAYS: Final = {
    "replay, one at a time": ("receipts replayed one at a time, one core", 250_000),
    "replay, batch": ("receipts replayed in a batch, one core", 800_000),
}


async def measure(size: Size, folder: Path) -> list[Figure]:
    """Measure everything in a folder of the disk that the service would use."""
    return [
        *measure_startup(folder / "startup", rounds=size.rounds),
        *measure_replay(size),
        # In a thread, as they run coroutines of their own.
        *await asyncio.to_thread(measure_claims, size.claims, size.rounds),
        *measure_chain(size.chain_claims, size.rounds),
        *await measure_signer(folder / "signer", claims=size.claims, rounds=size.rounds),
        *await measure_pipelines(
            folder, rounds=size.rounds, battles=size.battles, players=size.players
        ),
        *await measure_serving(
            folder / "serving", rounds=size.loads, seconds=size.seconds, players=size.players
        ),
        *await measure_looking(
            folder / "looking",
            rounds=2 * size.loads,
            seconds=size.seconds,
            audit_s=size.audit_s,
            players=size.players,
        ),
        *await measure_growth(
            folder,
            few=size.few,
            many=size.many,
            rounds=size.rounds,
            battles=size.battles,
            players=size.players,
        ),
        *await measure_mongo(
            rounds=size.rounds,
            battles=size.mongo_battles,
            processes=size.mongo_processes,
            seconds=4 * size.seconds,
            players=size.players,
        ),
    ]


def measure_replay(size: Size) -> list[Figure]:
    """Replay receipts on one core, beside a bare HMAC loop."""
    rows = {row.name: row for row in replay.measure(size.replays, size.rounds)}
    return [
        Figure(
            name=title,
            value=rows[name].per_second,
            unit="/s",
            at_least=target,
            note=f"{rows[name].ratio:.2f} x a bare HMAC loop",
        )
        for name, (title, target) in _REPLAYS.items()
        if name in rows
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report; return 1 if a target was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under a minute, and rougher")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="print JSON")
    shape.add_argument("--markdown", action="store_true", help="print the table of the README")
    parser.add_argument(
        "--folder", type=Path, default=Path(), help="where databases are made, and removed again"
    )
    options = parser.parse_args(arguments)
    started, machine = time.monotonic(), Machine.this()
    with (
        tempfile.TemporaryDirectory(dir=options.folder, prefix=".bench-") as folder,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        figures = runner.run(measure(QUICK if options.quick else FULL, Path(folder).resolve()))
    report = Report(machine=machine, figures=figures, seconds=time.monotonic() - started)
    if options.json:
        print(report.to_json())
    else:
        print(report.to_markdown() if options.markdown else report.to_text())
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
