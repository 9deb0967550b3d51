"""The routes of admins themselves: logins, accounts, and the audit trail."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from litestar import Controller, Request, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.types import ControllerRouterHandler

from aiba_domain.administration.account_commands import (
    AccountReply,
    AddAdmin,
    ChangeAdmin,
    ResetPassword,
    RevokeTokens,
)
from aiba_domain.administration.commands import LogOut
from aiba_domain.administration.model import AdminRole, AuditFilter
from aiba_domain.application.admin_records import AdminRecords
from aiba_domain.application.pipeline import Answer, Pipeline
from aiba_domain.errors import DomainError
from aiba_entry.admin_settings import is_email, normal_email
from aiba_entry.admins import AdminDesks
from aiba_entry.http.admin.bodies import (
    AccountBody,
    AccountOut,
    AuditPageOut,
    ChangeBody,
    LoginBody,
    MeOut,
    PasswordBody,
    RevokedOut,
    TokenOut,
    account_json,
    audit_json,
)
from aiba_entry.http.admin.guard import admin_access_of, came, superadmin, viewer
from aiba_entry.http.admin.principal import AdminPrincipal
from aiba_entry.http.context import context_of
from aiba_entry.http.envelope import Reply, data_reply, documented
from aiba_entry.http.errors import ApiError, InvalidRequest
from aiba_entry.http.limits import allow_anyone
from aiba_entry.http.validation import query_text

_Request = Request[Any, Any, Any]
_MILLISECONDS: Final = re.compile(r"[0-9]{1,15}")
_SECURED: Final[list[dict[str, list[str]]]] = [{"admin": []}, {"adminToken": []}]

_Email = Annotated[str | None, QueryParameter(name="adminEmail", max_length=200)]
_Path = Annotated[str | None, QueryParameter(max_length=500)]
_From = Annotated[str | None, QueryParameter(name="from", max_length=50)]
_To = Annotated[str | None, QueryParameter(name="to", max_length=50)]
_Limit = Annotated[int, QueryParameter(ge=1, le=200)]
_Offset = Annotated[int, QueryParameter(ge=0, le=10_000)]


class AdminAuth(Controller):
    """Logins."""

    path = "/api/admin/auth"
    tags = ("admin",)

    @post(
        "/login",
        guards=[allow_anyone],
        status_code=200,
        responses=documented(TokenOut, 400, 401, 413, 429, 503),
        operation_id="adminLogIn",
        security=[{}],
    )
    async def log_in(
        self, data: JSONBody[LoginBody], request: _Request, desks: NamedDependency[AdminDesks]
    ) -> Reply:
        """Log an admin in. Every attempt is on record, and counted by account and by address."""
        if desks.login is None:
            raise ApiError("admin auth not configured")
        token = await desks.login.log_in(data.email, data.password, came(request))
        return data_reply(TokenOut(token=token), context_of(request).request_id)

    @post(
        "/logout",
        guards=[viewer],
        status_code=200,
        responses=documented(RevokedOut, 401, 403, 429, 503),
        operation_id="adminLogOut",
        security=_SECURED,
    )
    async def log_out(
        self,
        request: _Request,
        admin: NamedDependency[AdminPrincipal],
        pipeline: NamedDependency[Pipeline],
    ) -> Reply:
        """Revoke the token that this is called with."""
        answer = await pipeline.execute(admin.acting, LogOut(session_id=admin.token_id))
        answer.reply()
        return data_reply(RevokedOut(revoked=True), context_of(request).request_id)

    @get(
        "/me",
        guards=[viewer],
        responses=documented(MeOut, 401, 403, 429, 503),
        operation_id="adminMe",
        security=_SECURED,
    )
    async def me(self, request: _Request, admin: NamedDependency[AdminPrincipal]) -> Reply:
        """Tell who is calling."""
        out = MeOut(email=admin.email, role=admin.role.value)
        return data_reply(out, context_of(request).request_id)


class AdminAccounts(Controller):
    """Admins' accounts, for superadmins."""

    path = "/api/admin/accounts"
    tags = ("admin",)
    guards = (superadmin,)
    security = _SECURED

    @get(
        "/",
        responses=documented(list[AccountOut], 401, 403, 429, 503),
        operation_id="listAdmins",
    )
    async def list_all(self, request: _Request, admins: NamedDependency[AdminRecords]) -> Reply:
        """List the accounts; the environment's is there once it has logged in."""
        accounts = [account_json(account) for account in await admins.accounts()]
        return data_reply(accounts, context_of(request).request_id)

    @post(
        "/",
        status_code=201,
        responses=documented(AccountOut, 400, 401, 403, 409, 413, 429, 503, status=201),
        operation_id="addAdmin",
    )
    async def add(
        self,
        data: JSONBody[AccountBody],
        request: _Request,
        admin: NamedDependency[AdminPrincipal],
        desks: NamedDependency[AdminDesks],
        pipeline: NamedDependency[Pipeline],
    ) -> Reply:
        """Make an account of an admin."""
        email = normal_email(data.email)
        if not is_email(email):
            raise InvalidRequest({"email": "pattern"})
        if email == admin_access_of(request).settings.email:
            raise DomainError("admin already exists")
        command = AddAdmin(
            email=email,
            role=AdminRole(data.role),
            password_hash=await desks.new_hash(data.password),
        )
        return _told(await pipeline.execute(admin.acting, command), request, 201)

    @patch(
        "/{email:str}",
        responses=documented(AccountOut, 400, 401, 403, 404, 413, 429, 503),
        operation_id="changeAdmin",
    )
    async def change(
        self,
        email: FromPath[str],
        data: JSONBody[ChangeBody],
        request: _Request,
        admin: NamedDependency[AdminPrincipal],
        pipeline: NamedDependency[Pipeline],
    ) -> Reply:
        """Change an account's role, disable it, or let it in again. Disabling ends its tokens."""
        command = ChangeAdmin(
            email=normal_email(email),
            role=None if data.role is None else AdminRole(data.role),
            disabled=data.disabled,
        )
        return _told(await pipeline.execute(admin.acting, command), request)

    @post(
        "/{email:str}/password",
        status_code=200,
        responses=documented(AccountOut, 400, 401, 403, 404, 413, 429, 503),
        operation_id="resetAdminPassword",
    )
    async def reset_password(
        self,
        email: FromPath[str],
        data: JSONBody[PasswordBody],
        request: _Request,
        admin: NamedDependency[AdminPrincipal],
        desks: NamedDependency[AdminDesks],
        pipeline: NamedDependency[Pipeline],
    ) -> Reply:
        """Give an account another password, which ends its tokens."""
        command = ResetPassword(
            email=normal_email(email), password_hash=await desks.new_hash(data.password)
        )
        return _told(await pipeline.execute(admin.acting, command), request)

    @post(
        "/{email:str}/revoke",
        status_code=200,
        responses=documented(AccountOut, 400, 401, 403, 404, 429, 503),
        operation_id="revokeAdminTokens",
    )
    async def revoke(
        self,
        email: FromPath[str],
        request: _Request,
        admin: NamedDependency[AdminPrincipal],
        pipeline: NamedDependency[Pipeline],
    ) -> Reply:
        """End all tokens of an account, one's own and the environment's too."""
        command = RevokeTokens(email=normal_email(email))
        return _told(await pipeline.execute(admin.acting, command), request)


class AdminAudit(Controller):
    """The audit trail."""

    path = "/api/admin/audit"
    tags = ("admin",)

    @get(
        "/",
        guards=[viewer],
        responses=documented(AuditPageOut, 400, 401, 403, 429, 503),
        operation_id="listAudit",
        security=_SECURED,
    )
    async def list_rows(
        self,
        request: _Request,
        admins: NamedDependency[AdminRecords],
        admin_email: _Email = None,
        path: _Path = None,
        since: _From = None,
        until: _To = None,
        limit: _Limit = 50,
        offset: _Offset = 0,
    ) -> Reply:
        """List the trail, newest first.

        `adminEmail` and `path` are parts of a text in any case, never patterns; `from` and `to`
        are ISO-8601 or milliseconds.
        """
        wanted = AuditFilter(
            email=query_text(admin_email, "adminEmail") or "",
            path=query_text(path, "path") or "",
            since=_instant(since, "from"),
            until=_instant(until, "to"),
        )
        page = await admins.audit(wanted, offset=offset, limit=limit)
        out = AuditPageOut(
            items=[audit_json(row) for row in page.rows],
            total=page.total,
            limit=limit,
            offset=offset,
        )
        return data_reply(out, context_of(request).request_id)


ADMIN_ROUTES: tuple[ControllerRouterHandler, ...] = (AdminAuth, AdminAccounts, AdminAudit)
"""The routes of admins themselves."""


def _told(answer: Answer[AccountReply], request: _Request, status: int = 200) -> Reply:
    account = account_json(answer.reply().account)
    return data_reply(account, context_of(request).request_id, status)


def _instant(text: str | None, field: str) -> int | None:
    """Read an instant in ms, or raise InvalidRequest naming the field."""
    text = query_text(text, field)
    if text is None:
        return None
    if _MILLISECONDS.fullmatch(text):
        return int(text)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequest({field: "date"}) from None
    return int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
