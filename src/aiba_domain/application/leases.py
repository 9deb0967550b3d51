"""Leases kept in the store, so that whoever shares the store shares them: no other part is needed.

A command that is executed `under` a lease is refused in its own unit of work once the lease is
somebody else's.
"""

from aiba_domain.application.pipeline import Pipeline
from aiba_domain.application.upkeep import SERVICE
from aiba_domain.decision import Refused
from aiba_domain.leases.commands import KeepLease, TakeLease
from aiba_domain.leases.model import HELD, LOST, Lease


class StoreLeases:
    """Implements the port by commands; instants are those of the pipeline's clock."""

    def __init__(self, pipeline: Pipeline) -> None:
        """Issue the commands to `pipeline`."""
        self._pipeline = pipeline

    async def acquire(self, name: str, holder: str, ttl_ms: int) -> Lease | None:
        """Return the lease, or None while another holds it."""
        command = TakeLease(name=name, holder=holder, ttl_ms=ttl_ms)
        return await self._lease(command, HELD)

    async def renew(self, lease: Lease, ttl_ms: int) -> Lease | None:
        """Return the lease, or None if it was taken or let go of."""
        if ttl_ms == 0:
            ttl_ms = -1  # 0 is the command's word for letting go
        return await self._lease(_keep(lease, ttl_ms), LOST)

    async def release(self, lease: Lease) -> None:
        """Let go of the lease if it is still this one."""
        await self._lease(_keep(lease, 0), LOST)

    async def _lease(self, command: TakeLease | KeepLease, code: str) -> Lease | None:
        """Return the lease that the command leaves, or None where it is refused with `code`."""
        answer = await self._pipeline.execute(SERVICE, command)
        if isinstance(answer.outcome, Refused) and answer.outcome.code == code:
            return None
        return answer.reply().lease


def _keep(lease: Lease, ttl_ms: int) -> KeepLease:
    return KeepLease(name=lease.name, holder=lease.holder, number=lease.number, ttl_ms=ttl_ms)
