"""What an audit of the ledger asks of the state."""

from collections.abc import Collection, Sequence

from aiba_adapters.memory.operator_reads import OperatorReads
from aiba_domain.ledger_audit.balances import AUDIT_STATE, Audited, AuditState
from aiba_domain.ledger_audit.chain import Checkpoint
from aiba_domain.ledger_audit.findings import STANDING, LedgerStanding
from aiba_domain.ledger_audit.rows import LedgerPage, Row, StoredBalances
from aiba_domain.ports import Entry


class AuditReads(OperatorReads):
    """The reads of an audit."""

    async def ledger(self, after: str, *, limit: int, settled: bool) -> LedgerPage:  # noqa: ARG002 - all are
        start = int(after or 0)
        found = self._state.entries[start : start + limit]
        end = start + len(found)
        return LedgerPage(
            rows=[_row(each) for each in found],
            place=str(end),
            is_end=end == len(self._state.entries),
        )

    async def stored_balances(self, after: str, *, limit: int) -> Sequence[StoredBalances]:
        held: dict[str, dict[str, int]] = {}
        for (account, currency), balance in self._state.balances.items():
            if account > after:
                held.setdefault(account, {})[currency.value] = balance
        return [StoredBalances(account=each, held=held[each]) for each in sorted(held)[:limit]]

    async def last_checkpoint(self) -> Checkpoint | None:
        return max(self._all(Checkpoint), key=lambda each: each.number, default=None)

    async def checkpoints(self, *, after: int, limit: int) -> Sequence[Checkpoint]:
        found = [each for each in self._all(Checkpoint) if each.number > after]
        return sorted(found, key=lambda each: each.number)[:limit]

    async def checkpoint_of(self, account: str, *, before: int | None) -> Checkpoint | None:
        sealed = sorted(self._all(Checkpoint), key=lambda each: -each.number)
        for checkpoint in sealed:
            if before is None or checkpoint.number < before:
                covered = self._state.entries[checkpoint.first - 1 : checkpoint.last]
                if any(account in (each.posting.debit, each.posting.credit) for each in covered):
                    return checkpoint
        return None

    async def audit_state(self) -> AuditState | None:
        return self._get(AuditState, AUDIT_STATE)

    async def audited(self, after: str, *, limit: int) -> Sequence[Audited]:
        found = [each for each in self._all(Audited) if each.account > after]
        return sorted(found, key=lambda each: each.account)[:limit]

    async def audited_of(self, accounts: Collection[str]) -> Sequence[Audited]:
        found = (self._get(Audited, account) for account in accounts)
        return [each for each in found if each is not None]

    async def ledger_standing(self) -> LedgerStanding | None:
        return self._get(LedgerStanding, STANDING)


def _row(entry: Entry) -> Row:
    posting = entry.posting
    return Row(
        entry.number,
        entry.at,
        posting.currency.value,
        posting.amount,
        posting.debit,
        posting.credit,
        posting.reason,
        posting.arena,
        posting.league,
        posting.source_type,
        posting.source_id,
    )
