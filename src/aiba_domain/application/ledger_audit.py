"""The audit of the whole ledger: along the chain, over every entry, against the balances.

It is what the command line does at one moment. The worker in the background, which goes on from
where it was, is `ledger_auditor`.
"""

from collections.abc import Collection, Sequence

from aiba_domain.application.ledger_comparison import Comparison, Holdings
from aiba_domain.application.ledger_rows import (
    chain_finding,
    covered,
    learn_policies,
    no_balances,
    no_follower,
    other_entries,
    other_sums,
    plain,
)
from aiba_domain.ledger_audit.balances import modulo, part_of, seal_of
from aiba_domain.ledger_audit.books import Books
from aiba_domain.ledger_audit.chain import MAX_BATCH, Batch, Checkpoint, follows
from aiba_domain.ledger_audit.findings import Finding, FindingKind
from aiba_domain.ledger_audit.rows import START, LedgerPage, Row
from aiba_domain.ports import Reader

_OWN_AT_ONCE = 5_000


class Walk:
    """Goes through a ledger from its start, page by page, each in a read of its own if need be.

    First along the checkpoints that are there, each of which must cover what it was made of; then
    over the entries that come after them. It holds every balance, some 300 bytes for each account
    and currency, and some 150 bytes a checkpoint.
    """

    def __init__(self) -> None:
        """Stand before the first entry."""
        self.books = Books()
        self.last: Checkpoint | None = None
        self.at_end = False
        self.comparison = Comparison(_InBooks(self.books))
        self._found: dict[int, Finding] = {}
        self._is_other = False
        self._own: Finding | None = None
        self._hashes: list[str] = []
        self._seals: list[str] = []
        self._place = START
        self._follows_chain = True

    @property
    def findings(self) -> list[Finding]:
        """All that is known to be wrong now."""
        own = (self._own,) if self._own else ()
        faults = self.books.faults.values()
        return [*self._found.values(), *faults, *self.comparison.findings(), *own]

    def knows(self, head: str) -> bool:
        """Tell whether a hash is that of a checkpoint that was followed."""
        return head in self._hashes

    async def step(self, read: Reader, *, settled: bool) -> None:
        """Take in the next page; `at_end` then tells whether it was the last there is."""
        self.at_end = False
        await learn_policies(read, self.books.caps)
        if self._follows_chain:
            found = await read.checkpoints(after=len(self._hashes), limit=1)
            if found:
                await self._follow(read, found[0])
                return
            self._follows_chain = False
        page = await read.ledger(self._place, limit=MAX_BATCH, settled=settled)
        for row in page.rows:
            self.books.take(row)
        self._place = page.place
        self.at_end = page.is_end
        if page.is_end:
            self.books.end_of_unit()

    async def compare(self, read: Reader, *, limit: int) -> None:
        """Compare everything that is stored with what the entries come to."""
        while await self.comparison.go_on(read, self._place, limit=limit):
            if self.comparison.is_pass_over:
                break
        await self._compare_own(read)

    async def _follow(self, read: Reader, checkpoint: Checkpoint) -> None:
        """Take in what a checkpoint covers, which must be what it was made of."""
        number = len(self._hashes) + 1
        page = await covered(read, self._place, checkpoint)
        if not checkpoint.hash:
            page = await self._up_to_next(read, number)
        batch = self._take(page.rows)
        other = batch.first_other(checkpoint)
        is_follower = follows(checkpoint, self.last)
        total = self.books.sum_now()
        if other is not None and checkpoint.hash:
            self._is_other = True
            self._found[number] = other_entries(checkpoint, other)
        elif not is_follower:
            self._found[number] = no_follower(checkpoint, number)
        elif not self._is_other and not self._comes_to(checkpoint, total):
            self._found[number] = other_sums(number)
        elif not self._is_other and checkpoint.place != self._place:
            text = f"checkpoint {number} says that its first entry is elsewhere"
            self._found[number] = chain_finding(number, text)
        self.books.settle(total)
        self._hashes.append(checkpoint.hash)
        self._seals.append(checkpoint.balances)
        self._place = page.place
        self.last = checkpoint

    async def _up_to_next(self, read: Reader, number: int) -> LedgerPage:
        """Return the entries in place of a checkpoint that can't be read: up to the next one's."""
        found = await read.checkpoints(after=number, limit=1)
        count = found[0].first - 1 - self.books.last if found else 0
        limit = max(0, min(count, MAX_BATCH))
        return await read.ledger(self._place, limit=limit, settled=False)

    def _take(self, rows: Sequence[Row]) -> Batch:
        batch = Batch()
        batch.add(rows)
        for row in rows:
            self.books.take(row)
        return batch

    def _comes_to(self, checkpoint: Checkpoint, total: int) -> bool:
        is_held = plain(checkpoint.held) == plain(self.books.held)
        return is_held and checkpoint.balances == seal_of(total)

    async def _compare_own(self, read: Reader) -> None:
        """Compare the balances that the worker goes on from with those that were sealed."""
        state = await read.audit_state()
        self._own = no_balances() if state is None and self._hashes else None
        if state is None or state.checkpoint == 0:
            return
        total, after = 0, ""
        while found := await read.audited(after, limit=_OWN_AT_ONCE):
            after = found[-1].account
            total += sum(
                part_of(each.account, each.held) for each in found if each.round == state.round
            )
        known = self._seals[state.checkpoint - 1 : state.checkpoint]
        if known != [seal_of(modulo(total))]:
            text = f"the audit's own balances aren't those of checkpoint {state.checkpoint}"
            self._own = Finding(kind=FindingKind.CHAIN, subject="audit", text=text)


class _InBooks:
    """What all accounts hold by books that have them all."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._names: list[str] = []

    async def page(self, _read: Reader, after: str, limit: int) -> Holdings:
        if not after:
            self._names = sorted(self._books.accounts(), reverse=True)
        while self._names and self._names[-1] <= after:
            self._names.pop()
        return {each: self._books.holding(each) for each in self._names[: -limit - 1 : -1]}

    async def of(self, _read: Reader, accounts: Collection[str]) -> Holdings:
        return {each: self._books.holding(each) for each in accounts}
