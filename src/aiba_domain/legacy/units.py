"""What is written of the service before: units, each with its name, that are there whole or not."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from aiba_domain.battle.model import Battle
from aiba_domain.battle.modes import GameMode
from aiba_domain.brokers.listing import Listing
from aiba_domain.brokers.minting import MintJob
from aiba_domain.brokers.model import Broker
from aiba_domain.claims.claim import Claim
from aiba_domain.economy.ledger import Posting
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.guilds.model import Guild
from aiba_domain.legacy.accounts import OPENING, debt_account
from aiba_domain.legacy.findings import Book
from aiba_domain.money import MAX_AMOUNT, Currency
from aiba_domain.payments.model import UsedPayment
from aiba_domain.players.model import Player

SOURCE: Final = "legacy"
_OPENING_REASON: Final = "opening"
_DEBT_REASON: Final = "debt"

Imported = (
    Player
    | Broker
    | Battle
    | Guild
    | GameMode
    | EconomyPolicy
    | Claim
    | Listing
    | MintJob
    | UsedPayment
)
"""The kinds of records that come over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedKey:
    """An idempotency key that the service before has used up, by whom and for which command."""

    player_id: str
    command: str
    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One atomic step of an import.

    `moves` are postings with their instants in ms; None is the instant of the import.
    """

    name: str
    stage: str
    moves: tuple[tuple[int | None, Posting], ...] = ()
    records: tuple[Imported, ...] = ()
    keys: tuple[UsedKey, ...] = ()


@dataclass(slots=True)
class Draft:
    """A unit in the making."""

    moves: list[tuple[int | None, Posting]] = field(default_factory=list)
    records: list[Imported] = field(default_factory=list)
    keys: list[UsedKey] = field(default_factory=list)

    @property
    def weight(self) -> int:
        """How much there is to write."""
        return len(self.moves) + len(self.records) + len(self.keys)

    def unit(self, stage: str, number: int) -> Unit:
        """Return the unit, numbered within its stage."""
        return Unit(
            name=f"{stage}:{number:08d}",
            stage=stage,
            moves=tuple(self.moves),
            records=tuple(self.records),
            keys=tuple(self.keys),
        )

    def open(self, account: str, book: Book, owner: str, currency: Currency, units: int) -> None:
        """Book an opening balance; one below 0 becomes a debt of its owner."""
        if units > 0:
            self.post(currency, units, OPENING, account, _OPENING_REASON, owner)
        elif units < 0:
            self.post(currency, -units, debt_account(book, owner), OPENING, _DEBT_REASON, owner)

    def post(
        self, currency: Currency, units: int, debit: str, credit: str, reason: str, owner: str
    ) -> None:
        """Book one movement of what came over."""
        posting = Posting(
            currency=currency,
            amount=units,
            debit=debit,
            credit=credit,
            reason=reason,
            arena=SOURCE,
            league="",
            source_type=SOURCE,
            source_id=owner,
        )
        self.moves.append((None, posting))


def cut(drafts: Iterator[Draft], stage: str, most: int) -> Iterator[Unit]:
    """Put drafts together into units of at least `most` writes, but for the last."""
    number, whole = 0, Draft()
    for draft in drafts:
        whole.moves += draft.moves
        whole.records += draft.records
        whole.keys += draft.keys
        if whole.weight >= most:
            number += 1
            yield whole.unit(stage, number)
            whole = Draft()
    if whole.weight:
        yield whole.unit(stage, number + 1)


def fits(total: int) -> bool:
    """Tell whether an account can hold a total."""
    return abs(total) <= MAX_AMOUNT
