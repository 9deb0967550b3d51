"""What the service needs for its admins, where the settings name any."""

from aiba_domain.application.pipeline import Pipeline
from aiba_domain.ports import Clock, Store
from aiba_entry.http.admin.access import AdminAccess
from aiba_entry.settings import Settings


def make_admin_access(
    settings: Settings, store: Store, pipeline: Pipeline, clock: Clock
) -> AdminAccess | None:
    """Return who tells admins apart, None where there are none."""
    if settings.admin is None:
        return None
    return AdminAccess(settings.admin, store=store, pipeline=pipeline, now_ms=clock.now)
