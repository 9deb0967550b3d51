"""A real Redis as a process of a test's own, which can be killed and started again."""

import os
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

from tests.support.programs import MissingProgramError, program

PATIENCE_S: Final = 60
"""When a test stops waiting for a Redis: a guard against a hang, not a measurement."""


def needed(name: str) -> str:
    """Return where a program is; without it a test fails in CI and is skipped elsewhere."""
    try:
        return program(name)
    except MissingProgramError as reason:
        if "CI" in os.environ:
            pytest.fail(str(reason))
        pytest.skip(str(reason))


class RedisServer:
    """One Redis on the loopback, with what it keeps in a folder.

    `durable`: every write is on disk before it is answered.
    """

    def __init__(
        self, folder: Path, *, durable: bool = False, options: Sequence[str] = (), tls: bool = False
    ) -> None:
        """Choose a port; `start` starts it."""
        self._program = needed("redis-server")
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"redis{'s' if tls else ''}://127.0.0.1:{self.port}/0"
        ports = ("--port", "0", "--tls-port") if tls else ("--port",)
        self._options = [
            *(*ports, str(self.port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", ""),
            *("--appendonly", "yes" if durable else "no", "--appendfsync", "always"),
            *options,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "RedisServer":
        """Start it and wait until it listens; it loads what it kept before it answers."""
        reading, writing = os.pipe()
        with os.fdopen(writing, "wb") as out:
            self._process = subprocess.Popen(  # noqa: S603 - Redis itself
                [self._program, *self._options], stdout=out, stderr=subprocess.STDOUT
            )
        said = b""
        with os.fdopen(reading, "rb") as lines:
            for line in lines:
                said += line
                if b"Ready to accept connections" in line:
                    # What it says later goes nowhere; it is no reason for it to stop.
                    return self
        raise AssertionError(said.decode())

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_S)
            self._process = None


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def certificates(folder: Path) -> Path:
    """Make an authority and a certificate of it for 127.0.0.1, as `ca.pem` and `server.*`."""
    openssl = needed("openssl")
    folder.mkdir()
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    (folder / "ext").write_text("subjectAltName=IP:127.0.0.1\n")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2")
    for words in (
        ("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca"),
        ("req", *new, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=server"),
        ("x509", "-req", "-in", "server.csr", *signed, "-out", "server.pem", "-extfile", "ext"),
    ):
        subprocess.run([openssl, *words], cwd=folder, check=True, capture_output=True)  # noqa: S603 - fixed words
    return folder
