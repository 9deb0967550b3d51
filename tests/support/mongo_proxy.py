"""A way to a MongoDB that cuts connections and falsifies answers, as networks and servers do."""

import contextlib
import itertools
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any, Final
from urllib.parse import urlsplit

import bson

_HEADER: Final = struct.Struct("<iiii")
_OP_MSG: Final = 2013
_BODY_AT: Final = 21
"""Where the command begins: after the header, flags and kind of a section."""


_SESSIONLESS: Final = ("endSessions",)
_TIDYING: Final = ("killCursors",)
"""What the driver also gives by itself, whenever it likes."""


class Cut(Enum):
    """When the connection is cut."""

    BEFORE = auto()
    """The server never hears of the command."""
    AFTER = auto()
    """The server carries it out, and its answer is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """An error that the client is answered, before or after the server carried the command out.

    With `concern` the answer is one of success that no majority has confirmed.
    """

    when: Cut
    code: int
    labels: tuple[str, ...] = ()
    concern: bool = False

    def answer(self, message: bytes) -> bytes:
        """Return the answer to a command's message."""
        error = {"code": self.code, "errmsg": "struck", "codeName": "Struck"}
        if self.concern:
            told = {"ok": 1, "n": 1, "writeConcernError": error}
        else:
            told = {"ok": 0, **error, "errorLabels": list(self.labels)}
        body = struct.pack("<iB", 0, 0) + bson.encode(told)
        asked = _HEADER.unpack_from(message)[1]
        return _HEADER.pack(_HEADER.size + len(body), 0, asked, _OP_MSG) + body


Strike = Cut | Refusal


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A command that somebody gave: its name, the collection it is for if any, and its place."""

    name: str
    collection: str
    place: int

    def __str__(self) -> str:
        return f"{self.place} {self.name} {self.collection}".rstrip()


Judge = Callable[[Given], Strike | None]


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
        self._judge_given: Judge | None = None
        self._given: list[Given] = []
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

    @contextmanager
    def judging(self, judge: Judge) -> Iterator[Sequence[Given]]:
        """Let `judge` say for each command what is to become of it; give what was given so far.

        What the driver asks by itself, to find out who is there, isn't a command that is given.
        """
        with self._lock:
            self._judge_given, self._given = judge, []
            given = self._given
        try:
            yield given
        finally:
            with self._lock:
                self._judge_given = None

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
        awaited: list[Strike] = []
        """What is to become of the answer that is under way."""
        threading.Thread(target=self._answer, args=(client, server, awaited), daemon=True).start()
        with contextlib.suppress(OSError):
            while message := _message(client):
                strike = self._judge(message)
                if strike is Cut.BEFORE:
                    self._struck()
                    break
                if isinstance(strike, Refusal) and strike.when is Cut.BEFORE:
                    client.sendall(strike.answer(message))
                    continue
                if strike is not None:
                    awaited.append(strike)
                server.sendall(message)
        if Cut.AFTER not in awaited:
            _close(client, server)

    def _struck(self) -> None:
        if self._then_down:
            self.down()

    def _answer(self, client: socket.socket, server: socket.socket, awaited: list[Strike]) -> None:
        with contextlib.suppress(OSError):
            while message := _message(server):
                strike = awaited[0] if awaited else None
                if strike is Cut.AFTER:
                    self._struck()
                    break
                if isinstance(strike, Refusal):
                    awaited.pop()
                    message = strike.answer(_asked(message))
                client.sendall(message)
        _close(client, server)

    def _judge(self, message: bytes) -> Strike | None:
        if _HEADER.unpack_from(message)[3] != _OP_MSG:
            return None
        command = _command(message)
        name = next(iter(command))
        with self._lock:
            is_given = name in _SESSIONLESS or ("lsid" in command and name not in _TIDYING)
            if self._judge_given is not None and is_given:
                of = command.get("collection", command[name])
                collection = of if isinstance(of, str) else ""
                given = Given(name=name, collection=collection, place=len(self._given))
                self._given.append(given)
                strike = self._judge_given(given)
                self.struck += strike is not None
                return strike
            when, times = self._cuts.get(name, (None, 0))
            if when is None or times == 0:
                return None
            self._cuts[name] = (when, times - 1)
            self.struck += 1
            return when


def _command(message: bytes) -> dict[str, Any]:
    """Return a command without the documents that are sent apart from it."""
    length = int.from_bytes(message[_BODY_AT : _BODY_AT + 4], "little")
    command: dict[str, Any] = bson.decode(message[_BODY_AT : _BODY_AT + length])
    return command


def _asked(answer: bytes) -> bytes:
    """Return the header of a message that this would be the answer to."""
    _, _, asked, _ = _HEADER.unpack_from(answer)
    return _HEADER.pack(_HEADER.size, asked, 0, _OP_MSG)


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
