"""Battles a second without HTTP, on each store, and how the durable one shares its commits."""

import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from aiba_adapters.memory import MemoryStore
from aiba_adapters.sqlite import SqliteStore
from aiba_adapters.system.clock import SystemClock
from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.application.upkeep import prepare
from aiba_domain.events import Event
from aiba_domain.ports import Store
from aiba_domain.testing.doubles import FixedSeeds
from bench.load import CONNECTIONS
from bench.play import Seat, lift_limits, seat_players
from bench.report import Figure, rate

_PAGE: Final = bytes(4096)


class _Unheard:
    """An observer that counts nothing."""

    def committed(self, event: Event) -> None:
        """Ignore an event."""

    def failed(self, command: str) -> None:
        """Ignore a failure; the caller sees it too."""

    def replayed(self, command: str) -> None:
        """Ignore a repeated answer."""


class _CountingStore(SqliteStore):
    """A durable store that counts its commits."""

    commits = 0

    def _commit(self) -> None:
        self.commits += 1
        super()._commit()


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """A pipeline over a store, with players in their seats."""

    store: Store
    pipeline: Pipeline
    seats: Sequence[Seat]


async def open_arena(store: Store, *, players: int) -> Arena:
    """Make a store ready for unlimited play."""
    seeds = FixedSeeds()
    pipeline = Pipeline(
        store=store, clock=SystemClock(), seeds=seeds, observer=_Unheard(), handlers=HANDLERS
    )
    await prepare(pipeline, store, seeds)
    await lift_limits(pipeline)
    return Arena(store=store, pipeline=pipeline, seats=await seat_players(pipeline, players))


async def play(arena: Arena, battles: int, tag: str) -> float:
    """Fight some battles, as many at once as there are connections; return battles a second."""

    async def fighter(first: int) -> None:
        for number in range(first, battles, CONNECTIONS):
            seat = arena.seats[number % len(arena.seats)]
            key = f"{tag}-{number}"
            (await arena.pipeline.execute(seat.player, seat.battle(), key)).reply()

    started = time.perf_counter()
    await asyncio.gather(*(fighter(first) for first in range(CONNECTIONS)))
    return battles / (time.perf_counter() - started)


async def measure_pipelines(
    folder: Path, *, rounds: int, battles: int, players: int
) -> list[Figure]:
    """Play on both stores and time the disk's syncs, in alternating rounds."""
    memory = await open_arena(MemoryStore(), players=players)
    durable = _CountingStore(folder / "pipeline.db")
    arena = await open_arena(durable, players=players)
    rates: list[tuple[float, float, float]] = []
    commits: list[float] = []
    try:
        for number in range(rounds):
            tag, before = f"round{number}", durable.commits
            on_memory = await play(memory, battles, tag)
            on_disk = await play(arena, battles, tag)
            commits.append((durable.commits - before) / battles * on_disk)
            rates.append((on_memory, on_disk, syncs_per_second(folder, battles // 4)))
    finally:
        await durable.close()
        await memory.store.close()
    on_memory_rates, on_disk_rates, syncs = zip(*rates, strict=True)
    shared = median(on_disk_rates) / median(commits)
    return [
        rate("pipeline on the memory store", on_memory_rates, note="no HTTP, one core"),
        rate("pipeline on the SQLite store", on_disk_rates, note="no HTTP, durable"),
        rate("its commits", commits, note=f"{shared:.1f} battles share one"),
        rate("bare fdatasync of one page", syncs, note="the disk's own rate"),
    ]


def syncs_per_second(folder: Path, count: int) -> float:
    """Append pages to a file, each synced, and return how many a second."""
    sync = getattr(os, "fdatasync", os.fsync)
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        started = time.perf_counter()
        for _ in range(count):
            file.write(_PAGE)
            sync(file.fileno())
        return count / (time.perf_counter() - started)
