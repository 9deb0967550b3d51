"""Two servers of the API and one Redis: one limit at both doors, and no wrong answer without it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.process.support import Json, Server, environment, until
from tests.support.redis import RedisServer

PASSWORD = "redis-tests-password-5d1c"
LIMIT = 12


@pytest.fixture(name="redis")
def _redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path / "redis", durable=True, options=("--requirepass", PASSWORD))
    yield server.start()
    server.kill()


@pytest.fixture(name="servers")
def _servers(redis: RedisServer, tmp_path: Path) -> Iterator[list[Server]]:
    """Start both at once; the password comes in a file."""
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\n")
    environ = environment(
        tmp_path / "data",
        REDIS_URL=redis.url,
        REDIS_PASSWORD_FILE=str(secret),
        RATE_LIMIT_PER_MINUTE=str(LIMIT),
        TRUSTED_PROXIES="127.0.0.1",
    )
    servers = [Server(tmp_path / "data", environ) for _ in range(2)]
    try:
        for server in servers:
            server.wait_until_ready()
        yield servers
    finally:
        for server in servers:
            server.kill()


def asked(server: Server, path: str, caller: str) -> tuple[int, Json]:
    """Ask as somebody at an address; return the status and the answer."""
    with server.client(**{"X-Forwarded-For": caller}) as http:
        response = http.get(path)
        return response.status_code, response.json()


def until_ready(server: Server) -> None:
    """Wait until a server says that it can work."""
    until(lambda: asked(server, "/ready", "192.0.2.2")[0] == 200)


def test_a_limit_holds_at_both_doors_and_through_an_outage(
    servers: list[Server], redis: RedisServer
) -> None:
    """Counted together; without Redis 503 with a time to come again; afterwards where it was."""
    path = "/api/fairness"
    statuses = [asked(servers[turn % 2], path, "192.0.2.1")[0] for turn in range(LIMIT + 4)]
    assert statuses == [200] * LIMIT + [429] * 4
    assert asked(servers[0], path, "192.0.2.2")[0] == 200
    redis.kill()
    for server in servers:
        status, answer = asked(server, path, "192.0.2.2")
        assert (status, answer["error"]["code"]) == (503, "unavailable")
        assert answer["error"]["details"]["retryAfterMs"] > 0
        status, ready = asked(server, "/ready", "192.0.2.2")
        assert (status, ready["checks"]["redis"]["ok"]) == (503, False)
        assert ready["checks"]["store"]["ok"] is True
    redis.start()
    for server in servers:
        until_ready(server)
        assert asked(server, path, "192.0.2.1")[0] == 429
        assert asked(server, path, "192.0.2.2")[0] == 200
    with servers[0].client() as http:
        metrics = http.get("/metrics").text
    for result in ("allowed", "refused", "unavailable"):
        assert re.search(
            rf'aiba_rate_limit_hits_total{{limit="global",result="{result}"}} ', metrics
        )
    assert 'aiba_redis_requests_total{operation="hit",result="unreachable"} 1' in metrics
    for server in servers:
        assert server.stop() == 0
        assert PASSWORD not in server.logged.read_text() + server.printed.read_text()
