"""The audit at one moment: make every balance again from the ledger and compare it with the stored.

`audit` judges entries and balances that are at hand. `audit_store` judges a store, its chain of
checkpoints included, from what is stored there, and goes on whatever it finds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aiba_domain.application.ledger_audit import Walk
from aiba_domain.economy.ledger import may_go_negative, net_effects
from aiba_domain.money import Currency
from aiba_domain.ports import Entry, Reader, Store

Balances = Mapping[tuple[str, Currency], int]

_ACCOUNTS_AT_ONCE = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What an audit found; without `faults` the ledger is sound.

    `checkpoints` of its chain were followed; `head` is the hash of the last, `sealed` the number of
    the last entry that it covers.
    """

    entries: int
    accounts: int
    totals: Mapping[Currency, int]
    faults: tuple[str, ...]
    checkpoints: int = 0
    sealed: int = 0
    head: str = ""

    @property
    def is_sound(self) -> bool:
        """Tell whether nothing is wrong."""
        return not self.faults


def audit(entries: Iterable[Entry], stored: Balances) -> AuditReport:
    """Judge a ledger: history adds up to the stored balances, currencies to 0, nobody owes."""
    count, numbers_rise, last = 0, True, 0
    rebuilt: dict[tuple[str, Currency], int] = {}
    for entry in entries:
        count += 1
        numbers_rise = numbers_rise and entry.number > last
        last = entry.number
        for place, effect in net_effects((entry.posting,)).items():
            rebuilt[place] = rebuilt.get(place, 0) + effect
    faults = [] if numbers_rise else ["entries are not numbered in rising order"]
    for account, currency in sorted(rebuilt.keys() | stored.keys()):
        history, kept = rebuilt.get((account, currency), 0), stored.get((account, currency), 0)
        if history != kept:
            faults.append(f"{account} stores {kept} {currency}, its history says {history}")
        if kept < 0 and not may_go_negative(account):
            faults.append(f"{account} owes {-kept} {currency}")
    totals = dict.fromkeys(Currency, 0)
    for (_account, currency), balance in stored.items():
        totals[currency] += balance
    faults += [f"{currency} sums to {total}" for currency, total in totals.items() if total]
    return AuditReport(entries=count, accounts=len(stored), totals=totals, faults=tuple(faults))


async def audit_store(store: Store, *, head: str | None = None) -> AuditReport:
    """Audit a store's ledger at one moment, and its chain of checkpoints.

    `head` is a hash that somebody has kept, which must be one of the chain's.
    """
    walk, has_begun = Walk(), False

    async def settled(read: Reader) -> None:
        await walk.step(read, settled=True)

    async def rest(read: Reader) -> AuditReport:
        nonlocal walk, has_begun
        if has_begun:
            walk = Walk()  # what isn't settled may be another now
        has_begun = True
        while True:
            await walk.step(read, settled=False)
            if walk.at_end:
                break
        await walk.compare(read, limit=_ACCOUNTS_AT_ONCE)
        last = walk.last
        return AuditReport(
            entries=walk.books.entries,
            accounts=walk.comparison.balances,
            totals={each: walk.comparison.totals.get(each.value, 0) for each in Currency},
            faults=(*(finding.text for finding in walk.findings), *_lost(walk, head)),
            checkpoints=last.number if last else 0,
            sealed=last.last if last else 0,
            head=last.hash if last else "",
        )

    # What is settled doesn't change, so that no one read has to last as long as the ledger is.
    while not walk.at_end:
        await store.read(settled)
    return await store.read(rest)


def _lost(walk: Walk, head: str | None) -> tuple[str, ...]:
    if head is None or walk.knows(head):
        return ()
    return (f"no checkpoint has the hash {head}",)
