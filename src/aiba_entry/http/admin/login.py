"""Logins of admins: one path for right and wrong, within limits, each on record."""

import secrets
from dataclasses import dataclass, replace
from typing import Final

from aiba_domain.administration.commands import LogIn, LoginReply
from aiba_domain.administration.model import AdminAccount, Origin, Request
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.decision import Principal, Refused, Role
from aiba_domain.instants import MINUTE, SECOND
from aiba_domain.ports import Clock, RateLimiter, Reader, Store, Verdict
from aiba_entry.admin_settings import AdminSettings, normal_email
from aiba_entry.http.admin.tokens import AdminTokens
from aiba_entry.http.errors import ApiError
from aiba_entry.passwords import Passwords, cost_of, dummy_hash

WINDOW_MS: Final = 15 * MINUTE
"""How long attempts count."""

AT_ONE_ADDRESS: Final = 5
"""How many attempts at one account one address has in a window."""

AT_ONE_ACCOUNT: Final = 20
"""How many attempts at one account all addresses have that it was never logged in to from."""

BY_ADDRESS: Final = 20
"""How many attempts one address has in a window, at whatever account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """What is compared: a hash to check the password against, and what it proves if it fits."""

    password_hash: str
    origin: Origin
    proves: str | None


class LoginDesk:
    """Logs admins in.

    Whatever the email, one comparison of the same cost is made: for an unknown or disabled account,
    and for one that was tried too often, with a hash that no password fits. An address that tries
    too often is turned away before that; which accounts there are makes no difference to it.
    """

    def __init__(
        self,
        settings: AdminSettings,
        *,
        tokens: AdminTokens,
        store: Store,
        pipeline: Pipeline,
        limiter: RateLimiter,
        clock: Clock,
        passwords: Passwords,
    ) -> None:
        """Log in to the accounts of the store and the environment's."""
        self._settings = settings
        self._tokens = tokens
        self._store = store
        self._pipeline = pipeline
        self._limiter = limiter
        self._clock = clock
        self._passwords = passwords
        self.cost = cost_of(settings.password_hash)

    async def log_in(self, email: str, password: str, request: Request) -> str:
        """Return the token of a new session.

        Raises ApiError or DomainError `invalid credentials`, and ApiError `rate_limited`; both are
        on record before they are raised. Raises Unavailable where the store or the limiter is, or
        too many log in at once.
        """
        email = normal_email(email)
        await self._admit_address(email, request)
        account = await self._account(email)
        barred = await self._barred(email, account, request.address)
        attempt = self._attempt(email, account, is_barred=barred is not None)
        fits = await self._passwords.match(password, attempt.password_hash)
        reply = await self._execute(
            email,
            request,
            LogIn(
                session_id=secrets.token_hex(16),
                lifetime_ms=self._settings.token_ttl_s * SECOND,
                origin=attempt.origin,
                credential=attempt.proves if fits else None,
                too_often=barred is not None,
            ),
            barred,
        )
        return self._tokens.issue(reply.session, reply.role)

    async def _admit_address(self, email: str, request: Request) -> None:
        """Turn away an address that tries too often; once a window that is put on record."""
        verdict = await self._hit("admin-login-address", request.address, BY_ADDRESS)
        if verdict.allowed:
            return
        if (await self._hit("admin-login-noted", request.address, 1)).allowed:
            turned_away = LogIn(
                session_id="",
                lifetime_ms=0,
                origin=Origin.STORE,
                credential=None,
                too_often=True,
            )
            await self._execute(email, request, turned_away, verdict)
        raise _too_often(verdict)

    async def _barred(
        self, email: str, account: AdminAccount | None, address: str
    ) -> Verdict | None:
        """Return why the account may not be tried now.

        An address that it was logged in to from has attempts of its own, so that strangers can't
        lock its owner out.
        """
        own = await self._hit("admin-login", f"{email}:{address}", AT_ONE_ADDRESS)
        if not own.allowed:
            return own
        if account is not None and address in account.addresses:
            return None
        all_of_them = await self._hit("admin-login-account", email, AT_ONE_ACCOUNT)
        return None if all_of_them.allowed else all_of_them

    def _attempt(self, email: str, account: AdminAccount | None, *, is_barred: bool) -> _Attempt:
        nobody = _Attempt(password_hash=dummy_hash(self.cost), origin=Origin.STORE, proves=None)
        if is_barred:
            return nobody
        if email == self._settings.email:
            return _Attempt(
                password_hash=self._settings.password_hash,
                origin=Origin.ENVIRONMENT,
                proves=self._settings.credential,
            )
        if account is None or account.origin is not Origin.STORE or account.disabled_at is not None:
            return nobody
        return _Attempt(
            password_hash=account.password_hash,
            origin=Origin.STORE,
            proves=account.password_hash,
        )

    async def _account(self, email: str) -> AdminAccount | None:
        async def look(read: Reader) -> AdminAccount | None:
            return await read.admin_account(email)

        return await self._store.read(look)

    async def _execute(
        self, email: str, request: Request, command: LogIn, barred: Verdict | None
    ) -> LoginReply:
        who = Principal(id=email, role=Role.OPERATOR, request=replace(request, input={}))
        answer = await self._pipeline.execute(who, command)
        if barred is not None and isinstance(answer.outcome, Refused):
            raise _too_often(barred)
        return answer.reply()

    async def _hit(self, name: str, key: str, limit: int) -> Verdict:
        now_ms = self._clock.now()
        return await self._limiter.hit(name, key, limit=limit, window_ms=WINDOW_MS, now_ms=now_ms)


def _too_often(verdict: Verdict) -> ApiError:
    return ApiError(
        "rate_limited",
        details={"retryAfterSec": verdict.retry_after_s},
        headers={"Retry-After": str(verdict.retry_after_s)},
    )
