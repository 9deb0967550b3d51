"""The port of leases: which of several workers may do a piece of work now."""

from typing import Protocol

from aiba_domain.leases.model import Lease


class Leases(Protocol):
    """Gives each lease to one holder at a time.

    Of those who ask at once one gets it. A lease ends when its time is over by the clock of
    whoever asks next, so clocks that differ shorten or prolong it; its number says who came later.
    Every call raises Unavailable while leases can't be given.
    """

    async def acquire(self, name: str, holder: str, ttl_ms: int) -> Lease | None:
        """Return the lease, held for `ttl_ms` from now on, or None while another holds it.

        Its number is above that of every earlier holder. One who holds it already holds it anew,
        under the same number. Raises DomainError `validation_error` for a name, a holder or a time
        out of range.
        """
        ...

    async def renew(self, lease: Lease, ttl_ms: int) -> Lease | None:
        """Return the lease, held for `ttl_ms` from now on, or None if it was taken or let go of.

        Raises DomainError `validation_error` for a time out of range.
        """
        ...

    async def release(self, lease: Lease) -> None:
        """Let go of the lease, so that the next who asks gets it; of a lost one, do nothing."""
        ...
