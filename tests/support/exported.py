"""What the service and its signer export, from the real metrics, each told all that can be told.

Rules, dashboards and pages are held against this: a name, a label or a value that isn't here is one
that they would wait for in vain.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final

from prometheus_client.parser import text_string_to_metric_families

from aiba_adapters.mongo_meter import COMMANDS, Closed, Connections, NoConnection, Resolved, Trouble
from aiba_adapters.toncenter.meter import METHODS, Outcome, Question, Result, Role
from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.battle.modes import ARENAS, LEAGUE_LEVELS
from aiba_domain.claims.claim import OPEN, ClaimState
from aiba_domain.claims.ports import Inventory
from aiba_domain.economy.emission import EmissionResult
from aiba_domain.ledger_audit.findings import FindingKind, LedgerStanding
from aiba_domain.money import Currency
from aiba_domain.outbox.commands import Fate
from aiba_domain.outbox.model import Backlog, Topic
from aiba_domain.signing.model import Lock
from aiba_entry.chain_metrics import OK, REISSUED, UNAVAILABLE, Settled, VaultRoute
from aiba_entry.metering import SINK_REASONS, SYSTEM_ARENAS, make_metrics
from aiba_entry.mongo_metrics import MongoMetrics
from aiba_entry.observability import UNMATCHED, Metrics
from aiba_entry.series import OTHER
from aiba_entry.service_metrics import LIMITS, DayUse, Ruling
from aiba_entry.signer.metrics import RELOADED, RESULTS, LimitUse, SignerMetrics, Standing

Labels = Mapping[str, frozenset[str]]
MODE: Final = "prediction-rookie"
STATUSES: Final = (200, 201, 204, 400, 401, 403, 404, 405, 409, 413, 422, 429, 499, 500, 502, 503)
RUNS: Final = ("ok", "postponed", "failed", "elsewhere")
OPEN_LABELS: Final = frozenset({"path", "le", "mode_key", "version", "python", "vault"})
"""The labels whose values depend on the deployment: routes, bounds, modes, builds, vaults."""


@cache
def exported() -> Mapping[str, Labels]:
    """Return every series' name with its labels and all values of each."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    told = Told()
    for text in (told.service(), told.signer()):
        for family in text_string_to_metric_families(text.decode()):
            for sample in family.samples:
                labels = found[sample.name]
                for label, value in sample.labels.items():
                    labels[label].add(value)
    return {
        name: {label: frozenset(values) for label, values in labels.items()}
        for name, labels in found.items()
    }


class Told:
    """A service's and a signer's metrics that are told everything, again for each scrape."""

    def __init__(self) -> None:
        """Begin with metrics that were told nothing."""
        self._metrics = make_metrics((MODE,))
        self._mongo = MongoMetrics()
        self._mongo.watch(Connections())
        self._metrics.join(self._mongo.registry)
        self._signer = SignerMetrics()

    def service(self) -> bytes:
        """Tell a service's, and return what is scraped."""
        for tell in (_game, _limits, _chain, _redis, _outbox, _audit):
            tell(self._metrics)
        _mongo(self._mongo)
        return self._metrics.render()

    def signer(self) -> bytes:
        """Tell a signer's, and return what is scraped."""
        return _signer(self._signer)


def _game(metrics: Metrics) -> None:
    for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", OTHER):
        for status in STATUSES:
            metrics.observe_request(method, UNMATCHED, status, 0.1)
    for entity in ("user", "broker"):
        metrics.auto_ban(entity)
    for result in (OK, "insufficient", "error"):
        metrics.withdrawal(result)
    for arena in (*ARENAS, *SYSTEM_ARENAS, OTHER):
        for league in (*LEAGUE_LEVELS, "global", OTHER):
            _place(metrics, arena, league)
    use = DayUse(emitted=1, cap=2)
    metrics.service.day({Currency.AIBA: use, Currency.NEUR: use})


def _place(metrics: Metrics, arena: str, league: str) -> None:
    for result in (OK, "error"):
        metrics.battle(arena, league, MODE, result)
    metrics.anomaly(arena, league, MODE)
    for currency in (*Currency, OTHER):
        for decision in EmissionResult:
            metrics.emission(currency, arena, league, decision)
        for reason in (*SINK_REASONS, OTHER):
            metrics.sink(currency, reason, arena, league, 1)
        metrics.service.emitted(currency, arena, 1)


def _limits(metrics: Metrics) -> None:
    for limit in (*LIMITS, OTHER):
        for ruling in Ruling:
            metrics.service.ruling(limit, ruling)
    for handler in HANDLERS.values():
        metrics.service.replayed(handler.name)


def _chain(metrics: Metrics) -> None:
    chain = metrics.chain
    for role in Role:
        for method in (*METHODS, OTHER):
            for result in Result:
                chain.request(role, method, result, 0.1)
            chain.retry(role, method)
        chain.wait(role, 0.1)
        for question in Question:
            for outcome in Outcome:
                chain.answer(role, question, outcome)
    chain.switch()
    chain.block(1)
    chain.inventory(Inventory(ton_nano=1, jetton_wallet="w", jettons=1))
    chain.needs_ton(1)
    for state in ClaimState:
        chain.claim_moved(state, 1)
    chain.claim_moved(REISSUED)
    chain.claims_open(dict.fromkeys(OPEN, 1), 1)
    for settled in Settled:
        chain.settled(settled, 1)
    for route in VaultRoute:
        for read in (OK, UNAVAILABLE):
            chain.vault_read(route, read)
    chain.payment(OK)
    chain.proof(OK)


def _redis(metrics: Metrics) -> None:
    for operation in ("hit", "check"):
        for result in (OK, "timeout", "unreachable", "refused"):
            metrics.redis.request(operation, result, 0.1)


def _outbox(metrics: Metrics) -> None:
    for topic in Topic:
        for fate in Fate:
            metrics.outbox.settled(topic, fate, 1)
    for result in RUNS:
        metrics.outbox.ran(result)
    metrics.outbox.backlog(Backlog(pending=1, oldest_at=1, dead=1), 2)


def _audit(metrics: Metrics) -> None:
    for result in (*RUNS, "findings"):
        metrics.audit.ran(result)
    standing = LedgerStanding(
        at=1,
        passed_at=1,
        entries=1,
        checkpoints=1,
        head="",
        rechecked=1,
        reread=1,
        accounts=1,
        behind_ms=1,
        found=0,
        findings=(),
    )
    metrics.audit.stands(standing, dict.fromkeys(FindingKind, 1))


def _mongo(mongo: MongoMetrics) -> None:
    for name in (*COMMANDS, OTHER):
        for trouble in (None, *Trouble):
            mongo.command(name, 0.1, trouble)
    mongo.connected()
    mongo.cleared()
    mongo.reconnect()
    mongo.primary_changed()
    for closed in Closed:
        mongo.disconnected(closed)
    for missed in (None, *NoConnection):
        mongo.checkout(0.1, missed)
    for trouble in Trouble:
        mongo.retry(trouble)
    for outcome in Resolved:
        mongo.lost_commit(outcome)


def _signer(metrics: SignerMetrics) -> bytes:
    for result in RESULTS:
        metrics.result(result)
    metrics.took(0.1)
    for place in ("decided", "committed", "logged"):
        metrics.probe(place)
    for what in RELOADED:
        for is_good in (True, False):
            metrics.reloaded(what, is_good=is_good)
    standing = Standing(
        locked=Lock.OPERATOR, quarantined_until_s=1, time_s=1, sequence=1, limits=tuple(_uses())
    )
    return metrics.render(standing)


def _uses() -> Iterator[LimitUse]:
    for limit in ("day", "lifetime"):
        yield LimitUse(vault="0:1", limit=limit, used=1, most=2)
