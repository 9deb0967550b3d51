"""The commands that the demo starts: beside itself, or to their end."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import Final

START_SECONDS: Final = 30.0
STOP_SECONDS: Final = 60.0
COMMAND_SECONDS: Final = 60.0

_KEPT_VARIABLES: Final = ("HOME", "LANG", "LC_ALL", "PATH", "PYTHONPATH", "TMPDIR", "VIRTUAL_ENV")
_LOG_LINES: Final = 5
_AIBA: Final = (sys.executable, "-m", "aiba_entry.cli")


class DemoFailed(Exception):  # noqa: N818 - a verdict on the run, not a fault of this program
    """The demo can't go on; the text says what failed, in words for whoever started it."""


class Child:
    """A running `aiba` command, such as the server, called `name` in what is said of it."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, log: Path) -> None:
        """Take over a process that has just been started and writes its errors to `log`."""
        self.name = name
        self._process = process
        self._log = log

    async def read_until(self, is_last: Callable[[str], bool]) -> None:
        """Read what it prints until a line is the last of what it announces.

        Raises DemoFailed with the end of its log if that line doesn't come.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                while self._process.stdout and (line := await self._process.stdout.readline()):
                    if is_last(line.decode().strip()):
                        return
        lines = self._log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
        raise DemoFailed("\n".join((f"{self.name} didn't start; its log ends with", *lines)))

    async def stop(self) -> int:
        """Interrupt it as Ctrl-C does and return its exit code. Raises DemoFailed."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)
        try:
            async with asyncio.timeout(STOP_SECONDS):
                return await self._process.wait()
        except TimeoutError:
            raise DemoFailed(f"{self.name} didn't stop when it was interrupted") from None


@contextlib.asynccontextmanager
async def running(
    name: str, *arguments: str, environ: Mapping[str, str], log: Path
) -> AsyncIterator[Child]:
    """Run `aiba` with these arguments beside the demo; kill it at the end if it still runs."""
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *_AIBA,
            *arguments,
            env=environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            # A Ctrl-C is for the demo, which then stops the command in its own time.
            start_new_session=True,
        )
    try:
        yield Child(name, process, log)
    finally:
        _kill(process)
        await process.wait()


async def output_of(*arguments: str, environ: Mapping[str, str]) -> str:
    """Run `aiba` with these arguments to its end and return what it printed.

    A command may report trouble by exiting with 1 after its answer. Raises DemoFailed if it gives
    no answer at all.
    """
    process = await asyncio.create_subprocess_exec(
        *_AIBA,
        *arguments,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    command = f"aiba {' '.join(arguments)}"
    try:
        async with asyncio.timeout(COMMAND_SECONDS):
            answer, complaint = await process.communicate()
    except TimeoutError:
        raise DemoFailed(f"{command} took too long") from None
    finally:
        _kill(process)
    if process.returncode != 0 and not answer:
        raise DemoFailed(f"{command} failed: {complaint.decode(errors='replace').strip()}")
    return answer.decode()


def kept_environment() -> dict[str, str]:
    """Return what a command needs of the caller's environment; no setting of theirs is in it."""
    return {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}


async def together(works: Iterable[Coroutine[object, object, None]]) -> None:
    """Do all at once. The first failure is raised and ends the others."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
