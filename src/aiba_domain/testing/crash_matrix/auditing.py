"""The audit of the ledger on the stage: what its command does there, and a round of it."""

from typing import Any, Final

from aiba_domain.application.audit import audit_store
from aiba_domain.application.ledger_auditor import LedgerAuditor
from aiba_domain.application.ledger_proofs import proof_for
from aiba_domain.decision import Command, Principal
from aiba_domain.instants import MINUTE
from aiba_domain.ledger_audit.commands import RecordAudit
from aiba_domain.ledger_audit.findings import LedgerStanding
from aiba_domain.ports import Reader
from aiba_domain.testing.crash_matrix.bench import Bench, Process
from aiba_domain.testing.doubles import NOON
from aiba_domain.testing.playground import OPERATOR

AUDIT_COMMANDS: Final[tuple[tuple[Principal, Command[Any]], ...]] = (
    (
        OPERATOR,
        RecordAudit(
            standing=LedgerStanding(
                at=NOON,
                passed_at=NOON,
                entries=1,
                checkpoints=0,
                head="",
                rechecked=0,
                reread=0,
                accounts=1,
                behind_ms=0,
                found=0,
                findings=(),
            )
        ),
    ),
)
"""A call of its command, and who issues it."""


async def audit(bench: Bench) -> None:
    """Go round twice under a lease, seal what is final, audit all at one moment, and prove."""

    async def breathe() -> None:
        return

    async def work(process: Process) -> list[object]:
        lease = await process.leases.acquire("audit", "worker", MINUTE)
        assert lease is not None
        auditor = LedgerAuditor(store=process.store, clock=bench.clock, seal_after_ms=0)
        pipeline = process.pipeline.under(lease)
        for _ in range(2):
            standing = await auditor.go_round(pipeline, breathe)
            assert standing.is_sound, standing.findings
        await process.leases.release(lease)
        report = await audit_store(process.store)
        assert report.is_sound, report.faults
        await proof_for(process.store, "1", number=None)
        return [report.entries, report.totals, await process.store.read(_all)]

    bench.answers.append(await bench.ask(work))


async def _all(read: Reader) -> list[object]:
    return [sum(1 for _ in read.entries()), dict(await read.accounts())]
