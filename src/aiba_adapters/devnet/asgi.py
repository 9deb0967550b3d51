"""As much of an ASGI application as the local chain's server needs: JSON in, JSON out."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

MAX_BODY_BYTES: Final = 1024 * 1024
"""The largest body that is read; a message to the chain has a few thousand bytes."""

# A wallet in a browser may ask too.
_HEADERS: Final = (
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-headers", b"*"),
    (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
)


class BodyTooLargeError(Exception):
    """A body of more than MAX_BODY_BYTES."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request: its method, path, query (each name's values in order) and body."""

    method: str
    path: str
    query: Mapping[str, list[str]] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: its status, and either JSON or a page of HTML."""

    status: int
    content: Mapping[str, object] = field(default_factory=dict)
    page: str | None = None

    @property
    def body(self) -> bytes:
        """Return the bytes to send."""
        if self.page is not None:
            return self.page.encode()
        return json.dumps(self.content, separators=(",", ":")).encode()

    @property
    def media_type(self) -> bytes:
        """Return what the body is."""
        return b"application/json" if self.page is None else b"text/html"


Handler = Callable[[Request], Awaitable[Response]]


class App:
    """An ASGI application that answers each request by one handler."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a connection."""
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            await self._answer(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            body = await _body(receive)
        except BodyTooLargeError:
            await _send(send, Response(413, {"ok": False, "error": "too large", "code": 413}))
            return
        request = Request(
            method=scope["method"],
            path=scope["path"],
            query=parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True),
            body=body,
        )
        answer = asyncio.ensure_future(self._handler(request))
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                await _send(send, answer.result())
        finally:
            answer.cancel()
            gone.cancel()


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        else:
            await send({"type": "lifespan.shutdown.complete"})
            return


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise BodyTooLargeError
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


async def _gone(receive: Receive) -> None:
    """Wait until the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _send(send: Send, response: Response) -> None:
    body = response.body
    headers = [
        (b"content-type", response.media_type),
        (b"content-length", str(len(body)).encode()),
        *_HEADERS,
    ]
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
