"""Where the continuous audit is: after the last checkpoint, with balances of its own in the store.

They are stored with each checkpoint, which seals them, so whoever begins goes on from there. In
memory are those of the accounts that the last entries named.
"""

from collections.abc import Collection, Sequence
from typing import Final

from aiba_domain.application.ledger_comparison import Holdings
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
from aiba_domain.economy.ledger import emission_prefix
from aiba_domain.ledger_audit.balances import (
    NOTHING_HELD,
    Audited,
    AuditState,
    from_text,
    modulo,
    part_of,
    seal_of,
    to_text,
)
from aiba_domain.ledger_audit.books import Books
from aiba_domain.ledger_audit.chain import Batch, Checkpoint, follows, hash_of
from aiba_domain.ledger_audit.findings import Finding, FindingKind
from aiba_domain.ledger_audit.rows import START, Row
from aiba_domain.ports import Reader

KEPT: Final = 10_000
"""How many accounts' balances are kept in memory between checkpoints."""

_VERIFIED: Final = 2_000
_EMISSION: Final = "emission:"


class Head:
    """Takes in what no checkpoint covers, and follows those that its balances don't cover yet.

    `begin` first; then `verify` until it is verified; then `step`. `finding` is why it stands
    still, if it does: it looks again at every step. `round` is that of its balances.
    """

    def __init__(self, size: int, now: int) -> None:
        """Stand before the first entry; `size` is how many entries a checkpoint gets.

        `now` (ms) is when balances are begun, if there are none to go on from.
        """
        self.size = size
        self.round = now
        self.last: Checkpoint | None = None
        self.finding: Finding | None = None
        self.at_end = False
        self.is_verified = False
        self.accounts = 0
        self.books = Books()
        self.batch = Batch()
        self._place = START
        self._sum = NOTHING_HELD
        self._held: dict[str, dict[str, int]] = {}
        self._verified_to = ""

    @property
    def start(self) -> str:
        """Where in the ledger the balances stand that are stored."""
        return self.batch.place

    @property
    def is_batch_full(self) -> bool:
        """Whether nothing more is taken in until what was is sealed."""
        return self.batch.count >= self.size

    async def begin(self, read: Reader) -> Finding | None:
        """Go to where the stored balances are; return why they can't be gone on from, if so."""
        state = await read.audit_state()
        if state is None:
            self.is_verified = True
            return no_balances() if await read.last_checkpoint() else None
        self.round = state.round
        self.books.faults = {(each.kind, each.subject): each for each in state.faults}
        if state.checkpoint == 0:
            self.is_verified = True
            return None
        return await self._go_to(read, state)

    async def _go_to(self, read: Reader, state: AuditState) -> Finding | None:
        """Go to the end of the checkpoint that the stored balances are of, if all is as sealed."""
        found = await read.checkpoints(after=state.checkpoint - 1, limit=1)
        last = found[0] if found else None
        if last is None or last.number != state.checkpoint or last.hash != hash_of(last):
            return _other_state(state, "isn't there as it was sealed")
        total = from_text(state.total)
        if total is None or seal_of(total) != last.balances:
            return _other_state(state, "is of other balances")
        batch = Batch()
        try:
            page = await covered(read, last.place, last)
        except ValueError:  # of a place that this store has never given
            return _other_state(state, "says that its first entry is elsewhere")
        batch.add(page.rows)
        other = batch.first_other(last)
        if other is None:
            self.last = last
            self._place = page.place
            self.batch = Batch(page.place)
            self.books.go_on_after(last, total, state.faults)
        return None if other is None else other_entries(last, other)

    async def verify(self, read: Reader) -> Finding | None:
        """Add up the next stored balances; return what is wrong with them once all are."""
        if self.last is None:
            self.is_verified = True
            return None
        found = await read.audited(self._verified_to, limit=_VERIFIED)
        mine = [each for each in found if each.round == self.round]
        self.accounts += len(mine)
        self._sum = modulo(self._sum + sum(part_of(each.account, each.held) for each in mine))
        for each in mine:
            root = self._held.setdefault(each.account.partition(":")[0], {})
            for currency, balance in each.held.items():
                root[currency] = root.get(currency, 0) + balance
        if len(found) == _VERIFIED:
            self._verified_to = found[-1].account
            return None
        self.is_verified = True
        if self._sum == self.books.total and _without_0(self._held) == plain(self.last.held):
            return None
        text = f"the audit's own balances aren't those of checkpoint {self.last.number}"
        return chain_finding(self.last.number, text)

    async def step(self, read: Reader) -> Checkpoint | None:
        """Take in the next page; return the checkpoint that covers it, if it is sealed already.

        That one is followed, and what `own` returns is to be stored before the next step. `at_end`
        then tells whether nothing more can be taken in for now.
        """
        self.at_end = False
        self.finding = None
        await learn_policies(read, self.books.caps)
        if not self.batch.count:
            after = self.last.number if self.last else 0
            found = await read.checkpoints(after=after, limit=1)
            if found:
                return await self._follow(read, found[0])
        if not self.is_batch_full:
            await self._take_new(read)
        return None

    def own(self, checkpoint: Checkpoint, total: int) -> tuple[tuple[Audited, ...], AuditState]:
        """Return what is to be stored with a checkpoint of all that was taken in."""
        audited = tuple(
            Audited(account=account, round=self.round, held=dict(held))
            for account, held in self.books.changed().items()
        )
        state = AuditState(
            round=self.round,
            checkpoint=checkpoint.number,
            total=to_text(total),
            faults=tuple(self.books.faults.values()),
        )
        return audited, state

    def passed(self, checkpoint: Checkpoint, total: int) -> None:
        """Go on after a checkpoint of all that was taken in, which is stored."""
        self.last = checkpoint
        self.books.settle(total)
        self.books.close_accounts(above=KEPT)
        self.batch = Batch(self._place)

    async def _follow(self, read: Reader, checkpoint: Checkpoint) -> Checkpoint | None:
        """Take in what a checkpoint covers if it is what it was made of; else stand still."""
        number = (self.last.number if self.last else 0) + 1
        page = await covered(read, self._place, checkpoint)
        batch = Batch(self._place)
        batch.add(page.rows)
        other = batch.first_other(checkpoint)
        if not follows(checkpoint, self.last):
            self._stand_still(no_follower(checkpoint, number))
            return None
        if other is not None:
            self._stand_still(other_entries(checkpoint, other))
            return None
        await self._take(read, page.rows)
        is_held = plain(checkpoint.held) == plain(self.books.held)
        if not is_held or checkpoint.balances != seal_of(self.books.sum_now()):
            await self.go_back()
            self._stand_still(other_sums(number))
            return None
        self.batch, self._place = batch, page.place
        return checkpoint

    async def go_back(self) -> None:
        """Forget what was taken in since the last checkpoint."""
        total, faults = self.books.total, tuple(self.books.faults.values())
        self.books = Books()
        if self.last is not None:
            self.books.go_on_after(self.last, total, faults)
        self._place = self.batch.place
        self.batch = Batch(self._place)

    async def _take_new(self, read: Reader) -> None:
        limit = self.size - self.batch.count
        page = await read.ledger(self._place, limit=limit, settled=True)
        rows = _in_order(page.rows, self.books.last)
        if len(rows) < len(page.rows):
            wrong = page.rows[len(rows)].number
            text = f"entry {wrong} comes after {self.books.last + len(rows)}"
            subject = f"entry {wrong}"
            self._stand_still(Finding(kind=FindingKind.ORDER, subject=subject, text=text))
            if not rows:
                return
            page = await read.ledger(self._place, limit=len(rows), settled=True)
        await self._take(read, page.rows)
        self.batch.add(page.rows)
        self._place = page.place
        self.at_end = self.at_end or page.is_end
        if page.is_end:
            self.books.end_of_unit()

    async def _take(self, read: Reader, rows: Sequence[Row]) -> None:
        """Open the accounts that entries name, and take the entries in."""
        named = {each for row in rows for each in (row.debit, row.credit) if type(each) is str}
        unknown = sorted(each for each in named if not self.books.knows(each))
        stored = await self.of(read, unknown)
        for account in unknown:
            self.books.open(account, stored.get(account, {}))
        for day in sorted({day for each in named if (day := self._unknown_day(each)) is not None}):
            self.books.caps.recall(day, await self._emitted(read, day))
        for row in rows:
            self.books.take(row)

    def _unknown_day(self, account: str) -> str | None:
        return self.books.caps.needs(account) if account.startswith(_EMISSION) else None

    async def _emitted(self, read: Reader, day: str) -> dict[str, dict[str, int]]:
        """Return what a day's accounts have emitted by the stored balances."""
        prefix = emission_prefix(day)
        emitted: dict[str, dict[str, int]] = {}
        after = prefix
        while found := await read.audited(after, limit=_VERIFIED):
            for each in found:
                if not each.account.startswith(prefix):
                    return emitted
                if each.round == self.round:
                    emitted[each.account] = {c: -balance for c, balance in each.held.items()}
            after = found[-1].account
        return emitted

    def _stand_still(self, finding: Finding) -> None:
        self.finding = finding
        self.at_end = True

    async def page(self, read: Reader, after: str, limit: int) -> Holdings:
        """Return what accounts hold by the stored balances; of another round, nothing."""
        found = await read.audited(after, limit=limit)
        return {each.account: self._held_by(each) for each in found}

    async def of(self, read: Reader, accounts: Collection[str]) -> Holdings:
        """Return what some accounts hold by the stored balances."""
        if not accounts:
            return {}
        return {each.account: self._held_by(each) for each in await read.audited_of(accounts)}

    def _held_by(self, stored: Audited) -> dict[str, int]:
        return dict(stored.held) if stored.round == self.round else {}


def _in_order(rows: Sequence[Row], last: int) -> Sequence[Row]:
    """Return the rows up to the first that isn't numbered as it must be."""
    for place, row in enumerate(rows):
        if row.number != last + place + 1:
            return rows[:place]
    return rows


def _other_state(state: AuditState, text: str) -> Finding:
    number = state.checkpoint
    whole = f"checkpoint {number}, which the audit's own balances are of, {text}"
    return chain_finding(number, whole)


def _without_0(held: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    found = {root: {c: n for c, n in each.items() if n} for root, each in held.items()}
    return {root: each for root, each in found.items() if each}
