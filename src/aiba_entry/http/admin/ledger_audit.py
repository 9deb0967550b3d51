"""Where the continuous audit of the ledger stands, for admins."""

from typing import Any, Literal

import msgspec
from litestar import Controller, Request, get
from litestar.di import NamedDependency

from aiba_domain.application.admin_records import AdminRecords
from aiba_domain.instants import iso
from aiba_domain.ledger_audit.findings import LedgerStanding
from aiba_entry.http.admin.documents import SECURED
from aiba_entry.http.admin.guard import viewer
from aiba_entry.http.context import context_of
from aiba_entry.http.envelope import Reply, data_reply, documented


class _Out(msgspec.Struct, rename="camel", kw_only=True):
    """A document in camel case."""


class FindingOut(_Out):
    """Something that is wrong."""

    kind: Literal[
        "chain", "order", "entry", "debt", "cap", "sink", "balance", "imbalance", "claims"
    ]
    subject: str
    text: str


class LedgerAuditOut(_Out):
    """Where the audit stood at `at`; everything is null or 0 before its first round.

    `head` is the hash of the newest of `checkpoints`; `rechecked` of them were gone through again
    by whoever is at it, `reread` is the number of the last. `found` counts what is wrong, of which
    `findings` tells up to 100. `behindMs` is how old the oldest entry is that isn't sealed.
    """

    ok: bool | None
    at: str | None
    passed_at: str | None
    entries: int
    checkpoints: int
    head: str
    rechecked: int
    reread: int
    accounts: int
    behind_ms: int
    found: int
    findings: list[FindingOut]


class AdminLedgerAudit(Controller):
    """The route of the ledger's audit."""

    path = "/api/admin/audit/ledger"
    tags = ("admin",)
    security = SECURED

    @get(
        "/",
        guards=[viewer],
        responses=documented(LedgerAuditOut, 401, 403, 429, 503),
        operation_id="adminGetLedgerAudit",
    )
    async def standing(
        self, request: Request[Any, Any, Any], admins: NamedDependency[AdminRecords]
    ) -> Reply:
        """Return where the continuous audit of the ledger stands, and what it has found."""
        out = _standing(await admins.ledger_standing())
        return data_reply(out, context_of(request).request_id)


def _standing(standing: LedgerStanding | None) -> LedgerAuditOut:
    if standing is None:
        return LedgerAuditOut(
            ok=None,
            at=None,
            passed_at=None,
            entries=0,
            checkpoints=0,
            head="",
            rechecked=0,
            reread=0,
            accounts=0,
            behind_ms=0,
            found=0,
            findings=[],
        )
    return LedgerAuditOut(
        ok=standing.is_sound,
        at=iso(standing.at),
        passed_at=None if standing.passed_at is None else iso(standing.passed_at),
        entries=standing.entries,
        checkpoints=standing.checkpoints,
        head=standing.head,
        rechecked=standing.rechecked,
        reread=standing.reread,
        accounts=standing.accounts,
        behind_ms=standing.behind_ms,
        found=standing.found,
        findings=[
            FindingOut(kind=each.kind.value, subject=each.subject, text=each.text)
            for each in standing.findings
        ],
    )
