"""The audit's slow second look: over all that was sealed, from the first entry, again and again.

Each pass goes along the whole chain and makes the balances of some accounts anew, so that all are
made anew in turn, in bounded memory.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final
from zlib import crc32

from aiba_domain.application.ledger_rows import (
    chain_finding,
    covered,
    learn_policies,
    no_follower,
    other_entries,
    other_sums,
    plain,
)
from aiba_domain.ledger_audit.balances import Holding
from aiba_domain.ledger_audit.books import Books
from aiba_domain.ledger_audit.chain import Batch, Checkpoint, follows, hash_of
from aiba_domain.ledger_audit.findings import Finding, FindingKind
from aiba_domain.ledger_audit.rows import START, LedgerPage
from aiba_domain.ports import Reader

SLICE: Final = 50_000
"""How many accounts' balances are made anew in one pass."""

_CHECKED: Final = 500
_MAX_FOUND: Final = 1_000


class Reread:
    """Goes from checkpoint to checkpoint, and at the end begins anew; `count` says how many in all.

    `number` is the checkpoint that it stands after. `faults` are those of the entries of the last
    pass whose entries all were what was sealed.
    """

    def __init__(self, number: int = 0) -> None:
        """Stand after a checkpoint: the rest of a pass that another one began."""
        self.number = number
        self.count = 0
        self.faults: dict[tuple[FindingKind, str], Finding] = {}
        self._found: dict[int, Finding] = {}
        self._place: str | None = None
        self._last: Checkpoint | None = None
        self._books: Books | None = None
        self._slice = -1
        self._is_clean = True

    @property
    def findings(self) -> list[Finding]:
        """What isn't as it was sealed, as of the last look at each checkpoint."""
        return list(self._found.values())

    async def step(self, read: Reader, target: Checkpoint) -> bool:
        """Go through what the next checkpoint covers; tell whether that was `target`, the newest.

        At the end `finish` is due before the next step.
        """
        if self._books is not None:
            await learn_policies(read, self._books.caps)
        found = await read.checkpoints(after=self.number, limit=1)
        number = self.number + 1
        if not found or found[0].number != number:
            self._note(number, chain_finding(number, f"checkpoint {number} isn't there any more"))
            self.number, self._place, self._last = number, None, None
            self._is_clean = False
        else:
            await self._look(read, found[0], target)
        self.count += 1
        return self.number >= target.number

    def begin(self, accounts: int) -> None:
        """Begin a pass over a ledger of so many accounts, from its first entry."""
        slices = max(1, -(-accounts // SLICE))
        self._slice = (self._slice + 1) % slices
        self.number, self._last, self._place = 0, None, START
        self._books = Books(_in_slice(self._slice, slices))
        self._is_clean = True

    def to_check(self) -> Iterator[Sequence[str]]:
        """Return the accounts whose balances this pass has made anew, some at a time."""
        if self._books is not None and self._is_clean:
            names = sorted(self._books.accounts())
            for place in range(0, len(names), _CHECKED):
                yield names[place : place + _CHECKED]

    async def differs(self, read: Reader, accounts: Sequence[str]) -> Finding | None:
        """Compare balances that this pass has made with the audit's own, as of the newest."""
        if self._books is None:
            return None
        own = {each.account: each.held for each in await read.audited_of(accounts)}
        for account in accounts:
            if _without_0(self._books.holding(account)) != _without_0(own.get(account, {})):
                text = f"the audit's own balance of {account} isn't what the sealed entries come to"
                return Finding(kind=FindingKind.CHAIN, subject=account, text=text)
        return None

    def finish(self) -> None:
        """End a pass: its judgement of entries counts if they all were what was sealed."""
        if self._books is not None and self._is_clean:
            self._books.end_of_unit()
            self.faults = dict(self._books.faults)

    async def _look(self, read: Reader, checkpoint: Checkpoint, target: Checkpoint) -> None:
        number = checkpoint.number
        start = checkpoint.place if self._place is None else self._place
        try:
            page = await covered(read, start, checkpoint)
        except ValueError:  # of a place that this store has never given
            page = LedgerPage(rows=(), place=start, is_end=False)
        batch = Batch()
        batch.add(page.rows)
        if self._books is not None:
            for row in page.rows:
                self._books.take(row)
        other = batch.first_other(checkpoint)
        if other is not None and checkpoint.hash:
            self._note(number, other_entries(checkpoint, other))
        elif not self._is_linked(checkpoint):
            self._note(number, no_follower(checkpoint, number))
        elif number == target.number and checkpoint.hash != target.hash:
            text = f"checkpoint {number} isn't the one that was there before"
            self._note(number, chain_finding(number, text))
        elif self._has_other_sums(checkpoint):
            self._note(number, other_sums(number))
        else:
            self._found.pop(number, None)
        self._is_clean = self._is_clean and number not in self._found
        self._place = page.place if other is None else None
        self.number, self._last = number, checkpoint

    def _is_linked(self, checkpoint: Checkpoint) -> bool:
        if self._last is None and checkpoint.number > 1:
            return checkpoint.hash == hash_of(checkpoint)
        return follows(checkpoint, self._last)

    def _has_other_sums(self, checkpoint: Checkpoint) -> bool:
        if self._books is None or not self._is_clean:
            return False
        return plain(checkpoint.held) != plain(self._books.held)

    def _note(self, number: int, finding: Finding) -> None:
        if len(self._found) < _MAX_FOUND or number in self._found:
            self._found[number] = finding


def _without_0(held: Holding) -> dict[str, int]:
    return {currency: balance for currency, balance in held.items() if balance}


def _in_slice(place: int, slices: int) -> Callable[[str], bool]:
    """Return a condition that of so many slices is true of each account in one."""

    def keeps(account: str) -> bool:
        return crc32(account.encode("utf-8", "surrogatepass")) % slices == place

    return keeps
