"""Accounts, what moves them, and what seals them."""

import datetime as dt
from collections.abc import Iterable
from typing import Any, Final

from bson import Timestamp
from pymongo import ASCENDING, DESCENDING, IndexModel

from aiba_adapters.mongo.shapes.base import RecordShape, Shape
from aiba_domain.claims.claim import Claim, ClaimState
from aiba_domain.instants import day_key
from aiba_domain.ledger_audit.balances import Audited, AuditState
from aiba_domain.ledger_audit.chain import Checkpoint
from aiba_domain.ledger_audit.findings import LedgerStanding
from aiba_domain.payments.model import UsedPayment

MARKER_SECONDS: Final = 86_400
"""How long the marker of a unit without postings is kept; no commit is under way so long."""


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


class AuditedShape(RecordShape[Audited]):
    """What an account holds by the audit's own reckoning."""

    collection = "audited"
    kind = Audited

    class Settings:
        """The collection."""

        name = "audited"

    @classmethod
    def found_by(cls, record: Audited) -> dict[str, Any]:
        """By the account's name."""
        return {"id": record.account}


class AuditStateShape(RecordShape[AuditState]):
    """How far the audit's own balances have come."""

    collection = "audit_state"
    kind = AuditState

    class Settings:
        """The collection."""

        name = "audit_state"

    @classmethod
    def found_by(cls, record: AuditState) -> dict[str, Any]:
        """By name."""
        return {"id": record.name}


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
