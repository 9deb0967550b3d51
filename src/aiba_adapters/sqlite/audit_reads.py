"""What an audit of the ledger asks of a database."""

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from aiba_adapters.codec import decode
from aiba_adapters.sqlite.operator_reads import EARLIEST, ENTRY, OperatorReads, T
from aiba_domain.ledger_audit.balances import AUDIT_STATE, UNREADABLE, Audited, AuditState
from aiba_domain.ledger_audit.chain import Checkpoint, unreadable
from aiba_domain.ledger_audit.findings import STANDING, LedgerStanding
from aiba_domain.ledger_audit.rows import LedgerPage, Row, StoredBalances

_AT_ONCE: Final = 500
"""How many names one query gets."""

_SIDE: Final = (
    "SELECT MAX(number) FROM entries WHERE {0} = ?"
    " AND {0} NOT GLOB 'emission:*' AND {0} NOT GLOB 'sink:*' AND number < ?"
)


class AuditReads(OperatorReads):
    """The reads of an audit; its coroutines never suspend."""

    async def ledger(self, after: str, *, limit: int, settled: bool) -> LedgerPage:  # noqa: ARG002 - all are
        query = f"SELECT {ENTRY} FROM entries WHERE number > ? ORDER BY number LIMIT ?"  # noqa: S608 - fixed texts
        start = int(after) if after else EARLIEST
        rows = list(map(Row._make, self._execute(query, (start, limit))))
        place = str(rows[-1].number) if rows else after
        return LedgerPage(rows=rows, place=place, is_end=len(rows) < limit)

    async def stored_balances(self, after: str, *, limit: int) -> Sequence[StoredBalances]:
        rows = self._execute(
            "SELECT name, currency, balance FROM accounts WHERE name IN"
            " (SELECT DISTINCT name FROM accounts WHERE name > ? ORDER BY name LIMIT ?)"
            " ORDER BY name",
            (after, limit),
        )
        held: dict[str, dict[str, int]] = {}
        for account, currency, balance in rows:
            held.setdefault(account, {})[currency] = balance
        return [StoredBalances(account=account, held=each) for account, each in held.items()]

    async def last_checkpoint(self) -> Checkpoint | None:
        query = "SELECT number, body FROM checkpoints ORDER BY number DESC LIMIT 1"
        row = self._execute(query).fetchone()
        return _checkpoint(*row) if row else None

    async def checkpoints(self, *, after: int, limit: int) -> Sequence[Checkpoint]:
        query = "SELECT number, body FROM checkpoints WHERE number > ? ORDER BY number LIMIT ?"
        return [_checkpoint(*row) for row in self._execute(query, (after, limit))]

    async def checkpoint_of(self, account: str, *, before: int | None) -> Checkpoint | None:
        newest = await self.last_checkpoint()
        if newest is None:
            return None
        end = newest.last + 1
        if before is not None and before <= newest.number:
            end = self._first(before)
        found = [
            self._execute(_SIDE.format(side), (account, end)).fetchone()[0]
            for side in ("debit", "credit")
        ]
        number = max((each for each in found if each is not None), default=0)
        return None if number < 1 else self._covering(number, newest.number)

    async def audit_state(self) -> AuditState | None:
        query = "SELECT body FROM audit_state WHERE name = ?"
        row = self._execute(query, (AUDIT_STATE,)).fetchone()
        return _read(AuditState, row[0], UNREADABLE) if row else None

    async def audited(self, after: str, *, limit: int) -> Sequence[Audited]:
        query = "SELECT account, body FROM audited WHERE account > ? ORDER BY account LIMIT ?"
        return [_audited(*row) for row in self._execute(query, (after, limit))]

    async def audited_of(self, accounts: Collection[str]) -> Sequence[Audited]:
        names, found = list(accounts), []
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            marks = ", ".join("?" * len(some))
            query = f"SELECT account, body FROM audited WHERE account IN ({marks})"  # noqa: S608 - marks alone
            found += [_audited(*row) for row in self._execute(query, some)]
        return found

    async def ledger_standing(self) -> LedgerStanding | None:
        query = "SELECT body FROM ledger_standing WHERE name = ?"
        return self._one(LedgerStanding, query, STANDING)

    def _covering(self, number: int, newest: int) -> Checkpoint | None:
        """Return the last checkpoint that begins with an entry or before it."""
        low, high = 1, newest
        while low < high:
            middle = (low + high + 1) // 2
            if self._first(middle) <= number:
                low = middle
            else:
                high = middle - 1
        row = self._execute("SELECT body FROM checkpoints WHERE number = ?", (low,)).fetchone()
        return _checkpoint(low, row[0]) if row else None

    def _first(self, checkpoint: int) -> int:
        """Return the number of the first entry that a checkpoint covers, 0 if it isn't there."""
        query = "SELECT body FROM checkpoints WHERE number = ?"
        row = self._execute(query, (checkpoint,)).fetchone()
        return _checkpoint(checkpoint, row[0]).first if row else 0


def _checkpoint(number: int, body: str) -> Checkpoint:
    return _read(Checkpoint, body, unreadable(number))


def _audited(account: str, body: str) -> Audited:
    return _read(Audited, body, Audited(account=account, round=0, held={}))


def _read(kind: type[T], body: str, otherwise: T) -> T:
    """Read a record, or return what stands for one that somebody has tampered with."""
    try:
        return decode(kind, body)
    except (msgspec.MsgspecError, TypeError):
        return otherwise
