"""What a server writes down: JSON lines with the request's id, and never a secret."""

import asyncio
import contextlib
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from datetime import datetime

import httpx

from tests.contract.process.support import (
    SECRETS,
    Line,
    Lost,
    Server,
    connect,
    init_data,
    new_player,
)

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def test_every_line_is_json_and_carries_the_request_id(serve: Callable[..., Server]) -> None:
    """From the first line to the last; a request's line has the id its answer had."""
    server = serve(LOG_LEVEL="DEBUG")
    with server.client() as http:
        player = new_player(http, 1)
        calls = [
            http.get("/health", headers={"X-Request-Id": "trace-1"}),
            http.get("/api/economy/me", headers=player.headers | {"X-Request-Id": "trace-2"}),
            http.get("/api/economy/me"),
            http.post("/api/battle/run", content=b"{", headers=player.headers),
            http.get("/nowhere", headers={"X-Request-Id": 'no"trace'}),
        ]
    assert server.stop() == 0
    lines = server.log_lines()
    for line in lines:
        assert datetime.fromisoformat(line["timestamp"]).utcoffset() is not None
        assert {"event", "level", "source"} <= line.keys()
    told = {line["request_id"]: line for line in lines if line["event"] == "request"}
    for call in calls:
        line = told[call.headers["x-request-id"]]
        assert (line["method"], line["status"]) == (call.request.method, call.status_code)
        assert line["ms"] >= 0
    ids = [call.headers["x-request-id"] for call in calls]
    assert ids[:2] == ["trace-1", "trace-2"]
    assert all(UUID.fullmatch(given) for given in ids[2:])
    assert told[ids[4]]["path"] == "/nowhere"


def test_every_request_has_its_line_when_the_process_has_ended(
    serve: Callable[..., Server],
) -> None:
    """Lines are written together, and a drain leaves none of them behind."""
    server = serve()
    with server.client() as http:
        ids = [http.get("/health").headers["x-request-id"] for _ in range(50)]
        assert server.stop() == 0
    told = [line["request_id"] for line in server.log_lines() if line["event"] == "request"]
    assert told == ids


def leaking_calls(http: httpx.Client, bait: dict[str, str]) -> Iterator[httpx.Response]:
    """Make requests that fail, with a secret in every place where one can stand."""
    for value in bait.values():
        quoted = json.dumps({"initData": value, "requestId": value, "brokerId": value})
        yield http.post("/api/auth/session", json={"initData": value})
        yield http.post("/api/auth/session", json={"initData": value[:-1] + "0"})
        yield http.post("/api/auth/session", json={"initData": [value]})
        yield http.post("/api/auth/session", content=quoted[:-1].encode())
        yield http.get("/api/economy/me", headers={"X-Telegram-Init-Data": value + "0"})
        yield http.get("/api/economy/me", headers={"Authorization": f"Bearer {value}0"})
        yield http.get("/api/economy/me", headers={"Authorization": value, "Cookie": value})
        yield http.get("/api/battles", params={"before": value, "token": value})
        headers = {"Authorization": f"Bearer {bait['token']}"}
        yield http.post("/api/battle/run", content=quoted.encode(), headers=headers)
        yield http.post("/api/brokers/train", json={"stat": value}, headers=headers)
        yield http.get("/api/battles", params={"before": value}, headers=headers)


async def malformed_calls(server: Server, bait: dict[str, str]) -> None:
    """Send what is no HTTP, and break requests off in the middle."""
    for value in bait.values():
        async with connect(server.port) as line:
            await line.send_bytes(f"{value} {value}\r\n{value}\r\n\r\n".encode())
            await _ignored(line)
        async with connect(server.port) as line:
            head = f"POST /api/auth/session HTTP/1.1\r\nauthorization: {value}\r\n"
            await line.send_bytes(f"{head}content-length: 9999\r\n\r\n{value}".encode())


async def _ignored(line: Line) -> None:
    """Let the server answer or hang up."""
    try:
        await line.answer()
    except Lost:
        return


def test_no_secret_reaches_logs_outputs_or_answers(serve: Callable[..., Server]) -> None:
    """Requests that carry secrets and fail leave none behind, at the most talkative level."""
    server = serve(LOG_LEVEL="DEBUG")
    with server.client() as http:
        player = new_player(http, 1)
        genuine = init_data(2)
        secrets = dict(zip(("bot", "session", "seed"), SECRETS, strict=True))
        bait = secrets | {"token": player.token, "init_data": genuine}
        answers = [*leaking_calls(http, bait)]
        asyncio.run(malformed_calls(server, bait))
        # A crash in the middle of a request: its traceback goes to the log without its values.
        _break(server)
        headers = player.headers | {"X-Telegram-Init-Data": genuine}
        body = {"requestId": "k", "brokerId": player.broker_id}
        crashed = http.post("/api/battle/run", json=body, headers=headers)
    assert crashed.status_code == httpx.codes.INTERNAL_SERVER_ERROR
    assert all(answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR for answer in answers)
    assert server.stop() == 0

    written = server.printed.read_text() + server.logged.read_text()
    assert "Traceback" in written
    private = bait | {"hash": genuine.partition("hash=")[2][:64]}
    assert [name for name, value in private.items() if value in written] == []
    replies = "".join(answer.text + str(answer.headers) for answer in [*answers, crashed])
    assert [name for name, value in secrets.items() if value in replies] == []


def _break(server: Server) -> None:
    """Damage the store under the running server, so that its next battle crashes."""
    with contextlib.closing(sqlite3.connect(server.database)) as connection, connection:
        connection.execute("UPDATE epochs SET body = '{}'")


def test_the_level_is_kept(serve: Callable[..., Server]) -> None:
    """Above INFO an undisturbed run writes nothing."""
    server = serve(LOG_LEVEL="WARNING")
    with server.client() as http:
        http.get("/health")
    assert server.stop() == 0
    assert server.logged.read_text() == ""
