"""Admins' tokens: JWTs under HS256 and no other algorithm, by a secret that can be changed."""

import hmac
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import jwt

from aiba_domain.administration.model import AdminRole, AdminSession
from aiba_domain.instants import SECOND

_ALGORITHM: Final = "HS256"
_CLAIMS: Final = ["role", "sub", "iat", "exp", "jti"]
_LONGEST: Final = 4_096


class TokenRefused(Exception):  # noqa: N818 - named for what was done with it
    """A text is no token of ours, or one whose time is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminClaims:
    """What a good token says: whose it is, and the session it names."""

    email: str
    session_id: str


class AdminTokens:
    """Makes tokens with one secret, and reads those of it and of some others.

    A token's `kid` names its secret by a digest that tells nothing of it.
    """

    def __init__(self, secret: str, *others: str) -> None:
        """Issue by `secret`; read by all."""
        self._secret = secret
        self._kid = key_id(secret)
        self._secrets = {key_id(each): each for each in (secret, *others)}

    def issue(self, session: AdminSession, role: AdminRole) -> str:
        """Return the token of a session. The role in it is for the panel: ours is looked up."""
        claims = {
            "role": role.value,
            "sub": session.email,
            "iat": session.issued_at // SECOND,
            "exp": session.expires_at // SECOND,
            "jti": session.id,
        }
        return jwt.encode(claims, self._secret, algorithm=_ALGORITHM, headers={"kid": self._kid})

    def read(self, token: str, now_ms: int) -> AdminClaims:
        """Return what a token says. Raises TokenRefused for any that isn't good at `now_ms`."""
        if len(token) > _LONGEST:
            raise TokenRefused
        try:
            kid = jwt.get_unverified_header(token).get("kid")
            secret = self._secrets.get(kid) if isinstance(kid, str) else None
            if secret is None:
                raise TokenRefused
            # Times are judged here, by the service's own clock.
            claims = jwt.decode(
                token,
                secret,
                algorithms=[_ALGORITHM],
                options={"require": _CLAIMS, "verify_exp": False, "verify_iat": False},
            )
        except (jwt.InvalidTokenError, ValueError, TypeError, RecursionError):
            raise TokenRefused from None
        email, session_id, ends = claims["sub"], claims["jti"], claims["exp"]
        if not isinstance(ends, int) or now_ms // SECOND >= ends:
            raise TokenRefused
        return AdminClaims(email=str(email), session_id=str(session_id))


def key_id(secret: str) -> str:
    """Return the public name of a secret."""
    return hmac.new(secret.encode(), b"aiba admin jwt kid", sha256).hexdigest()[:16]
