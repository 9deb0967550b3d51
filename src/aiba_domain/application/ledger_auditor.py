"""The continuous audit of the ledger: seals what is final, and never stops looking again."""

from collections.abc import Awaitable, Callable
from typing import Final

from aiba_domain.application.ledger_audit import Walk, told
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.application.upkeep import SERVICE
from aiba_domain.instants import MINUTE, SECOND
from aiba_domain.ledger_audit.chain import MAX_BATCH, Checkpoint
from aiba_domain.ledger_audit.commands import RecordAudit
from aiba_domain.ledger_audit.findings import FindingKind, LedgerStanding
from aiba_domain.ports import Clock, Reader, Store

SEAL_AFTER_MS: Final = MINUTE
"""How old an entry gets at the most before what there is is sealed, though it fills no batch."""

TELL_AFTER_MS: Final = 30 * SECOND
"""How often the standing is written though nothing else has changed."""

RECHECKED: Final = 4
"""How many sealed batches are gone through again in a round, one after another for ever."""

Breathe = Callable[[], Awaitable[None]]
"""What is awaited after each page, so that others come to their turn."""


class LedgerAuditor:
    """Goes round while one process has the duty; holds all balances in memory.

    Whoever gets the duty starts over: it goes through the whole ledger and its chain once, and from
    then on through what is new. A round costs as much as there is new, and a bound.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        seal_after_ms: int = SEAL_AFTER_MS,
        size: int = MAX_BATCH,
    ) -> None:
        """Audit a store; a checkpoint gets up to `size` entries, up to MAX_BATCH."""
        self._size = size
        self._store = store
        self._clock = clock
        self._seal_after_ms = seal_after_ms
        self._passed_at: int | None = None
        self._told: LedgerStanding | None = None
        self.start_over()

    def start_over(self) -> None:
        """Forget all: another one may have been at work."""
        self._walk = Walk(size=self._size)
        self._offered: Checkpoint | None = None
        self._rechecked = 0

    @property
    def found_by_kind(self) -> dict[FindingKind, int]:
        """How many findings of each kind there are."""
        found = dict.fromkeys(FindingKind, 0)
        for finding in self._walk.findings:
            found[finding.kind] += 1
        return found

    async def go_round(self, pipeline: Pipeline, breathe: Breathe) -> LedgerStanding:
        """Take in and seal what is new, compare some accounts, look at some batches again.

        `pipeline` is under the lease of whoever does this. Raises Unavailable, LeaseLost, and
        DomainError `checkpoint out of order` if another one has sealed: then start over.
        """
        if self._told is None:
            await self._remember_standing()
        await self._catch_up(pipeline, breathe)
        await self._store.read(self._walk.compare)
        await breathe()
        await self._recheck(breathe)
        standing = self._standing()
        await self._tell(pipeline, standing)
        return standing

    async def _catch_up(self, pipeline: Pipeline, breathe: Breathe) -> None:
        walk = self._walk

        async def step(read: Reader) -> None:
            await walk.step(read, settled=True)

        if self._offered is not None:
            await self._seal(pipeline)
        while True:
            await self._store.read(step)
            if self._is_due():
                await self._seal(pipeline)
            await breathe()
            if walk.at_end:
                return

    def _is_due(self) -> bool:
        batch = self._walk.batch
        if not batch.count:
            return False
        age_ms = self._clock.now() - batch.first_at
        return self._walk.is_batch_full or (self._walk.at_end and age_ms >= self._seal_after_ms)

    async def _seal(self, pipeline: Pipeline) -> None:
        """Seal what was taken in; nothing, where that would hide what is wrong before it."""
        walk = self._walk
        if not walk.is_chain_whole:
            walk.drop_batch()
            return
        if self._offered is None:
            self._offered = walk.batch.seal(walk.last, walk.books.held, self._clock.now())
        # Sent again after an answer that was lost, it is taken for what is there already.
        (await pipeline.execute(SERVICE, RecordAudit(checkpoints=(self._offered,)))).reply()
        walk.sealed(self._offered)
        self._offered = None

    async def _recheck(self, breathe: Breathe) -> None:
        walk = self._walk
        total = walk.last.number if walk.last else 0
        for _ in range(min(RECHECKED, total)):
            number = self._rechecked % total + 1

            async def look(read: Reader, number: int = number) -> None:
                await walk.recheck(read, number)

            await self._store.read(look)
            self._rechecked += 1
            await breathe()

    def _standing(self) -> LedgerStanding:
        walk, now = self._walk, self._clock.now()
        findings = walk.findings
        if not findings:
            self._passed_at = now
        last = walk.last
        return LedgerStanding(
            at=now,
            passed_at=self._passed_at,
            entries=walk.books.entries,
            checkpoints=last.number if last else 0,
            head=last.hash if last else "",
            rechecked=self._rechecked,
            accounts=walk.accounts,
            behind_ms=max(0, now - walk.batch.first_at) if walk.batch.count else 0,
            found=len(findings),
            findings=told(findings),
        )

    async def _tell(self, pipeline: Pipeline, standing: LedgerStanding) -> None:
        """Write the standing where it says something new, or the last one has grown old."""
        before = self._told
        is_new = (
            before is None
            or (before.head, before.findings) != (standing.head, standing.findings)
            or not 0 <= standing.at - before.at < TELL_AFTER_MS
        )
        if is_new:
            (await pipeline.execute(SERVICE, RecordAudit(standing=standing))).reply()
            self._told = standing

    async def _remember_standing(self) -> None:
        """Learn when the ledger was last found sound, by whoever was at work before."""

        async def look(read: Reader) -> LedgerStanding | None:
            return await read.ledger_standing()

        before = await self._store.read(look)
        if before is not None and self._passed_at is None:
            self._passed_at = before.passed_at
