"""What the signer counts: results of requests, how long they took, its commits, and its state.

Every label has a closed set of values: nobody who asks can add a series.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from aiba_adapters.signing.protected import OUTCOMES
from aiba_domain.signing.model import Lock
from aiba_entry.series import OTHER, Family, closed
from aiba_entry.signer.wire import Problem

RESULTS: Final = frozenset({*OUTCOMES, *(problem.value for problem in Problem)})
"""The closed set of what can come of a request."""

RELOADED: Final = ("tokens", "policy", "tls")
"""What can be read again while the signer runs."""

_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 10.0)
_STEPS: Final = {"decided": "decide", "committed": "store", "logged": "log"}


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitUse:
    """How much of an allowed vault's limit is used up, and how much it is; whole AIBA."""

    vault: str
    limit: str
    used: int
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the store says of itself, and the limits; times are chain time in seconds."""

    locked: Lock | None
    quarantined_until_s: int
    time_s: int
    sequence: int
    limits: Sequence[LimitUse]

    @property
    def is_quarantined(self) -> bool:
        """Tell whether nothing new is signed for anybody yet."""
        return self.time_s <= self.quarantined_until_s


class SignerMetrics:
    """The signer's counters, in a registry of their own."""

    def __init__(self, *, monotonic: Callable[[], float] = time.perf_counter) -> None:
        """Measure commits by `monotonic`, in seconds."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        registry = self._registry = CollectorRegistry()
        ProcessCollector(namespace="aiba_signer", registry=registry)
        results = Counter(
            "aiba_signer_requests", "Requests to sign", ("result",), registry=registry
        )
        self._results = Family(results)
        for result in sorted(RESULTS):
            self._results.of(result)
        self._seconds = Histogram(
            "aiba_signer_request_duration_seconds",
            "Time to answer a request to sign",
            buckets=_BUCKETS,
            registry=registry,
        )
        steps = Histogram(
            "aiba_signer_commit_seconds",
            "Time of a group commit's steps: deciding, the store's sync, the log's sync",
            ("step",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._steps = {step: steps.labels(step=name) for step, name in _STEPS.items()}
        self._reloads = Family(
            Counter(
                "aiba_signer_reloads", "Files read again", ("what", "result"), registry=registry
            )
        )
        self._state = _State()
        registry.register(self._state)
        self._monotonic = monotonic
        self._at = 0.0

    def result(self, result: str) -> None:
        """Count what came of a request."""
        self._results.of(closed(result, RESULTS)).inc()

    def took(self, seconds: float) -> None:
        """Record how long a request took."""
        self._seconds.observe(seconds)

    def probe(self, place: str) -> None:
        """Be told of each step of a commit, as a store's probe is; by one thread."""
        now = self._monotonic()
        step = self._steps.get(place)
        if step is not None:
            step.observe(now - self._at)
        self._at = now

    def reloaded(self, what: str, *, is_good: bool) -> None:
        """Count that a file was read again, and whether what it says is used now."""
        what = what if what in RELOADED else OTHER
        self._reloads.of(what, "ok" if is_good else "refused").inc()

    def render(self, standing: Standing | None) -> bytes:
        """Return everything in Prometheus text form; what isn't known now isn't there."""
        self._state.standing = standing
        return generate_latest(self._registry)


class _State(Collector):
    """The store's state as gauges."""

    def __init__(self) -> None:
        self.standing: Standing | None = None

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Name nothing in advance: what isn't known isn't there."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Give what the store said last."""
        now = self.standing
        if now is None:
            return
        locked = GaugeMetricFamily(
            "aiba_signer_locked", "1 for the reason for which nothing is signed", labels=("reason",)
        )
        for reason in Lock:
            locked.add_metric((reason.value,), float(now.locked is reason))
        yield locked
        for name, text, value in (
            ("quarantined", "1 while nothing new is signed", float(now.is_quarantined)),
            ("log_entries", "Number of the log's last entry", float(now.sequence)),
            ("chain_time_seconds", "The chain time that decisions are made by", float(now.time_s)),
        ):
            yield GaugeMetricFamily(f"aiba_signer_{name}", text, value=value)
        used = GaugeMetricFamily(
            "aiba_signer_limit_used", "AIBA used of a limit", labels=("vault", "limit")
        )
        most = GaugeMetricFamily(
            "aiba_signer_limit", "AIBA that a limit is", labels=("vault", "limit")
        )
        for one in now.limits:
            used.add_metric((one.vault, one.limit), float(one.used))
            most.add_metric((one.vault, one.limit), float(one.most))
        yield used
        yield most
