"""Servers for tests: each is ended when the test is over, whatever became of it."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.contract.process.support import AIBA, Server, environment

Serve = Callable[..., Server]


@pytest.fixture(name="serve")
def _serve(tmp_path: Path) -> Iterator[Serve]:
    """Start servers, by default on one data directory of the test."""
    running: list[Server] = []

    def start(
        data_dir: Path = tmp_path / "data",
        *,
        command: Sequence[str] = (*AIBA, "serve"),
        ready: bool = True,
        **more: str,
    ) -> Server:
        server = Server(data_dir, environment(data_dir, **more), command)
        running.append(server)
        return server.wait_until_ready() if ready else server

    yield start
    for server in running:
        server.kill()


@pytest.fixture(name="server", scope="module")
def _server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests of a module; each brings players of its own."""
    data_dir = tmp_path_factory.mktemp("shared") / "data"
    server = Server(data_dir, environment(data_dir))
    try:
        yield server.wait_until_ready()
    finally:
        server.kill()
