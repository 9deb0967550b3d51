"""How an audit reads what checkpoints cover, and what it says where that isn't what was sealed."""

from collections.abc import Mapping

from aiba_domain.ledger_audit.caps import Caps
from aiba_domain.ledger_audit.chain import MAX_BATCH, Checkpoint
from aiba_domain.ledger_audit.findings import Finding, FindingKind
from aiba_domain.ledger_audit.rows import LedgerPage, Row
from aiba_domain.ports import Reader

_POLICIES_AT_ONCE = 500


async def covered(read: Reader, start: str, checkpoint: Checkpoint) -> LedgerPage:
    """Return the entries after a place that a checkpoint should cover, none that it doesn't."""
    limit = max(0, min(checkpoint.count, MAX_BATCH))
    page = await read.ledger(start, limit=limit, settled=False)
    mine = [row for row in page.rows if not _is_after(row, checkpoint)]
    if len(mine) == len(page.rows):
        return page
    if not mine:
        return LedgerPage(rows=(), place=start, is_end=False)
    return await read.ledger(start, limit=len(mine), settled=False)


async def learn_policies(read: Reader, caps: Caps) -> None:
    """Tell caps of the policies that they don't know yet."""
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


def chain_finding(number: int, text: str) -> Finding:
    """Return what is wrong with a checkpoint."""
    return Finding(kind=FindingKind.CHAIN, subject=f"checkpoint {number}", text=text)


def other_entries(checkpoint: Checkpoint, entry: int) -> Finding:
    """Say that what a checkpoint covers is another from an entry on."""
    where = f"entry {entry}" if entry <= checkpoint.last else f"the end, entry {checkpoint.last}"
    text = (
        f"checkpoint {checkpoint.number} sealed the entries {checkpoint.first} to"
        f" {checkpoint.last}; what is there is another from {where} on"
    )
    return chain_finding(checkpoint.number, text)


def no_follower(checkpoint: Checkpoint, number: int) -> Finding:
    """Say that a checkpoint isn't linked to the one before, or isn't one any more."""
    if not checkpoint.hash:
        return chain_finding(number, f"checkpoint {number} can't be read")
    return chain_finding(number, f"checkpoint {number} doesn't follow the one before it")


def other_sums(number: int) -> Finding:
    """Say that a checkpoint isn't of the balances that the entries come to."""
    return chain_finding(number, f"checkpoint {number} tells other sums than its entries come to")


def no_balances() -> Finding:
    """Say that a chain is there without the balances that are stored with it."""
    text = "the audit's own balances aren't there"
    return Finding(kind=FindingKind.CHAIN, subject="audit", text=text)


def plain(held: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """Return sums in a form that can be compared."""
    return {root: dict(each) for root, each in held.items()}


def _is_after(row: Row, checkpoint: Checkpoint) -> bool:
    return type(row.number) is int and row.number > checkpoint.last
