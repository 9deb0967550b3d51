"""What a backup of a database holds: a file of BSON for each collection, as it is on the wire.

Left out is what means nothing to another database: locks, the readiness check, markers of units
without postings (no commit of theirs can be under way there), and who has the turn.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Final

import bson
from bson.raw_bson import RawBSONDocument
from pymongo import ASCENDING

from aiba_adapters.backups.manifest import LedgerDigest
from aiba_adapters.backups.ports import Snapshot, Tell
from aiba_adapters.mongo import migrations
from aiba_adapters.mongo.documents import SHAPES, Database
from aiba_adapters.mongo.ledger import posting_of
from aiba_adapters.mongo.shapes.base import Shape
from aiba_adapters.mongo.shapes.money import UnitShape
from aiba_adapters.mongo.shapes.work import HealthShape, LockShape
from aiba_adapters.mongo.snapshots import Pinned, Sort, pinned
from aiba_adapters.mongo.turns import COLLECTION
from aiba_domain.outage import Unavailable
from aiba_domain.ports import Entry

KEPT: Final[tuple[type[Shape], ...]] = tuple(
    shape for shape in SHAPES if shape not in (LockShape, HealthShape)
)
"""The collections that are kept."""

STEPS_KEPT: Final[Mapping[str, Any]] = {
    "$or": [{"does": {"$exists": True}}, {"_id": migrations.PROGRESS}]
}
"""What is kept beside the schema's steps: how far one is that rewrites documents."""

_TELL_EVERY: Final = 5_000


def file_of(collection: str) -> str:
    """Name the file that holds a collection."""
    return f"{collection}.bson"


def kept_of(shape: type[Shape]) -> tuple[Mapping[str, Any], Sort]:
    """Return which documents of a collection are kept, and their order in its file."""
    if shape is UnitShape:
        return {"stamp": {"$exists": True}}, [("stamp", ASCENDING), ("_id", ASCENDING)]
    return {}, [("_id", ASCENDING)]


async def dump(database: Database, folder: Path, *, now: Callable[[], int], tell: Tell) -> Snapshot:
    """Write a database as it is at one moment into an empty folder, durably.

    Raises Unavailable where there is no store, where it is half restored, and if it takes longer
    than the server remembers the moment.
    """
    taken_at = now()  # before the state is pinned, so all that was durable then is in it
    async with pinned(database) as read:
        schema = await migrations.version(database, session=read.session)
        faults = await migrations.unready(database)
        if schema == 0:
            faults = [*faults, "it has taken no step of the schema"]
        if faults:
            msg = f"the database {database.name} can't be backed up: {'; '.join(faults)}"
            raise Unavailable(msg)
        rows: dict[str, int] = {}
        ledger = LedgerDigest()
        for shape in KEPT:
            with (folder / file_of(shape.collection)).open("xb") as file:
                rows[shape.collection] = await _dump(database, read, shape, file, ledger, tell)
                _sync(file)
        with (folder / file_of(COLLECTION)).open("xb") as file:
            async for each in read.documents(COLLECTION, STEPS_KEPT, [("_id", ASCENDING)]):
                file.write(each.raw)
            _sync(file)
    return Snapshot(schema=schema, taken_at=taken_at, rows=rows, ledger=ledger.head)


async def _dump(
    database: Database,
    read: Pinned,
    shape: type[Shape],
    file: IO[bytes],
    ledger: LedgerDigest,
    tell: Tell,
) -> int:
    """Write the documents of a collection; return how many."""
    total = await database[shape.collection].estimated_document_count()
    count = 0
    async for document in read.documents(shape.collection, *kept_of(shape)):
        file.write(document.raw)
        count += 1
        if shape is UnitShape:
            add_to(ledger, document)
        if count % _TELL_EVERY == 0:
            tell(shape.collection, count, max(total, count))
    tell(shape.collection, count, count)
    return count


def add_to(ledger: LedgerDigest, unit: RawBSONDocument) -> None:
    """Take in the postings of the next unit."""
    for posting in bson.decode(unit.raw)["postings"]:
        number = ledger.entries + 1
        ledger.add(Entry(number=number, at=int(posting["at"]), posting=posting_of(posting)))


def _sync(file: IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())
