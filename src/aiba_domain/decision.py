"""What a decider is given and what it answers. Deciders are pure, synchronous and total."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, TypeVar

from aiba_domain.administration.model import (
    AdminAccount,
    AdminSession,
    AuditChange,
    AuditRow,
    Request,
)
from aiba_domain.battle.model import Battle
from aiba_domain.battle.modes import GameMode
from aiba_domain.brokers.listing import Listing
from aiba_domain.brokers.minting import MintJob
from aiba_domain.brokers.model import Broker
from aiba_domain.claims.claim import Claim
from aiba_domain.economy.ledger import Posting
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.errors import DomainError, InvariantViolation
from aiba_domain.events import Event
from aiba_domain.fairness.epochs import SeedEpoch
from aiba_domain.guilds.model import Guild
from aiba_domain.leases.model import Lease
from aiba_domain.ledger_audit.balances import Audited, AuditState
from aiba_domain.ledger_audit.chain import Checkpoint
from aiba_domain.ledger_audit.findings import LedgerStanding
from aiba_domain.moderation.model import Flag
from aiba_domain.outbox.model import Letter, Mailbox
from aiba_domain.payments.model import UsedPayment
from aiba_domain.players.model import Player, Profile, Session

R_co = TypeVar("R_co", covariant=True)

Record = (
    Player
    | Session
    | Broker
    | Battle
    | Guild
    | GameMode
    | Flag
    | SeedEpoch
    | EconomyPolicy
    | Claim
    | Listing
    | MintJob
    | UsedPayment
    | Lease
    | Mailbox
    | Letter
    | AdminAccount
    | AdminSession
    | AuditRow
    | Checkpoint
    | Audited
    | AuditState
    | LedgerStanding
)
"""Everything a store keeps beside the ledger; each kind has one key."""


class Command(Generic[R_co]):
    """Something a principal asks for; its fields are the whole request. Answers an `R_co`."""

    __slots__ = ()


class Role(StrEnum):
    """Who may issue a command."""

    PLAYER = "player"
    OPERATOR = "operator"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who issues a command, as established outside the core.

    `id` is the player id of a player and a name for the others; `profile` is what is known of a
    player that may be new. `request` is what an admin's act came in over: with it the act is
    audited whatever becomes of it.
    """

    id: str
    role: Role = Role.PLAYER
    profile: Profile | None = None
    request: Request | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSeed:
    """The seed epoch that battles are drawn under right now, with its secret."""

    epoch: SeedEpoch
    secret: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """All that a decision may depend on beside the command and what was loaded for it.

    `player` is the issuing player's record, made anew for one seen for the first time, and None
    for other principals. `now` is the instant of the decision; `key` is the idempotency key, `""`
    for a command that carries none; `seed` is there for the commands that draw.
    """

    principal: Principal
    player: Player | None
    policy: EconomyPolicy
    now: int
    key: str
    seed: OpenSeed | None = None

    def acting_player(self) -> Player:
        """Return the issuing player's record; InvariantViolation for another principal."""
        if self.player is None:
            msg = f"{self.principal.role} {self.principal.id} is not a player"
            raise InvariantViolation(msg)
        return self.player


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted(Generic[R_co]):
    """A command that takes effect: what to answer and what to change, all or nothing.

    `audit` is what the audit trail tells of it.
    """

    reply: R_co
    postings: tuple[Posting, ...] = ()
    changed: tuple[Record, ...] = ()
    removed: tuple[Record, ...] = ()
    events: tuple[Event, ...] = ()
    audit: tuple[AuditChange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A command that changes nothing, with the reason as a stable code and its facts."""

    code: str
    details: Mapping[str, str | int] = field(default_factory=dict)
    events: tuple[Event, ...] = ()

    def error(self) -> DomainError:
        """Return the refusal as an error that a caller may raise."""
        return DomainError(self.code, **self.details)
