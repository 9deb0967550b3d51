"""The metrics of the continuous audit of the ledger; they are there where it is switched on."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter
from prometheus_client.core import GaugeMetricFamily

from aiba_domain.ledger_audit.findings import FindingKind, LedgerStanding
from aiba_entry.series import Family, LastNoted

_PREFIX: Final = "aiba_ledger_audit"


class AuditMetrics:
    """Counts rounds, and shows where the audit stands, in the process that makes it."""

    def __init__(
        self, registry: CollectorRegistry, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Count in `registry`; `monotonic` gives seconds, for ages."""
        self._runs = Family(
            Counter(
                f"{_PREFIX}_runs", "Rounds of the ledger's audit", ("result",), registry=registry
            )
        )
        self._gauges = _Gauges(monotonic)
        registry.register(self._gauges)

    def ran(self, result: str) -> None:
        """Count a round: `ok`, `findings`, `postponed`, `failed`, or `elsewhere`."""
        self._runs.of(result).inc()

    def stands(self, standing: LedgerStanding, found: Mapping[FindingKind, int]) -> None:
        """Keep where the audit stands, and how much of each kind it has found."""
        self._gauges.note((standing, found))

    def made_elsewhere(self) -> None:
        """Show nothing: the process that makes the audit knows."""
        self._gauges.forget()


_Found = tuple[LedgerStanding, Mapping[FindingKind, int]]


class _Gauges(LastNoted[_Found]):
    """Where the audit stood after its last round; lags grow meanwhile."""

    def gauges(self, noted: _Found, since_s: float) -> Iterator[GaugeMetricFamily]:
        """Give what is known."""
        standing, found = noted
        lag = standing.behind_ms / 1_000 + since_s if standing.behind_ms else 0.0
        values: list[tuple[str, str, float]] = [
            ("ok", "Whether the last round found nothing wrong", float(standing.is_sound)),
            ("entries", "Entries of the ledger that were audited", standing.entries),
            ("checkpoints", "Checkpoints that the ledger is sealed by", standing.checkpoints),
            ("rechecked_checkpoints", "Checkpoints gone through again", standing.rechecked),
            ("lag_seconds", "Age of the oldest entry that isn't sealed, 0 without one", lag),
        ]
        if standing.passed_at is not None:
            text = "When a round last found nothing wrong"
            passed_at = standing.passed_at / 1_000
            values.append(("last_success_timestamp_seconds", text, passed_at))
        for name, text, value in values:
            yield GaugeMetricFamily(f"{_PREFIX}_{name}", text, value=value)
        findings = GaugeMetricFamily(
            f"{_PREFIX}_findings", "What is wrong with the ledger", labels=("kind",)
        )
        for kind in FindingKind:
            findings.add_metric((kind.value,), found.get(kind, 0))
        yield findings
