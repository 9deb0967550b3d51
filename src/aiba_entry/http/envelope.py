"""The envelope that every JSON answer wears, built once as bytes."""

from collections.abc import Mapping
from typing import Any, Final, Generic, Self, TypeVar

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.response.base import ASGIResponse

T = TypeVar("T")

JSON: Final = b"application/json"
_encode: Final = msgspec.json.Encoder().encode


class Reply(ASGIResponse):
    """An answer whose bytes are ready: what a handler returns.

    Annotate a handler's return with this type and Litestar sends it as it is.
    """

    __slots__ = ("_headers",)

    def __init__(
        self,
        body: bytes,
        status: int = 200,
        *,
        media_type: bytes = JSON,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        # The base's own construction serves cookies, background tasks and text headers, none of
        # which an answer here has; it costs more than all the rest of the edge.
        self.body = body
        self.status_code = status
        self.background = None
        self.is_head_response = False
        self._headers = [
            (b"content-type", media_type),
            (b"content-length", b"%d" % len(body)),
        ]
        for name, value in (headers or {}).items():
            self._headers.append((name.encode("latin-1"), value.encode("latin-1")))

    def encode_headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers as they go onto the wire."""
        return self._headers

    def to_asgi_response(self, *_args: object, **_options: object) -> Self:
        """Return this answer: it is what Litestar would turn a response into."""
        return self


def data_reply(value: object, request_id: str, status: int = 200) -> Reply:
    """Answer `{ok: true, data: value, requestId}`; `requestId` is the trace id."""
    return Reply(b'{"ok":true,"data":%b,%b}' % (_encode(value), _traced(request_id)), status)


def flat_reply(fields: Mapping[str, object], request_id: str, status: int = 200) -> Reply:
    """Answer `{ok: true, ...fields, requestId}`.

    A `requestId` among the fields is an idempotency key and stays; otherwise it is the trace id.
    """
    own = {"ok": True, **fields}
    own.setdefault("requestId", request_id)
    return Reply(_encode(own), status)


def error_reply(
    status: int,
    code: str,
    request_id: str,
    *,
    message: str | None = None,
    details: object = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Answer `{ok: false, error: {code, message, details?}, requestId}`.

    `message` is `code` unless given; `details` is left out when None or empty.
    """
    error: dict[str, object] = {"code": code, "message": message or code}
    if details:
        error["details"] = details
    body = b'{"ok":false,"error":%b,%b}' % (_encode(error), _traced(request_id))
    return Reply(body, status, headers=headers)


def _traced(request_id: str) -> bytes:
    # A trace id holds nothing that JSON escapes.
    return b'"requestId":"%b"' % request_id.encode()


class DataEnvelope(msgspec.Struct, Generic[T]):
    """The shape of a successful answer."""

    ok: bool
    data: T
    requestId: str  # noqa: N815 - the wire's spelling


class WireError(msgspec.Struct):
    """What went wrong: `code` is stable, `details` holds the facts a client may act on."""

    code: str
    message: str
    details: dict[str, Any] | list[str] | str | msgspec.UnsetType = msgspec.UNSET


class ErrorEnvelope(msgspec.Struct):
    """The shape of a refused or failed request's answer."""

    ok: bool
    error: WireError
    requestId: str  # noqa: N815 - the wire's spelling


_ERRORS: Final = {
    400: "The request is malformed, or one of its fields is",
    401: "Who is calling is not proven",
    403: "Refused by a rule of the game",
    404: "There is no such thing",
    409: "In conflict with an earlier request",
    413: "The body is too long",
    429: "Too often",
    500: "Something unexpected, which the service's log tells of",
    503: "Not possible at the moment; nothing happened, and the same call may be made again",
}


def documented(
    shape: type[Any], *errors: int, status: int = 200, flat: bool = False
) -> dict[int, ResponseSpec]:
    """Return the `responses` of a route for the API's documentation.

    `shape` is the type of `data`, or with `flat` the whole body; `errors` are the statuses that
    the route answers besides 500.
    """
    envelope: Any = DataEnvelope
    body = shape if flat else envelope[shape]
    specs = {status: ResponseSpec(body, generate_examples=False, description="Done")}
    for error in (*errors, 500):
        specs[error] = ResponseSpec(
            ErrorEnvelope, generate_examples=False, description=_ERRORS[error]
        )
    return specs
