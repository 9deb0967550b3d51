"""The server's own bounds: requests that don't arrive, and answers that nobody takes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest

from aiba_entry.http import protocol, server
from aiba_entry.http.protocol import BoundedProtocol
from aiba_entry.http.server import App, listen, serve

Connect = Callable[[], Coroutine[Any, Any, tuple[asyncio.StreamReader, asyncio.StreamWriter]]]
LONG = 32 * 2**20


async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
    """Read the whole body, then answer: at `/long` with more than any buffer holds."""
    if scope["type"] == "lifespan":
        for stage in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{stage}.complete"})
        return
    while (message := await receive()).get("more_body"):
        pass
    if message["type"] != "http.request":
        return
    body = b"x" * (LONG if scope["path"] == "/long" else 2)
    length = (b"content-length", b"%d" % len(body))
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def serving(application: App = app) -> AsyncIterator[Connect]:
    """Serve in this loop, and give what connects."""
    listener = listen("127.0.0.1", 0)
    place: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(
        serve(application, listener=listener, started=lambda *where: place.set_result(where))
    )
    host, port = await place
    try:
        yield lambda: asyncio.open_connection(host, port)
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


HEAD = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n"


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        (b"", []),
        (b"POST / HTT", [b"408"]),
        (HEAD[:-4], [b"408"]),
        (HEAD, [b"408"]),
        (HEAD + b"half", [b"408"]),
        (HEAD + b"0123456789" + HEAD[:-9], [b"200", b"408"]),
        (HEAD + b"0123456789" + HEAD + b"half", [b"200", b"408"]),
        (b"nonsense\r\n\r\n", [b"400"]),
    ],
)
def test_a_request_that_does_not_arrive_is_told_so(
    sent: bytes, expected: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It gets 408 in the envelope, after the answers of those before it; silence is just ended."""
    monkeypatch.setattr(protocol, "READ_SECONDS", 0.2)

    async def work() -> bytes:
        async with serving() as connect:
            reader, writer = await connect()
            writer.write(sent)
            text = await reader.read()
            writer.close()
            return text

    text = asyncio.run(work())
    heads = [part[:3] for part in text.split(b"HTTP/1.1 ")[1:]]
    assert heads == expected
    assert b"server:" not in text
    if b"408" in heads:
        refusal = text[text.index(b"HTTP/1.1 408") :]
        assert b'"code":"request timeout"' in refusal
        assert b"cache-control: no-store\r\n" in refusal
        assert b"connection: close\r\n" in refusal


def test_an_answer_that_nobody_reads_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that asks for much and takes nothing holds neither memory nor a connection."""
    monkeypatch.setattr(protocol, "READ_SECONDS", 0.2)
    lost = asyncio.Event()
    unsent: list[int] = []
    usual = BoundedProtocol.connection_lost

    def connection_lost(self: BoundedProtocol, exc: Exception | None) -> None:
        lost.set()
        usual(self, exc)

    class Watched(BoundedProtocol):
        def expire(self, now: float) -> None:
            unsent.append(self.transport.get_write_buffer_size())
            super().expire(now)

    monkeypatch.setattr(BoundedProtocol, "connection_lost", connection_lost)
    monkeypatch.setattr(server, "BoundedProtocol", Watched)

    async def work() -> None:
        async with serving() as connect, asyncio.timeout(30):
            _, writer = await connect()
            writer.write(b"GET /long HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            await lost.wait()
            writer.transport.abort()

    asyncio.run(work())
    assert max(unsent) > LONG // 4
