"""A canary in place of every secret, and what is looked for where none may sing."""

import base64
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from aiba_entry.passwords import hash_of
from tests.support import admins

LEAST: Final = 8
"""The shortest piece of a secret that counts as told, in characters."""

PASSWORD: Final = "canary-password-4f81c09be2d7"
_HASH: Final = hash_of(PASSWORD, admins.CHEAP)
_MONGO: Final = "canary-mongo-word-c58e1f"
_REDIS: Final = "canary-redis-word-09d4ba"

CANARIES: Final[Mapping[str, str]] = {
    "TELEGRAM_BOT_TOKEN": "734512:CANARY-bot-token_0a1b2c3d4e5f6071",
    "TELEGRAM_BOT_TOKEN_PREVIOUS": "734512:CANARY-bot-before_8293a4b5c6d7e8f9",
    "SESSION_SECRET": "canary-session-b7c1e94d20f86a35-Qz7Kd2Vw",
    "SESSION_SECRET_NEXT": "canary-session-next-6d02f8a91b3c7e54-Qz7Kd2Vw",
    "SESSION_SECRET_PREVIOUS": "canary-session-older-f19e7c30a8b5d264-Qz7Kd2Vw",
    "BATTLE_SEED_SECRET": "canary-seed-root-2e9b60d7f4a1c853-Qz7Kd2Vw",
    "BATTLE_SEED_SECRET_NEXT": "canary-seed-next-a4d83f0e96c1b752-Qz7Kd2Vw",
    "BATTLE_SEED_SECRET_PREVIOUS": "canary-seed-older-70c5e2b9d16f8a34-Qz7Kd2Vw",
    "ADMIN_JWT_SECRET": "canary-jwt-81f6a3c0e5d294b7-and-more-for-sha-512-Qz7Kd2Vw",
    "ADMIN_JWT_SECRET_NEXT": "canary-jwt-next-d9407be2c61f58a3-and-more-Qz7Kd2Vw",
    "ADMIN_JWT_SECRET_PREVIOUS": "canary-jwt-older-3a8ec5f07d92b461-and-more-Qz7Kd2Vw",
    "ADMIN_PASSWORD_HASH": _HASH,
    "MONGO_URI": f"mongodb://aiba:{_MONGO}@db1,db2,db3/aiba?replicaSet=rs",
    "REDIS_URL": f"redis://:{_REDIS}@cache.example:6379/0",
    "REDIS_PASSWORD": "canary-redis-password-b64e02",
    "TON_API_KEY": "canary-provider-key-5fd1c7e8",
    "ORACLE_PRIVATE_KEY_HEX": "c7" * 8 + "5a91e3f0" * 6,
    "ORACLE_SIGNER_TOKEN": "canary-signer-token-e6a17c04d8f3-Qz7Kd2Vw",
    "METRICS_TOKEN": "canary-metrics-token-93b05de7f1c8-Qz7Kd2Vw",
    "DOCS_TOKEN": "canary-docs-token-1ec4870fa9d3-Qz7Kd2Vw",
}
"""A value of each secret of the API that no other text contains."""

TOLD: Final[Mapping[str, str]] = {
    **CANARIES,
    # The names of hosts may be told, the words in front of them never.
    "MONGO_URI": _MONGO,
    "REDIS_URL": _REDIS,
    # The prefix says how a hash was made.
    "ADMIN_PASSWORD_HASH": _HASH.rpartition("$")[2],
    "password": PASSWORD,
}
"""What must stand nowhere, by the secret that it is or is in."""


def disguises(secret: str) -> set[str]:
    """Return a secret as it might be told: plain, encoded, turned round; and its two halves."""
    raw = secret.encode()
    half = max(LEAST, len(secret) // 2)
    return {
        secret,
        secret[:half],
        secret[-half:],
        secret[::-1],
        raw.hex(),
        quote(secret, safe=""),
        # Without its end, which depends on what follows.
        base64.b64encode(raw).decode()[: len(raw) // 3 * 4],
        base64.urlsafe_b64encode(raw).decode()[: len(raw) // 3 * 4],
    }


_SONGS: Final = {name: disguises(secret) for name, secret in TOLD.items()}


def heard(text: str | bytes) -> list[str]:
    """Return the secrets of which a text tells something."""
    shown = text.decode("latin-1") if isinstance(text, bytes) else text
    lowered = shown.lower()
    return [
        name
        for name, songs in _SONGS.items()
        if any(song in shown or song.lower() in lowered for song in songs)
    ]
