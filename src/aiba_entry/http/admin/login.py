"""Logins of admins: one path for right and wrong, within limits, each on record."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from aiba_domain.administration.commands import LogIn, LoginReply
from aiba_domain.administration.lockout import WINDOW_MS
from aiba_domain.administration.model import TOO_OFTEN, AdminAccount, Origin, Request
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.decision import Principal, Refused, Role
from aiba_domain.instants import SECOND
from aiba_domain.ports import Clock, RateLimiter, Reader, Store, Verdict
from aiba_entry.admin_settings import AdminSettings, is_email, normal_email
from aiba_entry.http.admin.tokens import AdminTokens
from aiba_entry.http.errors import ApiError
from aiba_entry.passwords import Passwords, cost_of, dummy_hash
from aiba_entry.service_metrics import Ruling

BY_ADDRESS: Final = 20
"""How many attempts one address has in a window, at whatever account."""


LOCKOUT: Final = "admin-login"
"""The limit that attempts at an account are counted under in the metrics."""

NO_EMAIL: Final = "-"
"""Who is on record where no email was given: what stands in its place may be a password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """What is compared: a hash to check the password against, and what it proves if it fits."""

    password_hash: str
    origin: Origin
    proves: str | None


class LoginDesk:
    """Logs admins in.

    Whatever the email, comparing takes the same time: for an unknown or disabled account it is with
    a hash that no password fits, and for one of another cost it is made up to the highest seen.
    Whether the account was tried too often is decided after it, by the trail that all processes
    write (`administration.lockout`), so that what was compared is told to nobody then. An address
    that tries too often is turned away before all that; which accounts there are makes no
    difference to it.
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
        ruled: Callable[[str, Ruling], None],
    ) -> None:
        """Log in to the accounts of the store and the environment's.

        `ruled` is told of each attempt at an account, as limiters' rulings are counted.
        """
        self._settings = settings
        self._tokens = tokens
        self._store = store
        self._pipeline = pipeline
        self._limiter = limiter
        self._clock = clock
        self._passwords = passwords
        self._ruled = ruled
        self.cost = cost_of(settings.password_hash)

    async def log_in(self, email: str, password: str, request: Request) -> str:
        """Return the token of a new session.

        Raises ApiError or DomainError `invalid credentials`, and ApiError `rate_limited`; both are
        on record before they are raised. Raises Unavailable where the store or the limiter is, or
        too many log in at once.
        """
        email = normal_email(email)
        if not is_email(email):
            email = NO_EMAIL
        await self._admit_address(email, request)
        account = await self._account(email)
        attempt = self._attempt(email, account)
        self.cost = max(self.cost, cost_of(attempt.password_hash))
        fits = await self._passwords.match(
            password,
            attempt.password_hash,
            cost=self.cost,
            is_known=account is not None and request.address in account.addresses,
        )
        reply = await self._execute(
            email,
            request,
            LogIn(
                session_id=secrets.token_hex(16),
                lifetime_ms=self._settings.token_ttl_s * SECOND,
                origin=attempt.origin,
                credential=attempt.proves if fits else None,
            ),
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
            await self._pipeline.execute(self._who(email, request), turned_away)
        raise _too_often(verdict.retry_after_s)

    def _attempt(self, email: str, account: AdminAccount | None) -> _Attempt:
        if email == self._settings.email:
            return _Attempt(
                password_hash=self._settings.password_hash,
                origin=Origin.ENVIRONMENT,
                proves=self._settings.credential,
            )
        if account is None or account.origin is not Origin.STORE or account.disabled_at is not None:
            return _Attempt(password_hash=dummy_hash(self.cost), origin=Origin.STORE, proves=None)
        return _Attempt(
            password_hash=account.password_hash,
            origin=Origin.STORE,
            proves=account.password_hash,
        )

    async def _account(self, email: str) -> AdminAccount | None:
        async def look(read: Reader) -> AdminAccount | None:
            return await read.admin_account(email)

        return await self._store.read(look)

    async def _execute(self, email: str, request: Request, command: LogIn) -> LoginReply:
        answer = await self._pipeline.execute(self._who(email, request), command)
        outcome = answer.outcome
        is_locked = isinstance(outcome, Refused) and outcome.code == TOO_OFTEN
        self._ruled(LOCKOUT, Ruling.REFUSED if is_locked else Ruling.ALLOWED)
        if isinstance(outcome, Refused) and is_locked:
            raise _too_often(int(outcome.details["retryAfterSec"]))
        return answer.reply()

    def _who(self, email: str, request: Request) -> Principal:
        return Principal(id=email, role=Role.OPERATOR, request=replace(request, input={}))

    async def _hit(self, name: str, key: str, limit: int) -> Verdict:
        now_ms = self._clock.now()
        return await self._limiter.hit(name, key, limit=limit, window_ms=WINDOW_MS, now_ms=now_ms)


def _too_often(retry_after_s: int) -> ApiError:
    return ApiError(
        TOO_OFTEN,
        details={"retryAfterSec": retry_after_s},
        headers={"Retry-After": str(retry_after_s)},
    )
