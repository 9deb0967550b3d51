"""What the store in memory holds: records by their keys, and what they are found by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from aiba_domain.administration.model import (
    AdminAccount,
    AdminSession,
    AuditRow,
)
from aiba_domain.battle.model import Battle
from aiba_domain.battle.modes import GameMode
from aiba_domain.brokers.listing import Listing
from aiba_domain.brokers.minting import MintJob
from aiba_domain.brokers.model import Broker
from aiba_domain.claims.claim import Claim
from aiba_domain.decision import Record
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.fairness.epochs import SeedEpoch
from aiba_domain.guilds.model import Guild
from aiba_domain.leases.model import Lease
from aiba_domain.ledger_audit.balances import Audited, AuditState
from aiba_domain.ledger_audit.chain import Checkpoint
from aiba_domain.ledger_audit.findings import LedgerStanding
from aiba_domain.moderation.model import Flag
from aiba_domain.money import Currency
from aiba_domain.outbox.model import Letter, Mailbox
from aiba_domain.payments.model import UsedPayment
from aiba_domain.players.model import Player, Session
from aiba_domain.ports import (
    Entry,
    Remembered,
    Scope,
)

KEYS: Mapping[type, str] = {
    Player: "id",
    Session: "id",
    Broker: "id",
    Battle: "id",
    Guild: "id",
    GameMode: "key",
    Flag: "id",
    SeedEpoch: "number",
    EconomyPolicy: "version",
    Claim: "id",
    Listing: "id",
    MintJob: "id",
    UsedPayment: "hash",
    Lease: "name",
    Mailbox: "subject",
    Letter: "id",
    AdminAccount: "email",
    AdminSession: "id",
    AuditRow: "number",
    Checkpoint: "number",
    Audited: "account",
    AuditState: "name",
    LedgerStanding: "name",
}
UNCHANGING: Final = frozenset(
    {Battle, Flag, Session, EconomyPolicy, UsedPayment, AuditRow, Checkpoint}
)
"""Records that are made once: a second one with the same key is a fault."""


@dataclass(slots=True)
class State:
    """All that the store holds: records by type and key, and who is found by what.

    `wallets` maps addresses to players, `flights` vault and recipient to the claim in flight,
    `seqnos` vault, recipient and seqno to the one claim under it that isn't refunded, `claimed` a
    day and a player, None for all, to what their claims come to, `offers` brokers to their active
    listing, `mints` brokers to their open mint job, `nfts` items to their broker, `scores`
    players to what their battles come to; `sources` are the accounts that money came from, ever.
    """

    records: dict[type, dict[object, Record]] = field(
        default_factory=lambda: {kind: {} for kind in KEYS}
    )
    balances: dict[tuple[str, Currency], int] = field(default_factory=dict)
    sources: set[tuple[str, Currency]] = field(default_factory=set)
    entries: list[Entry] = field(default_factory=list)
    answers: dict[Scope, Remembered] = field(default_factory=dict)
    wallets: dict[str, str] = field(default_factory=dict)
    flights: dict[tuple[str, str], str] = field(default_factory=dict)
    seqnos: dict[tuple[str, str, int], str] = field(default_factory=dict)
    claimed: dict[tuple[str, str | None], int] = field(default_factory=dict)
    offers: dict[str, str] = field(default_factory=dict)
    mints: dict[str, str] = field(default_factory=dict)
    nfts: dict[str, str] = field(default_factory=dict)
    scores: dict[str, int] = field(default_factory=dict)
