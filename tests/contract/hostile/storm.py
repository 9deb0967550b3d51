"""Requests that carry secrets to where they don't belong, over a real socket."""

import json
import socket
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from itertools import count, cycle
from typing import Any, Final
from urllib.parse import quote

import httpx

from tests.contract.process.support import PATIENCE_S

HUGE: Final = "x" * 100_000
WRONG: Final[tuple[object, ...]] = ([], {}, -1.5, None, True, "\u202e\U0001f4a3\u0000", HUGE, 2**70)
"""Values of types and sizes that hardly any field has."""

NOWHERE: Final = "0" * 24
"""An id of nothing."""

SPARED: Final = ("/auth/logout", "/password", "/oracle/update")
"""What would end the credentials that the storm goes on with, or ask a market far away."""

OTHER_METHODS: Final = ("TRACE", "OPTIONS", "PUT", "PROPFIND")
"""What hardly any operation answers to; some servers answer the first with all they were told."""

Json = Any
Headers = Mapping[str, str]


def misplaced(secret: str) -> Iterator[Headers]:
    """Yield a secret as each credential that it isn't."""
    basic = b64encode(f"anybody:{secret}".encode()).decode()
    yield {"Authorization": f"Bearer {secret}"}
    yield {"Authorization": f"Basic {basic}"}
    yield {"Authorization": secret, "Cookie": f"token={secret}"}
    yield {"X-Telegram-Init-Data": f"auth_date=1&user=%7B%7D&hash={secret}"}
    yield {"X-Admin-Token": secret, "X-Telegram-Id": secret}
    yield {"X-Forwarded-For": secret, "Origin": f"https://{secret[:20]}.example"}


class Storm:
    """Every operation of a description, mistreated in each of several ways.

    `credentials` are the headers of those who may call, by kind: `player` and `admin`.
    """

    def __init__(
        self,
        http: httpx.Client,
        document: Json,
        credentials: Mapping[str, Headers],
        secrets: Sequence[str],
    ) -> None:
        """Be ready to send secrets, those that the service itself has."""
        self._http = http
        self._document = document
        self._credentials = credentials
        self._secrets = cycle(secrets)
        self._misplaced = (each for secret in self._secrets for each in misplaced(secret))
        self._wrong = cycle(WRONG)
        self._turn = count()

    def rage(self) -> Iterator[httpx.Response]:
        """Yield the answers; no secret opens a door that isn't its own."""
        for path, method, operation in self.operations():
            for request, is_theirs in self._requests(path, method, operation):
                answer = self._http.request(method, **request)
                is_closed = answer.status_code == 401 or "{" in path
                assert is_theirs or is_closed, f"{method} {path}: {answer.text}"
                yield answer
        for method in OTHER_METHODS:
            headers = next(self._misplaced)
            yield self._http.request(method, "/api/auth/session", headers=headers)

    def operations(self) -> Iterator[tuple[str, str, Json]]:
        """Yield each operation with its path and method."""
        for path, methods in self._document["paths"].items():
            for method, operation in methods.items():
                if method in ("get", "post", "put", "patch", "delete"):
                    yield path, method, operation

    def _requests(
        self, path: str, method: str, operation: Json
    ) -> Iterator[tuple[dict[str, Any], bool]]:
        """Yield requests, and whether whoever makes one may."""
        fields = self._fields(operation)
        names = [each["name"] for each in operation.get("parameters", ()) if each["in"] == "query"]
        secret = next(self._secrets)
        told = dict.fromkeys(fields, secret)
        query = dict.fromkeys((*names, "token", "api_key"), secret)
        url = _placed(path, secret)
        headers = self._right(operation)
        is_open = headers is None
        yield {"url": url, "params": query, **_sent(method, told)}, is_open
        yield {"url": url, "headers": next(self._misplaced), **_sent(method, told)}, is_open
        if headers is None or path.endswith(SPARED):
            return
        wrong = {name: next(self._wrong) for name in fields}
        here = _placed(path, NOWHERE)
        yield {"url": here, "headers": headers, "params": query, **_sent(method, wrong)}, True
        if fields and next(self._turn) % 2:
            broken = json.dumps(told).encode()[:-1]
            yield {"url": here, "headers": _as_json(headers), "content": broken}, True

    def _right(self, operation: Json) -> Headers | None:
        """Return the headers of somebody who may call an operation, None where anybody may."""
        ways = operation.get("security", [{}])
        if {} in ways:
            return None
        return self._credentials["player" if {"session": []} in ways else "admin"]

    def _fields(self, operation: Json) -> list[str]:
        """Return the names of the fields of an operation's body."""
        content = operation.get("requestBody", {}).get("content", {})
        schema = content.get("application/json", {}).get("schema", {})
        while "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            schema = self._document["components"]["schemas"][name]
        return list(schema.get("properties", ()))


def malformed(port: int, secrets: Sequence[str]) -> None:
    """Send what is no HTTP and break off in the middle, with secrets in both."""
    for secret in secrets:
        head = f"POST /api/auth/session HTTP/1.1\r\nauthorization: Bearer {secret}\r\n"
        for text in (
            f"{secret} {secret}\r\n{secret}\r\n\r\n",
            f"{head}{secret}\r\n\r\n",
            f"{head}content-length: 9999\r\n\r\n{secret}",
        ):
            with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as line:
                line.sendall(text.encode())


def _placed(path: str, value: str) -> str:
    """Return a path whose parameters are all one value."""
    shown = quote(value, safe="")
    return "/".join(shown if part[:1] == "{" else part for part in path.split("/"))


def _sent(method: str, fields: Mapping[str, object]) -> dict[str, Any]:
    return {} if method == "get" else {"json": fields}


def _as_json(headers: Headers) -> dict[str, str]:
    return {**headers, "Content-Type": "application/json"}
