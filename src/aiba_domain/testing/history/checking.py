"""Recording and judging the histories of a store: one function for whoever writes one."""

import asyncio
import json
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from enum import StrEnum
from itertools import count
from pathlib import Path
from typing import Any, Final

from aiba_domain.ports import Store
from aiba_domain.testing.contracts import processes
from aiba_domain.testing.history.account import Ask, Kind, Said
from aiba_domain.testing.history.recording import Client, Recorder
from aiba_domain.testing.history.search import LIMIT, Operation
from aiba_domain.testing.history.stage import START, faults_of, set_up
from aiba_domain.testing.history.verdict import History, Judgement, judge
from aiba_domain.testing.history.workload import Workload

OpenStore = Callable[[Path], Awaitable[Store]]

WORKERS: Final = 2
"""How many stores are open at once where several are, the first of them in the calling thread."""

_FAR: Final = 1_000_000


class Beside(StrEnum):
    """Where the clients are."""

    TASKS = "tasks"
    """All on one store, as tasks of one event loop."""
    THREADS = "threads"
    """On stores of their own on one state, each with an event loop and a thread."""
    PROCESSES = "processes"
    """On stores of their own on one state, in processes."""


def check_history(
    open_store: OpenStore,
    *,
    seeds: Iterable[int] = range(4),
    beside: Beside = Beside.TASKS,
    limit: int = LIMIT,
    **sizes: int,
) -> list[Judgement]:
    """Record a history of a new store for each seed, and judge it; return what came of them.

    `sizes` are fields of `Workload`. Raises AssertionError at the first that is not sound, or not
    decided within `limit` states of an account. Runs event loops, so not inside one.
    """
    judged = []
    for seed in seeds:
        workload = Workload(seed=seed, **sizes)
        with tempfile.TemporaryDirectory() as folder:
            history = record(open_store, Path(folder), workload, beside=beside)
        judgement = judge(history, limit=limit)
        if not judgement.is_sound:
            raise AssertionError(f"seed {seed}, {beside}: {judgement.text()}")
        judged.append(judgement)
    return judged


def record(
    open_store: OpenStore, folder: Path, workload: Workload, *, beside: Beside = Beside.TASKS
) -> History:
    """Let the clients of a workload at a new store, and return what they were told.

    At the end every account is looked at once more, so that what was lost is missed.
    """
    recorder = Recorder()
    with asyncio.Runner() as runner:
        store = runner.run(_opened(open_store, folder))
        runner.run(set_up(store, workload.players))
        with ExitStack() as stack:
            others = _begin(stack, open_store, folder, workload, recorder, beside)
            mine = range(0, workload.clients, 1 if beside is Beside.TASKS else WORKERS)
            runner.run(act(store, workload, mine, recorder))
            operations = [*others(), *recorder.operations]
        recorder.operations.clear()
        for player in workload.players:
            runner.run(Client("the last look", store, recorder).look(player))
        operations += recorder.operations
        faults = runner.run(faults_of(store, operations))
        runner.run(store.close())
    starts = dict.fromkeys(workload.players, START)
    return History(operations=operations, starts=starts, faults=faults)


async def act(store: Store, workload: Workload, clients: Iterable[int], recorder: Recorder) -> None:
    """Let some of the clients of a workload at a store, all at once."""
    await asyncio.gather(
        *(
            Client(f"client {number}", store, recorder).follow(
                workload.orders(number), workload.dice(-number - 1)
            )
            for number in clients
        )
    )


async def _opened(open_store: OpenStore, folder: Path) -> Store:
    return await open_store(folder)


def _begin(
    stack: ExitStack,
    open_store: OpenStore,
    folder: Path,
    workload: Workload,
    recorder: Recorder,
    beside: Beside,
) -> Callable[[], list[Operation]]:
    """Let the other clients begin; return what waits for them and tells what they recorded."""
    if beside is Beside.THREADS:
        pool = stack.enter_context(ThreadPoolExecutor(WORKERS - 1))
        barrier = threading.Barrier(WORKERS)
        began = [
            pool.submit(_in_thread, open_store, folder, workload, recorder, worker, barrier)
            for worker in range(1, WORKERS)
        ]
        barrier.wait()

        def joined() -> list[Operation]:
            for each in began:
                each.result()
            return []

        return joined
    if beside is Beside.PROCESSES:
        workers = [
            stack.enter_context(
                processes.started_by(_place_of(open_store), folder, _task(workload, worker))
            )
            for worker in range(1, WORKERS)
        ]
        for worker in workers:
            worker.line()  # it is open and begins
        return lambda: [_read(line) for worker in workers for line in worker.finished() if line]
    return list


def _in_thread(
    open_store: OpenStore,
    folder: Path,
    workload: Workload,
    recorder: Recorder,
    worker: int,
    barrier: threading.Barrier,
) -> None:
    async def live() -> None:
        store = await open_store(folder)
        await asyncio.to_thread(barrier.wait)
        await act(store, workload, range(worker, workload.clients, WORKERS), recorder)
        await store.close()

    asyncio.run(live())


# In another process.


def _place_of(open_store: OpenStore) -> object:
    """Return what another process finds the opener by: a suite's class, or the function itself."""
    suite = getattr(open_store, "__self__", None)
    return open_store if suite is None else getattr(type(suite), "opener", None) or type(suite)


def _task(workload: Workload, worker: int) -> str:
    return f"{__name__}:in_process {json.dumps([worker, asdict(workload)])}"


async def in_process(store: Store, arguments: str) -> None:
    """Let some clients at a store, and write what they were told, a line for each operation."""
    worker, fields = json.loads(arguments)
    workload = Workload(**fields)
    recorder = Recorder(count(worker * _FAR))
    processes.say("open")
    await act(store, workload, range(worker, workload.clients, WORKERS), recorder)
    await store.close()
    for operation in recorder.operations:
        processes.say(json.dumps(asdict(operation)))


def _read(line: str) -> Operation:
    fields: dict[str, Any] = json.loads(line)
    ask, answer = fields.pop("ask"), fields.pop("said")
    return Operation(
        ask=Ask(**{**ask, "kind": Kind(ask["kind"])}),
        said=None
        if answer is None
        else Said(
            code=answer["code"], facts=tuple((name, number) for name, number in answer["facts"])
        ),
        **fields,
    )
