"""The HTTP server: uvicorn in the caller's event loop, with the bounds that it lacks by itself.

What a connection may send and how fast is `protocol.py`'s. A signal drains: accepted requests are
answered, new connections refused, then the lifespan ends.
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

import uvicorn

from aiba_entry import supervisor
from aiba_entry.http.protocol import BoundedProtocol

App = Callable[[Any, Any, Any], Awaitable[None]]
"""An ASGI application, of this framework or of none."""

DRAIN_SECONDS: Final = 30
"""How long accepted requests may take after the signal; then they are cancelled."""

_KEEP_ALIVE_SECONDS: Final = 75
_BACKLOG: Final = 1024
_TICKS_PER_SECOND: Final = 10
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


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
