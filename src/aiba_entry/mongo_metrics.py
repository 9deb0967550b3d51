"""The metrics of the store on MongoDB; they are there where it is configured.

They are kept in a registry of their own, since the store is opened before it is known which labels
the other metrics have.
"""

from collections.abc import Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from aiba_adapters.mongo_meter import Closed, Connections, NoConnection, Resolved, Trouble
from aiba_entry.series import Family

_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
_GAUGES: Final = (
    ("size", "aiba_mongo_pool_size", "Open connections to MongoDB"),
    ("in_use", "aiba_mongo_pool_in_use", "Connections that a command is on"),
    ("waiting", "aiba_mongo_pool_waiting", "Who waits for a connection"),
    ("primary", "aiba_mongo_primary_known", "Whether a server is known that takes writes"),
)

OK: Final = "ok"


class MongoMetrics:
    """Counts what the store tells of itself, as its meter."""

    def __init__(self) -> None:
        """Count in a registry of its own."""
        self.registry = CollectorRegistry()
        self._commands = self._counter(
            "aiba_mongo_commands", "Commands given to MongoDB", "command", "result"
        )
        self._durations = self._histogram(
            "aiba_mongo_command_duration_seconds", "Time until a command ended", "command"
        )
        self._checkouts = self._histogram(
            "aiba_mongo_checkout_duration_seconds", "Time until a connection was had", "result"
        )
        self._opened = self._plain("aiba_mongo_connections_created", "Connections made")
        self._closed = self._counter(
            "aiba_mongo_connections_closed", "Connections closed", "reason"
        )
        self._cleared = self._plain("aiba_mongo_pool_cleared", "Pools given up whole")
        self._reconnects = self._plain("aiba_mongo_reconnects", "Servers lost and known again")
        self._elections = self._plain("aiba_mongo_primary_changes", "Changes of the primary")
        self._retries = self._counter("aiba_mongo_unit_retries", "Units run again", "reason")
        self._commits = self._counter(
            "aiba_mongo_lost_commits", "Commits whose answer was lost", "outcome"
        )

    def watch(self, connections: Connections) -> None:
        """Show a client's connections at each scrape."""
        self.registry.register(_Gauges(connections))

    def command(self, name: str, seconds: float, trouble: Trouble | None) -> None:
        """Count a command, and how long it took."""
        self._commands.of(name, trouble or OK).inc()
        self._durations.of(name).observe(seconds)

    def connected(self) -> None:
        """Count a connection that was made."""
        self._opened.inc()

    def disconnected(self, why: Closed) -> None:
        """Count a connection that was closed."""
        self._closed.of(why).inc()

    def checkout(self, seconds: float, missed: NoConnection | None) -> None:
        """Count who got a connection or none, and how long that took."""
        self._checkouts.of(missed or OK).observe(seconds)

    def cleared(self) -> None:
        """Count a pool that was given up whole."""
        self._cleared.inc()

    def reconnect(self) -> None:
        """Count a server that was lost and is known again."""
        self._reconnects.inc()

    def primary_changed(self) -> None:
        """Count a change of the primary."""
        self._elections.inc()

    def retry(self, why: Trouble) -> None:
        """Count a unit of work that is run again."""
        self._retries.of(why).inc()

    def lost_commit(self, outcome: Resolved) -> None:
        """Count a commit whose answer was lost."""
        self._commits.of(outcome).inc()

    def _plain(self, name: str, text: str) -> Counter:
        return Counter(name, text, registry=self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Family[Counter]:
        return Family(Counter(name, text, labels, registry=self.registry))

    def _histogram(self, name: str, text: str, *labels: str) -> Family[Histogram]:
        return Family(Histogram(name, text, labels, buckets=_BUCKETS, registry=self.registry))


class _Gauges(Collector):
    """A client's connections as they are at the scrape."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Name the series, without values."""
        for _, name, text in _GAUGES:
            yield GaugeMetricFamily(name, text)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Give what is so now."""
        now = self._connections
        values = {
            "size": now.open,
            "in_use": now.in_use,
            "waiting": now.waiting,
            "primary": now.primary is not None,
        }
        for key, name, text in _GAUGES:
            yield GaugeMetricFamily(name, text, value=values[key])
