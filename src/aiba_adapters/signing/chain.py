"""The chain as a signer sees it: one block's time, kept for a while, and a recipient's seqno.

Chain time that is a little old makes a signer stricter and never laxer, so one look serves every
request for some seconds, and an outage of the provider is bridged for a minute.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from aiba_domain.claims.claim import ChainView
from aiba_domain.claims.ports import ChainReader
from aiba_domain.outage import Unavailable

FRESH_S: Final = 5.0
"""For how long a block's time is used before it is read again, in seconds."""

LONGEST_S: Final = 60.0
"""For how long it is used while it can't be read again, in seconds."""


class ReaderChain:
    """What a signer needs of a chain reader. Belongs to one event loop."""

    def __init__(
        self,
        reader: ChainReader,
        *,
        vault: str,
        fresh_s: float = FRESH_S,
        longest_s: float = LONGEST_S,
        now: Callable[[], float] | None = None,
    ) -> None:
        """Read the time where a vault is; `now` is a clock that only goes forward, in seconds."""
        self._reader = reader
        self._vault = vault
        self._fresh_s = fresh_s
        self._longest_s = longest_s
        self._now = now or (lambda: asyncio.get_running_loop().time())
        self._time_s = 0
        self._at = float("-inf")
        self._turn = asyncio.Lock()

    async def time_s(self) -> int:
        """Return the time of a block that exists, at most a minute old; raises Unavailable."""
        if self._age() <= self._fresh_s:
            return self._time_s
        async with self._turn:
            if self._age() <= self._fresh_s:
                return self._time_s
            try:
                await self.view(self._vault, self._vault)
            except Unavailable:
                if self._age() > self._longest_s:
                    raise
            return self._time_s

    async def view(self, vault: str, recipient: str) -> ChainView:
        """Return the last seqno paid to a recipient, with a block time; raises Unavailable."""
        asked_at = self._now()
        seen = await self._reader.view(vault, recipient)
        if seen.time_s >= self._time_s:
            self._time_s, self._at = seen.time_s, asked_at
        return seen

    def _age(self) -> float:
        return self._now() - self._at
