"""Which keys a signature may be by: those an operator names, or the one that the vault believes."""

import asyncio
from collections.abc import Collection
from typing import Final, Protocol

from aiba_domain.outage import Unavailable

KEPT_SECONDS: Final = 10.0
"""For how long what a vault was seen to believe is believed here."""


class OracleKeys(Protocol):
    """Tells the oracle's public keys, 32 bytes each."""

    async def keys(self, *, anew: bool) -> Collection[bytes]:
        """Return them, `anew` without anything that was kept; raises Unavailable."""
        ...


class KeySource(Protocol):
    """Reads the key that a vault believes."""

    async def oracle_key(self, vault: str) -> bytes:
        """Return the 32 bytes of it; raises Unavailable."""
        ...


class NamedKeys:
    """The keys that an operator names."""

    def __init__(self, keys: Collection[bytes]) -> None:
        """Take them as they are."""
        self._keys = frozenset(keys)

    async def keys(self, *, anew: bool) -> Collection[bytes]:
        """Return them."""
        del anew
        return self._keys


class VaultKeys:
    """The key that a vault believes, kept for some seconds. Belongs to one event loop."""

    def __init__(self, source: KeySource, vault: str, *, kept_s: float = KEPT_SECONDS) -> None:
        """Read from a source."""
        self._source = source
        self._vault = vault
        self._kept_s = kept_s
        self._key: bytes | None = None
        self._at = 0.0

    async def keys(self, *, anew: bool) -> Collection[bytes]:
        """Return the one key, read again where it is old or `anew` is asked for."""
        now = asyncio.get_running_loop().time()
        if anew or self._key is None or now - self._at > self._kept_s:
            try:
                self._key = await self._source.oracle_key(self._vault)
            except Unavailable:
                self._key = None
                raise
            self._at = now
        return (self._key,)
