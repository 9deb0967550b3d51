"""A small application behind the real edge, and a client that calls it."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any, cast

import httpx
from litestar import Controller, Litestar, Request, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from aiba_adapters.ratelimit import MemoryRateLimiter
from aiba_adapters.telegram import sign
from aiba_domain.brokers.model import Stat
from aiba_domain.errors import DomainError
from aiba_domain.ports import Unavailable
from aiba_entry.http.app import create_app, session_tokens
from aiba_entry.http.context import RequestContext, context_of
from aiba_entry.http.envelope import Reply, data_reply, documented, flat_reply
from aiba_entry.http.health import Probe
from aiba_entry.http.limits import (
    BATTLE,
    GATE_KEY,
    Gate,
    admit_player,
    allow_anyone,
)
from aiba_entry.http.principal import Principal
from aiba_entry.http.request_context import Edge
from aiba_entry.http.validation import Body, ObjectId, RequestId, object_id, text, whole
from aiba_entry.observability import Metrics
from aiba_entry.settings import load
from tests.support.limits import OPEN

BOT_TOKEN = "123456:TESTTESTTESTTESTTEST"
NOW_S = 1_700_000_000
BROKER = "65a1b2c3d4e5f60718293a4b"
Pairs = Sequence[tuple[str, str]]


Limit = Annotated[int, QueryParameter(ge=1, le=100)]


class RunBody(Body):
    """A body with a field of every kind."""

    request_id: RequestId | None = None
    broker_id: ObjectId
    stat: Stat | None = None
    name: Annotated[str, text(10, 2)] | None = None
    amount: Annotated[int, whole(1, 100)] = 1
    auto_claim: bool = False
    tags: list[str] = []  # noqa: RUF012 - msgspec copies it


class Game(Controller):
    """Routes that only the tests need."""

    path = "/api/game"
    tags = ("game",)

    @post(
        "/run",
        before_request=admit_player(BATTLE),
        status_code=200,
        responses=documented(RunBody, 400, 401, 429),
    )
    async def run(
        self,
        data: JSONBody[RunBody],
        principal: NamedDependency[Principal],
        context: NamedDependency[RequestContext],
    ) -> Reply:
        """Answer what came in, and from whom."""
        return data_reply({"player": principal.player_id, "body": data}, context.request_id)

    @post("/optional", status_code=200)
    async def optional(self, data: JSONBody[Body], request: Request[Any, Any, Any]) -> Reply:
        """Answer whether a body without fields could be read."""
        return flat_reply({"empty": data == Body()}, context_of(request).request_id)

    @get("/battles/{battle_id:str}", guards=[allow_anyone])
    async def battle(
        self, battle_id: FromPath[str], request: Request[Any, Any, Any], limit: Limit = 20
    ) -> Reply:
        """Answer the id and the limit that were asked for."""
        reply = {"id": object_id(battle_id), "limit": limit, "requestId": "own-key"}
        return flat_reply(reply, context_of(request).request_id)

    @get("/fail/{how:str}")
    async def fail(self, how: FromPath[str]) -> Reply:
        """Fail in one of the ways there are."""
        raise FAILURES[how]


FAILURES: dict[str, Exception] = {
    "domain": DomainError("cooldown", retryAfterMs=1500, modeKey="m"),
    "unavailable": Unavailable(),
    "crash": RuntimeError(f"database password is hunter2, token {BOT_TOKEN}"),
    "os": OSError(2, "No such file", "/etc/secret/path"),
}


class Api:
    """An application of its own, and calls to it at a time the test sets."""

    def __init__(
        self, environ: Mapping[str, str] | None = None, *, probes: Sequence[Probe] = ()
    ) -> None:
        base = {
            "APP_ENV": "prod",
            "CORS_ORIGIN": "https://game.example",
            "TELEGRAM_BOT_TOKEN": BOT_TOKEN,
            "TELEGRAM_INITDATA_MAX_AGE_SECONDS": "900",
            "SESSION_SECRET": "correct-horse-battery-staple-0123",
            "BATTLE_SEED_SECRET": "another-horse-battery-staple-4567",
            **OPEN,
        }
        self.settings = load({**base, **(environ or {})})
        self.now_ms = NOW_S * 1000
        self.limiter = MemoryRateLimiter()
        self.metrics = Metrics(arenas=["prediction"], process=False)
        self.edge: Edge = create_app(
            self.settings,
            routes=[Game],
            limiter=self.limiter,
            metrics=self.metrics,
            now_ms=lambda: self.now_ms,
            probes=probes,
        )
        self.peer = "192.0.2.1"

    @property
    def gate(self) -> Gate:
        """Return what the guards share."""
        gate: Gate = cast("Litestar", self.edge.app).opt[GATE_KEY]
        return gate

    def call(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str | bytes] | Mapping[str, str] | Pairs | None = None,
        content: bytes | AsyncIterator[bytes] | None = None,
        body: object = None,
    ) -> httpx.Response:
        """Make one request; `body` is sent as JSON. Headers as pairs may repeat a name."""

        async def run() -> httpx.Response:
            transport = httpx.ASGITransport(cast("Any", self.edge), client=(self.peer, 1))
            async with httpx.AsyncClient(
                transport=transport, base_url="http://api.example"
            ) as http:
                raw = json.dumps(body).encode() if content is None and body is not None else content
                return await http.request(method, path, headers=_raw(headers or {}), content=raw)

        return asyncio.run(run())

    def status_of(self, path: str, *headers: tuple[bytes, bytes], method: str = "POST") -> int:
        """Return the status of a call whose path and headers no client would let through."""
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode("utf-8", "replace"),
            "query_string": b"",
            "root_path": "",
            "headers": [(b"host", b"api.example"), *headers],
            "client": (self.peer, 1),
            "server": ("127.0.0.1", 80),
        }
        started: list[int] = []

        async def receive() -> Any:  # noqa: ANN401 - an ASGI message
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:  # noqa: ANN401 - an ASGI message
            if message["type"] == "http.response.start":
                started.append(message["status"])

        asyncio.run(self.edge(cast("Any", scope), receive, send))
        assert scope["method"] == method, "a server frames its answer by the method it was asked"
        (status,) = started
        return status

    def token(self, player_id: str = "42", *, lives_ms: int = 3_600_000) -> str:
        """Return a session token."""
        return session_tokens(self.settings).issue(player_id, "s1", self.now_ms + lives_ms)

    def as_player(self, player_id: str = "42") -> dict[str, str]:
        """Return the headers of a player with a session."""
        return {"Authorization": f"Bearer {self.token(player_id)}"}

    def run(self, body: object = None, **headers: str) -> httpx.Response:
        """Call the route that reads a body, as player 42 unless headers say otherwise."""
        content = {"brokerId": BROKER} if body is None else body
        return self.call("POST", "/api/game/run", headers=self.as_player() | headers, body=content)


def init_data(player_id: int = 42, *, at_s: int = NOW_S) -> str:
    """Return genuine launch data."""
    user = json.dumps({"id": player_id, "username": "bob"})
    return sign({"auth_date": str(at_s), "user": user}, BOT_TOKEN)


def error_of(response: httpx.Response) -> Any:  # noqa: ANN401 - decoded JSON
    """Return the error of an envelope, having checked the envelope."""
    body = response.json()
    assert set(body) == {"ok", "error", "requestId"}
    assert body["ok"] is False
    assert body["requestId"] == response.headers["x-request-id"]
    assert response.headers["content-type"] == "application/json"
    return body["error"]


def _raw(headers: Mapping[str, Any] | Pairs) -> list[tuple[bytes, bytes]]:
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    return [
        (name.encode(), value if isinstance(value, bytes) else value.encode())
        for name, value in pairs
    ]
