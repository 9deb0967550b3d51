"""The metrics of everything between the service and the chain.

They are there where withdrawals are configured, and nowhere else. A gauge is there from the moment
its value is known: no vault has 0 TON because nobody has looked yet. Ages grow at every scrape, so
that a value nobody refreshes is seen to be old.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from aiba_adapters.ton.proof import ProofProblem
from aiba_adapters.toncenter.meter import METHODS, Outcome, Question, Result, Role
from aiba_domain.claims.claim import OPEN, ClaimState
from aiba_domain.claims.ports import Inventory
from aiba_domain.payments.judgement import Fault
from aiba_entry.series import Family, closed

_REQUEST_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_WAIT_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Settled(StrEnum):
    """How a run of the settlement ended.

    POSTPONED is one that something out there held up, ELSEWHERE one that another process makes.
    """

    OK = "ok"
    POSTPONED = "postponed"
    FAILED = "failed"
    ELSEWHERE = "elsewhere"


class VaultRoute(StrEnum):
    """The public routes that read the vault."""

    LAST_SEQNO = "last_seqno"
    INVENTORY = "inventory"
    CLAIM_STATUS = "claim_status"


UNAVAILABLE: Final = "unavailable"
REISSUED: Final = "reissued"
OK: Final = "ok"
_MOVES: Final = frozenset({*ClaimState, REISSUED})
_METHODS: Final = frozenset(METHODS)
_READS: Final = frozenset(
    {
        OK,
        UNAVAILABLE,
        "confirmed",
        "expired",
        "insufficient_ton",
        "insufficient_inventory",
        "pending",
    }
)
_PAYMENTS: Final = frozenset({OK, UNAVAILABLE, "used", *Fault})
_PROOFS: Final = frozenset(
    {OK, "missing", "taken", "without_proof", *(problem.name.lower() for problem in ProofProblem)}
)


@dataclass(frozen=True, slots=True)
class _Noted:
    """A value of a gauge, and when it was noted, by the monotonic clock."""

    value: float
    at: float


class ChainMetrics:
    """Counts what happens on the way to the chain and back; is a Meter of the chain's reader."""

    def __init__(
        self, registry: CollectorRegistry, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Count in `registry`; `monotonic` gives seconds, for ages."""

        def counter(name: str, text: str, *labels: str) -> Family[Counter]:
            return Family(Counter(name, text, labels, registry=registry))

        self._requests = counter(
            "aiba_ton_requests", "Requests to providers", "provider", "method", "result"
        )
        self._durations = Family(
            Histogram(
                "aiba_ton_request_duration_seconds",
                "Time until a provider answered or didn't",
                ("provider", "method"),
                buckets=_REQUEST_BUCKETS,
                registry=registry,
            )
        )
        self._retries = counter("aiba_ton_retries", "Repeated requests", "provider", "method")
        self._waits = Family(
            Histogram(
                "aiba_ton_token_wait_seconds",
                "Waits for a token of a provider's rate",
                ("provider",),
                buckets=_WAIT_BUCKETS,
                registry=registry,
            )
        )
        self._answers = counter(
            "aiba_ton_answers", "Questions put to providers", "provider", "question", "result"
        )
        self._switches = Counter(
            "aiba_ton_provider_switches", "Changes of provider", registry=registry
        )
        self._moves = counter("aiba_claims_moved", "Steps of claims", "state")
        self._moved = counter("aiba_claims_moved_aiba", "Whole AIBA of those claims", "state")
        self._runs = counter("aiba_settlement_runs", "Runs of the settlement", "result")
        self._reads = counter("aiba_vault_reads", "Public reads of the vault", "route", "result")
        self._payments = counter("aiba_payments_judged", "TON payments judged", "result")
        self._proofs = counter("aiba_wallet_proofs", "Wallets brought forward", "result")
        self._gauges = _Gauges(monotonic)
        registry.register(self._gauges)

    # What the chain's reader tells

    def request(self, role: Role, method: str, result: Result, seconds: float) -> None:
        """Count an attempt to ask a provider, and how long it took."""
        method = closed(method, _METHODS)
        self._requests.of(role, method, result).inc()
        if result is not Result.NOT_SENT:
            self._durations.of(role, method).observe(seconds)

    def retry(self, role: Role, method: str) -> None:
        """Count an attempt that isn't the first."""
        self._retries.of(role, closed(method, _METHODS)).inc()

    def wait(self, role: Role, seconds: float) -> None:
        """Count a wait for a token of a provider's rate."""
        self._waits.of(role).observe(seconds)

    def answer(self, role: Role, question: Question, outcome: Outcome) -> None:
        """Count what a provider made of a question."""
        self._answers.of(role, question, outcome).inc()

    def switch(self) -> None:
        """Count that another provider answers from now on."""
        self._switches.inc()

    def block(self, seqno: int) -> None:
        """Keep the masterchain block in which something was just read."""
        self._gauges.note("block", seqno)

    def inventory(self, held: Inventory) -> None:
        """Keep what the vault holds, just read."""
        self._gauges.note("ton", held.ton_nano)
        self._gauges.note("jettons", held.jettons)

    # What the service tells

    def claim_moved(self, state: str, amount: int = 0) -> None:
        """Count a claim's step: the state it came into, or `reissued`; `amount` is whole AIBA."""
        state = closed(state, _MOVES)
        self._moves.of(state).inc()
        if amount:
            self._moved.of(state).inc(amount)

    def needs_ton(self, nano: int) -> None:
        """Keep below how many nanoTON a vault counts as out of gas."""
        self._gauges.note("needed_ton", nano)

    def claims_open(self, count: Mapping[ClaimState, int], oldest_ms: int | None) -> None:
        """Keep how many claims are in flight, and the age of the oldest, None without any."""
        for state in OPEN:
            self._gauges.note(state, count.get(state, 0))
        self._gauges.note("oldest", 0 if oldest_ms is None else oldest_ms / 1_000)

    def claims_counted_elsewhere(self) -> None:
        """Show nothing of the claims in flight: the process that settles them knows."""
        self._gauges.forget(*OPEN, "oldest")

    def settled(self, result: Settled, now_ms: int) -> None:
        """Count a run of the settlement, which ended at `now_ms`."""
        self._runs.of(result).inc()
        if result is Settled.OK:
            self._gauges.note("settled", now_ms / 1_000)

    def vault_read(self, route: VaultRoute, result: str) -> None:
        """Count a public read: `ok`, a claim's status, or `unavailable`."""
        self._reads.of(route, closed(result, _READS)).inc()

    def payment(self, result: str) -> None:
        """Count a payment: `ok`, why it doesn't pay, `used` by another, or `unavailable`."""
        self._payments.of(closed(result, _PAYMENTS)).inc()

    def proof(self, result: str) -> None:
        """Count a wallet brought forward: `ok`, or why it wasn't bound."""
        self._proofs.of(closed(result, _PROOFS)).inc()


class _Gauges(Collector):
    """The values last seen, each absent until it is known."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._noted: dict[str, _Noted] = {}

    def note(self, name: str, value: float) -> None:
        self._noted[name] = _Noted(value, self._monotonic())

    def forget(self, *names: str) -> None:
        """Show values no more."""
        for name in names:
            self._noted.pop(name, None)

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Name nothing in advance: what isn't known yet isn't there."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Give what is known, with ages as of now."""
        for key, name, text in _VALUES:
            if key in self._noted:
                yield GaugeMetricFamily(name, text, value=self._noted[key].value)
        for key, name, text in _AGES:
            if key in self._noted:
                yield GaugeMetricFamily(name, text, value=self._age_s(key))
        if "oldest" in self._noted:
            oldest = self._noted["oldest"].value
            yield GaugeMetricFamily(
                "aiba_claims_oldest_open_age_seconds",
                "Age of the oldest claim in flight, 0 without one",
                value=oldest + self._age_s("oldest") if oldest else 0,
            )
            states = GaugeMetricFamily("aiba_claims_open", "Claims in flight", labels=("state",))
            for state in OPEN:
                states.add_metric((state,), self._noted[state].value)
            yield states

    def _age_s(self, key: str) -> float:
        return self._monotonic() - self._noted[key].at


_VALUES: Final = (
    ("block", "aiba_ton_block_seqno", "Masterchain block of the last reading"),
    ("ton", "aiba_vault_ton_nano", "The vault's nanoTON"),
    ("needed_ton", "aiba_vault_min_ton_nano", "Below how many nanoTON a vault is out of gas"),
    ("jettons", "aiba_vault_jettons", "The vault's jettons"),
    (
        "settled",
        "aiba_settlement_last_success_timestamp_seconds",
        "When the settlement last got through",
    ),
)
_AGES: Final = (
    ("block", "aiba_ton_block_age_seconds", "How long ago that block was read"),
    ("ton", "aiba_vault_inventory_age_seconds", "How long ago the vault's holdings were read"),
)
