"""The worker of the ledger's audit: by the one process that holds the lease, round after round."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Final

from aiba_domain.application.ledger_auditor import LedgerAuditor
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.errors import DomainError
from aiba_domain.leases.model import Lease, LeaseLost
from aiba_domain.ledger_audit.findings import LedgerStanding
from aiba_domain.ports import Unavailable
from aiba_entry.audit_metrics import AuditMetrics
from aiba_entry.container import Container
from aiba_entry.duty import Duty
from aiba_entry.observability import get_logger

AUDIT: Final = "ledger.audit"
"""The lease of whoever audits the ledger."""

AUDIT_MS: Final = 30_000
"""How long after its last renewal a dead process keeps others from auditing, in ms."""

BUSY_SHARE: Final = 0.1
"""How much of the process's time a round takes at the most; players are served in the rest."""

_log = get_logger("aiba.audit")


@contextlib.asynccontextmanager
async def auditing(container: Container) -> AsyncIterator[None]:
    """Audit the ledger while the context lasts, if the settings say so."""
    seconds = container.settings().ledger_audit_s
    if not seconds:
        yield
        return
    duty: Duty = container.duty(AUDIT, ttl_ms=AUDIT_MS)
    inspector = Inspector(
        auditor=LedgerAuditor(store=container.store(), clock=container.clock()),
        duty=duty,
        pipeline=container.pipeline(),
        metrics=container.metrics().audit,
    )
    working = asyncio.create_task(inspector.work_for_ever(seconds))
    try:
        yield
    finally:
        working.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working
        await duty.end()


class Inspector:
    """Goes round again and again while it is on duty, and tells what it found."""

    def __init__(
        self,
        *,
        auditor: LedgerAuditor,
        duty: Duty,
        pipeline: Pipeline,
        metrics: AuditMetrics,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Work for whoever shares the duty's leases; `monotonic` gives seconds."""
        self._auditor = auditor
        self._duty = duty
        self._pipeline = pipeline
        self._metrics = metrics
        self._monotonic = monotonic
        self._lease: Lease | None = None
        self._told: tuple[str, ...] = ()

    async def work_for_ever(self, every_s: float) -> None:
        """Go round every so many seconds."""
        while True:
            await self.go_round()
            await asyncio.sleep(every_s)

    async def go_round(self) -> None:
        """Go round once, unless another process does. What goes wrong is tried again."""
        try:
            async with self._duty.held() as lease:
                if lease is None:
                    self._metrics.ran("elsewhere")
                    self._metrics.made_elsewhere()
                    self._lease = None
                    return
                if not lease.is_same(self._lease):
                    self._auditor.start_over()  # somebody else may have sealed meanwhile
                    self._lease = lease
                pipeline = self._pipeline.under(lease)
                standing = await self._auditor.go_round(pipeline, self._breather())
        except (Unavailable, LeaseLost) as error:
            self._metrics.ran("postponed")
            _log.warning("ledger audit postponed", reason=str(error))
        except DomainError as refusal:
            self._auditor.start_over()
            self._metrics.ran("postponed")
            _log.warning("ledger audit postponed", reason=refusal.code)
        except Exception:  # noqa: BLE001 - what is wrong in a store mustn't end the audit for good
            self._auditor.start_over()
            self._metrics.ran("failed")
            _log.exception("ledger audit failed")
        else:
            self._tell(standing)

    def _tell(self, standing: LedgerStanding) -> None:
        self._metrics.ran("ok" if standing.is_sound else "findings")
        self._metrics.stands(standing, self._auditor.found_by_kind)
        texts = tuple(finding.text for finding in standing.findings)
        for text in texts:
            if text not in self._told:
                _log.error("ledger audit found", finding=text)
        if self._told and not texts:
            _log.info("ledger audit is sound again", entries=standing.entries)
        self._told = texts

    def _breather(self) -> "_Breather":
        return _Breather(self._monotonic)


class _Breather:
    """Sleeps after each page so long that the audit takes no more than its share of the time."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._began = monotonic()

    async def __call__(self) -> None:
        worked = max(0.0, self._monotonic() - self._began)
        await asyncio.sleep(min(1.0, worked * (1 / BUSY_SHARE - 1)))
        self._began = self._monotonic()
