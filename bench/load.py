"""A small load generator: keep-alive connections that each wait for an answer before they go on."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Final, cast

CONNECTIONS: Final = 32
"""How many requests are under way at once."""

HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length: "
_OK: Final = b"HTTP/1.1 200 "


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One round: how long it took, each answer's latency in seconds, and what went wrong.

    `errors` counts answers other than 200 and connections that broke; `first_error` is the first
    such answer as it came.
    """

    seconds: float
    latencies: Sequence[float]
    errors: int = 0
    first_error: bytes = b""

    @property
    def rate(self) -> float:
        """Return the answers a second."""
        return len(self.latencies) / self.seconds

    def percentile_ms(self, percent: float) -> float:
        """Return a percentile of the latencies, in milliseconds."""
        return percentile(self.latencies, percent) * 1000


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that `percent` of all are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def request(path: str, body: bytes, token: str | None = None) -> bytes:
    """Return a POST of JSON as it goes onto the wire."""
    lines = [
        f"POST {path} HTTP/1.1".encode(),
        b"host: 127.0.0.1",
        b"content-type: application/json",
        b"content-length: %d" % len(body),
    ]
    if token is not None:
        lines.append(b"authorization: Bearer " + token.encode())
    return b"\r\n".join(lines) + HEAD_END + body


class _Round:
    """What the connections of one round share."""

    def __init__(self, make: Callable[[], bytes], count: int | None) -> None:
        self.make = make
        self.left = count
        self.stopping = False
        self.latencies: list[float] = []
        self.errors = 0
        self.first_error = b""

    def next(self) -> bytes | None:
        """Return the next request, None when there is none to send any more."""
        if self.stopping:
            return None
        if self.left is not None:
            if self.left == 0:
                return None
            self.left -= 1
        return self.make()

    def fail(self, answer: bytes) -> None:
        self.errors += 1
        self.first_error = self.first_error or answer


class _Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request under way."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._round: _Round
        self._done: asyncio.Future[None]
        self._buffer = b""
        self._needed = 0
        self._sent_at = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def begin(self, one: _Round, done: "asyncio.Future[None]") -> None:
        """Send requests of a round until it has no more."""
        self._round, self._done = one, done
        self._send()

    def close(self) -> None:
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if not self._needed:
            self._needed = _answer_length(self._buffer)
        if not self._needed or len(self._buffer) < self._needed:
            return
        answer, self._buffer, self._needed = self._buffer, b"", 0
        self._round.latencies.append(perf_counter() - self._sent_at)
        if not answer.startswith(_OK):
            self._round.fail(answer)
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:
        done = getattr(self, "_done", None)
        if done is not None and not done.done():
            self._round.fail(f"connection lost: {exc}".encode())
            done.set_result(None)

    def _send(self) -> None:
        wire = self._round.next()
        if wire is not None and self._transport.is_closing():
            self._round.fail(b"the connection was closed before the round")
            wire = None
        if wire is None:
            self._done.set_result(None)
            return
        self._sent_at = perf_counter()
        self._transport.write(wire)


def _answer_length(start: bytes) -> int:
    """Return how long the answer is that begins with `start`, 0 while its head is incomplete."""
    end = start.find(HEAD_END)
    if end < 0:
        return 0
    at = start.find(_LENGTH, 0, end)
    if at < 0:
        raise ValueError(f"an answer without a length: {start[:200]!r}")
    at += len(_LENGTH)
    return end + len(HEAD_END) + int(start[at : start.find(b"\r", at)])


class Load:
    """Some connections to one server, kept open over several rounds."""

    def __init__(self, connections: Sequence[_Connection]) -> None:
        self._connections = connections

    @classmethod
    async def connect(cls, port: int, connections: int = CONNECTIONS) -> "Load":
        """Open the connections."""
        loop = asyncio.get_running_loop()
        made = [
            (await loop.create_connection(_Connection, "127.0.0.1", port))[1]
            for _ in range(connections)
        ]
        return cls(made)

    @classmethod
    async def connect_unix(cls, path: Path, connections: int = CONNECTIONS) -> "Load":
        """Open connections to a Unix socket."""
        loop = asyncio.get_running_loop()
        made = [
            (await loop.create_unix_connection(_Connection, str(path)))[1]
            for _ in range(connections)
        ]
        return cls(made)

    async def run(
        self, make: Callable[[], bytes], *, seconds: float | None = None, count: int | None = None
    ) -> Run:
        """Send what `make` returns for some seconds, or so many times, and wait for all answers."""
        loop = asyncio.get_running_loop()
        one = _Round(make, count)
        waits = [loop.create_future() for _ in self._connections]
        started = perf_counter()
        if seconds is not None:
            loop.call_later(seconds, setattr, one, "stopping", True)  # noqa: FBT003
        for connection, done in zip(self._connections, waits, strict=True):
            connection.begin(one, done)
        await asyncio.gather(*waits)
        return Run(
            seconds=perf_counter() - started,
            latencies=one.latencies,
            errors=one.errors,
            first_error=one.first_error,
        )

    def close(self) -> None:
        """Close the connections."""
        for connection in self._connections:
            connection.close()
