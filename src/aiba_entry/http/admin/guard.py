"""Guards in front of admins' routes: each names the least role that may come through.

`guards=[viewer]`, `[operator]` or `[superadmin]`: every route under `/api/admin` has exactly one of
them, or is said to be open in `OPEN`. The dependency `admin` is who came through.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec
from litestar import Request
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler

from aiba_domain.administration.model import AdminRole
from aiba_domain.administration.model import Request as Came
from aiba_entry.http.admin.access import AdminAccess
from aiba_entry.http.admin.principal import AdminPrincipal
from aiba_entry.http.context import context_of
from aiba_entry.http.errors import ApiError
from aiba_entry.http.limits import GLOBAL, gate_of

ADMIN_KEY: Final = "aiba_admin"
OPEN: Final = frozenset({"adminLogIn"})
"""The operations under `/api/admin` that nobody needs a token for."""

UNREADABLE: Final = "[unreadable]"

_Connection = ASGIConnection[Any, Any, Any, Any]


class RoleGuard:
    """A guard that lets through admins whose role covers `role`, within the global limit.

    Else 401, 403 (which the audit trail keeps) or 429; 500 where admins aren't configured.
    """

    def __init__(self, role: AdminRole) -> None:
        """Let through `role` and the ones above."""
        self.role = role

    async def __call__(self, connection: _Connection, _handler: BaseRouteHandler) -> None:
        """Let a request through, or raise."""
        access = admin_access_of(connection)
        gate, context = gate_of(connection), context_of(connection)
        try:
            admin = await access.principal(context.headers, came(connection))
        except ApiError:
            await gate.admit_anyone(connection)
            raise
        await gate.count(GLOBAL, f"admin:{admin.email}", context)
        if not admin.role.covers(self.role):
            await access.refuse(admin, self.role)
        context.admin = admin


viewer: Final = RoleGuard(AdminRole.VIEWER)
"""Guard: any admin, for what changes nothing."""
operator: Final = RoleGuard(AdminRole.OPERATOR)
"""Guard: who may change the game's state."""
superadmin: Final = RoleGuard(AdminRole.SUPERADMIN)
"""Guard: who may change money out of nothing, the rules, and who may do what."""


def admin_access_of(connection: _Connection) -> AdminAccess:
    """Return who tells admins apart, or raise ApiError where none are configured."""
    access: AdminAccess | None = connection.scope["litestar_app"].opt.get(ADMIN_KEY)
    if access is None:
        raise ApiError("ADMIN_JWT_SECRET not configured")
    return access


def admin_of(connection: _Connection) -> AdminPrincipal:
    """Return the admin who is calling a route behind one of the guards."""
    admin = context_of(connection).admin
    if admin is None:
        raise RuntimeError("the route has no guard that finds out which admin is calling")
    return admin


async def provide_admin(request: Request[Any, Any, Any]) -> AdminPrincipal:
    """Return the admin who is calling, with what they sent: the dependency `admin`."""
    admin = admin_of(request)
    sent = {**admin.request.input, "body": _body(await request.body())}
    return replace(admin, request=replace(admin.request, input=_filled(sent)))


def came(connection: _Connection) -> Came:
    """Return what the audit trail tells of a request, without its body."""
    context = context_of(connection)
    query = {name: value[0] if len(value) == 1 else value for name, value in _query(connection)}
    return Came(
        id=context.request_id,
        method=str(connection.scope.get("method", "")),
        path=connection.scope["path"],
        address=gate_of(connection).address(connection),
        input=_filled({"query": query, "params": dict(connection.path_params)}),
    )


def _query(connection: _Connection) -> list[tuple[str, list[str]]]:
    return [(name, list(values)) for name, values in connection.query_params.dict().items()]


def _filled(parts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: part for name, part in parts.items() if part}


def _body(raw: bytes) -> object:
    try:
        return msgspec.json.decode(raw) if raw else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return UNREADABLE
