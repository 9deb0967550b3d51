"""The audit of the ledger: along the chain of checkpoints, over every entry, against the balances.

One walk serves the command line, which goes through everything at one moment, and the worker in the
background, which goes on from where it was and seals what no checkpoint covers yet.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from aiba_domain.economy.ledger import CLAIMS
from aiba_domain.ledger_audit.books import Books, Place, effects_of
from aiba_domain.ledger_audit.chain import MAX_BATCH, Batch, Checkpoint, follows, hash_of
from aiba_domain.ledger_audit.findings import MAX_FINDINGS, Finding, FindingKind
from aiba_domain.ledger_audit.rows import START, LedgerPage, Row, StoredBalances
from aiba_domain.money import Currency
from aiba_domain.ports import Reader

COMPARED: Final = 2_000
"""How many accounts are compared in one go."""

MAX_TAIL: Final = 20_000
"""How many entries after those taken in a comparison looks at; where there are more it waits."""

_CLAIMS_AT_ONCE: Final = 500
_POLICIES_AT_ONCE: Final = 500


class Walk:
    """Goes through a ledger from its start, page by page, each in a read of its own if need be.

    First along the checkpoints that are there, each of which must cover what it was made of; then
    over the entries that come after them. It holds every balance, and some 150 bytes a checkpoint.
    `accounts` have been compared in all; `balances` and `totals` are those of the stored balances
    that the comparison has come by since it last began with the first account.
    """

    def __init__(self, *, size: int = MAX_BATCH) -> None:
        """Stand before the first entry; `size` is how many entries a checkpoint gets."""
        self._size = size
        self.books = Books()
        self.batch = Batch()
        self.last: Checkpoint | None = None
        self.at_end = False
        self.accounts = 0
        self.balances = 0
        self.totals: dict[str, int] = {}
        self._links: dict[int, Finding] = {}
        self._broken: dict[int, Finding] = {}
        self._hashes: list[str] = []
        self._starts: list[str] = []
        self._place = START
        self._batch_start = START
        self._follows_chain = True
        self._compared_to = ""
        self._seen: set[str] = set()
        self._differences: dict[Place, tuple[int, int]] = {}
        self._claims: Finding | None = None

    @property
    def findings(self) -> list[Finding]:
        """All that is known to be wrong now."""
        chain = (*self._broken.values(), *self._links.values())
        found = [*chain, *self.books.faults.values(), *self._balance_findings()]
        return [*found, self._claims] if self._claims else found

    @property
    def is_chain_whole(self) -> bool:
        """Whether entries can be sealed after those that are."""
        kinds = {kind for kind, _ in self.books.faults}
        return not self._links and not self._broken and FindingKind.ORDER not in kinds

    @property
    def is_batch_full(self) -> bool:
        """Whether nothing more is taken in until what was is sealed or dropped."""
        return self.batch.count >= self._size

    @property
    def is_pass_over(self) -> bool:
        """Whether the last comparison came to the last account."""
        return self._compared_to == ""

    async def step(self, read: Reader, *, settled: bool) -> None:
        """Take in the next page; `at_end` then tells whether it was the last there is."""
        self.at_end = False
        await self._learn_policies(read)
        if self._follows_chain:
            found = await read.checkpoints(after=len(self._hashes), limit=1)
            if found:
                await self._follow(read, found[0])
                return
            self._follows_chain = False
        if self.is_batch_full:
            return
        page = await read.ledger(self._place, limit=self._size - self.batch.count, settled=settled)
        self._take(page.rows)
        self._place = page.place
        self.at_end = page.is_end
        if page.is_end:
            self.books.end_of_unit()

    def knows(self, head: str) -> bool:
        """Tell whether a hash is that of a checkpoint that was followed."""
        return head in self._hashes

    def sealed(self, checkpoint: Checkpoint) -> None:
        """Go on after a checkpoint of all that was taken in."""
        self.last = checkpoint
        self._hashes.append(checkpoint.hash)
        self._starts.append(self._batch_start)
        self._begin_batch()

    def drop_batch(self) -> None:
        """Go on without sealing what was taken in: nobody will."""
        self._begin_batch()

    async def compare(self, read: Reader, *, limit: int = COMPARED) -> bool:
        """Compare the next accounts with what is stored, and what is set aside for withdrawals.

        Returns False without having compared where too many entries are still to be taken in.
        """
        tail = await read.ledger(self._place, limit=MAX_TAIL, settled=False)
        if not tail.is_end:
            return False
        later = effects_of(tail.rows)
        begins = self._compared_to
        stored = await read.stored_balances(begins, limit=limit)
        is_last = len(stored) < limit
        until = None if is_last else stored[-1].account
        kept = {
            place: each
            for place, each in self._differences.items()
            if place[0] <= begins or (until is not None and place[0] > until)
        }
        again = await _stored(read, {account for account, _ in kept})
        found = self.books.compare((*stored, *again), later)
        self._count(stored, anew=not begins)
        if is_last:
            missing = {*self.books.accounts(), *later} - self._seen
            found |= self.books.compare(await _stored(read, missing), later)
        self._compared_to = until or ""
        self._differences = {
            (account, currency): (
                self.books.balance(account, currency) + later.get(account, {}).get(currency, 0),
                found[account, currency],
            )
            for account, currency in sorted(found)
        }
        await self._compare_claims(read)
        return True

    def _count(self, stored: Sequence[StoredBalances], *, anew: bool) -> None:
        """Add up what the stored balances of this pass over all accounts come to."""
        if anew:
            self.balances, self.totals = 0, {}
            self._seen.clear()
        for each in stored:
            self._seen.add(each.account)
            for currency, balance in each.held.items():
                self.balances += 1
                if type(balance) is int:
                    self.totals[currency] = self.totals.get(currency, 0) + balance
        self.accounts += len(stored)

    async def recheck(self, read: Reader, number: int) -> None:
        """Go through what a checkpoint covers once more; `number` is of one that was followed."""
        found = await read.checkpoints(after=number - 1, limit=1)
        checkpoint = found[0] if found and found[0].number == number else None
        known = self._hashes[number - 1]
        if checkpoint is None or not known == checkpoint.hash == hash_of(checkpoint):
            self._break(number, f"checkpoint {number} isn't the one that was there before")
            return
        batch = Batch()
        page = await self._covered(read, self._starts[number - 1], checkpoint)
        for row in page.rows:
            batch.add(row)
        other = batch.first_other(checkpoint)
        if other is None:
            self._broken.pop(number, None)
        else:
            self._break(number, _other_text(checkpoint, other))

    async def _follow(self, read: Reader, checkpoint: Checkpoint) -> None:
        """Take in what a checkpoint covers, which must be what it was made of."""
        number = len(self._hashes) + 1
        start = self._place
        page = await self._covered(read, start, checkpoint)
        self._take(page.rows)
        self._place = page.place
        other = self.batch.first_other(checkpoint)
        if other is not None:
            self._break(number, _other_text(checkpoint, other))
        if not follows(checkpoint, self.last):
            text = f"checkpoint {number} doesn't follow the one before it"
            self._links[number] = _chain_finding(number, text)
        elif not self._broken and _plain(checkpoint.held) != _plain(self.books.held):
            text = f"checkpoint {number} tells other sums than its entries come to"
            self._links[number] = _chain_finding(number, text)
        self._hashes.append(checkpoint.hash)
        self._starts.append(start)
        self.last = checkpoint
        self._begin_batch()

    async def _covered(self, read: Reader, start: str, checkpoint: Checkpoint) -> LedgerPage:
        """Return the entries that a checkpoint should cover, none that it doesn't."""
        limit = max(0, min(checkpoint.count, MAX_BATCH))
        page = await read.ledger(start, limit=limit, settled=False)
        mine = [row for row in page.rows if not _is_after(row, checkpoint)]
        if len(mine) == len(page.rows):
            return page
        if not mine:
            return LedgerPage(rows=(), place=start, is_end=False)
        return await read.ledger(start, limit=len(mine), settled=False)

    def _take(self, rows: Sequence[Row]) -> None:
        for row in rows:
            self.batch.add(row)
            self.books.take(row)

    def _begin_batch(self) -> None:
        self.batch = Batch()
        self._batch_start = self._place

    def _break(self, number: int, text: str) -> None:
        self._broken[number] = _chain_finding(number, text)

    async def _learn_policies(self, read: Reader) -> None:
        caps = self.books.caps
        newest = await read.policy()
        if newest.version == caps.version:
            return
        missing = [newest]
        while missing[-1].version > caps.version + 1:
            older = await read.policies(before=missing[-1].version, limit=_POLICIES_AT_ONCE)
            missing += [each for each in older if each.version > caps.version]
            if not older or older[-1].version <= caps.version + 1:
                break
        caps.learn(reversed(missing))

    async def _compare_claims(self, read: Reader) -> None:
        """Compare what is set aside for withdrawals with those that are under way."""
        under_way, after = 0, None
        while claims := await read.open_claims(after=after, limit=_CLAIMS_AT_ONCE):
            under_way += sum(claim.terms.amount for claim in claims)
            after = (claims[-1].created_at, claims[-1].id)
        held = (await read.balances(CLAIMS)).get(Currency.AIBA, 0)
        self._claims = None
        if held != under_way:
            text = f"{CLAIMS} stores {held} AIBA, withdrawals under way come to {under_way}"
            self._claims = Finding(kind=FindingKind.CLAIMS, subject=CLAIMS, text=text)

    def _balance_findings(self) -> Iterator[Finding]:
        sums: dict[str, int] = {}
        for (account, currency), (history, difference) in self._differences.items():
            text = f"{account} stores {history + difference} {currency}, its history says {history}"
            subject = f"{account} {currency}"
            yield Finding(kind=FindingKind.BALANCE, subject=subject, text=text)
            sums[currency] = sums.get(currency, 0) + difference
        for currency, total in sums.items():
            if total:
                text = f"{currency} sums to {total}"
                yield Finding(kind=FindingKind.IMBALANCE, subject=currency, text=text)


def told(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Return those of the findings that are told in detail: of each kind, as evenly as they go."""
    by_kind: dict[FindingKind, list[Finding]] = {}
    for finding in findings:
        by_kind.setdefault(finding.kind, []).append(finding)
    kept: list[Finding] = []
    turns = max(map(len, by_kind.values()), default=0)
    for turn in range(turns):
        kept += [each[turn] for each in by_kind.values() if turn < len(each)]
        if len(kept) >= MAX_FINDINGS:
            break
    order = {id(each): place for place, each in enumerate(findings)}
    return tuple(sorted(kept[:MAX_FINDINGS], key=lambda each: order[id(each)]))


async def _stored(read: Reader, accounts: set[str]) -> list[StoredBalances]:
    return [
        StoredBalances(
            account=account,
            held={
                currency.value: balance
                for currency, balance in (await read.balances(account)).items()
            },
        )
        for account in sorted(accounts)
    ]


def _chain_finding(number: int, text: str) -> Finding:
    return Finding(kind=FindingKind.CHAIN, subject=f"checkpoint {number}", text=text)


def _is_after(row: Row, checkpoint: Checkpoint) -> bool:
    return type(row.number) is int and row.number > checkpoint.last


def _plain(held: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    return {root: dict(each) for root, each in held.items()}


def _other_text(checkpoint: Checkpoint, entry: int) -> str:
    where = f"entry {entry}" if entry <= checkpoint.last else f"the end, entry {checkpoint.last}"
    return (
        f"checkpoint {checkpoint.number} sealed the entries {checkpoint.first} to"
        f" {checkpoint.last}; what is there is another from {where} on"
    )
