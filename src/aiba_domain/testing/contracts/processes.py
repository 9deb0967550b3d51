"""Runs an adapter in a process of its own, which may be killed."""

import asyncio
import contextlib
import importlib
import importlib.util
import inspect
import itertools
import os
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, Final

from aiba_domain.ports import Store
from aiba_domain.testing.contracts.desk import increment, patiently
from aiba_domain.testing.contracts.samples import AT, movement, player, refusal

_PATIENCE_S: Final = 180.0
INCREMENTS: Final = 40
"""How many times the task `increments` adds one."""

Opener = Callable[[Path], Awaitable[Store]]


class Worker:
    """A process with an adapter open, which reports what was answered a line at a time."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        """Watch a process that was started."""
        self._process = process

    def line(self) -> str:
        """Return the next line; AssertionError with the process's own words if none comes."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            assert self._process.stderr is not None
            raise AssertionError(
                "the adapter's own process ended or stood still:\n" + self._process.stderr.read()
            )
        return line.strip()

    def killed(self) -> list[str]:
        """Kill the process, and return the whole lines it had still reported."""
        self._process.kill()
        rest, _ = self._process.communicate()
        lines = rest.splitlines(keepends=True)
        return [line.strip() for line in lines if line.endswith("\n")]

    def finished(self) -> list[str]:
        """Return all further lines of a process that ends by itself, and well."""
        assert self._process.stdout is not None
        rest = self._process.stdout.read()  # with what `line` has read beyond its line
        _, errors = self._process.communicate()
        if self._process.returncode:
            raise AssertionError("the adapter's own process failed:\n" + errors)
        return rest.splitlines()


@contextlib.contextmanager
def started(suite: Any, folder: Path, task: str) -> Iterator[Worker]:  # noqa: ANN401 - any suite
    """Start a process that opens the suite's adapter on `folder` and does a task of `TASKS`.

    It ends with the block, or after three minutes at the latest.
    """
    opener = getattr(type(suite), "opener", None) or type(suite)
    with started_by(opener, folder, task) as worker:
        yield worker


@contextlib.contextmanager
def started_by(opener: Any, folder: Path, task: str) -> Iterator[Worker]:  # noqa: ANN401 - a class or a function
    """Start a process as `started` does, with the suite's class or a function that opens a store.

    A task may also be `MODULE:FUNCTION ARGUMENTS`: a function of the store and of that text.
    """
    module, file, name = _place(opener)
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", __name__, module, file, name, str(folder), task]
    process = subprocess.Popen(  # noqa: S603 - this interpreter and this module
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    alarm = threading.Timer(_PATIENCE_S, process.kill)
    alarm.start()
    try:
        yield Worker(process)
    finally:
        alarm.cancel()
        process.kill()
        process.communicate()


def _place(opener: Any) -> tuple[str, str, str]:  # noqa: ANN401 - a class or a function
    """Return the module, file and name by which another process finds a class or a function."""
    name = getattr(opener, "__qualname__", repr(opener))
    if "<" in name:
        raise AssertionError(
            f"{name} can't be opened by another process: write it at the top of a module"
        )
    return opener.__module__, inspect.getfile(opener), name


def _opener(module: str, file: str, name: str) -> Opener:
    """Find what opens the adapter: by the module's name if that is this file, else by its file."""
    spec = None
    with contextlib.suppress(ImportError, ValueError):
        spec = importlib.util.find_spec(module)
    if spec is not None and spec.origin == file:
        holder: Any = importlib.import_module(module)
    else:
        spec = importlib.util.spec_from_file_location("adapter_under_test", file)
        assert spec is not None
        assert spec.loader is not None
        holder = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = holder
        spec.loader.exec_module(holder)
    for part in name.split("."):
        holder = getattr(holder, part)
    found: Opener = holder().open_store if isinstance(holder, type) else holder
    return found


def say(text: object) -> None:
    """Report a line to whoever started this process."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def _endless(store: Store) -> None:
    """Write units for ever, a few at once; each posts, keeps a record and remembers an answer."""
    numbers = itertools.count()

    async def one_after_another() -> None:
        for number in numbers:
            await store.transact(
                lambda unit, number=number: unit.write(  # type: ignore[misc]
                    at=AT,
                    postings=(movement(1, credit=f"player:{number}"),),
                    changed=(player(f"{number}"),),
                    remember=refusal(f"k{number}"),
                )
            )
            say(number)

    await asyncio.gather(*(one_after_another() for _ in range(4)))


async def _increments(store: Store) -> None:
    """Add one to a balance again and again; report the balances that were seen."""
    say("open")
    for _ in range(INCREMENTS):
        say(await patiently(store, increment))
    await store.close()


TASKS: Final[dict[str, Callable[[Store], Awaitable[None]]]] = {
    "endless": _endless,
    "increments": _increments,
}


async def _main(module: str, file: str, name: str, folder: str, task: str) -> None:
    store = await _opener(module, file, name)(Path(folder))
    await _task(task)(store)


def _task(task: str) -> Callable[[Store], Awaitable[None]]:
    """Find a task by its name or place."""
    if task in TASKS:
        return TASKS[task]
    place, _, arguments = task.partition(" ")
    module, _, function = place.partition(":")
    found: Callable[[Store, str], Awaitable[None]] = getattr(
        importlib.import_module(module), function
    )
    return lambda store: found(store, arguments)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
