"""From who is calling to whom the core acts for."""

from typing import Any

from litestar import Request

from aiba_adapters.telegram import TelegramIdentity
from aiba_domain.decision import Principal
from aiba_domain.players.model import Profile
from aiba_entry.http.context import context_of
from aiba_entry.http.limits import principal_of

IDEMPOTENCY_HEADER = b"idempotency-key"


def profile_of(identity: TelegramIdentity) -> Profile:
    """Return what Telegram says of a player as the core keeps it."""
    return Profile(
        username=identity.username,
        first_name=identity.first_name,
        last_name=identity.last_name,
        language_code=identity.language_code,
        photo_url=identity.photo_url,
    )


def acting(request: Request[Any, Any, Any]) -> Principal:
    """Return the core's principal for the proven caller of a request."""
    caller = principal_of(request)
    profile = profile_of(caller.identity) if caller.identity else None
    return Principal(id=caller.player_id, profile=profile)


def key_of(request: Request[Any, Any, Any], request_id: str | None) -> str | None:
    """Return the idempotency key the caller sent: in the body, else in `Idempotency-Key`.

    The trace id of `X-Request-Id` is never one: a gateway may give a whole page the same.
    """
    if request_id is not None:
        return request_id
    header = context_of(request).headers.get(IDEMPOTENCY_HEADER)
    return header.decode("latin-1") if header else None
