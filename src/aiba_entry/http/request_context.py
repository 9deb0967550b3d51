"""The edge: what every request passes before the application, and every answer after it."""

import asyncio
import re
from collections import Counter
from collections.abc import Mapping
from time import perf_counter
from typing import Final, cast
from uuid import uuid4

from litestar.enums import ScopeType
from litestar.types import (
    ASGIApp,
    HTTPScope,
    Message,
    Receive,
    ReceiveMessage,
    Scope,
    Send,
)

from aiba_entry.http.context import RequestContext, put_context
from aiba_entry.http.cors import Cors
from aiba_entry.http.envelope import error_reply
from aiba_entry.http.errors import INTERNAL, ApiError, InvalidRequest
from aiba_entry.http.paths import RoutePaths
from aiba_entry.http.raw_headers import RawHeaders
from aiba_entry.http.security_headers import SecurityHeaders
from aiba_entry.logs import REQUEST_ID, RequestLog, get_logger
from aiba_entry.observability import Metrics

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_EMPTY_PAIR: Final = re.compile(rb"(^|&)[^&=]*=(?=&|$)")
_ONCE: Final = frozenset(
    {
        b"authorization",
        b"content-type",
        b"idempotency-key",
        b"origin",
        b"x-admin-token",
        b"x-telegram-id",
        b"x-telegram-init-data",
    }
)
_CLOSE: Final = {"Connection": "close"}
_SOURCE: Final = "aiba.http"
_CLIENT_GONE: Final = 499
_LONGEST_PATH: Final = 200
_DRAIN_SECONDS: Final = 2.0
_DRAIN_BODIES: Final = 8
_RETRY_S: Final = 1
_RETRY: Final = {"Retry-After": str(_RETRY_S)}


class Edge:
    """The outermost ASGI application.

    Gives each request an id, matches its path, refuses what says twice who is calling, bounds its
    body, answers preflights, sends what is due in headers, counts and logs it, and turns what
    nobody caught into the envelope. A request that is cancelled is answered with 503; one that is
    broken off counts with status 499. A request that isn't answered after `deadline_s` seconds is
    cancelled and gets 503, `timed out`: what it had begun is undone or goes on to its end, and
    asking again with the same key tells which.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        paths: RoutePaths,
        metrics: Metrics,
        cors: Cors,
        body_limit: int,
        secure: SecurityHeaders,
        deadline_s: float,
    ) -> None:
        self.app = app
        self._paths = paths
        self._metrics = metrics
        self._cors = cors
        self._body_limit = body_limit
        self._secure = secure
        self._deadline_s = deadline_s
        self._log = get_logger(_SOURCE)
        self._log_request = RequestLog(_SOURCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == ScopeType.HTTP:
            await self._serve(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def _serve(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        started = perf_counter()
        method, path = scope["method"], scope["path"]
        headers = dict(scope["headers"])
        scope["path"], template = self._paths.match(path)
        client = scope["client"]
        context = RequestContext(
            _request_id(headers.get(b"x-request-id")),
            headers,
            client[0] if client else "",
            template,
        )
        put_context(scope, context)
        bound = REQUEST_ID.set(context.request_id)
        cors = self._cors.headers(headers.get(b"origin"))
        answer = _Answer(send, context, cors, self._secure)
        deadline = asyncio.timeout(self._deadline_s)
        try:
            async with deadline:
                await self._answer(scope, receive, answer)
        except asyncio.CancelledError:
            # Only a drain at its bound ends a request like this, and the request ends here. Nobody
            # knows yet what becomes of a command; its key will tell.
            await answer.cut_off()
        except Exception as error:  # noqa: BLE001 - the last resort
            if deadline.expired():
                self._log.warning("request timed out", seconds=self._deadline_s)
                await answer.give_up()
            else:
                self._log.error("request failed beyond the application", exc_info=error)
                await answer.fail()
        finally:
            seconds = perf_counter() - started
            status = answer.status or _CLIENT_GONE
            self._metrics.observe_request(method, template, status, seconds)
            shown = template or path[:_LONGEST_PATH]
            self._log_request(context.request_id, method, shown, status, seconds)
            REQUEST_ID.reset(bound)

    async def _answer(self, scope: HTTPScope, receive: Receive, answer: "_Answer") -> None:
        headers = answer.context.headers
        raw = cast("RawHeaders", scope["headers"])
        if len(headers) != len(raw) and (repeated := _repeated(raw)):
            await answer.refuse(InvalidRequest(dict.fromkeys(repeated, "repeated")))
            return
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            origin = headers.get(b"origin", b"")
            await answer.preflight(
                self._cors.preflight(origin, headers.get(b"access-control-request-headers"))
            )
            return
        length = headers.get(b"content-length")
        if length is not None:
            if _exceeds(length, self._body_limit):
                refusal = ApiError(
                    "payload too large", details=self._limit_details(), headers=_CLOSE
                )
                if b"expect" not in headers:
                    # To read on from a client that asks first whether to send would be to say yes.
                    await _drain(receive, _DRAIN_BODIES * self._body_limit)
                await answer.refuse(refusal)
                return
        elif b"transfer-encoding" in headers or scope["http_version"] not in ("1.0", "1.1"):
            receive = _bounded(receive, self._body_limit, self._limit_details())
        if scope["query_string"]:
            scope["query_string"] = _EMPTY_PAIR.sub(b"", scope["query_string"])
        if scope["method"] == "HEAD" and answer.context.template is not None:
            # In a copy: the server goes by its own scope when it frames the answer.
            scope = {**scope, "method": "GET"}
            answer.bodiless = True
        await self.app(scope, receive, answer.send)

    def _limit_details(self) -> dict[str, object]:
        return {"body": f"maxLength:{self._body_limit}"}


class _Answer:
    """One request's answer on its way out."""

    __slots__ = ("_extra", "_secure", "_send", "bodiless", "context", "status")

    def __init__(
        self, send: Send, context: RequestContext, extra: RawHeaders, secure: SecurityHeaders
    ) -> None:
        self._send = send
        self._extra = extra
        self._secure = secure
        self.context = context
        self.status = 0
        self.bodiless = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            context = self.context
            message["headers"] = [
                *message["headers"],
                (b"x-request-id", context.request_id.encode()),
                *self._secure.of(context.template, self.status),
                *self._extra,
                *context.response_headers,
            ]
        elif self.bodiless and message["type"] == "http.response.body":
            message["body"] = b""
        await self._send(message)

    async def preflight(self, headers: RawHeaders) -> None:
        self._extra = headers
        empty: RawHeaders = [(b"content-length", b"0")]
        await self.send({"type": "http.response.start", "status": 204, "headers": empty})
        await self.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def refuse(self, error: ApiError) -> None:
        await self._reply(error.status, error.code, error.details, error.headers)

    async def cut_off(self) -> None:
        if self.status:
            raise ConnectionAbortedError
        await self._reply(503, "unavailable")

    async def give_up(self) -> None:
        if self.status:
            raise ConnectionAbortedError
        await self._reply(503, "timed out", {"retryAfterMs": _RETRY_S * 1000}, _RETRY)

    async def fail(self) -> None:
        if self.status:
            # Half an answer is out; only breaking off tells the client that it isn't whole.
            raise ConnectionAbortedError
        await self._reply(500, INTERNAL)

    async def _reply(
        self,
        status: int,
        code: str,
        details: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        reply = error_reply(status, code, self.context.request_id, details=details, headers=headers)
        await reply.start_response(self.send)
        await self.send({"type": "http.response.body", "body": reply.body, "more_body": False})


def _request_id(header: bytes | None) -> str:
    if header is not None:
        text = header.decode("latin-1").strip()
        if _REQUEST_ID.fullmatch(text):
            return text
    return str(uuid4())


def _repeated(headers: RawHeaders) -> list[str]:
    """Return the headers that come again and of which two readers may take one each."""
    counts = Counter(name for name, _ in headers if name in _ONCE)
    return sorted(name.decode() for name, count in counts.items() if count > 1)


def _exceeds(length: bytes, limit: int) -> bool:
    try:
        return int(length) > limit
    except ValueError:
        return True


def _bounded(receive: Receive, limit: int, details: dict[str, object]) -> Receive:
    """Return a `receive` that raises once more than `limit` bytes of a body came."""
    seen = 0

    async def bounded() -> ReceiveMessage:
        nonlocal seen
        message = await receive()
        if message["type"] == "http.request":
            seen += len(message["body"])
            if seen > limit:
                if message.get("more_body"):
                    await _drain(receive, _DRAIN_BODIES * limit)
                raise ApiError("payload too large", details=details)
        return message

    return bounded


async def _drain(receive: Receive, most: int) -> None:
    """Read on, so that a client still sending gets to read its answer; within bounds."""
    seen = 0
    try:
        async with asyncio.timeout(_DRAIN_SECONDS):
            while seen <= most:
                message = await receive()
                if message["type"] != "http.request":
                    return
                seen += len(message["body"])
                if not message.get("more_body"):
                    return
    except TimeoutError:
        return
