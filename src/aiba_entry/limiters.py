"""Which rate limiter the settings mean: this process's own, or the one that all share."""

from typing import Final, Protocol, runtime_checkable

from aiba_adapters.ratelimit import MemoryRateLimiter
from aiba_domain.ports import RateLimiter, Unavailable, Verdict
from aiba_entry.observability import Metrics
from aiba_entry.redis_settings import RedisSettings
from aiba_entry.service_metrics import Ruling, ServiceMetrics
from aiba_entry.settings import Settings
from aiba_entry.stores import StoreUnusable

REDIS_MISSING: Final = "REDIS_URL needs the driver: pip install 'aiba-arena[redis]'"
"""What is said where the extra isn't installed."""


@runtime_checkable
class SharedLimiter(RateLimiter, Protocol):
    """A limiter that counts elsewhere."""

    async def check(self) -> None:
        """Raise Unavailable unless it can count."""
        ...

    async def close(self) -> None:
        """Let go of what it holds open."""
        ...


class CountedLimiter:
    """A limiter whose rulings are counted."""

    def __init__(self, inner: RateLimiter, metrics: ServiceMetrics) -> None:
        """Stand in front of `inner`."""
        self._inner = inner
        self._metrics = metrics

    async def hit(self, name: str, key: str, *, limit: int, window_ms: int, now_ms: int) -> Verdict:
        """Count one hit of `key` under the limit `name` and say whether it is within `limit`."""
        try:
            verdict = await self._inner.hit(
                name, key, limit=limit, window_ms=window_ms, now_ms=now_ms
            )
        except Unavailable:
            self._metrics.ruling(name, Ruling.UNAVAILABLE)
            raise
        self._metrics.ruling(name, Ruling.ALLOWED if verdict.allowed else Ruling.REFUSED)
        return verdict


class CountedSharedLimiter(CountedLimiter):
    """A shared limiter whose rulings are counted."""

    def __init__(self, inner: SharedLimiter, metrics: ServiceMetrics) -> None:
        """Stand in front of `inner`."""
        super().__init__(inner, metrics)
        self._shared = inner

    async def check(self) -> None:
        """Raise Unavailable unless the limiter can count."""
        await self._shared.check()

    async def close(self) -> None:
        """Close the limiter."""
        await self._shared.close()


def make_limiter(settings: Settings, metrics: Metrics) -> RateLimiter:
    """Return the limiter that the settings want. Raises StoreUnusable without the driver."""
    if settings.redis is None:
        return CountedLimiter(MemoryRateLimiter(), metrics.service)
    return _shared(settings.redis, metrics)


def _shared(redis: RedisSettings, metrics: Metrics) -> CountedSharedLimiter:
    try:
        from aiba_adapters.redis import RedisRateLimiter, open_client  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise StoreUnusable(REDIS_MISSING) from error
    client = open_client(redis.url, password=redis.password, ca=redis.ca)
    return CountedSharedLimiter(RedisRateLimiter(client, meter=metrics.redis), metrics.service)
