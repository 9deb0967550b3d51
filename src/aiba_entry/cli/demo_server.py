"""The server that the demo starts for itself, and the operator's commands on its store."""

import asyncio
import contextlib
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Final

_START_SECONDS: Final = 30.0
_STOP_SECONDS: Final = 60.0
_COMMAND_SECONDS: Final = 60.0
_KEPT_VARIABLES: Final = ("HOME", "LANG", "LC_ALL", "PATH", "PYTHONPATH", "TMPDIR", "VIRTUAL_ENV")
_LOG_LINES: Final = 5
_AIBA: Final = (sys.executable, "-m", "aiba_entry.cli")


class DemoFailed(Exception):  # noqa: N818 - a verdict on the run, not a fault of this program
    """The demo can't go on; the text says what failed, in words for whoever started it."""


class DemoServer:
    """A running `aiba serve` on a free port of this machine, with a data directory of its own."""

    def __init__(
        self, process: asyncio.subprocess.Process, base_url: str, environ: Mapping[str, str]
    ) -> None:
        """Take over a server that has announced its address."""
        self._process = process
        self._environ = environ
        self.base_url = base_url

    @property
    def bot_token(self) -> str:
        """The token whose holder signs initData."""
        return self._environ["TELEGRAM_BOT_TOKEN"]

    async def operate(self, *arguments: str) -> str:
        """Run `aiba` with these arguments on the server's store and return what it printed.

        A command may report trouble by exiting with 1 after its answer. Raises DemoFailed if it
        gives no answer at all.
        """
        process = await asyncio.create_subprocess_exec(
            *_AIBA,
            *arguments,
            env=self._environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        command = f"aiba {' '.join(arguments)}"
        try:
            async with asyncio.timeout(_COMMAND_SECONDS):
                answer, complaint = await process.communicate()
        except TimeoutError:
            raise DemoFailed(f"{command} took too long") from None
        finally:
            _kill(process)
        if process.returncode != 0 and not answer:
            raise DemoFailed(f"{command} failed: {complaint.decode(errors='replace').strip()}")
        return answer.decode()

    async def stop(self) -> int:
        """Interrupt the server as Ctrl-C does and return its exit code. Raises DemoFailed."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGINT)
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                return await self._process.wait()
        except TimeoutError:
            raise DemoFailed("the server didn't stop when it was interrupted") from None


@contextlib.asynccontextmanager
async def start_server(data_dir: Path) -> AsyncIterator[DemoServer]:
    """Start a server on an empty data directory; kill it at the end if it still runs.

    Raises DemoFailed with the end of its log if it doesn't come up.
    """
    environ = _environment(data_dir)
    log = data_dir / "server.log"
    with log.open("wb") as stderr:
        process = await asyncio.create_subprocess_exec(
            *_AIBA,
            "serve",
            env=environ,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
            # A Ctrl-C is for the demo, which then stops the server in its own time.
            start_new_session=True,
        )
    try:
        yield DemoServer(process, await _address(process, log), environ)
    finally:
        _kill(process)
        await process.wait()


def _environment(data_dir: Path) -> dict[str, str]:
    """Return all that the server is told; nothing of the caller's own settings reaches it."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return kept | {
        "APP_ENV": "dev",
        "HOST": "127.0.0.1",
        "PORT": "0",
        "AIBA_DATA_DIR": str(data_dir),
        "TELEGRAM_BOT_TOKEN": f"{10**9 + secrets.randbelow(10**9)}:{secrets.token_urlsafe(26)}",
    }


async def _address(process: asyncio.subprocess.Process, log: Path) -> str:
    """Return the server's address as it announces it."""
    if process.stdout is None:
        raise DemoFailed("the server's output can't be read")
    try:
        async with asyncio.timeout(_START_SECONDS):
            async for line in process.stdout:
                name, _, url = line.decode().strip().partition("  ")
                if name == "Metrics":
                    return url.strip().removesuffix("/metrics")
    except TimeoutError:
        pass
    raise DemoFailed(f"the server didn't start; its log ends with\n{_end_of(log)}")


def _end_of(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-_LOG_LINES:])


def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
