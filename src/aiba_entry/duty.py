"""Who of several processes does a piece of work: the one that holds its lease."""

import asyncio
import contextlib
import secrets
import socket
from collections.abc import AsyncIterator
from typing import Final

from aiba_domain.leases.model import Lease
from aiba_domain.leases.ports import Leases
from aiba_domain.ports import Unavailable
from aiba_entry.observability import get_logger

RENEWALS: Final = 3
"""How often a lease is renewed in the time that it lasts."""

_log = get_logger("aiba.duty")


def make_holder() -> str:
    """Name this process as nobody else is named: by its machine, and by chance."""
    machine = "".join(
        letter for letter in socket.gethostname() if letter.isalnum() and letter.isascii()
    )
    return f"{machine[:40] or 'host'}:{secrets.token_hex(8)}"


class Duty:
    """One piece of work that all processes could do and one does.

    Its holder keeps it from run to run; when the holder has died, another one has it after
    `ttl_ms`.
    """

    def __init__(self, leases: Leases, name: str, *, holder: str, ttl_ms: int) -> None:
        """Share the work `name` with whoever shares the leases."""
        self._leases = leases
        self._name = name
        self._holder = holder
        self._ttl_ms = ttl_ms
        self._lease: Lease | None = None

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[Lease | None]:
        """Give the lease, renewed for as long as the context lasts, or None if another has it.

        It may be lost meanwhile; then what is done under it is refused. Raises Unavailable.
        """
        lease = await self._leases.acquire(self._name, self._holder, self._ttl_ms)
        self._note(lease)
        if lease is None:
            yield None
            return
        renewing = asyncio.create_task(self._renew(lease))
        try:
            yield lease
        finally:
            renewing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await renewing

    async def end(self) -> None:
        """Let go of the lease, so that another one needn't wait for its end."""
        lease, self._lease = self._lease, None
        if lease is None:
            return
        try:
            await self._leases.release(lease)
        except Unavailable as error:
            # It ends by itself.
            _log.warning("lease not released", lease=self._name, reason=str(error))

    async def _renew(self, lease: Lease) -> None:
        """Renew for as long as the lease is ours."""
        while True:
            await asyncio.sleep(self._ttl_ms / RENEWALS / 1_000)
            try:
                renewed = await self._leases.renew(lease, self._ttl_ms)
            except Unavailable as error:
                _log.warning("lease not renewed", lease=self._name, reason=str(error))
                continue
            if renewed is None:
                self._note(None)
                return

    def _note(self, lease: Lease | None) -> None:
        """Keep what is held, and log when it changes hands."""
        before, self._lease = self._lease, lease
        if lease is not None and not lease.is_same(before):
            _log.info("lease taken", lease=lease.name, number=lease.number)
        elif lease is None and before is not None:
            _log.warning("lease lost", lease=self._name)
