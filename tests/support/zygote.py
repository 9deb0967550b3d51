"""`aiba` for a shell, forked from one process that has its modules loaded.

A shell's command is a process of its own all the same: with the shell's environment, folder, pipes
and exit code. What it doesn't have again is a second of processor time for imports. `CLIENT` is
what stands in the shell's path in place of `aiba`; it needs nothing but Python.
"""

import importlib
import json
import os
import select
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
CLIENT: Final = """\
#!{python} -ISE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as desk:
    desk.connect({address!r})
    told = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()])
    socket.send_fds(desk, [b"!"], [0, 1, 2])
    desk.sendall(told.encode("utf-8", "surrogateescape"))
    desk.shutdown(socket.SHUT_WR)
    sys.exit(int(desk.makefile().read() or 70))
"""
LOADED: Final = (
    "aiba_adapters.mongo",
    "aiba_entry.cli.serve",
    "aiba_entry.cli.signer",
    "aiba_entry.http.app",
)
"""What every process finds loaded."""

_READY: Final = "ready\n"


class Zygote:
    """The process that others are forked from, and the folder that shells find `aiba` in."""

    def __init__(self, folder: Path) -> None:
        """Start it; `folder` gets its socket, and `bin` with the command."""
        self.bin = folder / "bin"
        self.bin.mkdir(parents=True)
        address = folder / "desk"
        client = self.bin / "aiba"
        client.write_text(CLIENT.format(python=sys.executable, address=str(address)))
        client.chmod(0o700)
        self._process = subprocess.Popen(  # noqa: S603 - this file
            [sys.executable, "-m", __name__, str(address)],
            cwd=ROOT,
            stdin=subprocess.PIPE,  # at whose end it ends too
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == _READY

    def close(self) -> None:
        """End it."""
        self._process.communicate()


def serve(address: str, main: Callable[[list[str]], None]) -> None:
    """Fork a process for each command that is brought, until there is no more to be read."""
    with socket.socket(socket.AF_UNIX) as desk:
        desk.bind(address)
        desk.listen()
        sys.stdout.write(_READY)
        sys.stdout.flush()
        while desk in select.select([desk, sys.stdin], [], [])[0]:
            client, _ = desk.accept()
            with client:
                if os.fork() == 0:
                    desk.close()
                    os._exit(_attend(client, main))
            _reap()


def _attend(client: socket.socket, main: Callable[[list[str]], None]) -> int:
    """Run one command in a process of its own, and tell the client how it ended."""
    _, files, _, _ = socket.recv_fds(client, 1, 3)
    with client.makefile("rb") as told:
        words, environ, folder = json.loads(told.read().decode("utf-8", "surrogateescape"))
    child = os.fork()
    if child == 0:
        client.close()
        os._exit(_run(words, environ, folder, files, main))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    client.sendall(str(code if code >= 0 else 128 - code).encode())
    return 0


def _run(
    words: list[str],
    environ: dict[str, str],
    folder: str,
    files: list[int],
    main: Callable[[list[str]], None],
) -> int:
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(folder)
    sys.argv = ["aiba", *words]
    code: object = 0
    try:
        main(words)
    except SystemExit as ended:
        code = ended.code
    except BaseException:  # noqa: BLE001 - told as Python tells it at its end
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else 0


def _reap() -> None:
    """Let go of what has ended."""
    while True:
        try:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                return
        except ChildProcessError:
            return


if __name__ == "__main__":
    for module in LOADED:
        importlib.import_module(module)
    from aiba_entry.cli.main import main as aiba

    serve(sys.argv[1], lambda words: aiba(words, prog_name="aiba"))
