"""What each collection holds: the shapes of its documents, and its indexes, in this one place.

A document is what it is found by, beside the whole record as its `body`. Beanie keeps the database
on the class, so each store binds document classes of its own: several stores, on one database or
many, live in one process.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final, Generic, Self, TypeVar

from beanie import Document, init_beanie
from bson import Timestamp
from pydantic import BaseModel, ConfigDict
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase

from aiba_adapters.mongo.values import from_body, pack_int, to_body
from aiba_domain.administration.model import AdminAccount, AdminSession, AuditRow, folded
from aiba_domain.battle.model import Battle
from aiba_domain.battle.modes import GameMode
from aiba_domain.brokers.listing import Listing
from aiba_domain.brokers.minting import MintJob
from aiba_domain.brokers.model import Broker
from aiba_domain.claims.claim import Claim, ClaimState
from aiba_domain.decision import Record
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.fairness.epochs import SeedEpoch
from aiba_domain.guilds.model import Guild
from aiba_domain.instants import day_key
from aiba_domain.leases.model import Lease
from aiba_domain.ledger_audit.chain import Checkpoint
from aiba_domain.ledger_audit.findings import LedgerStanding
from aiba_domain.moderation.model import Flag
from aiba_domain.outbox.model import Letter, Mailbox
from aiba_domain.payments.model import UsedPayment
from aiba_domain.players.model import Player, Session

R = TypeVar("R")

Database = AsyncDatabase[dict[str, Any]]
Collection = AsyncCollection[dict[str, Any]]
ClientSession = AsyncClientSession

MARKER_SECONDS: Final = 86_400
"""How long the marker of a unit without postings is kept; no commit is under way so long."""


def _flagged() -> IndexModel:
    """Return the index of whoever has flags, which few have."""
    return IndexModel(
        [
            ("body.anomaly_flags", DESCENDING),
            ("body.updated_at", DESCENDING),
            ("_id", DESCENDING),
        ],
        name="flagged",
        partialFilterExpression={"body.anomaly_flags": {"$gt": 0}},
    )


class Shape(BaseModel):
    """A document without its database."""

    model_config = ConfigDict(arbitrary_types_allowed=True)

    id: Any
    collection: ClassVar[str]

    @classmethod
    def index_models(cls) -> list[IndexModel]:
        """Return the indexes of the collection, without the one on `_id`."""
        settings: Any = getattr(cls, "Settings", None)
        return list(getattr(settings, "indexes", ()))


class RecordShape(Shape, Generic[R]):
    """A record: what it is found by, and itself."""

    kind: ClassVar[type[Any]]
    unchanging: ClassVar[bool] = False
    """Whether it is made once, so that a second one with the same key is a fault."""

    body: dict[str, Any]

    @classmethod
    def of(cls, record: R) -> Self:
        """Make the document of a record."""
        return cls(body=to_body(record), **cls.found_by(record))

    @classmethod
    def found_by(cls, record: R) -> dict[str, Any]:
        """Return the fields that a record is found by, the key as `id`; None for absent ones."""
        raise NotImplementedError

    def stored(self) -> dict[str, Any]:
        """Return what is written; an absent field is left out, so that no index holds it."""
        fields = {
            name: value
            for name in type(self).model_fields
            if name not in ("id", "revision_id") and (value := getattr(self, name)) is not None
        }
        return {"_id": self.id, **fields}

    @classmethod
    def record(cls, stored: Mapping[str, Any]) -> R:
        """Read the record of what was written."""
        found: R = from_body(cls.kind, stored["body"])
        return found


class PlayerShape(RecordShape[Player]):
    """A player; one wallet has one player."""

    collection = "players"
    kind = Player
    wallet: str | None = None
    seen_day: str

    class Settings:
        """The collection."""

        name = "players"
        indexes: Final = [
            IndexModel(
                [("wallet", ASCENDING)],
                name="by_wallet",
                unique=True,
                partialFilterExpression={"wallet": {"$exists": True}},
            ),
            IndexModel([("seen_day", ASCENDING)], name="by_day"),
            _flagged(),
            IndexModel(
                [("body.badges", ASCENDING), ("_id", ASCENDING)],
                name="by_badge",
                partialFilterExpression={"body.badges": {"$gt": ""}},
            ),
        ]

    @classmethod
    def found_by(cls, record: Player) -> dict[str, Any]:
        """By id, by the day it was last seen on, and by wallet where there is one."""
        return {
            "id": record.id,
            "wallet": record.wallet or None,
            "seen_day": day_key(record.last_seen_at),
        }


class SessionShape(RecordShape[Session]):
    """A session, opened once."""

    collection = "sessions"
    kind = Session
    unchanging = True

    class Settings:
        """The collection."""

        name = "sessions"

    @classmethod
    def found_by(cls, record: Session) -> dict[str, Any]:
        """By id."""
        return {"id": record.id}


class BrokerShape(RecordShape[Broker]):
    """A broker."""

    collection = "brokers"
    kind = Broker
    owner_id: str
    nft: str | None = None

    class Settings:
        """The collection."""

        name = "brokers"
        indexes: Final = [
            IndexModel([("owner_id", ASCENDING)], name="by_owner"),
            IndexModel([("body.created_at", DESCENDING), ("_id", DESCENDING)], name="by_age"),
            IndexModel(
                [("nft", ASCENDING)],
                name="by_nft",
                unique=True,
                partialFilterExpression={"nft": {"$exists": True}},
            ),
            _flagged(),
        ]

    @classmethod
    def found_by(cls, record: Broker) -> dict[str, Any]:
        """By id, by owner, and by NFT where there is one."""
        return {
            "id": record.id,
            "owner_id": record.owner_id,
            "nft": record.nft_item_address or None,
        }


class BattleShape(RecordShape[Battle]):
    """A battle that happened."""

    collection = "battles"
    kind = Battle
    unchanging = True
    player_id: str
    created_at: int

    class Settings:
        """The collection."""

        name = "battles"
        indexes: Final = [
            IndexModel(
                [("player_id", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)],
                name="by_player",
            ),
            IndexModel([("created_at", ASCENDING)], name="by_time"),
        ]

    @classmethod
    def found_by(cls, record: Battle) -> dict[str, Any]:
        """By id, and by player in time."""
        return {
            "id": record.id,
            "player_id": record.player_id,
            "created_at": record.created_at,
        }


class ModeShape(RecordShape[GameMode]):
    """A game mode."""

    collection = "modes"
    kind = GameMode

    class Settings:
        """The collection."""

        name = "modes"

    @classmethod
    def found_by(cls, record: GameMode) -> dict[str, Any]:
        """By key."""
        return {"id": record.key}


class GuildShape(RecordShape[Guild]):
    """A guild."""

    collection = "guilds"
    kind = Guild
    active: bool
    pooled: int
    member_ids: list[str]

    class Settings:
        """The collection."""

        name = "guilds"
        indexes: Final = [
            IndexModel(
                [("active", ASCENDING), ("pooled", ASCENDING), ("_id", ASCENDING)],
                name="by_strength",
            ),
            IndexModel([("member_ids", ASCENDING)], name="by_member"),
        ]

    @classmethod
    def found_by(cls, record: Guild) -> dict[str, Any]:
        """By id, by strength, and by member."""
        return {
            "id": record.id,
            "active": record.active,
            "pooled": record.pooled,
            "member_ids": sorted(set(record.member_ids)),
        }


class FlagShape(RecordShape[Flag]):
    """A flag."""

    collection = "flags"
    kind = Flag
    unchanging = True
    subject: str
    subject_id: str
    at: int

    class Settings:
        """The collection."""

        name = "flags"
        indexes: Final = [
            IndexModel(
                [
                    ("subject", ASCENDING),
                    ("subject_id", ASCENDING),
                    ("at", ASCENDING),
                    ("_id", ASCENDING),
                ],
                name="by_subject",
            ),
            IndexModel(
                [("subject", ASCENDING), ("at", DESCENDING), ("_id", DESCENDING)], name="by_time"
            ),
        ]

    @classmethod
    def found_by(cls, record: Flag) -> dict[str, Any]:
        """By id, and by what it is about."""
        return {
            "id": record.id,
            "subject": record.subject.value,
            "subject_id": record.subject_id,
            "at": record.at,
        }


class EpochShape(RecordShape[SeedEpoch]):
    """A seed epoch."""

    collection = "epochs"
    kind = SeedEpoch

    class Settings:
        """The collection."""

        name = "epochs"

    @classmethod
    def found_by(cls, record: SeedEpoch) -> dict[str, Any]:
        """By number."""
        return {"id": record.number}


class PolicyShape(RecordShape[EconomyPolicy]):
    """A version of the economy policy."""

    collection = "policies"
    kind = EconomyPolicy
    unchanging = True

    class Settings:
        """The collection."""

        name = "policies"

    @classmethod
    def found_by(cls, record: EconomyPolicy) -> dict[str, Any]:
        """By version."""
        return {"id": record.version}


class PaymentShape(RecordShape[UsedPayment]):
    """A payment's only use."""

    collection = "payments"
    kind = UsedPayment
    unchanging = True

    class Settings:
        """The collection."""

        name = "payments"

    @classmethod
    def found_by(cls, record: UsedPayment) -> dict[str, Any]:
        """By the transaction's hash."""
        return {"id": record.hash}


class LeaseShape(RecordShape[Lease]):
    """A lease of a worker."""

    collection = "leases"
    kind = Lease

    class Settings:
        """The collection."""

        name = "leases"

    @classmethod
    def found_by(cls, record: Lease) -> dict[str, Any]:
        """By name."""
        return {"id": record.name}


class MailboxShape(RecordShape[Mailbox]):
    """A mailbox of the outbox."""

    collection = "mailboxes"
    kind = Mailbox
    pending: bool
    due_at: int

    class Settings:
        """The collection."""

        name = "mailboxes"
        indexes: Final = [
            IndexModel(
                [("due_at", ASCENDING), ("_id", ASCENDING)],
                name="by_due",
                partialFilterExpression={"pending": True},
            )
        ]

    @classmethod
    def found_by(cls, record: Mailbox) -> dict[str, Any]:
        """By subject, and by when its next letter is due."""
        return {"id": record.subject, "pending": record.is_pending, "due_at": record.due_at}


class LetterShape(RecordShape[Letter]):
    """A letter of the outbox."""

    collection = "letters"
    kind = Letter
    at: int
    dead: bool
    died_at: int | None = None

    class Settings:
        """The collection."""

        name = "letters"
        indexes: Final = [
            IndexModel(
                [("at", ASCENDING)], name="waiting", partialFilterExpression={"dead": False}
            ),
            IndexModel(
                [("died_at", ASCENDING), ("_id", ASCENDING)],
                name="dead",
                partialFilterExpression={"dead": True},
            ),
        ]

    @classmethod
    def found_by(cls, record: Letter) -> dict[str, Any]:
        """By id, and by age, or by when it died."""
        return {
            "id": record.id,
            "at": record.at,
            "dead": record.is_dead,
            "died_at": record.died_at,
        }


class AdminAccountShape(RecordShape[AdminAccount]):
    """An admin's account."""

    collection = "admin_accounts"
    kind = AdminAccount

    class Settings:
        """The collection."""

        name = "admin_accounts"

    @classmethod
    def found_by(cls, record: AdminAccount) -> dict[str, Any]:
        """By email."""
        return {"id": record.email}


class AdminSessionShape(RecordShape[AdminSession]):
    """A token that an admin was given."""

    collection = "admin_sessions"
    kind = AdminSession

    class Settings:
        """The collection."""

        name = "admin_sessions"

    @classmethod
    def found_by(cls, record: AdminSession) -> dict[str, Any]:
        """By the token's id."""
        return {"id": record.id}


class AuditShape(RecordShape[AuditRow]):
    """A row of the audit trail; `email` and `path` are in the form they are looked for in."""

    collection = "audit"
    kind = AuditRow
    unchanging = True
    at: int
    email: str
    path: str

    class Settings:
        """The collection."""

        name = "audit"
        indexes: Final = [
            IndexModel([("at", DESCENDING), ("_id", DESCENDING)], name="by_time"),
        ]

    @classmethod
    def found_by(cls, record: AuditRow) -> dict[str, Any]:
        """By number, and by who did what when."""
        return {
            "id": record.number,
            "at": record.at,
            "email": folded(record.email),
            "path": folded(record.path),
        }


class CheckpointShape(RecordShape[Checkpoint]):
    """A checkpoint of the ledger."""

    collection = "checkpoints"
    kind = Checkpoint
    unchanging = True

    class Settings:
        """The collection."""

        name = "checkpoints"

    @classmethod
    def found_by(cls, record: Checkpoint) -> dict[str, Any]:
        """By number."""
        return {"id": record.number}


class LedgerStandingShape(RecordShape[LedgerStanding]):
    """Where the continuous audit of the ledger stands."""

    collection = "ledger_standing"
    kind = LedgerStanding

    class Settings:
        """The collection."""

        name = "ledger_standing"

    @classmethod
    def found_by(cls, record: LedgerStanding) -> dict[str, Any]:
        """By name."""
        return {"id": record.name}


class ListingShape(RecordShape[Listing]):
    """An offer; a broker has one active one at the most."""

    collection = "listings"
    kind = Listing
    active: bool
    broker_id: str

    class Settings:
        """The collection."""

        name = "listings"
        indexes: Final = [
            IndexModel(
                [("broker_id", ASCENDING)],
                name="by_broker",
                unique=True,
                partialFilterExpression={"active": True},
            )
        ]

    @classmethod
    def found_by(cls, record: Listing) -> dict[str, Any]:
        """By id, and by broker while it is active."""
        return {"id": record.id, "active": record.is_active, "broker_id": record.broker_id}


class MintJobShape(RecordShape[MintJob]):
    """A mint job; a broker has one open one at the most."""

    collection = "mint_jobs"
    kind = MintJob
    broker_id: str
    status: str
    open: bool
    created_at: int

    class Settings:
        """The collection."""

        name = "mint_jobs"
        indexes: Final = [
            IndexModel(
                [("broker_id", ASCENDING)],
                name="open",
                unique=True,
                partialFilterExpression={"open": True},
            ),
            IndexModel([("created_at", DESCENDING), ("_id", DESCENDING)], name="by_time"),
            IndexModel(
                [("status", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)],
                name="by_status",
            ),
        ]

    @classmethod
    def found_by(cls, record: MintJob) -> dict[str, Any]:
        """By id, by broker while it is open, and by status in time."""
        return {
            "id": record.id,
            "broker_id": record.broker_id,
            "status": record.status.value,
            "open": record.is_open,
            "created_at": record.created_at,
        }


class ClaimShape(RecordShape[Claim]):
    """A withdrawal: one in flight to a recipient, one under a seqno that isn't refunded."""

    collection = "claims"
    kind = Claim
    player_id: str
    vault: str
    recipient: str
    seqno: str
    """20 digits, so that texts sort as numbers do: BSON has no unsigned 64-bit type."""
    created_at: int
    open: bool
    counts: bool

    class Settings:
        """The collection."""

        name = "claims"
        indexes: Final = [
            IndexModel(
                [("vault", ASCENDING), ("recipient", ASCENDING)],
                name="in_flight",
                unique=True,
                partialFilterExpression={"open": True},
            ),
            IndexModel(
                [("vault", ASCENDING), ("recipient", ASCENDING), ("seqno", DESCENDING)],
                name="by_seqno",
                unique=True,
                partialFilterExpression={"counts": True},
            ),
            IndexModel(
                [("created_at", ASCENDING), ("_id", ASCENDING)],
                name="in_flight_in_time",
                partialFilterExpression={"open": True},
            ),
            IndexModel(
                [("player_id", ASCENDING), ("created_at", DESCENDING), ("_id", DESCENDING)],
                name="by_player",
            ),
        ]

    @classmethod
    def found_by(cls, record: Claim) -> dict[str, Any]:
        """By id, by target and seqno, and by player in time."""
        return {
            "id": record.id,
            "player_id": record.player_id,
            "vault": record.terms.vault,
            "recipient": record.terms.recipient,
            "seqno": f"{record.terms.seqno:020d}",
            "created_at": record.created_at,
            "open": record.is_open,
            "counts": record.state is not ClaimState.REFUNDED,
        }

    @classmethod
    def day(cls, record: Claim) -> str:
        """Return the UTC day under which a claim's amount is summed."""
        return day_key(record.created_at)


class ClaimDayShape(Shape):
    """What the claims of a day come to that aren't refunded, of a player or, as `""`, of all."""

    collection = "claim_days"
    day: str
    player_id: str
    amount: Any

    class Settings:
        """The collection."""

        name = "claim_days"


class ScoreShape(Shape):
    """What the scores of all battles of a player come to, whose id it has."""

    collection = "scores"
    score: Any

    class Settings:
        """The collection."""

        name = "scores"
        indexes: Final = [
            IndexModel([("score", DESCENDING), ("_id", ASCENDING)], name="by_rank"),
        ]

    @classmethod
    def added(cls, score: int) -> Mapping[str, Any]:
        """Return the change of a document by a battle's score."""
        return {"$inc": {"score": pack_int(score)}}


class AccountShape(Shape):
    """An account's balances by currency, or one share of a system account's.

    A share of an emission account may hold `room` (see `rooms`).
    """

    collection = "accounts"
    account: str
    held: dict[str, int]
    room: dict[str, Any] | None = None

    class Settings:
        """The collection."""

        name = "accounts"
        indexes: Final = [IndexModel([("account", ASCENDING)], name="by_account")]


class UnitShape(Shape):
    """One committed unit of work: its place in the order, and its postings.

    `stamp` is the cluster's time at the unit's first answer. `void` marks a unit that was found not
    to have been committed, and never will be. `expire` is there where nothing was posted.
    `accounts` are those that it is found by: all that its postings name but emission and sinks.
    """

    collection = "units"
    stamp: Timestamp | None = None
    postings: list[dict[str, Any]]
    accounts: list[str] | None = None
    void: bool = False
    expire: dt.datetime | None = None

    class Settings:
        """The collection."""

        name = "units"
        indexes: Final = [
            IndexModel(
                [("stamp", ASCENDING), ("_id", ASCENDING)],
                name="in_order",
                partialFilterExpression={"stamp": {"$exists": True}},
            ),
            IndexModel(
                [("accounts", ASCENDING), ("stamp", DESCENDING), ("_id", DESCENDING)],
                name="by_account",
                partialFilterExpression={"stamp": {"$exists": True}},
            ),
            IndexModel(
                [("expire", ASCENDING)],
                name="expiring",
                expireAfterSeconds=MARKER_SECONDS,
                partialFilterExpression={"expire": {"$exists": True}},
            ),
        ]


def found_by(accounts: Iterable[str]) -> list[str]:
    """Return those of the accounts of postings by which they are found, each once."""
    return sorted({each for each in accounts if not each.startswith(("emission:", "sink:"))})


class AnswerShape(Shape):
    """The first answer under a key; its id is principal, command and key as one JSON list.

    Among them is one document with a `mark` alone (see `kept`).
    """

    collection = "answers"
    principal: str
    command: str
    key: str
    fingerprint: str
    accepted: bool
    reply: str
    at: int

    class Settings:
        """The collection."""

        name = "answers"


class LockShape(Shape):
    """Something that units must not change at once, though they share no document.

    A berth (see `berths`) is one that a process holds for itself `until` an instant in ms.
    """

    collection = "locks"
    touched: int = 0
    by: str | None = None
    until: int | None = None

    class Settings:
        """The collection."""

        name = "locks"


class HealthShape(Shape):
    """What the readiness check writes."""

    collection = "health"
    at: int

    class Settings:
        """The collection."""

        name = "health"


RECORDS: Final[Mapping[type, type[RecordShape[Any]]]] = {
    shape.kind: shape
    for shape in (
        PlayerShape,
        SessionShape,
        BrokerShape,
        BattleShape,
        GuildShape,
        ModeShape,
        FlagShape,
        EpochShape,
        PolicyShape,
        ClaimShape,
        ListingShape,
        MintJobShape,
        PaymentShape,
        LeaseShape,
        MailboxShape,
        LetterShape,
        AdminAccountShape,
        AdminSessionShape,
        AuditShape,
        CheckpointShape,
        LedgerStandingShape,
    )
}
"""The shape of each kind of record."""

SHAPES: Final[tuple[type[Shape], ...]] = (
    *RECORDS.values(),
    ClaimDayShape,
    ScoreShape,
    AccountShape,
    UnitShape,
    AnswerShape,
    LockShape,
    HealthShape,
)
"""The shapes of all collections."""


def _make_classes() -> Mapping[type[Shape], type[Document]]:
    return {
        shape: type(
            shape.__name__.replace("Shape", "Document"),
            (shape, Document),
            {"__module__": __name__, "__doc__": shape.__doc__},
        )
        for shape in SHAPES
    }


_unused: Final[list[Mapping[type[Shape], type[Document]]]] = []
"""Classes that no open store has."""


class Documents:
    """Document classes bound to one database, by shape."""

    def __init__(self, bound: Mapping[type[Shape], type[Document]]) -> None:
        """Hold classes that beanie has bound."""
        self._bound = bound

    @classmethod
    async def bind(cls, database: Database) -> "Documents":
        """Bind classes of all shapes to a database; no index is made."""
        bound = _unused.pop() if _unused else _make_classes()
        await init_beanie(
            database=database, document_models=list(bound.values()), skip_indexes=True
        )
        return cls(bound)

    def release(self) -> None:
        """Let another store have the classes: to make them is the longest part of a start."""
        if self._bound:
            _unused.append(self._bound)
            self._bound = {}

    def collection(self, shape: type[Shape]) -> Collection:
        """Return the collection of a shape."""
        return self._bound[shape].get_pymongo_collection()

    def write(self, record: Record) -> tuple[type[RecordShape[Any]], dict[str, Any]]:
        """Return a record's shape, and its document as it is written."""
        shape = RECORDS[type(record)]
        bound: Any = self._bound[shape]
        return shape, bound.of(record).stored()
