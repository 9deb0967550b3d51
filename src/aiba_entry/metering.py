"""Counts what the core did as metrics."""

from typing import assert_never

from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.battle.modes import ARENAS, LEAGUE_LEVELS
from aiba_domain.claims.claim import ClaimState
from aiba_domain.claims.commands import INSUFFICIENT
from aiba_domain.economy.commands import COMBO_ARENA, DAILY_ARENA, GLOBAL_LEAGUE
from aiba_domain.economy.emission import EmissionResult
from aiba_domain.events import (
    AutoBanned,
    BattleFought,
    ClaimMoved,
    ClaimRefused,
    ClaimReissued,
    EmissionJudged,
    Event,
    MoneySpent,
)
from aiba_domain.moderation.model import Subject
from aiba_entry.chain_metrics import REISSUED
from aiba_entry.observability import Metrics
from aiba_entry.series import OTHER

SYSTEM_ARENAS = ("training", "repairs", "upgrades", "combine", DAILY_ARENA, COMBO_ARENA)
SINK_REASONS = ("train", "repair", "upgrade", "combine", "entry")
_BATTLE = "battle.run"
_CLAIMS = ("claim.reserve", "claim.reserve_battle", "claim.sign")


def make_metrics(mode_keys: tuple[str, ...]) -> Metrics:
    """Make the metrics of a service whose modes have these keys."""
    return Metrics(
        arenas=(*ARENAS, *SYSTEM_ARENAS),
        leagues=(*LEAGUE_LEVELS, GLOBAL_LEAGUE),
        mode_keys=mode_keys,
        reasons=SINK_REASONS,
        commands=(handler.name for handler in HANDLERS.values()),
    )


class MetricsObserver:
    """Tells the metrics what took effect."""

    def __init__(self, metrics: Metrics) -> None:
        """Count into `metrics`."""
        self._metrics = metrics

    def committed(self, event: Event) -> None:
        """Count something that took effect."""
        self._metrics.later.count(self._count, event)

    def _count(self, event: Event) -> None:
        metrics = self._metrics
        match event:
            case BattleFought():
                metrics.battle(event.arena, event.league, event.mode_key, "ok")
                if event.anomaly:
                    metrics.anomaly(event.arena, event.league, event.mode_key)
            case EmissionJudged():
                metrics.emission(event.currency, event.arena, event.league, event.result)
                if event.result is EmissionResult.OK:
                    metrics.service.emitted(event.currency, event.arena, event.amount)
            case MoneySpent():
                metrics.sink(event.currency, event.reason, event.arena, event.league, event.amount)
            case ClaimMoved() | ClaimReissued() | ClaimRefused():
                self._withdrawal(event)
            case AutoBanned():
                metrics.auto_ban("user" if event.subject is Subject.PLAYER else "broker")
            case _:
                assert_never(event)

    def _withdrawal(self, event: ClaimMoved | ClaimReissued | ClaimRefused) -> None:
        metrics = self._metrics
        match event:
            case ClaimMoved():
                metrics.chain.claim_moved(event.state, event.amount)
                if event.state is ClaimState.RESERVED:
                    metrics.withdrawal("ok")
            case ClaimReissued():
                metrics.chain.claim_moved(REISSUED)
            case ClaimRefused():
                if event.code == INSUFFICIENT:
                    metrics.withdrawal("insufficient")
            case _:
                assert_never(event)

    def failed(self, command: str) -> None:
        """Count a battle or a withdrawal that ended in an error, ours or of something outside."""
        if command == _BATTLE:
            self._metrics.battle(OTHER, OTHER, OTHER, "error")
        elif command in _CLAIMS:
            self._metrics.withdrawal("error")

    def replayed(self, command: str) -> None:
        """Count an answer that was given again; it took no effect, so no other series counts it."""
        self._metrics.service.replayed(command)
