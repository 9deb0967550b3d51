"""What the process says about itself: structured logs and metrics."""

import logging
import sys
from collections.abc import Collection, Iterable, MutableMapping
from contextvars import ContextVar
from functools import cached_property
from typing import Final, TextIO

import msgspec
import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from aiba_entry.chain_metrics import ChainMetrics
from aiba_entry.series import OTHER, Family, closed

REQUEST_ID: ContextVar[str] = ContextVar("aiba_request_id", default="")
"""The id of the request being served; every log line made meanwhile carries it."""

METRICS_CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
UNMATCHED: Final = "unmatched"
"""The path label of a request that no route matches."""

_HIDDEN: Final = "[hidden]"
# Names whose values are never logged, whoever logs them and however well meant.
_UNLOGGABLE: Final = frozenset(
    [
        "authorization",
        "body",
        "bot_token",
        "cookie",
        "headers",
        "init_data",
        "initData",
        "password",
        "payload",
        "query_string",
        "secret",
        "token",
    ]
)
_METHODS: Final = frozenset(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_Event = MutableMapping[str, object]


def configure_logging(
    level: str = "INFO", *, stream: TextIO | None = None, secrets: Collection[str] = ()
) -> None:
    """Make every log line of the process one JSON object on `stream` (default: standard output).

    Lines carry a UTC time, level, source, the request id and, for an exception, its traceback
    without local variables. Values under names such as `headers`, `body` or `token` are hidden, and
    so is any of `secrets` wherever it stands. Lines of other libraries share the format. Acts on
    the whole process: call it once, from the program's entry.
    """
    target = stream or sys.stdout
    render = _Renderer(secrets)
    _configure_own(level, target, render)
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[_add_source, *_steps()],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render],
        )
    )
    logging.basicConfig(level=level, handlers=[handler], force=True)


def ensure_logging() -> None:
    """Keep to the rules above where nobody configured logging: warnings, on standard error.

    The logging library's own defaults would print the local variables of a failed request, its
    headers among them.
    """
    if not structlog.is_configured():
        _configure_own("WARNING", sys.stderr, _Renderer(()))


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """Return a logger whose lines carry `name`; it takes its form at its first line."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(source=name)
    return logger


class Metrics:
    """The process's counters, in a registry of their own.

    Every label has a closed set of values: what is outside it counts as `other`, so no caller can
    add series. Arenas, leagues, mode keys and sink reasons are those given at construction.
    """

    def __init__(
        self,
        *,
        arenas: Iterable[str] = (),
        leagues: Iterable[str] = (),
        mode_keys: Iterable[str] = (),
        currencies: Iterable[str] = ("AIBA", "NEUR", "STARS", "DIAMONDS"),
        reasons: Iterable[str] = (),
        process: bool = True,
    ) -> None:
        # A process-wide switch of the library: its `_created` series are not among the names that
        # monitors expect.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = self._registry = CollectorRegistry()
        if process:
            ProcessCollector(namespace="aiba", registry=registry)
        self._arenas = frozenset(arenas)
        self._leagues = frozenset(leagues)
        self._mode_keys = frozenset(mode_keys)
        self._currencies = frozenset(currencies)
        self._reasons = frozenset(reasons)
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

    def observe_request(
        self, method: str, path_template: str | None, status: int, seconds: float
    ) -> None:
        """Record how long a request took; `path_template` is its route's, None if none matched."""
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
    def chain(self) -> ChainMetrics:
        """The metrics of the chain's side, which are there from the first use on."""
        return ChainMetrics(self._registry)

    def render(self) -> bytes:
        """Return everything in Prometheus text form, of the type METRICS_CONTENT_TYPE."""
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


def _steps() -> list[structlog.typing.Processor]:
    return [
        structlog.stdlib.add_log_level,
        _add_request_id,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _hide,
    ]


def _configure_own(level: str, stream: TextIO, render: "_Renderer") -> None:
    structlog.configure(
        processors=[*_steps(), render],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )


def _add_request_id(_logger: object, _method: str, event: _Event) -> _Event:
    if request_id := REQUEST_ID.get():
        event.setdefault("request_id", request_id)
    return event


def _add_source(_logger: object, _method: str, event: _Event) -> _Event:
    record = event["_record"]
    if isinstance(record, logging.LogRecord):
        event["source"] = record.name
    return event


def _hide(_logger: object, _method: str, event: _Event) -> _Event:
    for name in event.keys() & _UNLOGGABLE:
        event[name] = _HIDDEN
    return event


class _Renderer:
    """Turns an event into one line of JSON that holds none of the secrets."""

    def __init__(self, secrets: Collection[str]) -> None:
        self._encode = msgspec.json.Encoder(enc_hook=repr).encode
        self._secrets = [secret for secret in secrets if secret]

    def __call__(self, _logger: object, _method: str, event: _Event) -> str:
        try:
            line = self._encode(event).decode()
        except (TypeError, ValueError, RecursionError):
            # A lone surrogate, or a value nothing can be made of: the rest is still worth a line.
            line = self._encode({name: _plain(value) for name, value in event.items()}).decode()
        for secret in self._secrets:
            line = line.replace(secret, _HIDDEN)
        return line


def _plain(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return value if isinstance(value, int | float | None) else ascii(value)
