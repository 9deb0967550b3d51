"""The key in this process keeps the contract of keys."""

from pathlib import Path

from nacl.signing import SigningKey

from aiba_adapters.signing.keys import ProcessKey, verifier
from aiba_domain.testing.contracts import Capability, KeyContract


class TestProcessKey(KeyContract):
    """A key from a seed."""

    capabilities = frozenset({Capability.VERIFIABLE, Capability.REOPEN})

    async def open_key(self, folder: Path) -> ProcessKey:  # noqa: ARG002 - it keeps no file
        """Make it."""
        return ProcessKey(SigningKey(bytes([9]) * 32))

    def verify(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        """Verify by libsodium."""
        return verifier(public_key)(message, signature)
