"""What a running service counts beside the seven series that monitors of the service before expect.

Whoever makes a service's metrics names the closed sets. The gauges of the day tell of the store
that all processes share: of several processes each shows the same, so take their `max()`.
"""

import platform
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from importlib.metadata import version
from typing import Final

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector

from aiba_domain.money import Currency
from aiba_entry.series import Family, Later, closed

DISTRIBUTION: Final = "aiba-arena"
"""The package whose version a build tells."""

LIMITS: Final = frozenset(
    {
        "global",
        "battle",
        "claim",
        "wallet",
        "payment",
        "session",
        "chain",
        "admin-login-address",
        "admin-login-noted",
        "admin-login",
    }
)
"""The names of the rate limits."""


class Ruling(StrEnum):
    """What became of a hit; UNAVAILABLE is one that nobody could judge."""

    ALLOWED = "allowed"
    REFUSED = "refused"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True, kw_only=True)
class DayUse:
    """What the running UTC day has emitted of a currency, and the most it may, in whole units."""

    emitted: int
    cap: int


class ServiceMetrics:
    """Counts rulings, repeated answers and emitted amounts; shows the build and the day's caps."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        later: Later,
        commands: frozenset[str],
        currencies: frozenset[str],
        arenas: frozenset[str],
    ) -> None:
        """Count in `registry`, under these names alone."""
        self._later = later

        def counter(name: str, text: str, *labels: str) -> Family[Counter]:
            return Family(Counter(name, text, labels, registry=registry))

        self._commands, self._currencies, self._arenas = commands, currencies, arenas
        self._rulings = counter("aiba_rate_limit_hits", "Hits of rate limits", "limit", "result")
        self._replays = counter(
            "aiba_idempotent_replays", "Answers given again to a repeated key", "command"
        )
        self._emitted = counter(
            "aiba_economy_emitted", "Amounts emitted, in whole units", "currency", "arena"
        )
        self._state = _State()
        registry.register(self._state)

    def ruling(self, limit: str, ruling: Ruling) -> None:
        """Count what a rate limit ruled."""
        self._later.count(self._count_ruling, (limit, ruling))

    def _count_ruling(self, ruled: tuple[str, Ruling]) -> None:
        limit, ruling = ruled
        self._rulings.of(closed(limit, LIMITS), ruling).inc()

    def replayed(self, command: str) -> None:
        """Count an answer that was given again from memory."""
        self._replays.of(closed(command, self._commands)).inc()

    def emitted(self, currency: str, arena: str, amount: int) -> None:
        """Add an amount that was emitted, in whole units of its currency."""
        self._emitted.of(closed(currency, self._currencies), closed(arena, self._arenas)).inc(
            amount
        )

    def day(self, use: Mapping[Currency, DayUse]) -> None:
        """Keep what the running day has emitted, and its caps, as they are now."""
        self._state.day = dict(use)


class _State(Collector):
    """The build, and the day as it was last looked at; no day before that."""

    def __init__(self) -> None:
        self.day: dict[Currency, DayUse] = {}

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Name nothing in advance: what isn't known yet isn't there."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily | InfoMetricFamily]:
        """Give what is known."""
        yield InfoMetricFamily("aiba_build", "What runs here", value=build())
        if not self.day:
            return
        emitted = GaugeMetricFamily(
            "aiba_economy_day_emitted", "What the UTC day has emitted", labels=("currency",)
        )
        cap = GaugeMetricFamily(
            "aiba_economy_day_cap", "The most that the UTC day may emit", labels=("currency",)
        )
        for currency, use in self.day.items():
            emitted.add_metric((currency,), use.emitted)
            cap.add_metric((currency,), use.cap)
        yield emitted
        yield cap


@lru_cache(maxsize=1)
def build() -> dict[str, str]:
    """Return the version of this package and of the Python that runs it."""
    return {"version": version(DISTRIBUTION), "python": platform.python_version()}
