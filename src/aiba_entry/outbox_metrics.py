"""The metrics of the outbox; they are there where letters are brought to somebody."""

import time
from collections.abc import Callable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily

from aiba_domain.outbox.commands import Fate
from aiba_domain.outbox.model import Backlog, Topic
from aiba_entry.series import Family, LastNoted

_RESULTS: Final = {
    Fate.DELIVERED: "delivered",
    Fate.WAITS: "failed",
    Fate.DEAD: "dead",
    Fate.SETTLED_BEFORE: "settled_before",
}


class OutboxMetrics:
    """Counts what came of letters, and shows what waits, in the process that brings them."""

    def __init__(
        self, registry: CollectorRegistry, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Count in `registry`; `monotonic` gives seconds, for ages."""
        self._deliveries = Family(
            Counter(
                "aiba_outbox_deliveries",
                "What came of letters",
                ("topic", "result"),
                registry=registry,
            )
        )
        self._runs = Family(
            Counter("aiba_outbox_runs", "Rounds of the outbox", ("result",), registry=registry)
        )
        self._gauges = _Gauges(monotonic)
        registry.register(self._gauges)

    def settled(self, topic: Topic, fate: Fate, times: int) -> None:
        """Count letters of a topic that met a fate."""
        self._deliveries.of(topic, _RESULTS[fate]).inc(times)

    def ran(self, result: str) -> None:
        """Count a round: `ok`, `postponed`, `failed`, or `elsewhere`."""
        self._runs.of(result).inc()

    def backlog(self, held: Backlog, now_ms: int) -> None:
        """Keep what waits."""
        self._gauges.note((held, now_ms))

    def kept_elsewhere(self) -> None:
        """Show nothing of what waits: the process that brings it knows."""
        self._gauges.forget()


_Seen = tuple[Backlog, int]


class _Gauges(LastNoted[_Seen]):
    """What waited when it was last looked at; its age grows meanwhile."""

    def gauges(self, noted: _Seen, since_s: float) -> Iterator[GaugeMetricFamily]:
        """Give what is known."""
        held, now_ms = noted
        lag = 0.0
        if held.oldest_at is not None:
            lag = max(0, now_ms - held.oldest_at) / 1_000 + since_s
        for name, text, value in (
            ("aiba_outbox_pending", "Letters that wait", held.pending),
            ("aiba_outbox_dead", "Letters that were given up", held.dead),
            ("aiba_outbox_lag_seconds", "Age of the oldest letter that waits, 0 without one", lag),
        ):
            yield GaugeMetricFamily(name, text, value=value)
