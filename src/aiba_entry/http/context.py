"""What the edge knows of the request being served."""

from typing import Any, cast

from litestar.connection import ASGIConnection
from litestar.types import Scope

from aiba_entry.http.admin.principal import AdminPrincipal
from aiba_entry.http.principal import Principal
from aiba_entry.http.raw_headers import RawHeaders

_KEY = "aiba_context"


class RequestContext:
    """One request's trace id, headers, address, and what later steps learn of it.

    `request_id` is for tracing only, never an idempotency key. `headers` has lower-case names; of
    a repeated header the last. `peer` is the socket's other end, "" if it has none.
    """

    __slots__ = (
        "admin",
        "headers",
        "peer",
        "principal",
        "request_id",
        "response_headers",
        "template",
    )

    def __init__(
        self, request_id: str, headers: dict[bytes, bytes], peer: str, template: str | None
    ) -> None:
        self.request_id = request_id
        self.headers = headers
        self.peer = peer
        self.template = template
        self.principal: Principal | None = None
        self.admin: AdminPrincipal | None = None
        self.response_headers: RawHeaders = []


def context_of(connection: ASGIConnection[Any, Any, Any, Any]) -> RequestContext:
    """Return the context of a request that came in over the edge."""
    return context_in(connection.scope)


def context_in(scope: Scope) -> RequestContext:
    """Return the context in a scope that the edge has passed on."""
    return cast("dict[str, RequestContext]", scope)[_KEY]


def put_context(scope: Scope, context: RequestContext) -> None:
    """Put the context into a scope, for whoever serves it."""
    cast("dict[str, object]", scope)[_KEY] = context
