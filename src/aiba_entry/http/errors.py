"""Every way a request can fail, as the one envelope: the table of codes and its translation."""

import re
from collections.abc import Mapping
from typing import Any, Final, cast

from litestar import Request
from litestar.exceptions import (
    ClientException,
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
    ValidationException,
)
from litestar.types import ExceptionHandlersMap

from aiba_domain.economy.config import UNKNOWN
from aiba_domain.errors import DomainError
from aiba_domain.ports import Unavailable
from aiba_entry.http.context import context_of
from aiba_entry.http.envelope import Reply, error_reply
from aiba_entry.http.texts import INVALID, text_of
from aiba_entry.observability import get_logger

INTERNAL: Final = "internal server error"
"""The code of everything unexpected; whatever caused it stays in the log."""

_CODES_BY_STATUS: Final[Mapping[int, tuple[str, ...]]] = {
    400: (
        "ARENA_VAULT_ADDRESS not configured",
        "validation_error",
        "requestId required",
        "invalid_mode",
        "invalid stat",
        "amount must be > 0",
        "withdraw broker from guild first",
        "base and sacrifice must be different brokers",
        "daily_combo_requirement_not_met",
        "no valid fields to update",
        "stat at maximum",
        "TON payment verification failed",
        "unknown_fields",
        "invalid dailyCapAibaByArena",
        "invalid dailyCapNeurByArena",
        "invalid emissionWindowsUtc",
        "aibaDelta or neurDelta required",
        "oracleAibaPerTon or oracleNeurPerAiba required",
        "no_rate",
        "AIBA/TON rate not set",
        "AIBA/TON rate too old",
        "broker already has NFT",
        "already completed",
    ),
    401: (
        "telegram auth required",
        "telegram auth failed",
        "telegram auth expired",
        "telegram auth missing user id",
        "admin auth required",
        "invalid admin token",
        "invalid credentials",
        "token required",
    ),
    403: (
        "banned",
        "broker banned",
        "not your broker",
        "guild required",
        "mode_disabled",
        "league_locked",
        "no energy",
        "insufficient NEUR",
        "insufficient AIBA",
        "wallet_required",
        "claim limit",
        "wallet proof required",
        "wallet proof refused",
        "forbidden",
        "insufficient role",
        "environment account",
        "own account",
    ),
    404: (
        "not found",
        "broker not found",
        "base broker not found",
        "sacrifice broker not found",
        "user not found",
        "claim not found",
        "mint job not found",
        "admin not found",
    ),
    405: ("method not allowed",),
    409: (
        "requestId already used",
        "starter already granted",
        "mint already in progress",
        "NFT already linked",
        "key already taken",
        "config changed meanwhile",
        "txHash already used",
        "seed epoch moved on",
        "secret is not the committed one",
        "wallet already connected",
        "pending_claim",
        "claim refunded",
        "lease held",
        "lease lost",
        "checkpoint out of order",
        "admin already exists",
    ),
    413: ("payload too large",),
    429: ("rate_limited", "cooldown"),
    500: (
        INTERNAL,
        "vault not configured",
        "admin auth not configured",
        "ADMIN_JWT_SECRET not configured",
    ),
    503: (
        "unavailable",
        "timed out",
        "daily cap reached",
        "claims paused",
        "claim not signed",
        "Create broker with TON not configured",
    ),
}

STATUS_OF_CODE: Final[Mapping[str, int]] = {
    code: status for status, codes in _CODES_BY_STATUS.items() for code in codes
}
"""The HTTP status of every code that the API answers with."""

_FALLBACK_REFUSAL: Final = 400
_TOLD: Final = {"detail"}
_MISSING: Final = re.compile(r"Missing required query parameter '(\w+)'")
_DISCONNECTED: Final = "client disconnected prematurely"
_Request = Request[Any, Any, Any]


class ApiError(Exception):
    """A refusal of the edge itself, with the code that clients know and facts they may act on."""

    def __init__(
        self,
        code: str,
        *,
        details: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(code)
        self.code = code
        self.status = STATUS_OF_CODE[code]
        self.details = details
        self.headers = headers


class InvalidRequest(ApiError):  # noqa: N818 - a refusal, as the domain names its own
    """A request whose fields are wrong: `details` says what is wrong with each."""

    def __init__(self, fields: Mapping[str, object]) -> None:
        super().__init__("validation_error", details=fields)


def exception_handlers() -> ExceptionHandlersMap:
    """Return what turns each kind of exception into an answer.

    No text of an exception that isn't ours reaches the wire.
    """
    handlers: dict[type[Exception], object] = {
        ApiError: _on_api_error,
        DomainError: _on_domain_error,
        Unavailable: _on_unavailable,
        HTTPException: _on_http_exception,
        Exception: _on_unexpected,
    }
    # Litestar asks of an answer no more than `to_asgi_response`, which a Reply has.
    return cast("ExceptionHandlersMap", handlers)


def refusal_reply(code: str, details: Mapping[str, object], request_id: str) -> Reply:
    """Answer a refusal of the domain; its facts go into `details`, under the code's status.

    A refusal whose one fact is a `detail` has that text for its details, as clients know it; that
    of unknown fields has the list of their names.
    """
    facts: object = details["detail"] if details.keys() == _TOLD else details
    if code == UNKNOWN:
        facts = list(details)
    return error_reply(STATUS_OF_CODE.get(code, _FALLBACK_REFUSAL), code, request_id, details=facts)


def _on_api_error(request: _Request, error: ApiError) -> Reply:
    return error_reply(
        error.status,
        error.code,
        context_of(request).request_id,
        details=error.details,
        headers=error.headers,
    )


def _on_domain_error(request: _Request, error: DomainError) -> Reply:
    return refusal_reply(error.code, error.details, context_of(request).request_id)


def _on_unavailable(request: _Request, error: Unavailable) -> Reply:
    get_logger("aiba.http").warning("unavailable", reason=str(error), exc_info=error.__cause__)
    return error_reply(
        STATUS_OF_CODE["unavailable"],
        "unavailable",
        context_of(request).request_id,
        details={"retryAfterMs": error.retry_after_ms},
        headers={"Retry-After": str(max(1, -(-error.retry_after_ms // 1000)))},
    )


def _on_http_exception(request: _Request, error: HTTPException) -> Reply:
    request_id = context_of(request).request_id
    if isinstance(error, NotFoundException):
        return error_reply(404, "not found", request_id)
    if isinstance(error, MethodNotAllowedException):
        return error_reply(405, "method not allowed", request_id, headers=error.headers)
    if isinstance(error, ValidationException):
        return error_reply(400, "validation_error", request_id, details=_fields(request, error))
    if isinstance(error, ClientException):
        details = {"request": INVALID}
        return error_reply(error.status_code, "validation_error", request_id, details=details)
    if error.detail == _DISCONNECTED:
        # Nobody is left to read this, and nothing went wrong here.
        return error_reply(400, "validation_error", request_id, details={"body": INVALID})
    return _on_unexpected(request, error)


def _on_unexpected(request: _Request, error: Exception) -> Reply:
    get_logger("aiba.http").error("request failed", exc_info=error)
    return error_reply(500, INTERNAL, context_of(request).request_id)


def _fields(request: _Request, error: ValidationException) -> Mapping[str, object]:
    missing = _MISSING.match(error.detail)
    if missing:
        return {missing[1]: "required"}
    found = error.extra if isinstance(error.extra, list) else []
    names = ((_wire_name(request, item.get("key", "request")), item) for item in found)
    return {name: text_of(item["message"]) for name, item in names}


def _wire_name(request: _Request, parameter: str) -> str:
    """Return the wire's spelling of a handler's parameter: the one it is given, else camel case."""
    handler = request.scope["route_handler"]
    field = handler.parsed_fn_signature.parameters.get(parameter)
    given: str | None = getattr(field.kwarg_definition, "name", None) if field else None
    if given:
        return given
    first, *others = parameter.split("_")
    return first + "".join(other.capitalize() for other in others)
