"""Who plays, who judges and who runs the service."""

from typing import Any, Final

from pymongo import ASCENDING, DESCENDING, IndexModel

from aiba_adapters.mongo.shapes.base import RecordShape, flagged
from aiba_domain.administration.model import AdminAccount, AdminSession, AuditRow, folded
from aiba_domain.guilds.model import Guild
from aiba_domain.instants import day_key
from aiba_domain.moderation.model import Flag
from aiba_domain.players.model import Player, Session


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
            flagged(),
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
    """A row of the audit trail; `email` and `path` are in the form they are looked for in.

    `attempt` is whom a login tried, where the row is of one.
    """

    collection = "audit"
    kind = AuditRow
    unchanging = True
    at: int
    email: str
    path: str
    attempt: str | None = None

    class Settings:
        """The collection."""

        name = "audit"
        indexes: Final = [
            IndexModel([("at", DESCENDING), ("_id", DESCENDING)], name="by_time"),
            IndexModel(
                [("attempt", ASCENDING), ("at", DESCENDING)],
                name="by_attempt",
                partialFilterExpression={"attempt": {"$exists": True}},
            ),
        ]

    @classmethod
    def found_by(cls, record: AuditRow) -> dict[str, Any]:
        """By number, and by who did what when."""
        return {
            "id": record.number,
            "at": record.at,
            "email": folded(record.email),
            "path": folded(record.path),
            "attempt": record.email if record.is_attempt else None,
        }
