"""Answers, letters, and what processes share among themselves."""

from typing import Any, Final

from pymongo import ASCENDING, IndexModel

from aiba_adapters.mongo.shapes.base import RecordShape, Shape
from aiba_domain.leases.model import Lease
from aiba_domain.outbox.model import Letter, Mailbox


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
