"""What is played with, and by which rules."""

from collections.abc import Mapping
from typing import Any, Final

from pymongo import ASCENDING, DESCENDING, IndexModel

from aiba_adapters.mongo.shapes.base import RecordShape, Shape, flagged
from aiba_adapters.mongo.values import pack_int
from aiba_domain.battle.model import Battle
from aiba_domain.battle.modes import GameMode
from aiba_domain.brokers.listing import Listing
from aiba_domain.brokers.minting import MintJob
from aiba_domain.brokers.model import Broker
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.fairness.epochs import SeedEpoch


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
            flagged(),
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
