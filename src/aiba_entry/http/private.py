"""Guards in front of what isn't for players: the metrics, and the API's description."""

import secrets
from base64 import b64decode
from binascii import Error as NotBase64
from typing import Any, Final

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from aiba_entry.edge_settings import DOCS, METRICS, Access
from aiba_entry.http.context import context_of
from aiba_entry.http.errors import ApiError
from aiba_entry.http.limits import gate_of

_CHALLENGE: Final = {"WWW-Authenticate": 'Basic realm="aiba", charset="UTF-8"'}

_Connection = ASGIConnection[Any, Any, Any, Any]


class PrivateGuard:
    """A guard that lets through whoever has the page's token, and calls from allowed addresses.

    The token comes as `Authorization: Bearer`, or as the password of any user, which is what a
    browser asks for. Who isn't let through is counted by address and gets 401 where there is a
    token, else 404: then nobody has to know that there is such a page.
    """

    def __init__(self, page: str) -> None:
        """Guard `page`, by its name in the settings."""
        self._page = page

    async def __call__(self, connection: _Connection, _handler: BaseRouteHandler) -> None:
        """Let a request through, or raise ApiError."""
        gate = gate_of(connection)
        access = gate.pages[self._page]
        if access.anyone or _is_from(connection, access) or _has_token(connection, access):
            return
        await gate.admit_anyone(connection)
        if access.token is None:
            raise ApiError("not found")
        raise ApiError("token required", headers=_CHALLENGE)


metrics_guard: Final = PrivateGuard(METRICS)
"""Guard: who may see what was counted."""
docs_guard: Final = PrivateGuard(DOCS)
"""Guard: who may read the API's description."""


def _is_from(connection: _Connection, access: Access) -> bool:
    if not access.allow:
        return False
    address = gate_of(connection).sure_address(connection)
    return address is not None and any(address in network for network in access.allow)


def _has_token(connection: _Connection, access: Access) -> bool:
    if access.token is None:
        return False
    shown = _shown(context_of(connection).headers.get(b"authorization", b""))
    return secrets.compare_digest(shown, access.token.encode())


def _shown(authorization: bytes) -> bytes:
    """Return the token in a header, b"" where there is none."""
    scheme, _, rest = authorization.partition(b" ")
    if scheme.lower() == b"bearer":
        return rest.strip()
    if scheme.lower() != b"basic":
        return b""
    try:
        return b64decode(rest.strip(), validate=True).partition(b":")[2]
    except NotBase64:
        return b""
