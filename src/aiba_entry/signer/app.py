"""The signer's ASGI application: who is asking, how much and how fast, and then the desk.

POST /sign      a claim's terms into a signature; a bearer token is needed
GET /health     200 while the process answers
GET /ready      200 when new claims are signed, else 503 with the reason
GET /metrics    Prometheus
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Final

import msgspec

from aiba_domain.claims.ports import SignerRefused, SignerUnavailable
from aiba_entry.logs import get_logger
from aiba_entry.series import METRICS_CONTENT_TYPE
from aiba_entry.signer.desk import Desk
from aiba_entry.signer.limits import Buckets
from aiba_entry.signer.metrics import SignerMetrics
from aiba_entry.signer.tokens import Tokens
from aiba_entry.signer.wire import (
    MAX_BODY_BYTES,
    STATUSES,
    Problem,
    RequestRefused,
    answer,
    read_terms,
    refusal,
)

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

MAX_IN_FLIGHT: Final = 1_024
"""How many requests may be decided at once; more are told to come again."""

SIGN: Final = "/sign"

_RETRY_MS: Final = 1_000
_JSON: Final = (b"content-type", b"application/json")
_MS: Final = 1_000
_LOG_SECONDS: Final = 1.0
_log = get_logger("aiba.signer")


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = (_JSON,)


class SignerApp:
    """The application. `tokens` may be put in place of others while it runs."""

    def __init__(
        self, desk: Desk, *, tokens: Tokens, metrics: SignerMetrics, rate_per_s: int
    ) -> None:
        """Answer for a desk; each caller may make `rate_per_s` requests a second."""
        self._desk = desk
        self._tokens = tokens
        self._metrics = metrics
        self._buckets = Buckets(rate_per_s, perf_counter)
        self._in_flight = 0
        self._noise = _Noise()

    @property
    def tokens(self) -> Tokens:
        """Return whose requests are answered."""
        return self._tokens

    @tokens.setter
    def tokens(self, tokens: Tokens) -> None:
        self._tokens = tokens
        self._buckets.keep(tokens.names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request, or live as long as the server does."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
            return
        if scope["path"] == SIGN and scope["method"] == "POST":
            started = perf_counter()
            made = await self._sign(scope, receive)
            self._metrics.took(perf_counter() - started)
        else:
            made = await self._look(scope)
        length = (b"content-length", b"%d" % len(made.body))
        await send(
            {
                "type": "http.response.start",
                "status": made.status,
                "headers": [*made.headers, length],
            }
        )
        await send({"type": "http.response.body", "body": made.body})

    # Signing

    async def _sign(self, scope: Scope, receive: Receive) -> _Answer:
        caller = ""
        try:
            caller = self._caller(scope["headers"])
            if early_s := self._buckets.take(caller):
                return self._turn_away(Problem.RATE_LIMITED, caller, retry_s=early_s)
            if self._in_flight >= MAX_IN_FLIGHT:
                return self._turn_away(Problem.BUSY, caller, retry_s=1.0)
            self._in_flight += 1
            try:
                return await self._decide(await _body(scope["headers"], receive), caller)
            finally:
                self._in_flight -= 1
        except RequestRefused as refused:
            self._metrics.result(refused.problem)
            self._noise.tell(refused.problem, caller, str(refused))
            return _turned_down(refused.problem, str(refused))
        except Exception:  # noqa: BLE001 - the caller gets an answer, the log the rest
            self._metrics.result(Problem.ERROR)
            _log.exception("request failed", caller=caller)
            return _turned_down(Problem.ERROR, "error")

    async def _decide(self, body: bytes, caller: str) -> _Answer:
        terms = read_terms(body, self._desk.network)
        try:
            signed = await self._desk.sign(terms)
        except SignerRefused as refused:
            _log.warning(
                "claim refused",
                caller=caller,
                code=refused.code,
                recipient=terms.recipient,
                seqno=terms.seqno,
            )
            return _turned_down(refused.code, refused.code)
        except SignerUnavailable as error:
            self._noise.tell(Problem.UNAVAILABLE, caller, str(error))
            return _turned_down(Problem.UNAVAILABLE, "unavailable", retry_ms=_RETRY_MS)
        _log.debug("claim signed", caller=caller, recipient=terms.recipient, seqno=terms.seqno)
        return _Answer(200, answer(signed))

    def _caller(self, headers: list[tuple[bytes, bytes]]) -> str:
        """Return the name of whoever asks, or refuse."""
        given = [value for name, value in headers if name == b"authorization"]
        scheme, _, token = given[0].partition(b" ") if len(given) == 1 else (b"", b"", b"")
        caller = self._tokens.name_of(token) if scheme.lower() == b"bearer" else None
        if caller is None:
            raise RequestRefused(Problem.UNAUTHORIZED)
        return caller

    def _turn_away(self, problem: Problem, caller: str, *, retry_s: float) -> _Answer:
        self._metrics.result(problem)
        self._noise.tell(problem, caller, "")
        return _turned_down(problem, problem.value, retry_ms=int(retry_s * _MS) + 1)

    # Being looked at

    async def _look(self, scope: Scope) -> _Answer:
        path = scope["path"]
        if path not in (SIGN, "/health", "/ready", "/metrics"):
            self._metrics.result(Problem.NOT_FOUND)
            return _turned_down(Problem.NOT_FOUND, "not found")
        if path == SIGN or scope["method"] not in ("GET", "HEAD"):
            self._metrics.result(Problem.METHOD_NOT_ALLOWED)
            return _turned_down(Problem.METHOD_NOT_ALLOWED, "method not allowed")
        if path == "/health":
            return _Answer(200, b'{"status":"ok"}')
        if path == "/metrics":
            page = self._metrics.render(await self._desk.standing())
            return _Answer(200, page, ((b"content-type", METRICS_CONTENT_TYPE.encode()),))
        reason = await self._desk.why_not_ready()
        body = {"ready": reason is None} | ({} if reason is None else {"reason": reason})
        return _Answer(200 if reason is None else 503, msgspec.json.encode(body))


class _Noise:
    """Tells of requests that come to nothing, of each kind once a second, with how many more."""

    def __init__(self) -> None:
        self._told: dict[Problem, float] = {}
        self._untold: dict[Problem, int] = {}

    def tell(self, problem: Problem, caller: str, reason: str) -> None:
        now = perf_counter()
        if now - self._told.get(problem, float("-inf")) < _LOG_SECONDS:
            self._untold[problem] = self._untold.get(problem, 0) + 1
            return
        self._told[problem] = now
        more = self._untold.pop(problem, 0)
        _log.warning("request refused", caller=caller, code=problem, reason=reason, untold=more)


def _turned_down(code: str, message: str, *, retry_ms: int | None = None) -> _Answer:
    request_id = secrets.token_hex(16)
    headers: tuple[tuple[bytes, bytes], ...] = (_JSON, (b"x-request-id", request_id.encode()))
    if code == Problem.UNAUTHORIZED:
        headers += ((b"www-authenticate", b"Bearer"),)
    if code == Problem.TOO_LARGE:
        headers += ((b"connection", b"close"),)
    if retry_ms is not None:
        headers += ((b"retry-after", b"%d" % -(-retry_ms // _MS)),)
    return _Answer(STATUSES[code], refusal(code, message, request_id, retry_ms), headers)


async def _body(headers: list[tuple[bytes, bytes]], receive: Receive) -> bytes:
    """Return the whole body, or refuse it as soon as it is known to be too long."""
    for name, value in headers:
        if name == b"content-length" and int(value) > MAX_BODY_BYTES:
            raise RequestRefused(Problem.TOO_LARGE)
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body", False) and len(body) <= MAX_BODY_BYTES:
        message = await receive()
        body += message.get("body", b"")
    if message["type"] == "http.disconnect":
        raise RequestRefused(Problem.MALFORMED, reason="it ended early")
    if len(body) > MAX_BODY_BYTES:
        raise RequestRefused(Problem.TOO_LARGE)
    return body


async def _live(receive: Receive, send: Send) -> None:
    while True:
        kind = (await receive())["type"].partition(".")[2]
        await send({"type": f"lifespan.{kind}.complete"})
        if kind == "shutdown":
            return
