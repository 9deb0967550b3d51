"""Commands of `aiba` as processes of their own, forked from one that has the modules loaded.

Each has its environment, its output and its signals to itself, as one that a shell starts; what it
doesn't have again is a second of processor time for imports.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from aiba_adapters.signing.oracle_keys import VaultKeys
from aiba_entry import chain
from aiba_entry.cli.main import main

LOADED: Final = (
    "__main__",
    __name__,
    "aiba_adapters.mongo",
    "aiba_entry.cli.serve",
    "aiba_entry.cli.signer",
    "aiba_entry.http.app",
)
"""What every process finds loaded."""

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([*LOADED])


class Forked:
    """A command that runs, with what tests use of `subprocess.Popen`."""

    def __init__(
        self,
        words: Sequence[str],
        *,
        environ: Mapping[str, str],
        out: Path,
        err: Path,
        before: Callable[[], None] | None = None,
    ) -> None:
        """Start `aiba` with words; `before` is called in the process first."""
        arguments = (tuple(words), dict(environ), str(out), str(err), before)
        self._process = _context.Process(target=_run, args=arguments)
        self._process.start()

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        """Return the exit code, None while it runs."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end. Raises TimeoutExpired."""
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired("aiba", timeout or 0)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal, while it runs."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()


def impatient() -> None:
    """Let an API settle claims at once, and read for each signature what the vault believes."""
    setattr(chain, "SETTLE_SECONDS", 0.1)  # noqa: B010 - it is final for all others
    setattr(chain, "VaultKeys", partial(VaultKeys, kept_s=0.0))  # noqa: B010 - a class for all others


def _run(
    words: tuple[str, ...],
    environ: dict[str, str],
    out: str,
    err: str,
    before: Callable[[], None] | None,
) -> None:
    # Where the first of them was started may be gone by now.
    os.chdir(Path(out).parent)
    os.environ.clear()
    os.environ.update(environ)
    for number, path in ((1, out), (2, err)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(file, number)
        os.close(file)
    sys.argv = ["aiba", *words]
    if before is not None:
        before()
    main(list(words))
