"""A way to a MongoDB that cuts the connection before or after a command, as networks do."""

import contextlib
import itertools
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from typing import Final
from urllib.parse import urlsplit

_HEADER: Final = struct.Struct("<iiii")
_OP_MSG: Final = 2013
_NAME_AT: Final = 26
"""Where the command's name begins: after the header, flags, section, length and type of a field."""


class Cut(Enum):
    """When the connection is cut."""

    BEFORE = auto()
    """The server never hears of the command."""
    AFTER = auto()
    """The server carries it out, and its answer is lost."""


class Proxy:
    """Stands between a client and one server. `uri` leads through it, and nowhere else."""

    def __init__(self, uri: str) -> None:
        """Listen in front of the server of a URI."""
        server = urlsplit(uri)
        self._server = (server.hostname or "127.0.0.1", server.port or 27017)
        self._listener = socket.create_server(("127.0.0.1", 0))
        port = self._listener.getsockname()[1]
        # Else the driver would go to the address that the server tells of itself.
        options = "&".join(filter(None, ("directConnection=true", server.query)))
        self.uri = f"mongodb://127.0.0.1:{port}/?{options}"
        self._lock = threading.Lock()
        self._cuts: dict[str, tuple[Cut, int]] = {}
        self._is_down = self._then_down = False
        self._open: set[socket.socket] = set()
        self.struck = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @contextmanager
    def cutting(
        self, command: str, when: Cut, times: int = 1, *, then_down: bool = False
    ) -> Iterator[None]:
        """Cut the connection of the next so many commands of one name while entered.

        With `then_down` the first cut is the end of all connections.
        """
        with self._lock:
            self._cuts[command] = (when, times)
            self._then_down = then_down
        try:
            yield
        finally:
            with self._lock:
                self._cuts.pop(command, None)

    def down(self) -> None:
        """Cut every connection and take no more."""
        with self._lock:
            self._is_down = True
            ends, self._open = self._open, set()
        for end in ends:
            _close(end)

    def up(self) -> None:
        """Take connections again."""
        with self._lock:
            self._is_down = False

    def close(self) -> None:
        """End it."""
        self.down()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._server, timeout=10)
        except OSError:
            _close(client)
            return
        server.settimeout(None)
        with self._lock:
            if self._is_down:
                _close(client, server)
                return
            self._open |= {client, server}
        doomed = threading.Event()
        threading.Thread(target=self._answer, args=(client, server, doomed), daemon=True).start()
        with contextlib.suppress(OSError):
            while message := _message(client):
                cut = self._judge(message)
                if cut is Cut.BEFORE:
                    self._struck()
                    break
                if cut is Cut.AFTER:
                    doomed.set()
                server.sendall(message)
        if not doomed.is_set():
            _close(client, server)

    def _struck(self) -> None:
        if self._then_down:
            self.down()

    def _answer(
        self, client: socket.socket, server: socket.socket, doomed: threading.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while message := _message(server):
                if doomed.is_set():
                    self._struck()
                    break
                client.sendall(message)
        _close(client, server)

    def _judge(self, message: bytes) -> Cut | None:
        if _HEADER.unpack_from(message)[3] != _OP_MSG:
            return None
        command = message[_NAME_AT : message.index(b"\0", _NAME_AT)].decode()
        with self._lock:
            when, times = self._cuts.get(command, (None, 0))
            if when is None or times == 0:
                return None
            self._cuts[command] = (when, times - 1)
            self.struck += 1
            return when


def _message(end: socket.socket) -> bytes:
    """Read one whole message; nothing where the connection has ended."""
    head = _exactly(end, _HEADER.size)
    return head + _exactly(end, _HEADER.unpack(head)[0] - len(head)) if head else b""


def _exactly(end: socket.socket, count: int) -> bytes:
    parts = b""
    while len(parts) < count:
        part = end.recv(count - len(parts))
        if not part:
            return b""
        parts += part
    return parts


def _close(*ends: socket.socket) -> None:
    for end, how in itertools.product(ends, ("shutdown", "close")):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR) if how == "shutdown" else end.close()


@contextmanager
def proxy_to(uri: str) -> Iterator[Proxy]:
    """Put a proxy in front of a server for a while."""
    proxy = Proxy(uri)
    try:
        yield proxy
    finally:
        proxy.close()
