"""Keys of an isolated signer: in this process, from file or environment."""

from collections.abc import Callable, Mapping
from typing import Final

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from aiba_adapters.signing.local import oracle_key


class ProcessKey:
    """A key whose seed is in this process, made ready once. It shows itself nowhere."""

    __slots__ = ("_key", "_public_key")

    def __init__(self, key: SigningKey) -> None:
        """Take over a ready key."""
        self._key = key
        self._public_key = bytes(key.verify_key)

    @property
    def public_key(self) -> bytes:
        """The 32 bytes by which the vault knows it."""
        return self._public_key

    async def sign(self, payload_hash: bytes) -> bytes:
        """Return the 64 bytes of the signature over a cell's hash."""
        return self._key.sign(payload_hash).signature

    def __repr__(self) -> str:
        return f"ProcessKey(public_key={self._public_key.hex()})"

    def __reduce__(self) -> str:
        raise TypeError("a key stays in its process")


def process_key(environ: Mapping[str, str]) -> ProcessKey:
    """Return the key that `ORACLE_PRIVATE_KEY_HEX`, or the file named by its `_FILE`, holds.

    Raises OracleKeyUnusable, which shows no part of it.
    """
    return ProcessKey(oracle_key(environ))


def is_signed(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Tell whether a key of 32 bytes has made a signature over a message."""
    return verifier(public_key)(message, signature)


def verifier(public_key: bytes) -> Callable[[bytes, bytes], bool]:
    """Return what tells whether a signature over a message (message, signature) is by a key."""
    key: Final = VerifyKey(public_key)

    def verify(message: bytes, signature: bytes) -> bool:
        try:
            key.verify(message, signature)
        except (BadSignatureError, ValueError):
            return False
        return True

    return verify
