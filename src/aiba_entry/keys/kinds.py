"""What secrets there are: how each is made, and how one takes another's place."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from nacl.signing import SigningKey

from aiba_entry.keys.places import API, SIGNER, Program
from aiba_entry.overlap import NEXT, PREVIOUS

_BYTES: Final = 32


class Change(StrEnum):
    """How one secret takes another's place."""

    ROLLED = "rolled"
    """Announced to every process, then used by every process, then the one before goes."""
    TWO_ENDS = "two ends"
    """The other end knows both meanwhile, so this end changes from one to the other."""
    AT_ONCE = "at once"
    """The new one comes into use as it is put there; the one before is kept for the way back."""
    HANDED_OVER = "handed over"
    """As at once, but the one before, or the newer on the way back, has to agree meanwhile."""
    ELSEWHERE = "elsewhere"
    """By more than a file: a document tells how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One secret: `make` returns a new value, None where somebody else gives it, as `origin` says.

    `believed` tells whether processes read a `_PREVIOUS` of it, and `program` which processes they
    are. `over` says when the one before is of no use any more, `doc` which document tells of its
    change.
    """

    name: str
    origin: str
    change: Change
    make: Callable[[], str] | None = None
    believed: bool = False
    program: Program = API
    over: str = "everything that uses it has the new one"
    doc: str = "docs/runbook/rotate-secrets.md"

    @property
    def beside(self) -> tuple[str, ...]:
        """Return the variables that processes read beside it."""
        after = (NEXT,) if self.change in (Change.ROLLED, Change.HANDED_OVER) else ()
        before = (PREVIOUS,) if self.believed else ()
        return tuple(self.name + ending for ending in (*after, *before))


def _random() -> str:
    return secrets.token_hex(_BYTES)


def _token() -> str:
    return secrets.token_urlsafe(_BYTES)


def _signing_key() -> str:
    return bytes(SigningKey.generate()).hex()


def public_part(key_hex: str) -> str:
    """Return the public part of a signing key; both are 64 hex digits."""
    return bytes(SigningKey(bytes.fromhex(key_hex)).verify_key).hex()


_KINDS: Final = (
    Kind(
        name="SESSION_SECRET",
        origin="made here",
        make=_random,
        change=Change.ROLLED,
        believed=True,
        over="SESSION_TTL_SECONDS have gone by",
    ),
    Kind(
        name="BATTLE_SEED_SECRET",
        origin="made here",
        make=_random,
        change=Change.ROLLED,
        believed=True,
        over="the open seed epoch is one of the new root (aiba seed rotate)",
    ),
    Kind(
        name="ADMIN_JWT_SECRET",
        origin="made here",
        make=_random,
        change=Change.ROLLED,
        believed=True,
        over="ADMIN_TOKEN_TTL_SECONDS have gone by",
    ),
    Kind(name="METRICS_TOKEN", origin="made here", make=_token, change=Change.AT_ONCE),
    Kind(name="DOCS_TOKEN", origin="made here", make=_token, change=Change.AT_ONCE),
    Kind(
        name="TELEGRAM_BOT_TOKEN",
        origin="BotFather gives it: /newbot, later /revoke",
        change=Change.AT_ONCE,
        believed=True,
        over="TELEGRAM_INITDATA_MAX_AGE_SECONDS have gone by",
    ),
    Kind(
        name="ADMIN_PASSWORD_HASH",
        origin="aiba admin hash-password",
        change=Change.ELSEWHERE,
        doc="docs/admin.md",
    ),
    Kind(
        name="ORACLE_SIGNER_TOKEN",
        origin="made here, and known to the signer by its hash",
        make=_token,
        change=Change.TWO_ENDS,
        over="no API process uses it",
    ),
    Kind(
        name="ORACLE_PRIVATE_KEY_HEX",
        origin="made here, for the signer alone",
        make=_signing_key,
        change=Change.ELSEWHERE,
        program=SIGNER,
        doc="docs/runbook/rotate-oracle-key.md",
    ),
    Kind(
        name="ORACLE_SIGNER_AUDIT_KEY_HEX",
        origin="made here, for the signer alone",
        make=_signing_key,
        change=Change.HANDED_OVER,
        believed=True,
        program=SIGNER,
        over="aiba signer status shows the new one as logKey",
    ),
    Kind(name="REDIS_PASSWORD", origin="made here", make=_token, change=Change.ELSEWHERE),
    Kind(name="REDIS_URL", origin="whoever runs Redis", change=Change.ELSEWHERE),
    Kind(name="MONGO_URI", origin="whoever runs MongoDB", change=Change.ELSEWHERE),
    Kind(name="TON_API_KEY", origin="the TON provider", change=Change.ELSEWHERE),
    Kind(
        name="ORACLE_SIGNER_PKCS11_PIN",
        origin="whoever set the token up",
        change=Change.ELSEWHERE,
        program=SIGNER,
        doc="docs/signer.md",
    ),
)

KINDS: Final[Mapping[str, Kind]] = MappingProxyType({kind.name: kind for kind in _KINDS})
"""Every secret that stands for itself, of the API and of the signer."""

OWN: Final = tuple(
    kind for kind in _KINDS if kind.make and kind.change in (Change.ROLLED, Change.AT_ONCE)
)
"""What an API makes for itself and shares with nobody but whoever reads its pages."""

GIVEN: Final = (KINDS["TELEGRAM_BOT_TOKEN"], KINDS["ADMIN_PASSWORD_HASH"])
"""What production needs beside that, and can't be made here."""
