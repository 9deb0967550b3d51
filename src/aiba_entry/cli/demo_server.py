"""The server that the demo starts for itself, and the operator's commands on its store."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

from aiba_entry.cli.demo_process import Child, kept_environment, output_of, running


class DemoServer:
    """A running `aiba serve` on a free port of this machine, with a data directory of its own."""

    def __init__(self, child: Child, base_url: str, environ: Mapping[str, str]) -> None:
        """Take over a server that has announced its address."""
        self._child = child
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
        return await output_of(*arguments, environ=self._environ)

    async def stop(self) -> int:
        """Interrupt the server as Ctrl-C does and return its exit code. Raises DemoFailed."""
        return await self._child.stop()


@contextlib.asynccontextmanager
async def start_server(data_dir: Path, chain: Mapping[str, str]) -> AsyncIterator[DemoServer]:
    """Start a server on an empty data directory; kill it at the end if it still runs.

    `chain` is its settings for withdrawals, empty for a server without any. Raises DemoFailed with
    the end of its log if it doesn't come up.
    """
    environ = kept_environment() | {
        "APP_ENV": "dev",
        "HOST": "127.0.0.1",
        "PORT": "0",
        "AIBA_DATA_DIR": str(data_dir),
        "TELEGRAM_BOT_TOKEN": f"{10**9 + secrets.randbelow(10**9)}:{secrets.token_urlsafe(26)}",
        **chain,
    }
    log = data_dir / "server.log"
    async with running("the server", "serve", environ=environ, log=log) as child:
        yield DemoServer(child, await _address(child), environ)


async def _address(child: Child) -> str:
    """Return the server's address as it announces it."""
    found = ""

    def is_metrics(line: str) -> bool:
        nonlocal found
        name, _, url = line.partition("  ")
        found = url.strip().removesuffix("/metrics")
        return name == "Metrics"

    await child.read_until(is_metrics)
    return found
