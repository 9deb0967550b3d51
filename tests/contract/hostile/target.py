"""The service as schemathesis meets it: its own description, and a call without a network."""

import time
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, cast
from urllib.parse import unquote_to_bytes, urlsplit

import schemathesis
from hypothesis import settings
from schemathesis.config import SchemathesisConfig
from schemathesis.core.transport import Response
from schemathesis.generation.case import Case
from schemathesis.schemas import APIOperation, BaseSchema
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from schemathesis.transport.prepare import prepare_request

from aiba_domain.money import Currency
from aiba_domain.ports import Verdict
from tests.contract.game.description import closed
from tests.contract.game.support import Game
from tests.support import admins
from tests.support.admins import Panel
from tests.support.stores import opener

BASE: Final = "http://api.example"
CHECKS: Final = [
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
CASES: Final = 1_000 if settings().max_examples > 1_000 else 300
"""How many requests each operation gets at least."""

SOMEBODY: Final = "somebody@game.example"
"""An admin whose account may be changed: nobody else in a test needs it."""

Headers = Mapping[str, str]


class Market:
    """A market where a TON always costs the same."""

    async def ton_usd(self) -> Fraction:
        """Return that price."""
        return Fraction(3)


class Target:
    """A game with players and admins, and its description read strictly.

    An object of the description holds no field but those it names, in requests and in answers.
    """

    def __init__(
        self,
        folder: Path,
        *,
        kind: str = "memory",
        environ: Mapping[str, str] = MappingProxyType({}),
        password: str = admins.PASSWORD,
    ) -> None:
        """Open a service with a player who owns something, and an admin of each kind."""
        given = {**admins.ENVIRON, "AIBA_DATA_DIR": str(folder), **environ}
        self.game = Game(opener(kind, folder), environ=given)
        self.game.container.rates()._prices = Market()
        self._lift_limits()
        self.units = 0
        self._count_units()
        self.root_password = password
        self.root = Panel(self.game, password=password)
        self.viewer = self.root.make("viewer@game.example", "viewer")
        self.root.make(SOMEBODY, "operator")
        self.player, self.broker = self.game.fighter(**{each.value: 10**12 for each in Currency})
        self.wallet = self.game.bind(self.player)
        self.document = described(self.game)
        self.schema = loaded(self.document)

    def close(self) -> None:
        """Audit the ledger, whatever was sent, and close."""
        self.game.sound()
        self.game.close()

    def _lift_limits(self) -> None:
        """Let logins be as many as all else; what limits do is tried elsewhere."""
        limiter = self.game.container.limiter()
        hit = limiter.hit

        async def unlimited(name: str, key: str, *, limit: int, **more: int) -> Verdict:
            return await hit(name, key, limit=max(limit, 10**9), **more)

        limiter.hit = unlimited  # type: ignore[method-assign]

    def _count_units(self) -> None:
        transact = self.game.faults.transact

        async def counted(work: Any) -> Any:  # noqa: ANN401 - whatever the store's unit gives
            self.units += 1
            return await transact(work)

        self.game.faults.transact = counted  # type: ignore[method-assign]

    def credentials(self, operation: APIOperation[Any, Any, Any, Any]) -> dict[str, str]:
        """Return the headers of somebody who may call an operation."""
        kind = kind_of(operation)
        if kind == "admin":
            if operation.path.endswith("/logout"):
                return dict(Panel(self.game, password=self.root_password).headers)
            return dict(self.root.headers)
        return self.game.as_player(self.player) if kind == "player" else {}

    def known(self) -> dict[str, object]:
        """Return good values of fields and parameters that name something by chance only."""
        return {
            "brokerId": self.broker,
            "broker_id": self.broker,
            "telegramId": self.player,
            "modeKey": "prediction",
            "to": self.wallet.address,
            "initData": self.game.launch(self.player),
            "email": SOMEBODY,
            "password": admins.PASSWORD,
            "day": "2026-01-01",
        }

    def send(self, case: Case[Any], headers: Headers) -> Response:
        """Make the request of a case in this process and return the answer."""
        request = prepare_request(
            case, headers, config=case.operation.schema.config.output.sanitization, base_url=BASE
        )
        body = request.body or b""
        raw = body.encode() if isinstance(body, str) else bytes(cast("bytes", body))
        started = time.perf_counter()
        status, sent, content = self.game.run(
            self._call(str(request.method), str(request.url), request.headers, raw)
        )
        names: dict[str, list[str]] = {}
        for name, value in sent:
            names.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        return Response(
            status_code=status,
            headers=names,
            content=content,
            request=request,
            elapsed=time.perf_counter() - started,
            verify=False,
        )

    def page(self, path: str) -> str:
        """Return an answer to an admin, with its headers, whatever it is."""
        status, headers, body = self.game.run(
            self._call("GET", BASE + path, self.root.headers, b"")
        )
        assert status == 200, path
        return body.decode() + str(headers)

    async def _call(
        self, method: str, url: str, headers: Mapping[str, Any], body: bytes
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        parts = urlsplit(url)
        scope: Any = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": unquote_to_bytes(parts.path).decode("utf-8", "replace"),
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [(_raw(name).lower(), _raw(value)) for name, value in headers.items()],
            "client": ("192.0.2.1", 1),
            "server": ("api.example", 80),
            "state": {},
        }
        told: dict[str, Any] = {"body": b""}
        given = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Any:  # noqa: ANN401 - a message of ASGI
            return given.pop() if given else {"type": "http.disconnect"}

        async def answer(message: Any) -> None:  # noqa: ANN401 - as above
            if message["type"] == "http.response.start":
                told.update(status=message["status"], headers=list(message["headers"]))
            else:
                told["body"] += message.get("body", b"")

        await self.game.app(scope, receive, answer)
        return told["status"], told["headers"], told["body"]


def described(game: Game) -> dict[str, Any]:
    """Return the service's description with its objects closed."""
    document: dict[str, Any] = closed(game.description.document)
    return document


def loaded(document: dict[str, Any], mode: str = "all") -> BaseSchema:
    """Return a description as schemathesis reads it; credentials are the tests' own."""
    config = SchemathesisConfig.from_dict(
        {
            "generation": {"with-security-parameters": False, "mode": mode},
            # Else no credential would be sent.
            "output": {"sanitization": {"enabled": False}},
        }
    )
    return schemathesis.openapi.from_dict(document, config=config)


def kind_of(operation: APIOperation[Any, Any, Any, Any]) -> str:
    """Return who may call an operation: `anyone`, `player` or `admin`."""
    ways = operation.definition.raw.get("security", [{}])
    if {} in ways:
        return "anyone"
    return "player" if {"session": []} in ways else "admin"


def _raw(text: str | bytes) -> bytes:
    if isinstance(text, bytes):
        return text
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")
