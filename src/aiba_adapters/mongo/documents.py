"""Documents of all collections, bound to a database.

A document is what it is found by, beside the whole record as its `body`. Beanie keeps the database
on the class, so each store binds document classes of its own: several stores, on one database or
many, live in one process.
"""

from collections.abc import Mapping
from typing import Any, Final

from beanie import Document, init_beanie
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase

from aiba_adapters.mongo.shapes.base import RecordShape, Shape
from aiba_adapters.mongo.shapes.money import (
    AccountShape,
    AuditedShape,
    AuditStateShape,
    CheckpointShape,
    ClaimDayShape,
    ClaimShape,
    LedgerStandingShape,
    PaymentShape,
    UnitShape,
)
from aiba_adapters.mongo.shapes.people import (
    AdminAccountShape,
    AdminSessionShape,
    AuditShape,
    FlagShape,
    GuildShape,
    PlayerShape,
    SessionShape,
)
from aiba_adapters.mongo.shapes.play import (
    BattleShape,
    BrokerShape,
    EpochShape,
    ListingShape,
    MintJobShape,
    ModeShape,
    PolicyShape,
    ScoreShape,
)
from aiba_adapters.mongo.shapes.work import (
    AnswerShape,
    HealthShape,
    LeaseShape,
    LetterShape,
    LockShape,
    MailboxShape,
)
from aiba_domain.decision import Record

Database = AsyncDatabase[dict[str, Any]]


Collection = AsyncCollection[dict[str, Any]]


ClientSession = AsyncClientSession


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
        AuditedShape,
        AuditStateShape,
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
