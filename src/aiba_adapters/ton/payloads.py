"""The texts that wallets sign: made for one player, good for a short while, kept nowhere."""

import hmac
import re
from typing import Final

LIFETIME_MS: Final = 300_000
"""How long a payload can be answered, in ms."""

_VERSION: Final = "p1"
_DOMAIN: Final = b"aiba/ton-proof-payload/v1\x00"
_TAG_BYTES: Final = 16
_NONCE: Final = re.compile(r"[0-9a-f]{32}")
_MIN_KEY_BYTES: Final = 32


class PayloadRefused(Exception):  # noqa: N818 - a refusal, as the domain names its own
    """The text was not made here for this player, or its time is over."""


class ProofPayloads:
    """Makes the payloads of ton_proof under one secret key, and knows those of some others too.

    A payload is `p1.<expiry>.<nonce>.<tag>`; the tag binds it to the player. That it is used once
    is the promise of the command that it becomes the key of.
    """

    def __init__(self, key: bytes, *others: bytes) -> None:
        """Make by `key`, know by all. Raises ValueError for a key that is too short."""
        self._keys = (key, *others)
        if any(len(each) < _MIN_KEY_BYTES for each in self._keys):
            raise ValueError(f"a payload key has at least {_MIN_KEY_BYTES} bytes")

    def issue(self, player_id: str, *, nonce: str, now_ms: int) -> tuple[str, int]:
        """Return a payload and when it ends, in ms; `nonce` is 32 random hex digits."""
        if not _NONCE.fullmatch(nonce):
            raise ValueError("a nonce is 32 lower-case hex digits")
        expires_at_ms = now_ms + LIFETIME_MS
        claims = f"{_VERSION}.{expires_at_ms:x}.{nonce}"
        return f"{claims}.{_tag(self._keys[0], player_id, claims)}", expires_at_ms

    def check(self, payload: str, player_id: str, *, now_ms: int) -> None:
        """Raise PayloadRefused unless the payload was made for this player and still holds."""
        claims, _, tag = payload.rpartition(".")
        version, _, rest = claims.partition(".")
        expiry, _, nonce = rest.partition(".")
        told = tag.encode("utf-8", "surrogatepass")
        genuine = any(
            hmac.compare_digest(told, _tag(key, player_id, claims).encode()) for key in self._keys
        )
        if not genuine or version != _VERSION or not _NONCE.fullmatch(nonce):
            raise PayloadRefused("not a payload made for this player")
        if now_ms >= int(expiry, 16):
            raise PayloadRefused("the payload's time is over")


def _tag(key: bytes, player_id: str, claims: str) -> str:
    text = f"{player_id}\x00{claims}".encode("utf-8", "surrogatepass")
    return hmac.digest(key, _DOMAIN + text, "sha256")[:_TAG_BYTES].hex()
