"""What the service needs for its admins, where the settings name any."""

from dataclasses import dataclass

from aiba_domain.application.pipeline import Pipeline
from aiba_domain.ports import Clock, RateLimiter, Store
from aiba_entry.http.admin.access import AdminAccess
from aiba_entry.http.admin.login import LoginDesk
from aiba_entry.observability import Metrics
from aiba_entry.passwords import DEFAULT_COST, Passwords
from aiba_entry.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminDesks:
    """Who tells admins apart and who logs them in; both None where none are configured."""

    access: AdminAccess | None
    login: LoginDesk | None
    passwords: Passwords

    async def new_hash(self, password: str) -> str:
        """Return a hash as costly as the environment's, so that no account is told by its time.

        Raises InvalidInput naming `password` for one that is no good.
        """
        return await self.passwords.make(password, self.login.cost if self.login else DEFAULT_COST)


def make_admin_desks(
    settings: Settings,
    store: Store,
    pipeline: Pipeline,
    clock: Clock,
    limiter: RateLimiter,
    metrics: Metrics,
) -> AdminDesks:
    """Return what the settings want for admins. Nothing is opened."""
    passwords = Passwords()
    if settings.admin is None:
        return AdminDesks(access=None, login=None, passwords=passwords)
    access = AdminAccess(settings.admin, store=store, pipeline=pipeline, now_ms=clock.now)
    login = LoginDesk(
        settings.admin,
        tokens=access.tokens,
        store=store,
        pipeline=pipeline,
        limiter=limiter,
        clock=clock,
        passwords=passwords,
        ruled=metrics.service.ruling,
    )
    return AdminDesks(access=access, login=login, passwords=passwords)
