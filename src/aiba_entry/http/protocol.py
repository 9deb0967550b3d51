"""HTTP/1.1 on one connection: uvicorn's, with the bounds and the strictness that it lacks.

What can't be read on is refused in the envelope, and only after the answers that are still due, so
that no client takes a refusal for the answer to another request. What two servers might read in two
ways isn't read here at all.
"""

import asyncio
import resource
import sys
from functools import cache
from typing import Final, cast
from uuid import uuid4

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from aiba_entry.http.security_headers import ANSWER

MAX_HEAD_BYTES: Final = 32 * 1024
"""The longest request line with headers; as long may be what stands beside a body's bytes."""

READ_SECONDS: Final = 10.0
"""How long a request may take from its first byte (or the connection) to its last.

As long may the rest of an answer take to be read, once the connection is to be closed.
"""

RESERVED_FILES: Final = 64
"""How many of the files that the process may open are kept from connections.

The store, the signer and the chain are reached by files too: nobody may take them all.
"""

_END: Final = b"\r\n\r\n"
_BESIDE_A_BYTE: Final = 8
"""How much more, for each byte of a body: a chunk of one byte has five around it."""


class BoundedProtocol(HttpToolsProtocol):
    """A connection whose requests are bounded, arrive in time, and mean one thing."""

    # The request under way: since when it comes (None between requests), whether more than blank
    # lines has come, whether its head is still coming, and its bytes of a body and beside it.
    _reading_since: float | None = None
    _begun = False
    _in_head = True
    _of_body = 0
    _beside = 0
    # Of the bytes being parsed: how many requests began in them, and how many were a body's.
    _begins = 0
    _fed = 0
    # What is said after the answers that are due, and since when the connection is closing.
    _last_word: bytes | None = None
    _closing_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock of a connection that may stay silent; end one too many at once."""
        super().connection_made(transport)
        if len(self.connections) > most_connections():
            transport.abort()
        self._reading_since = self.loop.time()

    def data_received(self, data: bytes) -> None:
        """Take bytes in, unless they are too much, or no request."""
        if self._last_word is not None or self.transport.is_closing():
            return
        self._unset_keepalive_if_required()
        is_first = not (self._begun or self._beside)
        if self._reading_since is None:
            self._reading_since = self.loop.time()
        if self._in_head and len(data) > MAX_HEAD_BYTES and _END not in data[:MAX_HEAD_BYTES]:
            self._refuse_head()
            return
        self._begins = self._fed = 0
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._refuse(b"400 Bad Request", b"bad request")
            return
        # Of bytes that came with the end of an earlier request nobody knows whose they are.
        if self._is_reading() and self._begins <= is_first:
            self._beside += len(data) - self._fed
            if self._beside > MAX_HEAD_BYTES + _BESIDE_A_BYTE * self._of_body:
                self._refuse_head()

    def on_message_begin(self) -> None:
        """Start the clock of a request."""
        super().on_message_begin()
        self._begun = self._in_head = True
        self._beside = self._of_body = 0
        self._begins += 1
        self._reading_since = self.loop.time()

    def on_headers_complete(self) -> None:
        """Begin to serve the request, if it says once for whom it is.

        A header behind the body is none: no proxy looks at it as at the others.
        """
        if self.parser.should_upgrade():
            if self.parser.get_method() == b"CONNECT":
                raise ValueError("this is no proxy")
            return
        hosts = [name for name, _ in self.headers].count(b"host")
        if hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):
            raise ValueError("a request has one host")
        super().on_headers_complete()
        self._in_head = False
        self.headers = []

    def on_body(self, body: bytes) -> None:
        """Count what is of use."""
        self._fed += len(body)
        self._of_body += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the clock: the request is whole."""
        if self.parser.should_upgrade():
            return
        self._reading_since = None
        self._in_head, self._begun = True, False
        self._beside = self._of_body = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Go on with the next request, or say the last word."""
        if self._last_word is not None and not self.pipeline and not self.transport.is_closing():
            self._say(self._last_word)
        super().on_response_complete()

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
        elif self._last_word is None and self._is_overdue(now):
            if self._begun:
                self._refuse(b"408 Request Timeout", b"request timeout")
            elif not self._is_answering():
                self.transport.close()

    def _is_reading(self) -> bool:
        return self._reading_since is not None

    def _is_overdue(self, now: float) -> bool:
        return self._reading_since is not None and now - self._reading_since >= READ_SECONDS

    def _is_answering(self) -> bool:
        # Uvicorn's types leave out that there is none before the first request.
        latest = cast("RequestResponseCycle | None", self.cycle)
        return latest is not None and not latest.response_complete

    def _feed(self, data: bytes) -> None:
        """Parse bytes; a wish to speak another protocol is read as if it weren't there.

        The parser takes what stands behind such a head for that other protocol. It is the
        request's body, and the next request's head would be taken from it.
        """
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as wish:
                data = self._head_without_wish() + data[wish.args[0] :]
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
            else:
                return

    def _head_without_wish(self) -> bytes:
        version = self.parser.get_http_version().encode()
        head = b"%b %b HTTP/%b\r\n" % (self.parser.get_method(), self.url, version)
        for name, value in self.headers:
            if name == b"connection":
                options = [option.strip() for option in value.split(b",")]
                kept = b", ".join(each for each in options if each.lower() != b"upgrade")
                head += b"connection: %b\r\n" % kept
            elif name != b"upgrade":
                head += b"%b: %b\r\n" % (name, value)
        return head + b"\r\n"

    def _refuse_head(self) -> None:
        self._refuse(b"431 Request Header Fields Too Large", b"headers too large")

    def _refuse(self, status: bytes, code: bytes) -> None:
        """Answer the request under way with a refusal, after the answers still due, and close."""
        self.logger.warning("request refused unread: %s", status.decode())
        is_due = self._is_answering()
        if not self._in_head:
            # It is being served already, or waits for its turn.
            if self.pipeline:
                self.pipeline.popleft()
            elif self.cycle.response_started:
                self.transport.close()
                return
            else:
                is_due = False
        if is_due:
            self._last_word = _refusal(status, code)
        else:
            self._say(_refusal(status, code))

    def _say(self, last_word: bytes) -> None:
        self.transport.write(last_word)
        self.transport.close()


@cache
def most_connections() -> int:
    """Return how many connections there may be at once, by the process's limit of open files."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return sys.maxsize if soft == resource.RLIM_INFINITY else max(1, soft - RESERVED_FILES)


def _refusal(status: bytes, code: bytes) -> bytes:
    error = b'{"code":"%b","message":"%b"}' % (code, code)
    request_id = str(uuid4()).encode()
    body = b'{"ok":false,"error":%b,"requestId":"%b"}' % (error, request_id)
    head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\nconnection: close\r\n" % status
    head += b"".join(b"%b: %b\r\n" % header for header in ANSWER)
    head += b"x-request-id: %b\r\ncontent-length: %d\r\n\r\n" % (request_id, len(body))
    return head + body
