"""The HTTP server: uvicorn in the caller's event loop, with the bounds that it lacks by itself.

Request heads are bounded, a request must arrive in time, and its answer be taken; malformed HTTP
gets the envelope, and a signal drains: accepted requests are answered, new connections refused,
then the lifespan ends.
"""

import asyncio
import contextlib
import gc
import os
import signal
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from types import FrameType
from typing import Any, Final, cast
from uuid import uuid4

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from aiba_entry import supervisor
from aiba_entry.http.security_headers import ANSWER

App = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI application, of this framework or of none."""

MAX_HEAD_BYTES: Final = 32 * 1024
"""The longest request line with headers."""

READ_SECONDS: Final = 10.0
"""How long a request may take from its first byte (or the connection) to its last.

As long may the rest of an answer take to be read, once the connection is to be closed.
"""

DRAIN_SECONDS: Final = 30
"""How long accepted requests may take after the signal; then they are cancelled."""

_KEEP_ALIVE_SECONDS: Final = 75
_BACKLOG: Final = 1024
_TICKS_PER_SECOND: Final = 10
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


class BoundedProtocol(HttpToolsProtocol):
    """HTTP/1.1 whose request heads are bounded and whose requests must arrive in time."""

    _reading_since: float | None = None
    _closing_since: float | None = None
    _head_bytes = 0
    _in_head = True

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock of a connection that may stay silent."""
        super().connection_made(transport)
        self._reading_since = self.loop.time()

    def on_message_begin(self) -> None:
        """Start the clock of a request."""
        super().on_message_begin()
        self._in_head = True
        self._head_bytes = 0
        self._reading_since = self.loop.time()

    def on_headers_complete(self) -> None:
        """Stop counting the head."""
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Stop the clock: the request is whole."""
        self._reading_since = None
        super().on_message_complete()

    def data_received(self, data: bytes) -> None:
        """Take bytes in, unless they are too much of a head."""
        too_long = len(data) > MAX_HEAD_BYTES and b"\r\n\r\n" not in data[:MAX_HEAD_BYTES]
        if self._in_head and too_long:
            self._refuse_head()
            return
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse_head()

    def send_400_response(self, msg: str) -> None:
        """Answer what isn't HTTP; what the parser says about it stays here."""
        del msg
        self._refuse(b"400 Bad Request", b"bad request")

    def expire(self, now: float) -> None:
        """Close the connection if its request is overdue; called about once a second.

        A request that has begun is told so. What was closed and isn't gone by then has a client
        that doesn't read its answer: that is broken off.
        """
        if self.transport.is_closing():
            if self._closing_since is None:
                self._closing_since = now
            elif now - self._closing_since >= READ_SECONDS:
                self.transport.abort()
        elif self._reading_since is not None and now - self._reading_since >= READ_SECONDS:
            if self._is_answerable():
                self._refuse(b"408 Request Timeout", b"request timeout")
            else:
                self.transport.close()

    def _is_answerable(self) -> bool:
        """Tell whether the overdue request is the one whose answer comes next on the connection."""
        if self._in_head:
            # Uvicorn's types leave out that there is none before the first request.
            earlier = cast("RequestResponseCycle | None", self.cycle)
            return self._head_bytes > 0 and (earlier is None or earlier.response_complete)
        return not self.pipeline and not self.cycle.response_started

    def _refuse_head(self) -> None:
        self._refuse(b"431 Request Header Fields Too Large", b"headers too large")

    def _refuse(self, status: bytes, code: bytes) -> None:
        error = b'{"code":"%b","message":"%b"}' % (code, code)
        request_id = str(uuid4()).encode()
        body = b'{"ok":false,"error":%b,"requestId":"%b"}' % (error, request_id)
        head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\nconnection: close\r\n" % status
        head += b"".join(b"%b: %b\r\n" % header for header in ANSWER)
        head += b"x-request-id: %b\r\ncontent-length: %d\r\n\r\n" % (request_id, len(body))
        self.transport.write(head + body)
        self.transport.close()


class Server(uvicorn.Server):
    """A server that closes overdue connections, and ends with 0 after a drain.

    Its supervisor is told when it serves and when it drains, and once a second that it lives.
    """

    def __init__(self, config: uvicorn.Config, started: Callable[[str, int], None]) -> None:
        super().__init__(config)
        self._announce = started
        self._supervisor = supervisor.Supervisor(os.environ)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then tell where."""
        await super().startup(sockets=sockets)
        if self.started:
            # What is here now stays; a collector that goes through it again stops every request.
            gc.collect()
            gc.freeze()
            place = self.servers[0].sockets[0].getsockname()
            host, port = (place, 0) if isinstance(place, str) else place[:2]
            self._announce(host, port)
            self._supervisor.tell(supervisor.READY)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain; another signal doesn't cut it short, its bound does."""
        del sig, frame
        self.should_exit = True

    async def on_tick(self, counter: int) -> bool:
        """Sweep the connections once a second."""
        if counter % _TICKS_PER_SECOND == 0:
            self._sweep()
            self._supervisor.alive()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain. There are no more ticks, and a request that never ends must not hold it up."""
        self._supervisor.tell(supervisor.STOPPING)
        sweeping = asyncio.create_task(self._keep_sweeping())
        try:
            await super().shutdown(sockets=sockets)
        finally:
            sweeping.cancel()

    async def _keep_sweeping(self) -> None:
        while True:
            await asyncio.sleep(1)
            self._sweep()

    def _sweep(self) -> None:
        now = asyncio.get_running_loop().time()
        for connection in list(self.server_state.connections):
            cast("BoundedProtocol", connection).expire(now)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Drain on SIGINT and SIGTERM. Uvicorn's own would raise the signal again afterwards."""
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self.handle_exit, number, None)
        try:
            yield
        finally:
            for number in _SIGNALS:
                loop.remove_signal_handler(number)


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address; port 0 takes a free one. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


async def serve(
    app: App,
    *,
    listener: socket.socket,
    started: Callable[[str, int], None],
    tls: ssl.SSLContext | None = None,
) -> None:
    """Serve until a signal, then drain; `started` is told the address once requests are taken.

    The address of a Unix socket is its path, with 0 for the port. Plain HTTP without `tls`.
    """
    config = uvicorn.Config(
        cast("Any", app),
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        backlog=_BACKLOG,
        ssl_context_factory=None if tls is None else lambda _config, _default: tls,
    )
    await Server(config, started).serve(sockets=[listener])
