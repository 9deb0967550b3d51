"""The continuous audit of the ledger: seals what is final, and never stops looking again."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from aiba_domain.application.ledger_comparison import Comparison, told
from aiba_domain.application.ledger_head import Head
from aiba_domain.application.ledger_reread import Reread
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.application.upkeep import SERVICE
from aiba_domain.instants import DAY, MINUTE, SECOND
from aiba_domain.ledger_audit.balances import NOTHING_HELD, AuditState, to_text
from aiba_domain.ledger_audit.chain import MAX_BATCH, Checkpoint
from aiba_domain.ledger_audit.commands import RecordAudit
from aiba_domain.ledger_audit.findings import (
    MAX_FINDINGS,
    Finding,
    FindingKind,
    LedgerStanding,
)
from aiba_domain.ports import Clock, Reader, Store

SEAL_AFTER_MS: Final = MINUTE
"""How old an entry gets at the most before what there is is sealed, though it fills no batch."""

TELL_AFTER_MS: Final = 30 * SECOND
"""How often the standing is written though nothing else has changed."""

RECHECKED: Final = 4
"""How many sealed batches are gone through again in a round, at the least."""

DISTRUST_MS: Final = 15 * MINUTE
"""How long it is told that its own balances had been changed, though they are made anew since."""

PASS_ROUNDS: Final = DAY // (10 * SECOND)
"""In how many rounds everything sealed is gone through again, at the most."""

Breathe = Callable[[], Awaitable[None]]
"""What is awaited after each page, so that others come to their turn."""


class LedgerAuditor:
    """Goes round while one process has the duty, in bounded memory.

    Whoever gets the duty goes on from the balances that the last checkpoint seals, once it has
    added them up; a round then costs as much as there is new, and a bound.
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
        self._reread = Reread()
        self.start_over()

    def start_over(self) -> None:
        """Forget all but what was found: another one may have been at work."""
        self._head = Head(self._size, self._clock.now())
        self._comparison = Comparison(self._head)
        self._accounts = 0
        self._has_begun = False
        self._distrusted: tuple[int, Finding] | None = None
        self._is_making_anew = False
        self._offered: RecordAudit | None = None
        self._total = NOTHING_HELD
        self._newest: Checkpoint | None = None

    @property
    def found_by_kind(self) -> dict[FindingKind, int]:
        """How many findings of each kind there are."""
        found = dict.fromkeys(FindingKind, 0)
        for finding in self._findings():
            found[finding.kind] += 1
        return found

    async def go_round(self, pipeline: Pipeline, breathe: Breathe) -> LedgerStanding:
        """Take in and seal what is new, compare some accounts, look at some batches again.

        `pipeline` is under the lease of whoever does this. Raises Unavailable, LeaseLost, and
        DomainError `checkpoint out of order` if another one has sealed: then start over.
        """
        if self._told is None:
            await self._remember_standing()
        if not self._has_begun:
            await self._begin(pipeline, breathe)
        await self._catch_up(pipeline, breathe)
        if self._distrusted and self._clock.now() - self._distrusted[0] >= DISTRUST_MS:
            self._distrusted = None
        await self._compare()
        await breathe()
        await self._look_again(pipeline, breathe)
        standing = self._standing()
        await self._tell(pipeline, standing)
        return standing

    async def _begin(self, pipeline: Pipeline, breathe: Breathe) -> None:
        """Go on from the stored balances if they are those that were sealed."""
        head = self._head
        self._newest = await self._store.read(_newest)
        wrong = await self._store.read(head.begin)
        while wrong is None and not head.is_verified:
            wrong = await self._store.read(head.verify)
            await breathe()
        if wrong is not None:
            await self._distrust(pipeline, wrong)
        self._has_begun = True

    async def _distrust(self, pipeline: Pipeline, wrong: Finding) -> None:
        """Begin balances of its own anew, from the first entry; tell why until they are whole."""
        head = Head(self._size, max(self._clock.now(), self._head.round + 1))
        head.is_verified = True
        head.books.faults = dict(self._head.books.faults)
        state = AuditState(
            round=head.round,
            checkpoint=0,
            total=to_text(NOTHING_HELD),
            faults=tuple(head.books.faults.values()),
        )
        (await pipeline.execute(SERVICE, RecordAudit(state=state))).reply()
        self._head, self._comparison = head, Comparison(head)
        self._distrusted = self._clock.now(), wrong
        self._is_making_anew = True

    async def _catch_up(self, pipeline: Pipeline, breathe: Breathe) -> None:
        if self._offered is not None:
            await self._offer(pipeline, self._offered)
        while True:
            followed = await self._store.read(self._head.step)
            if followed is not None:
                total = self._head.books.sum_now()
                audited, state = self._head.own(followed, total)
                (await pipeline.execute(SERVICE, RecordAudit(audited=audited, state=state))).reply()
                self._head.passed(followed, total)
            elif self._is_due():
                if not self._is_whole:
                    return
                await self._seal(pipeline)
            await breathe()
            if self._head.at_end:
                break
        if self._head.finding is None:
            self._is_making_anew = False

    @property
    def _is_whole(self) -> bool:
        """Whether entries can be sealed after those that are."""
        return not self._reread.findings and self._head.finding is None

    def _is_due(self) -> bool:
        head = self._head
        if not head.batch.count:
            return False
        age_ms = self._clock.now() - head.batch.first_at
        is_old = head.last is None or age_ms >= self._seal_after_ms
        return head.is_batch_full or (head.at_end and is_old)

    async def _seal(self, pipeline: Pipeline) -> None:
        """Seal what was taken in."""
        head = self._head
        self._total = total = head.books.sum_now()
        checkpoint = head.batch.seal(head.last, head.books.held, total, self._clock.now())
        audited, state = head.own(checkpoint, total)
        self._offered = RecordAudit(checkpoints=(checkpoint,), audited=audited, state=state)
        await self._offer(pipeline, self._offered)

    async def _offer(self, pipeline: Pipeline, offered: RecordAudit) -> None:
        # Sent again after an answer that was lost, it is taken for what is there already.
        (await pipeline.execute(SERVICE, offered)).reply()
        self._newest = offered.checkpoints[-1]
        self._head.passed(self._newest, self._total)
        self._offered = None

    async def _compare(self) -> None:
        """Compare some accounts, unless the own balances are still being made."""
        if self._is_making_anew or self._head.finding is not None:
            return
        head, comparison = self._head, self._comparison
        before = comparison.accounts

        async def look(read: Reader) -> None:
            await comparison.go_on(read, head.start)

        await self._store.read(look)
        self._accounts += comparison.accounts - before

    async def _look_again(self, pipeline: Pipeline, breathe: Breathe) -> None:
        """Go through some sealed batches again; at the end of a pass, compare what it came to."""
        target = self._head.last
        if target is None or self._is_making_anew:
            return
        reread = self._reread
        rounds = max(RECHECKED, -(-target.number // PASS_ROUNDS))
        for _ in range(min(rounds, target.number)):
            if reread.number == 0 or reread.number >= target.number:
                reread.begin(max(self._head.accounts, self._comparison.known))

            async def look(read: Reader) -> bool:
                return await reread.step(read, target)

            is_over = await self._store.read(look)
            await breathe()
            if is_over and await self._end_pass(pipeline, breathe):
                return

    async def _end_pass(self, pipeline: Pipeline, breathe: Breathe) -> bool:
        """Compare a pass's balances with the own ones; tell whether those aren't trusted now."""
        reread = self._reread
        for names in reread.to_check():

            async def look(read: Reader, names: Sequence[str] = names) -> Finding | None:
                return await reread.differs(read, names)

            wrong = await self._store.read(look)
            if wrong is not None:
                await self._distrust(pipeline, wrong)
                return True
            await breathe()
        reread.finish()
        return False

    def _findings(self) -> list[Finding]:
        head = self._head
        distrusted = self._distrusted[1] if self._distrusted else None
        own = [each for each in (distrusted, head.finding) if each is not None]
        again = self._reread.findings
        known = {each.subject for each in again if each.kind is FindingKind.CHAIN}
        own = [each for each in own if each.subject not in known]
        faults = head.books.faults | self._reread.faults
        return [*own, *again, *faults.values(), *self._comparison.findings()]

    def _standing(self) -> LedgerStanding:
        head, now = self._head, self._clock.now()
        findings = self._findings()
        if not findings:
            self._passed_at = now
        last = self._newest
        return LedgerStanding(
            at=now,
            passed_at=self._passed_at,
            entries=head.books.entries,
            checkpoints=last.number if last else 0,
            head=last.hash if last else "",
            rechecked=self._reread.count,
            reread=self._reread.number,
            accounts=self._accounts,
            behind_ms=max(0, now - head.batch.first_at) if head.batch.count else 0,
            found=len(findings),
            findings=told(findings, MAX_FINDINGS),
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
        """Learn where whoever was at work before stood: when all was sound, what was read again."""

        async def look(read: Reader) -> LedgerStanding | None:
            return await read.ledger_standing()

        before = await self._store.read(look)
        if before is not None and self._passed_at is None:
            self._passed_at = before.passed_at
            self._reread = Reread(before.reread)


async def _newest(read: Reader) -> Checkpoint | None:
    return await read.last_checkpoint()
