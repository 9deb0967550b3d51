"""The chain that a developer's API has for itself: `aiba devnet` as a child of this process.

The child keeps the chain in the data directory. It ends when it is told to, after the API has
drained, and also when this process is gone, however that came about.
"""

import asyncio
import contextlib
import importlib.util
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Final

from aiba_adapters.signing.local import KEY_VARIABLE
from aiba_entry.dev_secrets import dev_oracle_key
from aiba_entry.signer_access import URL as SIGNER_URL

DIRECTORY: Final = "chain"
"""Where in the data directory the chain is kept."""

MISSING: Final = (
    "the extra devnet is not installed (it is built for Linux on x86-64 only); withdrawals are off"
)
"""What is said where there can be no local chain."""

OWN_SETTINGS: Final = (
    "ARENA_VAULT_ADDRESS",
    "AIBA_JETTON_MASTER",
    "TON_PROVIDER_URL",
    "TON_FALLBACK_URL",
    "TON_PROOF_DOMAINS",
    "TON_API_KEY",
    "TON_API_KEY_FILE",
    KEY_VARIABLE,
    f"{KEY_VARIABLE}_FILE",
    SIGNER_URL,
    "CREATED_BROKERS_WALLET",
)
"""Whoever sets one of these means another chain."""

_START_SECONDS: Final = 60.0
_STOP_SECONDS: Final = 45.0
_KEPT_VARIABLES: Final = ("HOME", "LANG", "LC_ALL", "PATH", "PYTHONPATH", "TMPDIR", "VIRTUAL_ENV")
_EXPORT: Final = re.compile(r"\s*export (\w+)=(\S+)\s*")
_LAST_EXPORT: Final = "AIBA_DEV_CHAIN_TIME"


class LocalChainFailed(Exception):  # noqa: N818 - named for what became of the chain
    """The local chain can't be started, or ended by itself; the text says why."""


def is_installed() -> bool:
    """Tell whether this machine can have a local chain."""
    return importlib.util.find_spec("tonpy") is not None


def own_settings(environ: Mapping[str, str]) -> list[str]:
    """Return the variables that are set and mean another chain."""
    return [name for name in OWN_SETTINGS if environ.get(name, "").strip()]


class LocalChainProcess:
    """A running local chain, and what the API is to be told of it."""

    def __init__(self, process: Process, settings: Mapping[str, str], complaint: list[str]) -> None:
        """Take over a child that has announced itself."""
        self._process = process
        self._complaint = complaint
        self._ended = asyncio.ensure_future(process.wait())
        self.settings = settings

    @property
    def url(self) -> str:
        """Where it listens."""
        return self.settings["TON_PROVIDER_URL"].removesuffix("/api/v2/jsonRPC")

    @property
    def vault(self) -> str:
        """The raw address of its vault."""
        return self.settings["ARENA_VAULT_ADDRESS"]

    def when_it_ends(self, then: Callable[[], None]) -> None:
        """Call `then` when the chain has ended by itself, also if it has already."""
        self._ended.add_done_callback(lambda ended: None if ended.cancelled() else then())

    def raise_if_ended(self) -> None:
        """Raise LocalChainFailed if the chain has ended by itself."""
        if self._ended.done():
            raise _failure("ended while the API was running", self._process, self._complaint)

    async def stop(self) -> None:
        """End it: what it has accepted is finished first. Raises LocalChainFailed if it isn't."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                code = await self._ended
        except TimeoutError:
            raise LocalChainFailed("the local chain didn't end when it was told to") from None
        if code != 0:
            raise _failure("didn't end well", self._process, self._complaint)


@contextlib.asynccontextmanager
async def local_chain(
    data_dir: Path, *, network: str | None = None, port: int = 0
) -> AsyncIterator[LocalChainProcess]:
    """Run the chain of a data directory while the context lasts, on a loopback port (0: any).

    Raises LocalChainFailed, and DevSecretsUnusable where its oracle's key can't be kept.
    """
    key = dev_oracle_key(data_dir)
    directory = data_dir / DIRECTORY
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aiba_entry.cli", "devnet", "--until-stdin-ends"),
        *("--port", str(port), "--network", network or "testnet", "--data-dir", str(directory)),
        env=kept | {KEY_VARIABLE: key},
        stdin=PIPE,
        stdout=PIPE,
        stderr=PIPE,
        # A Ctrl-C is for the API, which ends the chain when it needs it no more.
        start_new_session=True,
    )
    complaint: list[str] = []
    listening = asyncio.ensure_future(_listen(process, complaint))
    try:
        settings = await _announced(process, listening, complaint)
        chain = LocalChainProcess(process, settings | {KEY_VARIABLE: key}, complaint)
        yield chain
        chain.raise_if_ended()
        await chain.stop()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        await process.wait()
        listening.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await listening


async def _announced(
    process: Process, listening: "asyncio.Future[None]", complaint: list[str]
) -> dict[str, str]:
    """Return the settings that the child prints once it listens."""
    if process.stdout is None:
        raise LocalChainFailed("the local chain's output can't be read")
    settings: dict[str, str] = {}
    try:
        async with asyncio.timeout(_START_SECONDS):
            async for line in process.stdout:
                export = _EXPORT.fullmatch(line.decode())
                if export is None:
                    continue
                settings[export[1]] = export[2]
                if export[1] == _LAST_EXPORT:
                    return settings
            await listening
            await process.wait()
    except TimeoutError:
        raise LocalChainFailed("the local chain took too long to start") from None
    raise _failure("can't start", process, complaint)


async def _listen(process: Process, complaint: list[str]) -> None:
    """Keep the last line that the child complains with."""
    if process.stderr is not None:
        async for line in process.stderr:
            complaint[:] = [line.decode(errors="replace").strip().removeprefix("Error: ")]


def _failure(what: str, process: Process, complaint: list[str]) -> LocalChainFailed:
    why = complaint[0] if complaint else f"exit code {process.returncode}"
    return LocalChainFailed(f"the local chain {what}: {why}")
