"""Session tokens: short texts that say who is playing, without a store to look them up in."""

import hmac
import re
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from typing import Final

from aiba_domain.players.ports import NotProven

MIN_KEY_BYTES: Final = 32
"""The shortest key, in bytes."""

MAX_TOKEN_LENGTH: Final = 256
"""The longest token, in characters."""

_VERSION: Final = "v1"
# Keeps a tag made here from meaning anything where the same key signs something else.
_DOMAIN: Final = b"aiba/session/v1\x00"
_TAG_BYTES: Final = 16
_PART: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
_MAX_INSTANT: Final = 2**53


class SessionRefused(NotProven):
    """The token proves nothing; `expired` tells a genuine one whose time is over."""

    def __init__(self, *, expired: bool = False) -> None:
        super().__init__("session token expired" if expired else "session token not genuine")
        self.expired = expired


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a genuine token says; `expires_at_ms` is in ms since the Unix epoch, UTC."""

    player_id: str
    session_id: str
    expires_at_ms: int


class SessionTokens:
    """Issues session tokens under one secret key, and reads those of it and of some others.

    A token is `v1.<player>.<session>.<expiry>.<tag>`; the tag is an HMAC-SHA256 of the rest, cut
    to 128 bits. One token has one spelling: its text is what is compared, in constant time.
    """

    def __init__(self, key: bytes, *others: bytes) -> None:
        """Issue by `key`; read by all. Raises ValueError for a key that is too short."""
        self._keys = (key, *others)
        if any(len(each) < MIN_KEY_BYTES for each in self._keys):
            raise ValueError(f"a session key has at least {MIN_KEY_BYTES} bytes")

    def issue(self, player_id: str, session_id: str, expires_at_ms: int) -> str:
        """Return the token of a session; ids have 1 to 64 of `A-Z a-z 0-9 _ -`."""
        if not (_PART.fullmatch(player_id) and _PART.fullmatch(session_id)):
            raise ValueError("an id in a session token has 1 to 64 of A-Z a-z 0-9 _ -")
        if not 0 <= expires_at_ms < _MAX_INSTANT:
            raise ValueError("expires_at_ms is not an instant")
        claims = f"{_VERSION}.{player_id}.{session_id}.{expires_at_ms:x}"
        return f"{claims}.{_tag(self._keys[0], claims)}"

    def read(self, token: str, now_ms: int) -> Session:
        """Return what a genuine token says, or raise SessionRefused; it ends at its expiry."""
        if len(token) > MAX_TOKEN_LENGTH or not token.isascii():
            raise SessionRefused
        claims, _, tag = token.rpartition(".")
        if not any(hmac.compare_digest(_tag(key, claims), tag) for key in self._keys):
            raise SessionRefused
        version, player_id, session_id, expiry = claims.split(".")
        if version != _VERSION:
            raise SessionRefused
        expires_at_ms = int(expiry, 16)
        if now_ms >= expires_at_ms:
            raise SessionRefused(expired=True)
        return Session(player_id=player_id, session_id=session_id, expires_at_ms=expires_at_ms)


def _tag(key: bytes, claims: str) -> str:
    digest = hmac.digest(key, _DOMAIN + claims.encode(), "sha256")
    return urlsafe_b64encode(digest[:_TAG_BYTES]).rstrip(b"=").decode()
