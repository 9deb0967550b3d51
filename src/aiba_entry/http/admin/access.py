"""Who of the admins is calling: their token, its session and their account, looked up each time."""

from collections.abc import Callable, Mapping
from typing import Final

from aiba_domain.administration.commands import Deny
from aiba_domain.administration.model import (
    AdminAccount,
    AdminRole,
    AdminSession,
    Origin,
    Request,
)
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.ports import Reader, Store
from aiba_entry.admin_settings import AdminSettings
from aiba_entry.http.admin.principal import AdminPrincipal
from aiba_entry.http.admin.tokens import AdminClaims, AdminTokens, TokenRefused
from aiba_entry.http.errors import ApiError

_BEARER: Final = b"bearer "


class AdminAccess:
    """Tells which admin is calling, or raises ApiError with status 401.

    Session and account are read from the store at every call, so that a revoked token, a disabled
    account and a new role count at once, in every process.
    """

    def __init__(
        self,
        settings: AdminSettings,
        *,
        store: Store,
        pipeline: Pipeline,
        now_ms: Callable[[], int],
    ) -> None:
        """Trust the settings' secrets and its first superadmin."""
        self.settings = settings
        self.tokens = AdminTokens(settings.jwt_secret, *settings.other_jwt_secrets)
        self._store = store
        self._pipeline = pipeline
        self._now_ms = now_ms

    async def principal(self, headers: Mapping[bytes, bytes], request: Request) -> AdminPrincipal:
        """Return who sent a request with these headers, their names in lower case."""
        token = _token_of(headers)
        if not token:
            raise ApiError("admin auth required")
        try:
            claims = self.tokens.read(token, self._now_ms())
        except TokenRefused:
            raise ApiError("invalid admin token") from None
        session, account = await self._look_up(claims)
        if session is None or account is None or not self._is_good(session, account):
            raise ApiError("invalid admin token")
        return AdminPrincipal(
            email=account.email,
            role=account.role,
            token_id=session.id,
            request=Request(
                id=request.id,
                method=request.method,
                path=request.path,
                address=request.address,
                role=account.role,
                token_id=session.id,
                input=request.input,
            ),
        )

    async def refuse(self, admin: AdminPrincipal, needed: AdminRole) -> None:
        """Refuse an admin for want of a role, and keep that on record. Raises DomainError."""
        (await self._pipeline.execute(admin.acting, Deny(needed=needed))).reply()

    async def _look_up(
        self, claims: AdminClaims
    ) -> tuple[AdminSession | None, AdminAccount | None]:
        async def look(read: Reader) -> tuple[AdminSession | None, AdminAccount | None]:
            session = await read.admin_session(claims.session_id)
            if session is None or session.email != claims.email:
                return None, None
            return session, await read.admin_account(session.email)

        return await self._store.read(look)

    def _is_good(self, session: AdminSession, account: AdminAccount) -> bool:
        if session.revoked_at is not None or self._now_ms() >= session.expires_at:
            return False
        if session.generation != account.generation or account.disabled_at is not None:
            return False
        if account.origin is Origin.STORE:
            return account.email != self.settings.email
        # Another password or another email in the environment ends what the old ones began.
        mine = (self.settings.email, self.settings.credential)
        return (account.email, account.credential) == mine


def _token_of(headers: Mapping[bytes, bytes]) -> str:
    """Return the token of `Authorization: Bearer`, else that of `x-admin-token`."""
    authorization = headers.get(b"authorization", b"")
    if authorization[: len(_BEARER)].lower() == _BEARER:
        found = authorization[len(_BEARER) :]
    else:
        found = headers.get(b"x-admin-token", b"")
    return found.decode("latin-1").strip()
