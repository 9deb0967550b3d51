"""The service as schemathesis meets it: its own description, and a call without a network."""

import time
from collections import Counter
from collections.abc import Collection, Container, Mapping
from fractions import Fraction
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, cast
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
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

from aiba_domain.administration import lockout
from aiba_domain.application import forecast
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.ports import Entry, Reader, Verdict
from aiba_domain.testing.auditor import Auditor
from tests.contract.game.description import closed
from tests.contract.game.support import Game, data_of
from tests.contract.hostile.known import SOMEBODY, Known
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

STEPS_S: Final = 97
"""A request comes so many seconds after the one before, at the most."""

LASTING: Final = {"ADMIN_TOKEN_TTL_SECONDS": str(7 * 86_400)}
"""Logins that last while an operation is tried."""

CHEAP_FORECAST: Final = 50
"""How many battles a forecast fights at the most, so that one can be asked for often."""

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
        given = {**admins.ENVIRON, **LASTING, "AIBA_DATA_DIR": str(folder), **environ}
        self.game = Game(opener(kind, folder), environ=given)
        self.game.container.rates()._prices = Market()
        self._patches = pytest.MonkeyPatch()
        self._lift_limits()
        self.units = 0
        self._count_units()
        self.root_password = password
        self.root = Panel(self.game, password=password)
        self.viewer = self.root.make("viewer@game.example", "viewer")
        self.operator = self.root.make("operator@game.example", "operator")
        self.root.make(SOMEBODY, "operator")
        self.known = Known(self.game)
        self.document = described(self.game)
        self.schema = loaded(self.document)
        self._fields = fields_of(self.document)
        self.told: Counter[tuple[str, int]] = Counter()
        self._sent = 0
        self._books, self._rules = Auditor(), EconomyPolicy()
        self._keep_books()

    def close(self) -> None:
        """Judge the money, whatever was sent, and close."""
        self._keep_books()
        self._books.compare(self.game.read(lambda read: read.accounts()))
        self.game.sound()
        self.game.close()
        self._patches.undo()

    @property
    def player(self) -> str:
        """The player who owns something."""
        return self.known.player

    @property
    def broker(self) -> str:
        """A broker of that player's."""
        return self.known.broker

    def begin(self, *, has_starter: bool = True) -> None:
        """Let rules, modes and admins be as at first, and a new player come."""
        self.known.restore()
        self.known.begin(has_starter=has_starter)
        self.root.token = self.root.log_in(self.root_password)
        self._restore(SOMEBODY, "operator")
        for panel, role in ((self.viewer, "viewer"), (self.operator, "operator")):
            self._restore(panel.email, role)
            panel.token = panel.log_in()
        self._keep_books()

    def _restore(self, email: str, role: str) -> None:
        path = f"/api/admin/accounts/{email}"
        data_of(self.root.patch(path, role=role, disabled=False))
        data_of(self.root.post(f"{path}/password", password=admins.PASSWORD))

    def _lift_limits(self) -> None:
        """Let logins be as many as all else; what limits do is tried elsewhere."""
        limiter = self.game.container.limiter()
        hit = limiter.hit

        async def unlimited(name: str, key: str, *, limit: int, **more: int) -> Verdict:
            return await hit(name, key, limit=max(limit, 10**9), **more)

        limiter.hit = unlimited  # type: ignore[method-assign]
        for name in ("AT_ONE_ADDRESS", "AT_ONE_ACCOUNT"):
            self._patches.setattr(lockout, name, 10**9)
        self._patches.setattr(forecast, "MAX_FOUGHT", CHEAP_FORECAST)

    def _count_units(self) -> None:
        transact = self.game.faults.transact

        async def counted(work: Any) -> Any:  # noqa: ANN401 - whatever the store's unit gives
            self.units += 1
            return await transact(work)

        self.game.faults.transact = counted  # type: ignore[method-assign]

    def _keep_books(self) -> None:
        """Follow the ledger to its end, by the rules that were in force before the last request."""
        seen = self._books.seen

        async def look(read: Reader) -> tuple[list[Entry], EconomyPolicy]:
            return list(islice(read.entries(), seen, None)), await read.policy()

        entries, rules = self.game.read(look)
        self._books.follow(entries, self._rules)
        self._rules = rules

    def credentials(self, operation: APIOperation[Any, Any, Any, Any]) -> dict[str, str]:
        """Return the headers of somebody who may call an operation."""
        kind = kind_of(operation)
        if kind == "admin":
            if operation.path.endswith("/logout"):
                return dict(Panel(self.game, password=self.root_password).headers)
            return dict(self.root.headers)
        return self.game.as_player(self.player) if kind == "player" else {}

    def name(self, case: Case[Any], kept: Container[object] = ()) -> None:
        """Put good values where a request names something; what stands in `kept` stays."""
        name = name_of(case.operation)
        if isinstance(case.body, dict):
            if name == "connectWallet":
                case.body = self.known.proven()
                return
            known = (each for each in self._fields[name] if self.known.knows(name, each))
            case.body |= dict.fromkeys(known) | case.body
        for part in (case.path_parameters, case.query, case.body):
            if not isinstance(part, dict):
                continue
            fields: dict[str, Any] = part
            for field, given in fields.items():
                if self.known.knows(name, field) and given not in kept:
                    fields[field] = self.known.value(name, field)

    def table(self) -> str:
        """Return how often each operation answered how, as a table."""
        names = sorted({name for name, _ in self.told})
        lines = [f"{'operation':28}{'answers':>8}{'2xx':>6}{'share':>7}"]
        for name in names:
            count = sum(times for (each, _), times in self.told.items() if each == name)
            good = self.told[name, 2]
            lines.append(f"{name:28}{count:8}{good:6}{good / count:7.0%}")
        return "\n".join(lines)

    def send(self, case: Case[Any], headers: Headers) -> Response:
        """Make the request of a case in this process, book it, and return the answer."""
        request = prepare_request(
            case, headers, config=case.operation.schema.config.output.sanitization, base_url=BASE
        )
        body = request.body or b""
        raw = body.encode() if isinstance(body, str) else bytes(cast("bytes", body))
        units, started = self.units, time.perf_counter()
        status, sent, content = self.game.run(
            self._call(str(request.method), str(request.url), request.headers, raw)
        )
        names: dict[str, list[str]] = {}
        for name, value in sent:
            names.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        response = Response(
            status_code=status,
            headers=names,
            content=content,
            request=request,
            elapsed=time.perf_counter() - started,
            verify=False,
        )
        if self.units != units:
            self._keep_books()
        self._follow(case, response)
        return response

    def _follow(self, case: Case[Any], response: Response) -> None:
        """Count an answer, let time pass, and let claims be paid."""
        name = name_of(case.operation)
        if case.method == case.operation.method.upper():
            self.told[name, response.status_code // 100] += 1
        self._sent += 1
        self.game.clock.advance(self._sent * 7_919 % STEPS_S * 1_000)
        if response.status_code == 200 and name in ("claimAiba", "runBattle"):
            answer = response.json()
            claim = answer["claim"] if name == "claimAiba" else answer["data"]["claim"]
            if claim["signatureBase64"]:
                self.game.ton.send(claim)
                self.game.settle()
                self._keep_books()

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


def fields_of(document: Mapping[str, Any]) -> Mapping[str, Collection[str]]:
    """Return the fields of each operation's body, none where it has no body."""
    fields: dict[str, Collection[str]] = {}
    for methods in document["paths"].values():
        for operation in methods.values():
            content = operation.get("requestBody", {}).get("content", {})
            shape = content.get("application/json", {}).get("schema", {})
            reference = shape.get("$ref", "").rpartition("/")[2]
            schemas = document["components"]["schemas"]
            fields[operation["operationId"]] = schemas.get(reference, shape).get("properties", ())
    return fields


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


def name_of(operation: APIOperation[Any, Any, Any, Any]) -> str:
    """Return an operation's name."""
    return str(operation.definition.raw["operationId"])


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
