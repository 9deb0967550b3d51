"""The comparison of stored balances with those that an audit has come to itself."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from aiba_domain.economy.ledger import CLAIMS
from aiba_domain.ledger_audit.balances import Holding
from aiba_domain.ledger_audit.books import Tally
from aiba_domain.ledger_audit.findings import Finding, FindingKind
from aiba_domain.money import Currency
from aiba_domain.ports import Reader

COMPARED: Final = 2_000
"""How many accounts are compared in one go."""

MAX_TAIL: Final = 200_000
"""How many entries after those taken in a comparison looks at; where there are more it waits."""

_TAIL_PAGE: Final = 5_000
_SUSPECTS: Final = 1_000
"""How many differences are looked at in each go; others are found when it is their turn."""

_CLAIMS_AT_ONCE: Final = 500
_NOTHING: Final[Holding] = {}

_Counts = Callable[[str], bool]

Holdings = Mapping[str, Holding]
"""What accounts hold, by their names."""


class Owed(Protocol):
    """What accounts hold by an audit's own reckoning, as of some place in the ledger."""

    async def page(self, read: Reader, after: str, limit: int) -> Holdings:
        """Return up to `limit` accounts with names above `after`, in order."""
        ...

    async def of(self, read: Reader, accounts: Collection[str]) -> Holdings:
        """Return what some accounts hold; one that isn't known may be absent."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Difference:
    owed: int
    by: int


class Comparison:
    """Goes round all accounts that are stored or owed, some in each go; holds what differs.

    `accounts` have been compared in all; `balances` and `totals` are those of the stored balances
    that it has come by since it last began with the first account. `known` are the accounts that
    there were in the last pass over all.
    """

    def __init__(self, owed: Owed) -> None:
        """Stand before the first account."""
        self.accounts = 0
        self.balances = 0
        self.totals: dict[str, int] = {}
        self.known = 0
        self._owed = owed
        self._passed = 0
        self._compared_to = ""
        self._differences: dict[tuple[str, str], _Difference] = {}
        self._claims: Finding | None = None

    @property
    def is_pass_over(self) -> bool:
        """Whether the last go came to the last account."""
        return self._compared_to == ""

    async def go_on(self, read: Reader, place: str, *, limit: int = COMPARED) -> bool:
        """Compare the next accounts, and what is set aside for withdrawals.

        `place` is where in the ledger the owed balances stand. Returns False without having
        compared where too many entries come after it.
        """
        begins = self._compared_to
        stored = {
            each.account: each.held for each in await read.stored_balances(begins, limit=limit)
        }
        mine = await self._owed.page(read, begins, limit)
        full = [list(each)[-1] for each in (stored, mine) if len(each) == limit]
        until = min(full) if full else None

        def is_due(account: str) -> bool:
            return account > begins and (until is None or account <= until)

        suspects = {account for account, _ in self._differences if not is_due(account)}
        later = await _later(read, place, lambda each: is_due(each) or each in suspects)
        if later is None:
            return False
        due = {each for each in (*stored, *mine, *later) if is_due(each)}
        held = stored | await _stored(read, (suspects | due) - stored.keys())
        known = dict(mine) | dict(await self._owed.of(read, suspects - mine.keys()))
        self._count(stored, due, anew=not begins)
        self._compared_to = until or ""
        if until is None:
            self.known = self._passed
        self._differences = {}
        for account in sorted(due | suspects):
            self._compare(account, held, known, later)
        await self._compare_claims(read)
        return True

    def findings(self) -> Iterator[Finding]:
        """Return what differs, and by how much that is too much or too little in all."""
        sums: dict[str, int] = {}
        for (account, currency), each in self._differences.items():
            stored = each.owed + each.by
            text = f"{account} stores {stored} {currency}, its history says {each.owed}"
            subject = f"{account} {currency}"
            yield Finding(kind=FindingKind.BALANCE, subject=subject, text=text)
            sums[currency] = sums.get(currency, 0) + each.by
        for currency, total in sums.items():
            if total:
                text = f"{currency} sums to {total}"
                yield Finding(kind=FindingKind.IMBALANCE, subject=currency, text=text)
        if self._claims:
            yield self._claims

    def _compare(self, account: str, held: Holdings, known: Holdings, later: Holdings) -> None:
        kept, mine = held.get(account, _NOTHING), known.get(account, _NOTHING)
        new = later.get(account, _NOTHING)
        for currency in sorted(kept.keys() | mine.keys() | new.keys()):
            owed, stored = mine.get(currency, 0) + new.get(currency, 0), kept.get(currency, 0)
            if stored != owed and len(self._differences) < _SUSPECTS:
                by = (stored if type(stored) is int else 0) - owed
                self._differences[account, currency] = _Difference(owed=owed, by=by)

    def _count(self, stored: Holdings, due: Collection[str], *, anew: bool) -> None:
        """Add up what the stored balances of this pass over all accounts come to."""
        if anew:
            self.balances, self.totals, self._passed = 0, {}, 0
        for account in stored.keys() & due:
            for currency, balance in stored[account].items():
                self.balances += 1
                if type(balance) is int:
                    self.totals[currency] = self.totals.get(currency, 0) + balance
        self.accounts += len(due)
        self._passed += len(due)

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


async def _later(read: Reader, place: str, counts: _Counts) -> Holdings | None:
    """Return what the entries after a place do to some accounts, None if they are too many."""
    tally, seen = Tally(counts), 0
    while seen < MAX_TAIL:
        page = await read.ledger(place, limit=_TAIL_PAGE, settled=False)
        tally.add(page.rows)
        if page.is_end:
            return tally.effects
        seen, place = seen + len(page.rows), page.place
    return None


async def _stored(read: Reader, accounts: Collection[str]) -> dict[str, Holding]:
    return {
        account: {
            currency.value: balance for currency, balance in (await read.balances(account)).items()
        }
        for account in sorted(accounts)
    }


def told(findings: Sequence[Finding], most: int) -> tuple[Finding, ...]:
    """Return up to `most` of the findings: of each kind, as evenly as they go."""
    by_kind: dict[FindingKind, list[Finding]] = {}
    for finding in findings:
        by_kind.setdefault(finding.kind, []).append(finding)
    kept: list[Finding] = []
    turns = max(map(len, by_kind.values()), default=0)
    for turn in range(turns):
        kept += [each[turn] for each in by_kind.values() if turn < len(each)]
        if len(kept) >= most:
            break
    order = {id(each): place for place, each in enumerate(findings)}
    return tuple(sorted(kept[:most], key=lambda each: order[id(each)]))
