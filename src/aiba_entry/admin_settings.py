"""The part of the settings that says who the first admin is, and what admins' tokens are made with.

All of it or nothing: without it the routes of admins answer that they aren't configured.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

_HASH: Final = re.compile(r"\$2[aby]\$(?P<cost>[0-9]{2})\$[./A-Za-z0-9]{53}")
_EMAIL: Final = re.compile(r"[^@\s\x00-\x1f:;,<>()\[\]\\\"]{1,100}@[\w.-]{1,99}")
_OTHERS: Final = ("ADMIN_JWT_SECRET_NEXT", "ADMIN_JWT_SECRET_PREVIOUS")
_MIN_COST: Final = 10
_MAX_COST: Final = 16

Fault = Callable[[str, str], None]
Get = Callable[[str], str | None]
Judge = Callable[[str], str | None]
"""Says what is wrong with a value, None if nothing is."""
Integer = Callable[[str, int, int, int], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminSettings:
    """The first superadmin, and the secrets of admins' tokens. Its repr shows none of it.

    Tokens are made with `jwt_secret`; those made with one of `other_jwt_secrets`, the next one and
    the one before, are good until they end, so that the secret can be changed without logging
    anybody out. `email` is in lower case.
    """

    jwt_secret: str
    email: str
    password_hash: str
    other_jwt_secrets: tuple[str, ...] = ()
    token_ttl_s: int = 43_200

    @property
    def secrets(self) -> tuple[str, ...]:
        """Return every secret value, for whoever must keep them out of a text."""
        return (self.jwt_secret, self.password_hash, *self.other_jwt_secrets)

    @property
    def credential(self) -> str:
        """Return what tells this password of the environment's account from any other."""
        return sha256(b"aiba admin credential\0" + self.password_hash.encode()).hexdigest()

    def __repr__(self) -> str:
        return "AdminSettings([hidden])"


def load_admin(
    secret: Get, get: Get, fault: Fault, *, integer: Integer, secret_fault: Judge, strict: bool
) -> AdminSettings | None:
    """Return what the environment says of admins, None where it says nothing.

    `secret` reads a variable that may be a file's name, `get` any other; what is wrong is told to
    `fault` without the value. `strict` is for production, which refuses a cheap hash.
    """
    others = {name: text for name in _OTHERS if (text := secret(name)) is not None}
    ttl_s = integer("ADMIN_TOKEN_TTL_SECONDS", 43_200, 60, 7 * 86_400)
    if secret("ADMIN_PASSWORD") is not None:
        fault(
            "ADMIN_PASSWORD", "is never read: give ADMIN_PASSWORD_HASH (aiba admin hash-password)"
        )
    judges: dict[str, Judge] = {
        "ADMIN_JWT_SECRET": secret_fault,
        "ADMIN_EMAIL": _email_fault,
        "ADMIN_PASSWORD_HASH": lambda text: hash_fault(text, strict=strict),
    }
    given = {name: (get if name == "ADMIN_EMAIL" else secret)(name) for name in judges}
    if not any(given.values()):
        for name in others:
            fault(name, "means nothing without ADMIN_JWT_SECRET")
        return None
    for name, value in given.items():
        if value is None:
            fault(name, f"is required with the others of {', '.join(judges)}")
        elif text := judges[name](value):
            fault(name, text)
    for name, other in others.items():
        if text := _other_fault(other, given, secret_fault):
            fault(name, text)
    return AdminSettings(
        jwt_secret=given["ADMIN_JWT_SECRET"] or "",
        other_jwt_secrets=tuple(others.values()),
        email=normal_email(given["ADMIN_EMAIL"] or ""),
        password_hash=given["ADMIN_PASSWORD_HASH"] or "",
        token_ttl_s=ttl_s,
    )


def _email_fault(text: str) -> str | None:
    return None if is_email(text) else "must be an email address of up to 200 characters"


def _other_fault(other: str, given: Mapping[str, str | None], secret_fault: Judge) -> str | None:
    if other == given["ADMIN_JWT_SECRET"]:
        return "must differ from ADMIN_JWT_SECRET"
    return secret_fault(other)


def hash_fault(text: str, *, strict: bool) -> str | None:
    """Return what is wrong with a bcrypt hash, None if nothing is."""
    found = _HASH.fullmatch(text)
    if found is None:
        return "must be a bcrypt hash (aiba admin hash-password)"
    cost = int(found["cost"])
    if cost > _MAX_COST:
        return f"must have a cost of at most {_MAX_COST}, or a login takes minutes"
    if strict and cost < _MIN_COST:
        return f"must have a cost of at least {_MIN_COST} in prod"
    return None


def is_email(text: str) -> bool:
    """Tell whether a text can be an admin's email."""
    return _EMAIL.fullmatch(text) is not None


def normal_email(text: str) -> str:
    """Return an email in the form that accounts are kept under."""
    return text.strip().lower()
