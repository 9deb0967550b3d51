"""What an audit of the ledger asks within one transaction, and the helpers that all reads share."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

import msgspec
from pymongo import ASCENDING, DESCENDING

from aiba_adapters.mongo.ledger import Ledger
from aiba_adapters.mongo.ledger_pages import Spot, spot_of
from aiba_adapters.mongo.locks import Locks
from aiba_adapters.mongo.shapes.base import RecordShape
from aiba_adapters.mongo.shapes.money import (
    AuditedShape,
    AuditStateShape,
    CheckpointShape,
    LedgerStandingShape,
)
from aiba_adapters.mongo.transaction import Transaction
from aiba_domain.ledger_audit.balances import AUDIT_STATE, UNREADABLE, Audited, AuditState
from aiba_domain.ledger_audit.chain import Checkpoint, unreadable
from aiba_domain.ledger_audit.findings import STANDING, LedgerStanding
from aiba_domain.ledger_audit.rows import LedgerPage, StoredBalances

R = TypeVar("R")

CHECKPOINT_LOCK = "checkpoints"
"""The lock of whoever adds to the chain of checkpoints."""


class AuditReads:
    """The reads of an audit; notes in `_locks` what a unit depends on by them."""

    def __init__(self, transaction: Transaction, ledger: Ledger) -> None:
        """Read in a transaction."""
        self._transaction = transaction
        self._ledger = ledger
        self._locks = Locks(transaction)

    async def ledger(self, after: str, *, limit: int, settled: bool) -> LedgerPage:
        return await self._ledger.page(after, limit, settled=settled)

    async def stored_balances(self, after: str, *, limit: int) -> Sequence[StoredBalances]:
        return await self._ledger.stored_balances(after, limit)

    async def last_checkpoint(self) -> Checkpoint | None:
        self._locks.name(CHECKPOINT_LOCK)
        newest = [("_id", DESCENDING)]
        found = await self._transaction.all(CheckpointShape, {}, sort=newest, limit=1)
        return _checkpoint(found[0]) if found else None

    async def checkpoints(self, *, after: int, limit: int) -> Sequence[Checkpoint]:
        where = {"_id": {"$gt": after}}
        order = [("_id", ASCENDING)]
        found = await self._transaction.all(CheckpointShape, where, sort=order, limit=limit)
        return list(map(_checkpoint, found))

    async def checkpoint_of(self, account: str, *, before: int | None) -> Checkpoint | None:
        newest = await self.last_checkpoint()
        if newest is None:
            return None
        if before is None or before > newest.number:
            page = await self._ledger.page(newest.place, newest.count, settled=False)
            if any(account in (row.debit, row.credit) for row in page.rows):
                return newest
            before = newest.number
        end = await self._start(before)
        found = None if end is None else await self._ledger.newest_of(account, end)
        return None if found is None else await self._covering(found, before - 1)

    async def audit_state(self) -> AuditState | None:
        self._locks.name(CHECKPOINT_LOCK)
        stored = await self._transaction.one(AuditStateShape, {"_id": AUDIT_STATE})
        return _read(AuditStateShape, stored, UNREADABLE) if stored else None

    async def audited(self, after: str, *, limit: int) -> Sequence[Audited]:
        self._locks.name(CHECKPOINT_LOCK)
        where = {"_id": {"$gt": after}}
        order = [("_id", ASCENDING)]
        found = await self._transaction.all(AuditedShape, where, sort=order, limit=limit)
        return list(map(_audited, found))

    async def audited_of(self, accounts: Collection[str]) -> Sequence[Audited]:
        self._locks.name(CHECKPOINT_LOCK)
        found = await self._transaction.all(AuditedShape, {"_id": {"$in": list(accounts)}})
        return list(map(_audited, found))

    async def ledger_standing(self) -> LedgerStanding | None:
        return await self._record(LedgerStandingShape, STANDING)

    async def _covering(self, spot: Spot, newest: int) -> Checkpoint | None:
        """Return the last checkpoint, up to `newest`, that begins before a spot."""
        low, high = 1, newest
        while low < high:
            middle = (low + high + 1) // 2
            start = await self._start(middle)
            if start is not None and start < spot:
                low = middle
            else:
                high = middle - 1
        stored = await self._transaction.one(CheckpointShape, {"_id": low})
        return _checkpoint(stored) if stored else None

    async def _start(self, checkpoint: int) -> Spot | None:
        """Return after which spot a checkpoint's entries begin, None for the first of all."""
        stored = await self._transaction.one(CheckpointShape, {"_id": checkpoint})
        return spot_of(_checkpoint(stored).place) if stored else None

    async def _record(
        self, shape: type[RecordShape[R]], key: object, *, lock: bool = True
    ) -> R | None:
        """Read a record, on which the unit then depends unless it never changes."""
        stored = await self._transaction.one(shape, {"_id": key})
        if stored is None:
            return None
        if lock and not shape.unchanging:
            self._locks.read(shape, key)
        return shape.record(stored)

    async def _records(
        self, shape: type[RecordShape[R]], where: Mapping[str, Any], **options: Any
    ) -> list[R]:
        found = await self._transaction.all(shape, where, **options)
        return [shape.record(stored) for stored in found]


def _checkpoint(stored: Mapping[str, Any]) -> Checkpoint:
    return _read(CheckpointShape, stored, unreadable(stored["_id"]))


def _audited(stored: Mapping[str, Any]) -> Audited:
    return _read(AuditedShape, stored, Audited(account=stored["_id"], round=0, held={}))


def _read(shape: type[RecordShape[R]], stored: Mapping[str, Any], otherwise: R) -> R:
    """Read a record, or return what stands for one that somebody has tampered with."""
    try:
        return shape.record(stored)
    except (msgspec.MsgspecError, LookupError, TypeError, ValueError):
        return otherwise
