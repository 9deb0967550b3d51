"""What two servers could read in two ways, and what never ends: on raw connections."""

import asyncio
import contextlib
import json
import resource
from collections.abc import Callable
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_entry.http import protocol
from tests.contract.http.test_server import Connect, serving

HOST: Final = b"host: x\r\n"
GET: Final = b"GET /a HTTP/1.1\r\n" + HOST + b"\r\n"
LAST: Final = GET.replace(b"/a", b"/last").replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
CHUNKED: Final = b"POST /c HTTP/1.1\r\n" + HOST + b"transfer-encoding: chunked\r\n\r\n"
WISH: Final = b"connection: keep-alive, Upgrade\r\nupgrade: websocket\r\n"


class Seen:
    """An application that answers with what it was sent, once it may."""

    def __init__(self) -> None:
        """See nothing yet, and answer at once."""
        self.requests: list[tuple[str, str, bytes, dict[bytes, bytes]]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.came = asyncio.Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        """Serve a request, or the lifespan."""
        if scope["type"] == "lifespan":
            for stage in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{stage}.complete"})
            return
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            body += message["body"]
            more = message["more_body"]
        self.requests.append((scope["method"], scope["path"], body, dict(scope["headers"])))
        self.came.set()
        await self.may_answer.wait()
        answer = scope["path"].encode()
        length = (b"content-length", b"%d" % len(answer))
        await send({"type": "http.response.start", "status": 200, "headers": [length]})
        await send({"type": "http.response.body", "body": answer})


def exchange(*parts: bytes, app: Seen | None = None) -> tuple[list[str], Seen]:
    """Send parts one after another and return the answers in short, and what was seen.

    An answer in short is its body where it is 200, else its status. A last request asks for the
    end, unless the connection has one by then.
    """
    seen = app or Seen()

    async def work() -> bytes:
        async with serving(seen) as connect, asyncio.timeout(30):
            reader, writer = await connect()
            answered = asyncio.create_task(reader.read())
            for part in (*parts, LAST):
                if not answered.done():
                    writer.write(part)
                    await settled(connect)
            text = await answered
            writer.close()
            return text.partition(b"/last")[0]

    return in_short(asyncio.run(work())), seen


async def settled(connect: Connect) -> None:
    """Wait until the server took in what was sent before: another connection was answered."""
    reader, writer = await connect()
    writer.write(LAST.replace(b"/last", b"/other"))
    await reader.read()
    writer.close()


def in_short(text: bytes) -> list[str]:
    """Return the answers that stand in `text`."""
    answers = []
    for part in text.split(b"HTTP/1.1 ")[1:]:
        head, _, body = part.partition(b"\r\n\r\n")
        status = head[:3].decode()
        if status != "200":
            assert json.loads(body)["ok"] is False
            assert b"connection: close" in head
        answers.append(body.decode() if status == "200" else status)
    return answers[: -1 if answers[-1:] == [""] else None]


def mine(seen: Seen) -> list[tuple[str, str, bytes]]:
    """Return what was seen of the requests under test."""
    return [request[:3] for request in seen.requests if request[1] not in ("/other", "/last")]


@pytest.mark.parametrize(
    "head",
    [
        b"GET /a HTTP/1.1\r\n\r\n",
        b"GET /a HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        b"GET /a HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",
        b"POST /a HTTP/1.1\r\n" + HOST + b"content-length: 2\r\ncontent-length: 2\r\n\r\n{}",
        b"POST /a HTTP/1.1\r\n" + HOST + b"content-length: 2, 2\r\n\r\n{}",
        b"POST /a HTTP/1.1\r\n" + HOST + b"content-length: +2\r\n\r\n{}",
        b"POST /a HTTP/1.1\r\n" + HOST + b"content-length : 2\r\n\r\n{}",
        CHUNKED[:-2] + b"content-length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        CHUNKED[:-2] + b"transfer-encoding: identity\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        CHUNKED.replace(b"chunked", b"chunked, gzip") + b"2\r\n{}\r\n0\r\n\r\n",
        CHUNKED.replace(b"chunked", b"xchunked") + b"2\r\n{}\r\n0\r\n\r\n",
        CHUNKED + b"2\n{}\n0\n\n",
        CHUNKED + b"fffffffffffffffff\r\n{}\r\n0\r\n\r\n",
        b"GET /a HTTP/1.1\nhost: x\n\n",
        b"GET /a HTTP/1.1\r\nhost: x\r\nx-a: b\r\n c\r\n\r\n",
        b"GET /a HTTP/1.1\r\nhost: x\r\nx-a: b\x00c\r\n\r\n",
        b"GET /a HTTP/1.1\r\nhost: x\r\nx-a: b\rc\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"CONNECT /a HTTP/1.1\r\nhost: x\r\n\r\n" + GET,
    ],
)
def test_what_can_be_read_in_two_ways_is_not_read(head: bytes) -> None:
    """Lengths that disagree, two hosts or none, line ends that aren't: 400, and the end."""
    answers, seen = exchange(head)
    assert answers == ["400"]
    assert [request for request in mine(seen) if request[2]] == []


def test_a_refusal_is_never_the_answer_to_another_request() -> None:
    """What comes behind a request can be nonsense: the request's own answer comes first."""

    async def work() -> tuple[list[str], list[tuple[str, str, bytes]]]:
        seen = Seen()
        async with serving(seen) as connect:
            reader, writer = await connect()
            seen.may_answer.clear()
            writer.write(GET + GET.replace(b"/a", b"/b") + b"NONSENSE\r\n\r\n" + GET)
            await seen.came.wait()
            writer.write(GET)
            seen.may_answer.set()
            text = await reader.read()
            writer.close()
        return in_short(text), mine(seen)

    answers, seen = asyncio.run(work())
    assert answers == ["/a", "/b", "400"]
    assert seen == [("GET", "/a", b""), ("GET", "/b", b"")]


def test_a_request_whose_body_is_nonsense_is_not_served_after_another() -> None:
    """It waits its turn and is refused in its place."""
    answers, seen = exchange(GET + CHUNKED + b"zz\r\n")
    assert answers == ["/a", "400"]
    assert mine(seen) == [("GET", "/a", b"")]


def test_an_overdue_request_behind_one_that_is_served_waits_for_its_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever is slow with the next request loses nothing of the one before."""
    monkeypatch.setattr(protocol, "READ_SECONDS", 0.0)

    async def work() -> list[str]:
        seen = Seen()
        expired = asyncio.Event()
        usual = protocol.BoundedProtocol.expire

        def expire(self: protocol.BoundedProtocol, now: float) -> None:
            usual(self, now)
            if seen.requests:
                expired.set()

        monkeypatch.setattr(protocol.BoundedProtocol, "expire", expire)
        async with serving(seen) as connect:
            reader, writer = await connect()
            seen.may_answer.clear()
            writer.write(GET + b"POST /late HTTP/1.1\r\n")
            await expired.wait()
            seen.may_answer.set()
            text = await reader.read()
            writer.close()
            return in_short(text)

    assert asyncio.run(work()) == ["/a", "408"]


@pytest.mark.parametrize("split", [True, False])
def test_a_wish_for_another_protocol_moves_no_boundary(*, split: bool) -> None:
    """The body behind such a head is the request's own, and never the next request."""
    inner = b"DELETE /smuggled HTTP/1.1\r\nhost: x\r\n\r\n"
    head = b"POST /a HTTP/1.1\r\n" + HOST + WISH + b"content-length: %d\r\n\r\n" % len(inner)
    chunked = CHUNKED[:-2] + WISH + b"\r\n"
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(inner), inner)
    parts = [head, inner, chunked, chunks, GET]
    answers, seen = exchange(*parts) if split else exchange(b"".join(parts))
    assert answers == ["/a", "/c", "/a"]
    assert mine(seen) == [("POST", "/a", inner), ("POST", "/c", inner), ("GET", "/a", b"")]
    (first, *_) = [headers for _, path, _, headers in seen.requests if path != "/other"]
    assert first[b"connection"] == b"keep-alive"
    assert b"upgrade" not in first


def test_headers_behind_a_body_are_none() -> None:
    """No trailer says who calls, or from where: a proxy looks at heads alone."""
    trailers = b"authorization: Bearer x\r\nx-forwarded-for: 10.0.0.1\r\nx-request-id: t\r\n"
    answers, seen = exchange(CHUNKED + b"2\r\n{}\r\n0\r\n" + trailers + b"\r\n" + GET)
    assert answers == ["/c", "/a"]
    (_, _, body, headers), *_ = seen.requests
    assert body == b"{}"
    assert set(headers) == {b"host", b"transfer-encoding"}


@pytest.mark.parametrize(
    "endless",
    [
        b"GET /a HTTP/1.1\r\nhost: x\r\nx-a: " + b"a" * 70_000,
        b"GET /" + b"a" * 70_000,
        b"GET /a HTTP/1.1\r\nhost: x\r\n" + b"a:b\r\n" * 14_000,
        b"\r\n" * 35_000,
        CHUNKED + b"2;ext=" + b"a" * 70_000,
        CHUNKED + b"2\r\n{}\r\n0\r\nx-a: " + b"a" * 70_000,
        CHUNKED + b"2\r\n{}\r\n0\r\n" + b"a:b\r\n" * 14_000,
    ],
    ids=["header", "target", "headers", "blanks", "extension", "trailer", "trailers"],
)
@pytest.mark.parametrize("before", [b"", GET], ids=["first", "later"])
def test_nothing_beside_a_body_is_endless(before: bytes, endless: bytes) -> None:
    """Whatever of a request isn't its body is bounded, also of a later request."""
    parts = [endless[at : at + 8_000] for at in range(0, len(endless), 8_000)]
    answers = exchange(*(part for part in (before, *parts) if part))[0]
    assert answers == ["/a", "431"][not before :]


def test_many_small_chunks_are_a_body() -> None:
    """What stands around each chunk doesn't count as endless."""
    size = 40_000
    answers, seen = exchange(CHUNKED + b"1\r\nx\r\n" * size, b"0\r\n\r\n" + GET)
    assert answers == ["/c", "/a"]
    assert len(mine(seen)[0][2]) == size


def test_a_long_body_before_the_next_head_is_no_head() -> None:
    """Requests sent without waiting: where one ends, the next begins, however long the first."""
    body = b"x" * 50_000
    long = b"POST /l HTTP/1.1\r\n" + HOST + b"content-length: %d\r\n\r\n" % len(body) + body
    answers, seen = exchange(long + long + GET[:-9], GET[-9:])
    assert answers == ["/l", "/l", "/a"]
    assert [len(request[2]) for request in seen.requests if request[1] == "/l"] == [50_000, 50_000]


@pytest.mark.parametrize("kept_by", [b"\r\n", b"\r\n\r\n\r\n"])
def test_blank_lines_keep_no_connection(kept_by: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between requests a connection has its time; what is no request doesn't give it more."""
    monkeypatch.setattr(protocol, "READ_SECONDS", 0.1)

    async def work() -> bytes:
        async with serving(Seen()) as connect, asyncio.timeout(30):
            reader, writer = await connect()
            writer.write(GET)
            text = await reader.readuntil(b"/a")
            writer.write(kept_by)
            text += await reader.read()
            writer.close()
            return text

    assert in_short(asyncio.run(work())) == ["/a"]


def test_connections_leave_files_for_everything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many is ended at once, and has its place when another one goes."""
    monkeypatch.setattr(protocol, "most_connections", lambda: 2)

    async def work() -> list[bytes]:
        async with serving(Seen()) as connect, asyncio.timeout(30):
            ends = [await connect() for _ in range(2)]
            for reader, writer in ends:
                writer.write(GET)
                await reader.readuntil(b"/a")
            reader, writer = await connect()
            with contextlib.suppress(ConnectionResetError):
                assert await reader.read() == b""
            writer.close()
            ends[0][1].write(LAST)
            last = await ends[0][0].read()
            reader, writer = await connect()
            writer.write(LAST)
            answered = [last, await reader.read()]
            for _, each in (*ends, (reader, writer)):
                each.close()
            return answered

    assert [in_short(text) for text in asyncio.run(work())] == [["/last"], ["/last"]]


def test_most_connections_go_by_the_limit_of_open_files() -> None:
    """Some are kept, however few there are."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert 1 <= protocol.most_connections() <= max(1, soft - protocol.RESERVED_FILES)


@given(st.data())
def test_where_bytes_are_cut_changes_nothing(data: st.DataObject) -> None:
    """However a connection's bytes come in pieces, the same requests are served."""
    wish = CHUNKED[:-2] + WISH + b"\r\n5\r\nhello\r\n0\r\nx: y\r\n\r\n"
    kinds: dict[bytes, Callable[[], str]] = {GET: lambda: "/a", wish: lambda: "/c"}
    requests = data.draw(st.lists(st.sampled_from(sorted(kinds)), min_size=1, max_size=4))
    whole = b"".join(requests)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(whole) - 1), max_size=3)))
    parts = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    answers, seen = exchange(*parts)
    assert answers == [kinds[each]() for each in requests]
    assert {body for _, path, body in mine(seen) if path == "/c"} <= {b"hello"}
