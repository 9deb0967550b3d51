"""What the process says about itself: structured logs and metrics."""

from collections.abc import Iterable
from functools import cached_property
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from aiba_entry.audit_metrics import AuditMetrics
from aiba_entry.chain_metrics import ChainMetrics
from aiba_entry.logs import REQUEST_ID, configure_logging, ensure_logging, get_logger
from aiba_entry.outbox_metrics import OutboxMetrics
from aiba_entry.redis_metrics import RedisMetrics
from aiba_entry.series import METRICS_CONTENT_TYPE, OTHER, Family, Later, closed
from aiba_entry.service_metrics import ServiceMetrics

__all__ = [
    "METRICS_CONTENT_TYPE",
    "REQUEST_ID",
    "UNMATCHED",
    "Metrics",
    "configure_logging",
    "ensure_logging",
    "get_logger",
]

UNMATCHED: Final = "unmatched"
"""The path label of a request that no route matches."""

_METHODS: Final = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """The process's counters, in a registry of their own.

    Every label has a closed set of values: what is outside it counts as `other`, so no caller can
    add series. Arenas, leagues, mode keys, sink reasons and commands are those given at
    construction. What is told to `later` is counted by the time that anybody reads.
    """

    def __init__(
        self,
        *,
        arenas: Iterable[str] = (),
        leagues: Iterable[str] = (),
        mode_keys: Iterable[str] = (),
        currencies: Iterable[str] = ("AIBA", "NEUR", "STARS", "DIAMONDS"),
        reasons: Iterable[str] = (),
        commands: Iterable[str] = (),
        process: bool = True,
    ) -> None:
        # A process-wide switch of the library: its `_created` series are not among the names that
        # monitors expect.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = self._registry = CollectorRegistry()
        self.later = Later()
        if process:
            ProcessCollector(namespace="aiba", registry=registry)
        self._arenas = frozenset(arenas)
        self._leagues = frozenset(leagues)
        self._mode_keys = frozenset(mode_keys)
        self._currencies = frozenset(currencies)
        self._reasons = frozenset(reasons)
        self._commands = frozenset(commands)
        self._requests = Family(
            Histogram(
                "aiba_http_request_duration_seconds",
                "Time to answer a request",
                ("method", "path", "status_code"),
                buckets=_BUCKETS,
                registry=registry,
            )
        )
        mode = ("arena", "league", "mode_key")
        self._battles = self._counter("aiba_battle_runs", "Battles run", *mode, "result")
        self._anomalies = self._counter("aiba_battle_anomalies", "Battles flagged", *mode)
        self._bans = self._counter("aiba_auto_bans", "Bans made by rule", "entity")
        self._emissions = self._counter(
            "aiba_economy_emissions", "Emission decisions", "currency", "arena", "league", "result"
        )
        self._sinks = self._counter(
            "aiba_economy_sinks", "Amounts spent", "currency", "reason", "arena", "league"
        )
        self._withdrawals = self._counter("aiba_economy_withdrawals", "Withdrawals", "result")
        # From 0 on, so that whoever watches for growth sees the first one grow.
        for entity in _ENTITIES:
            self._bans.of(entity)
        for result in _WITHDRAWAL_RESULTS:
            self._withdrawals.of(result)

    def observe_request(
        self, method: str, path_template: str | None, status: int, seconds: float
    ) -> None:
        """Record how long a request took; `path_template` is its route's, None if none matched."""
        self.later.count(self._count_request, (method, path_template, status, seconds))

    def _count_request(self, request: tuple[str, str | None, int, float]) -> None:
        method, path_template, status, seconds = request
        method = method if method in _METHODS else OTHER
        self._requests.of(method, path_template or UNMATCHED, str(status)).observe(seconds)

    def battle(self, arena: str, league: str, mode_key: str, result: str) -> None:
        """Count a battle; `result` is `ok` or `error`."""
        labels = self._mode(arena, league, mode_key)
        self._battles.of(*labels, closed(result, _BATTLE_RESULTS)).inc()

    def anomaly(self, arena: str, league: str, mode_key: str) -> None:
        """Count a battle that was flagged."""
        self._anomalies.of(*self._mode(arena, league, mode_key)).inc()

    def auto_ban(self, entity: str) -> None:
        """Count a ban that a rule made; `entity` is `user` or `broker`."""
        self._bans.of(closed(entity, _ENTITIES)).inc()

    def emission(self, currency: str, arena: str, league: str, result: str) -> None:
        """Count an emission decision: `ok`, `outside_window` or `cap_exceeded`."""
        self._emissions.of(
            closed(currency, self._currencies),
            closed(arena, self._arenas),
            closed(league, self._leagues),
            closed(result, _EMISSION_RESULTS),
        ).inc()

    def sink(self, currency: str, reason: str, arena: str, league: str, amount: int) -> None:
        """Add an amount that was spent, in whole units of its currency."""
        self._sinks.of(
            closed(currency, self._currencies),
            closed(reason, self._reasons),
            closed(arena, self._arenas),
            closed(league, self._leagues),
        ).inc(amount)

    def withdrawal(self, result: str) -> None:
        """Count a withdrawal: `ok` once it is reserved, `insufficient`, or `error`.

        An error is any try that chain, signer or store ended, also after the reservation.
        """
        self._withdrawals.of(closed(result, _WITHDRAWAL_RESULTS)).inc()

    @cached_property
    def service(self) -> ServiceMetrics:
        """The metrics of any running service, which are there from the first use on."""
        return ServiceMetrics(
            self._registry,
            later=self.later,
            commands=self._commands,
            currencies=self._currencies,
            arenas=self._arenas,
        )

    @cached_property
    def chain(self) -> ChainMetrics:
        """The metrics of the chain's side, which are there from the first use on."""
        return ChainMetrics(self._registry)

    @cached_property
    def redis(self) -> RedisMetrics:
        """The metrics of what is shared in Redis, which are there from the first use on."""
        return RedisMetrics(self._registry)

    @cached_property
    def outbox(self) -> OutboxMetrics:
        """The metrics of the outbox, which are there from the first use on."""
        return OutboxMetrics(self._registry)

    @cached_property
    def audit(self) -> AuditMetrics:
        """The metrics of the ledger's audit, which are there from the first use on."""
        return AuditMetrics(self._registry)

    def join(self, registry: CollectorRegistry) -> None:
        """Show what is counted in another registry too."""
        self._registry.register(registry)

    def render(self) -> bytes:
        """Return everything in Prometheus text form, of the type METRICS_CONTENT_TYPE."""
        self.later.count_all()
        return generate_latest(self._registry)

    def _mode(self, arena: str, league: str, mode_key: str) -> tuple[str, str, str]:
        return (
            closed(arena, self._arenas),
            closed(league, self._leagues),
            closed(mode_key, self._mode_keys),
        )

    def _counter(self, name: str, text: str, *labels: str) -> Family[Counter]:
        return Family(Counter(name, text, labels, registry=self._registry))


_BATTLE_RESULTS: Final = frozenset({"ok", "error"})
_ENTITIES: Final = frozenset({"user", "broker"})
_EMISSION_RESULTS: Final = frozenset({"ok", "outside_window", "cap_exceeded"})
_WITHDRAWAL_RESULTS: Final = frozenset({"ok", "insufficient", "error"})
