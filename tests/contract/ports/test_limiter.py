"""The rate limiter in memory keeps the contract of limiters."""

from pathlib import Path

from aiba_adapters.ratelimit import MemoryRateLimiter
from aiba_domain.testing.contracts import Capability, RateLimiterContract


class TestMemoryRateLimiter(RateLimiterContract):
    """Windows of one process."""

    capabilities = frozenset({Capability.SERIALIZABLE})

    async def open_limiter(self, folder: Path) -> MemoryRateLimiter:  # noqa: ARG002 - in memory
        """Make it."""
        return MemoryRateLimiter()
