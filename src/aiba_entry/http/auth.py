"""Who is calling: session token, Telegram launch data, or, on a developer's machine, a header."""

import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final

from aiba_adapters.sessions import SessionRefused, SessionTokens
from aiba_adapters.telegram import InitDataRefused, Problem, TelegramIdentities, TelegramIdentity
from aiba_adapters.telegram.init_data import require_age
from aiba_entry.http.errors import ApiError
from aiba_entry.http.principal import Principal

_BEARER: Final = b"bearer "
_HEADER_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_CODES: Final = {
    Problem.EXPIRED: "telegram auth expired",
    Problem.NO_USER: "telegram auth missing user id",
}
_CACHED: Final = 4096


class Authenticator:
    """Tells who is calling from a request's headers, or raises ApiError with status 401.

    Looked at in this order, and the first one present decides: `Authorization: Bearer` with a
    session token, `x-telegram-init-data`, and, with `header_identity`, `x-telegram-id` (and
    `x-telegram-username`), for which `header_default` stands in when absent. Verified launch data
    is remembered, a bounded number of them; its age is judged anew at each use.
    """

    def __init__(
        self,
        *,
        sessions: SessionTokens,
        bot_token: str,
        init_data_max_age_s: int,
        now_ms: Callable[[], int],
        header_identity: bool = False,
        header_default: str | None = None,
        previous_bot_token: str | None = None,
    ) -> None:
        """Believe `previous_bot_token` for launch data from before this moment alone.

        Telegram had revoked it before the token that took its place could be given to anyone.
        """
        self._sessions = sessions
        self._identities = TelegramIdentities(
            bot_token, previous_bot_token, ended_s=now_ms() // 1000
        )
        self._max_age_s = init_data_max_age_s
        self._now_ms = now_ms
        self._header_identity = header_identity
        self._header_default = header_default
        self._verified: OrderedDict[str, TelegramIdentity] = OrderedDict()

    def principal(self, headers: Mapping[bytes, bytes]) -> Principal:
        """Return who sent a request with these headers, their names in lower case."""
        authorization = headers.get(b"authorization")
        if authorization is not None:
            return self._by_session(authorization)
        init_data = headers.get(b"x-telegram-init-data")
        if init_data:
            identity = self.identity(_decoded(init_data))
            return Principal(player_id=identity.player_id, proof="init_data", identity=identity)
        if self._header_identity:
            return self._by_header(headers)
        raise ApiError("telegram auth required", details={"reason": Problem.MISSING})

    def identity(self, init_data: str) -> TelegramIdentity:
        """Return whom launch data proves, or raise ApiError."""
        now_s = self._now_ms() // 1000
        try:
            known = self._verified.get(init_data)
            if known is not None:
                require_age(known.auth_date, now_s=now_s, max_age_s=self._max_age_s)
                return known
            identity = self._identities.identify(init_data, now_s=now_s, max_age_s=self._max_age_s)
        except InitDataRefused as refused:
            code = _CODES.get(refused.reason, "telegram auth failed")
            raise ApiError(code, details={"reason": refused.reason}) from None
        self._verified[init_data] = identity
        if len(self._verified) > _CACHED:
            self._verified.popitem(last=False)
        return identity

    def _by_session(self, authorization: bytes) -> Principal:
        if authorization[: len(_BEARER)].lower() != _BEARER:
            raise ApiError("telegram auth failed", details={"reason": "not a Bearer token"})
        token = authorization[len(_BEARER) :].decode("latin-1").strip()
        try:
            session = self._sessions.read(token, self._now_ms())
        except SessionRefused as refused:
            code = "telegram auth expired" if refused.expired else "telegram auth failed"
            raise ApiError(code, details={"reason": str(refused)}) from None
        return Principal(
            player_id=session.player_id, proof="session", session_id=session.session_id
        )

    def _by_header(self, headers: Mapping[bytes, bytes]) -> Principal:
        player_id = _decoded(headers.get(b"x-telegram-id", b"")).strip() or self._header_default
        if player_id is None:
            raise ApiError("telegram auth required", details={"x-telegram-id": "required"})
        if not _HEADER_ID.fullmatch(player_id):
            raise ApiError("telegram auth failed", details={"x-telegram-id": "pattern"})
        username = _decoded(headers.get(b"x-telegram-username", b"")).strip() or "local"
        identity = TelegramIdentity(
            player_id=player_id,
            username=username[:64] if username.isprintable() else "local",
            first_name="",
            last_name="",
            language_code="",
            photo_url="",
            auth_date=self._now_ms() // 1000,
            digest="",
        )
        return Principal(player_id=player_id, proof="header", identity=identity)


def _decoded(header: bytes) -> str:
    try:
        return header.decode()
    except UnicodeDecodeError:
        return header.decode("latin-1")
