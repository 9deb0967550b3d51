"""A canary in place of every secret, and where none of them may be heard."""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha512
from typing import Final
from urllib.parse import quote

from nacl.signing import SigningKey

from aiba_entry.passwords import hash_of
from tests.support import admins
from tests.support.watch import Watch

AWKWARD: Final = "\"\\&<%/+'"
"""What a secret may hold and each way of writing a text writes differently."""


def letters(purpose: str, count: int) -> str:
    """Return letters and digits that stand in no other text, the same for one purpose."""
    made = b64encode(sha512(f"canary: {purpose}".encode()).digest(), altchars=b"zZ").decode()
    return made[:count]


def _text(purpose: str) -> str:
    made = letters(purpose, 48)
    awkward = "".join(f"{each}{made[at * 2 : at * 2 + 2]}" for at, each in enumerate(AWKWARD))
    return f"{made[16:32]}{awkward}{made[32:]}"


def _bot_token(purpose: str) -> str:
    return f"734512:{letters(purpose, 33)}_-"


def _key(purpose: str) -> str:
    return sha512(f"canary: {purpose}".encode()).hexdigest()[:64]


def public_part(key_hex: str) -> str:
    """Return what may be told of a key; both are hex digits."""
    return bytes(SigningKey(bytes.fromhex(key_hex)).verify_key).hex()


PASSWORD: Final = letters("password", 40)
_HASH: Final = hash_of(PASSWORD, admins.CHEAP)
MONGO_WORD: Final = _text("MongoDB")
REDIS_WORD: Final = _text("Redis")

CANARIES: Final[Mapping[str, str]] = {
    "TELEGRAM_BOT_TOKEN": _bot_token("bot"),
    "TELEGRAM_BOT_TOKEN_PREVIOUS": _bot_token("bot before"),
    "SESSION_SECRET": _text("session"),
    "SESSION_SECRET_NEXT": _text("session next"),
    "SESSION_SECRET_PREVIOUS": _text("session before"),
    "BATTLE_SEED_SECRET": _text("seed"),
    "BATTLE_SEED_SECRET_NEXT": _text("seed next"),
    "BATTLE_SEED_SECRET_PREVIOUS": _text("seed before"),
    "ADMIN_JWT_SECRET": _text("admin"),
    "ADMIN_JWT_SECRET_NEXT": _text("admin next"),
    "ADMIN_JWT_SECRET_PREVIOUS": _text("admin before"),
    "ADMIN_PASSWORD_HASH": _HASH,
    "MONGO_URI": f"mongodb://aiba:{quote(MONGO_WORD, safe='')}@db1,db2,db3/aiba?replicaSet=rs",
    "REDIS_URL": f"redis://:{quote(REDIS_WORD, safe='')}@cache.example:6379/0",
    "REDIS_PASSWORD": _text("Redis beside its URL"),
    "TON_API_KEY": _text("provider"),
    "ORACLE_PRIVATE_KEY_HEX": _key("oracle"),
    "ORACLE_SIGNER_TOKEN": _text("signer"),
    "METRICS_TOKEN": _text("metrics"),
    "DOCS_TOKEN": _text("docs"),
}
"""A value of each secret of the API that no other text contains."""

SIGNER_CANARIES: Final[Mapping[str, str]] = {
    "ORACLE_PRIVATE_KEY_HEX": CANARIES["ORACLE_PRIVATE_KEY_HEX"],
    "ORACLE_SIGNER_AUDIT_KEY_HEX": _key("signer's log"),
    "ORACLE_SIGNER_AUDIT_KEY_HEX_NEXT": _key("signer's log next"),
    "ORACLE_SIGNER_AUDIT_KEY_HEX_PREVIOUS": _key("signer's log before"),
    "ORACLE_SIGNER_PKCS11_PIN": letters("PIN", 24),
    "TON_API_KEY": CANARIES["TON_API_KEY"],
}
"""A value of each secret of the signer."""

REFUSED: Final[Mapping[str, str]] = {
    "ADMIN_PASSWORD": PASSWORD,
    "ADMIN_MNEMONIC": " ".join(letters(f"word {number}", 14) for number in range(24)),
    "ADMIN_PRIVATE_KEY": _key("wallet before"),
}
"""What nothing reads, and what is told of by its name alone."""

NEW_PASSWORD: Final = letters("new password", 40)
"""What an admin chooses while the service runs."""

PROVIDER_PATH: Final = letters("provider's path", 32)
"""What some providers have in their URL in place of a key."""

LEGACY_WORD: Final = letters("MongoDB before", 32)
"""The password of the database that is imported from."""

TOLD: Final[Mapping[str, str]] = {
    **CANARIES,
    **SIGNER_CANARIES,
    **REFUSED,
    # The names of hosts may be told, the words in front of them never.
    "MONGO_URI": MONGO_WORD,
    "REDIS_URL": REDIS_WORD,
    # The prefix says how a hash was made.
    "ADMIN_PASSWORD_HASH": _HASH.rpartition("$")[2],
    "new password": NEW_PASSWORD,
    "TON_PROVIDER_URL": PROVIDER_PATH,
    "--from": LEGACY_WORD,
}
"""What must stand nowhere, by the secret that it is or is in."""

WATCH: Final = Watch(TOLD)


def heard(told: str | bytes) -> list[str]:
    """Return the secrets of which a text tells something."""
    return sorted({each.name for each in WATCH.heard(told)})
