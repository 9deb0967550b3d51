"""A stranger that the service speaks with, who repeats in every answer all that it was told."""

import http.client
import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final, Self
from urllib.parse import urlsplit

PATIENCE_S: Final = 30
_PASSING: Final = 4
_OWN: Final = frozenset(("connection", "content-length", "host", "transfer-encoding"))


class Echo:
    """A server on the loopback that answers with what it got: path, headers and body.

    Where `upstream` is the base of another server, that one's answers are passed on with what was
    asked in their headers; without it every answer is a failure with all of it in its text. As
    Telegram's bot API it refuses for good, with all of it as the reason.
    """

    def __init__(self, upstream: str | None = None) -> None:
        """Listen on a free port."""
        self.upstream = upstream
        self.got: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def was_told(self, secret: str) -> bool:
        """Tell whether somebody has sent a secret."""
        return any(secret in each for each in self.got)

    def close(self) -> None:
        """Stop, and close the connections."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _handler_of(echo: Echo) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = PATIENCE_S

        def do_GET(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            body = self.rfile.read(length)
            got = f"{self.requestline}\n{self.headers}\n{body.decode('latin-1')}"
            echo.got.append(got)
            self._answer(*_answered(echo, self.command, self.path, dict(self.headers), body), got)

        do_POST = do_GET  # noqa: N815 - the server's own spelling

        def _answer(self, status: int, content: bytes, kind: str, got: str) -> None:
            self.send_response(status, " ".join(got.split())[:200])
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("X-Asked", " ".join(got.split())[:4_000])
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    return Handler


def _answered(
    echo: Echo, method: str, path: str, headers: Mapping[str, str], body: bytes
) -> tuple[int, bytes, str]:
    """Return an answer's status, content and type."""
    got: dict[str, Any] = {"path": path, "headers": dict(headers), "body": body.decode("latin-1")}
    if path.startswith("/bot"):
        told = {"ok": False, "description": f"Bad Request: {path} {json.dumps(got)}"}
        return 400, json.dumps(told).encode(), "application/json"
    if echo.upstream is None:
        error = {"code": 1, "message": json.dumps(got)}
        # Worth another try at first, which takes time, and soon no more.
        status = 500 if len(echo.got) <= _PASSING else 400
        return status, json.dumps({"ok": False, "error": error}).encode(), "application/json"
    parts = urlsplit(echo.upstream)
    connection = http.client.HTTPConnection(parts.netloc, timeout=PATIENCE_S)
    try:
        kept = {name: text for name, text in headers.items() if name.lower() not in _OWN}
        connection.request(method, parts.path + path, body, kept)
        answer = connection.getresponse()
        return answer.status, answer.read(), answer.headers.get("content-type", "text/plain")
    finally:
        connection.close()
