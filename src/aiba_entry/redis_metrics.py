"""The metrics of requests to Redis; they are there where it is configured."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from aiba_entry.series import Family

_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0)


class RedisMetrics:
    """Counts requests to Redis, as its meter."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Count in `registry`."""
        self._requests = Family(
            Counter(
                "aiba_redis_requests",
                "Requests to Redis",
                ("operation", "result"),
                registry=registry,
            )
        )
        self._durations = Family(
            Histogram(
                "aiba_redis_request_duration_seconds",
                "Time until Redis answered or didn't",
                ("operation",),
                buckets=_BUCKETS,
                registry=registry,
            )
        )

    def request(self, operation: str, result: str, seconds: float) -> None:
        """Count a request, of the adapter's closed sets, and how long it took."""
        self._requests.of(operation, result).inc()
        self._durations.of(operation).observe(seconds)
