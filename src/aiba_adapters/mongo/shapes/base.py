"""A document without its database, and what every record's has."""

from collections.abc import Mapping
from typing import Any, ClassVar, Generic, Self, TypeVar

from pydantic import BaseModel, ConfigDict
from pymongo import DESCENDING, IndexModel

from aiba_adapters.mongo.values import from_body, to_body

R = TypeVar("R")


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


def flagged() -> IndexModel:
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
