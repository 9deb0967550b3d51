"""Battles through MongoDB: against a bare driver that writes the same, and by several processes.

`python -m bench.mongo` starts a server of its own (or uses `AIBA_TEST_MONGO_URI`) and prints the
figures. The bare driver does what a battle comes to in the database and nothing else: five writes
of documents as large as a battle's, into collections with the same indexes, in one transaction.
"""

import argparse
import asyncio
import contextlib
import itertools
import os
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import uvloop
from pymongo import AsyncMongoClient, MongoClient, WriteConcern
from pymongo.read_concern import ReadConcern

from aiba_adapters.mongo import MongoStore, make_schema, open_store
from aiba_domain.application.audit import audit_store
from bench.load import CONNECTIONS, Load
from bench.pipelines import open_arena, play
from bench.report import Figure, Machine, Report, rate
from bench.service import Served, started
from bench.serving import BATTLE, Requests, checked, cpu_seconds
from tests.support.mongo import GIVEN, Server, quick_folder, with_database

PROCESSES: Final = (1, 2, 4)
"""By how many API processes the same battles are fought."""
_INSERTED: Final = ("battles", "answers", "units")
_CHANGED: Final = {"accounts": "held", "brokers": "body"}

Client = AsyncMongoClient[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bare:
    """A loop of the bare driver over samples of what a battle writes."""

    client: Client
    database: str
    samples: Mapping[str, Mapping[str, Any]]

    @classmethod
    async def beside(cls, uri: str, of: str) -> "Bare":
        """Make a database with the same schema, and take samples from a database `of` battles."""
        name = f"bare_{uuid.uuid4().hex[:8]}"
        await make_schema(with_database(uri, name))
        client: Client = AsyncMongoClient(
            uri, w="majority", journal=True, maxPoolSize=CONNECTIONS + 8
        )
        samples = {}
        for collection in (*_INSERTED, *_CHANGED):
            where = {"stamp": {"$exists": True}} if collection == "units" else {}
            found = await client[of][collection].find_one(where, sort=[("_id", -1)])
            if found is None:
                raise RuntimeError(f"no battle has written to {collection}")
            samples[collection] = found
        for number in range(CONNECTIONS):
            for collection in _CHANGED:
                stored = {**samples[collection], "_id": f"{number}"}
                await client[name][collection].insert_one(stored)
        return cls(client=client, database=name, samples=samples)

    async def run(self, transactions: int) -> float:
        """Run so many transactions, as many at once as there are connections; return the rate."""
        run = uuid.uuid4().hex

        async def writer(first: int) -> None:
            for number in range(first, transactions, CONNECTIONS):
                await self._write(f"{first}", f"{run}-{number}")

        started_at = time.perf_counter()
        await asyncio.gather(*(writer(first) for first in range(CONNECTIONS)))
        return transactions / (time.perf_counter() - started_at)

    async def _write(self, place: str, key: str) -> None:
        database = self.client[self.database]
        async with self.client.start_session() as session:
            await session.start_transaction(
                read_concern=ReadConcern("snapshot"), write_concern=WriteConcern("majority", j=True)
            )
            for collection in _INSERTED:
                stored = {**self.samples[collection], "_id": key}
                await database[collection].insert_one(stored, session=session)
            for collection, name in _CHANGED.items():
                change = {"$set": {name: self.samples[collection][name]}, "$inc": {"touched": 1}}
                await database[collection].update_one({"_id": place}, change, session=session)
            await session.commit_transaction()


async def measure_store(
    uri: str, server: Server | None, *, rounds: int, battles: int, players: int
) -> list[Figure]:
    """Fight through the store and write by the bare driver, in alternating rounds."""
    name = f"store_{uuid.uuid4().hex[:8]}"
    store = await open_store(with_database(uri, name), create=True)
    arena = await open_arena(store, players=players)
    await play(arena, battles, "warm")
    bare = await Bare.beside(uri, name)
    await bare.run(1)  # the first entry changes an index of the tests' server, alone
    await bare.run(battles // 4)
    rates: list[tuple[float, float]] = []
    costs: list[Sequence[str]] = []
    before = _counted(store)
    try:
        for number in range(rounds):
            marks = [_cpu((), server)]
            through = await play(arena, battles, f"round{number}")
            marks.append(_cpu((), server))
            rates.append((through, await bare.run(battles)))
            marks.append(_cpu((), server))
            costs.append([_cost(*pair, battles) for pair in itertools.pairwise(marks)])
        after = _counted(store)
        report = await audit_store(store)
        if not report.is_sound:
            raise RuntimeError(f"the ledger is not sound: {report.faults[:3]}")
    finally:
        await bare.client.drop_database(bare.database)
        await bare.client.drop_database(name)
        await bare.client.close()
        await store.close()
    return _store_figures(rates, costs[-1], before, after)


def _cost(before: Sequence[float], after: Sequence[float], count: int) -> str:
    """Say what one of `count` transactions cost between two readings."""
    server, _, here = (1_000 * (b - a) / count for a, b in zip(before, after, strict=True))
    return f"CPU of one: server {server:.1f} ms, client {here:.1f} ms"


def _counted(store: MongoStore) -> tuple[int, int, int]:
    return store.counts.units, store.counts.conflicts, store.caps.shared_writes


def _store_figures(
    rates: Sequence[tuple[float, float]],
    costs: Sequence[str],
    before: Sequence[int],
    after: Sequence[int],
) -> list[Figure]:
    units, conflicts, shared = (b - a for a, b in zip(before, after, strict=True))
    through, bare = zip(*rates, strict=True)
    return [
        rate("pipeline on the MongoDB store", through, note=f"no HTTP; {costs[0]}"),
        rate("bare driver: five writes in a transaction", bare, note=costs[1]),
        Figure(
            name="MongoDB store : bare driver",
            value=median(one / other for one, other in rates),
            unit="x",
            at_least=0.6,
        ),
        Figure(name="units run again for another's sake", value=100 * conflicts / units, unit="%"),
        Figure(
            name="shared writes of caps in 100 emissions",
            value=100 * shared / units,
            below=1,
            note=f"{shared} in {units:,}",
        ),
    ]


@contextlib.contextmanager
def services(uri: str, count: int, *, players: int) -> Iterator[list[Served]]:
    """Run so many API processes on one database."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        yield [
            stack.enter_context(
                started(folder / f"{number}", players=players, more={"MONGO_URI": uri})
            )
            for number in range(count)
        ]


async def measure_processes(
    uri: str,
    server: Server | None,
    *,
    processes: Sequence[int],
    rounds: int,
    seconds: float,
    players: int,
) -> list[Figure]:
    """Fight over HTTP by so many API processes on one database, in alternating rounds.

    The load is the same, as many connections in all.
    """
    if not processes:
        return []
    name = f"served_{uuid.uuid4().hex[:8]}"
    whole = with_database(uri, name)
    rates: dict[int, list[float]] = {count: [] for count in processes}
    shares: dict[int, list[tuple[float, float, float]]] = {count: [] for count in processes}
    await make_schema(whole)
    with services(whole, max(processes), players=players) as served:
        requests = Requests(served[0].brokers)
        for number in range(rounds + 1):
            for count in processes:
                loads = [
                    await Load.connect(each.port, CONNECTIONS // count) for each in served[:count]
                ]
                before, began = _cpu(served, server), time.perf_counter()
                runs = await asyncio.gather(
                    *(load.run(requests.to(BATTLE), seconds=seconds) for load in loads)
                )
                took = time.perf_counter() - began
                rates[count].append(sum(len(checked(run).latencies) for run in runs) / took)
                after = _cpu(served, server)
                one, two, three = ((b - a) / took for a, b in zip(before, after, strict=True))
                shares[count].append((one, two, three))
                for load in loads:
                    load.close()
                if not number:  # a round that doesn't count
                    rates[count].clear()
                    shares[count].clear()
    client: MongoClient[dict[str, Any]]
    with MongoClient(uri) as client:
        client.drop_database(name)
    return _process_figures(rates, shares)


def _process_figures(
    rates: Mapping[int, Sequence[float]],
    shares: Mapping[int, Sequence[tuple[float, float, float]]],
) -> list[Figure]:
    figures = []
    for count in rates:
        server, apis, load = (median(each) for each in zip(*shares[count], strict=True))
        note = f"cores used: server {server:.2f}, API {apis:.2f}, load {load:.2f}"
        figures.append(rate(f"battle/run by {count} API processes", rates[count], note=note))
    first, last = min(rates), max(rates)
    growth = median(many / one for one, many in zip(rates[first], rates[last], strict=True))
    figures.append(
        Figure(name=f"{last} API processes : {first}", value=growth, unit="x", at_least=1.5)
    )
    return figures


def _cpu(served: Sequence[Served], server: Server | None) -> tuple[float, float, float]:
    """Return the seconds of CPU that the database, the APIs and this process have used."""
    database = cpu_seconds(server.pid) if server is not None and server.pid else 0.0
    return database, sum(cpu_seconds(each.pid) for each in served), time.process_time()


async def measure_mongo(
    *,
    rounds: int,
    battles: int,
    seconds: float,
    players: int,
    processes: Sequence[int] = PROCESSES,
) -> list[Figure]:
    """Measure both on one server: the one that is named, else one started for it."""
    given = os.environ.get(GIVEN)
    with contextlib.ExitStack() as stack:
        server = None
        if not given:
            folder = quick_folder()
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
            server = stack.enter_context(Server(folder))
        uri = given or (server.uri if server else "")
        return [
            *await measure_store(uri, server, rounds=rounds, battles=battles, players=players),
            *await measure_processes(
                uri,
                server,
                processes=processes,
                rounds=rounds,
                seconds=seconds,
                players=players,
            ),
        ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; return 1 if a target was missed."""
    parser = argparse.ArgumentParser(prog="python -m bench.mongo", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--battles", type=int, default=640, help="in each round")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each round over HTTP")
    parser.add_argument("--markdown", action="store_true", help="print the table of the README")
    options = parser.parse_args(arguments)
    began, machine = time.monotonic(), Machine.this()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        figures = runner.run(
            measure_mongo(
                rounds=options.rounds,
                battles=options.battles,
                seconds=options.seconds,
                players=256,
            )
        )
    report = Report(machine=machine, figures=figures, seconds=time.monotonic() - began)
    print(report.to_markdown() if options.markdown else report.to_text())
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
