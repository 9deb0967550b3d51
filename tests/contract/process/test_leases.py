"""Three servers on one data directory: one settles, and another one when it has stopped."""

import contextlib
import json
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiba_domain.leases.model import NOBODY
from aiba_entry.chain import SETTLEMENT
from tests.contract.game import ton
from tests.contract.process.support import Json, Server, environment, until

ELSEWHERE, SETTLES = "elsewhere", "ok"


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture(name="servers")
def _servers(folder: Path) -> Iterator[list[Server]]:
    """Give two servers that were started at once, and end whatever was started."""
    servers = [start(folder), start(folder)]
    try:
        for server in servers:
            server.wait_until_ready()
        yield servers
    finally:
        for server in servers:
            server.kill()


def start(folder: Path) -> Server:
    """Start a server of the game with withdrawals, whose provider never answers."""
    return Server(folder, environment(folder, **ton.ENVIRON))


def part_of(server: Server) -> str:
    """Return what became of a server's first run of the settlement."""
    runs: list[str] = []

    def has_run() -> bool:
        with server.client() as http:
            text = http.get("/metrics").text
        runs[:] = re.findall(r'aiba_settlement_runs_total\{result="(\w+)"\} [1-9]', text)
        return bool(runs)

    until(has_run)
    (first,) = runs
    return first


def lease_in(server: Server) -> Json:
    """Return the settlement's lease as it is stored."""
    with contextlib.closing(sqlite3.connect(server.database)) as connection:
        (body,) = connection.execute("SELECT body FROM leases WHERE name = ?", (SETTLEMENT,))
    return json.loads(body[0])


def prolong(server: Server) -> None:
    """Let the settlement's lease last long enough for a slow machine."""
    with contextlib.closing(sqlite3.connect(server.database)) as connection, connection:
        connection.execute(
            "UPDATE leases SET body = json_set(body, '$.expires_at', ?) WHERE name = ?",
            (4_000_000_000_000, SETTLEMENT),
        )


def test_one_process_settles_and_another_takes_over(servers: list[Server], folder: Path) -> None:
    """A stop hands the work over at once; after a kill it waits for the end of the lease."""
    parts = [part_of(server) for server in servers]
    assert sorted(parts) == [ELSEWHERE, SETTLES]
    first = lease_in(servers[0])
    settling, waiting = (servers[parts.index(each)] for each in (SETTLES, ELSEWHERE))
    waiting.kill()
    assert settling.stop() == 0
    freed = lease_in(settling)
    assert (freed["holder"], freed["number"]) == (NOBODY, first["number"])
    servers.append(start(folder).wait_until_ready())
    assert part_of(servers[-1]) == SETTLES
    second = lease_in(servers[-1])
    assert second["number"] == first["number"] + 1
    servers[-1].kill()
    prolong(servers[-1])
    servers.append(start(folder).wait_until_ready())
    assert part_of(servers[-1]) == ELSEWHERE
    assert lease_in(servers[-1])["holder"] == second["holder"]
