"""What the service owes by its ledger, as the newest checkpoint tells it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aiba_domain.economy.ledger import BUYBACK, CLAIMS, RESERVE, TREASURY
from aiba_domain.ledger_audit.chain import Checkpoint
from aiba_domain.ledger_audit.findings import LedgerStanding
from aiba_domain.money import Currency
from aiba_domain.ports import Reader, Store

OWED: Final = ("player", "guild", "held", CLAIMS)
"""The first parts of the names of accounts that hold somebody's money."""

OWN: Final = (TREASURY, RESERVE, BUYBACK)
"""Those that hold the operator's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Liabilities:
    """What is owed after the last entry that a checkpoint covers, in whole units.

    `owed` is by the first part of accounts' names and by currency, `own` what the operator holds.
    `audited_at` (ms, UTC) is when the audit last told where it stands, None if it never has: after
    a while without one, what is owed may be more.
    """

    checkpoint: int
    entry: int
    at: int
    head: str
    audited_at: int | None
    owed: Mapping[str, Mapping[Currency, int]]
    own: Mapping[str, Mapping[Currency, int]]

    @property
    def aiba(self) -> int:
        """The AIBA that is owed: what could be asked of the vault."""
        return sum(held.get(Currency.AIBA, 0) for held in self.owed.values())

    @property
    def aiba_withdrawable(self) -> int:
        """The part of it that players may withdraw now, or are withdrawing."""
        roots = ("player", CLAIMS)
        return sum(self.owed[root].get(Currency.AIBA, 0) for root in roots)


async def liabilities_of(store: Store) -> Liabilities | None:
    """Return what a store's ledger says is owed, None before the first checkpoint.

    Of the ledger only its newest checkpoint is read, whatever its length.
    """

    async def look(read: Reader) -> tuple[Checkpoint | None, LedgerStanding | None]:
        return await read.last_checkpoint(), await read.ledger_standing()

    last, standing = await store.read(look)
    if last is None:
        return None
    return Liabilities(
        checkpoint=last.number,
        entry=last.last,
        at=last.at,
        head=last.hash,
        audited_at=standing.at if standing else None,
        owed={root: _held(last, root) for root in OWED},
        own={root: _held(last, root) for root in OWN},
    )


def _held(checkpoint: Checkpoint, root: str) -> dict[Currency, int]:
    held = checkpoint.held.get(root, {})
    return {currency: held.get(currency.value, 0) for currency in Currency}
