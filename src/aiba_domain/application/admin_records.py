"""What can be asked of admins and of the audit trail of what they did."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aiba_domain.administration.model import AdminAccount, AuditFilter, AuditRow, broken_seal
from aiba_domain.ledger_audit.findings import LedgerStanding
from aiba_domain.ports import Reader, Store

_WALKED: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditPage:
    """Rows of the audit trail, newest first, and how many there are in all."""

    rows: Sequence[AuditRow]
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailVerdict:
    """How many rows of the trail follow one another, and the first that doesn't, if one does not.

    `seal` is the last good row's: kept elsewhere, it also shows a trail that was cut off.
    """

    rows: int
    seal: str
    broken: int | None


class AdminRecords:
    """Reads for admins; each is one consistent read, but the walk along the trail."""

    def __init__(self, *, store: Store) -> None:
        """Read a store."""
        self._store = store

    async def accounts(self) -> Sequence[AdminAccount]:
        """Return all admins' accounts, ordered by email."""

        async def look(read: Reader) -> Sequence[AdminAccount]:
            return await read.admin_accounts()

        return await self._store.read(look)

    async def audit(self, wanted: AuditFilter, *, offset: int, limit: int) -> AuditPage:
        """Return a page of the audit trail."""

        async def look(read: Reader) -> AuditPage:
            rows, total = await read.audit_rows(wanted, offset=offset, limit=limit)
            return AuditPage(rows=rows, total=total)

        return await self._store.read(look)

    async def ledger_standing(self) -> LedgerStanding | None:
        """Return where the continuous audit of the ledger stands, None before its first round."""

        async def look(read: Reader) -> LedgerStanding | None:
            return await read.ledger_standing()

        return await self._store.read(look)

    async def verify_trail(self) -> TrailVerdict:
        """Walk along the whole trail; nothing in it changes while it grows."""
        last: AuditRow | None = None
        while rows := await self._after(last.number if last else 0):
            broken = broken_seal(rows, last)
            if broken is not None:
                good = [row for row in rows if row.number < broken]
                last = good[-1] if good else last
                return _verdict(last, broken)
            last = rows[-1]
        return _verdict(last, None)

    async def _after(self, number: int) -> Sequence[AuditRow]:
        async def look(read: Reader) -> Sequence[AuditRow]:
            return await read.audit_trail(after=number, limit=_WALKED)

        return await self._store.read(look)


def _verdict(last: AuditRow | None, broken: int | None) -> TrailVerdict:
    return TrailVerdict(
        rows=last.number if last else 0, seal=last.seal if last else "", broken=broken
    )
