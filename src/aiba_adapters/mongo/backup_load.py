"""A backup put into an empty database, batch by batch, and read back before it counts.

From the first batch to the last a note in the database says that it is half restored: no server
starts on it. Each batch is one transaction with the note of how far it has come, so after a death
at any point the same command goes on.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, Final

import bson
from bson.raw_bson import RawBSONDocument
from pymongo.asynchronous.client_session import AsyncClientSession
from pymongo.errors import BulkWriteError

from aiba_adapters.backups import manifest as manifests
from aiba_adapters.backups.archive import BackupRefused
from aiba_adapters.backups.manifest import FileFacts, Manifest
from aiba_adapters.backups.ports import PlaceOccupied, Tell
from aiba_adapters.mongo import migrations, schema
from aiba_adapters.mongo.backup import KEPT, STEPS_KEPT, file_of, kept_of
from aiba_adapters.mongo.documents import SHAPES, Database
from aiba_adapters.mongo.failures import is_duplicate
from aiba_adapters.mongo.shapes.base import Shape
from aiba_adapters.mongo.shapes.play import PolicyShape
from aiba_adapters.mongo.shapes.work import HealthShape, LockShape
from aiba_adapters.mongo.snapshots import documents
from aiba_adapters.mongo.turns import COLLECTION, Turn
from aiba_adapters.mongo.values import to_body
from aiba_domain.economy.policy import EconomyPolicy

DOCUMENTS: Final = 1_000
"""How many documents are put back in one transaction at the most."""

BYTES: Final = 4 * 1024 * 1024
"""How many bytes are, but for a document that is longer alone."""

_LENGTH: Final = 4
_NOTES: Final = ("turn", "scratch", migrations.RESTORING, migrations.PROGRESS)
_IGNORED: Final = frozenset((HealthShape.collection, LockShape.collection))


async def occupied(database: Database) -> Sequence[str]:
    """Name the collections that hold anything but what a new database is made with."""
    first = EconomyPolicy()
    made: dict[str, dict[str, Any]] = {
        PolicyShape.collection: {"_id": {"$ne": first.version}},
        COLLECTION: {"does": {"$exists": False}, "_id": {"$nin": list(_NOTES)}},
    }
    found = []
    for name in sorted(await database.list_collection_names()):
        if name.startswith("system.") or name in _IGNORED:
            continue
        if await database[name].find_one(made.get(name, {}), projection=["_id"]):
            found.append(name)
    policy = await database[PolicyShape.collection].find_one({"_id": first.version})
    if policy is not None and policy.get("body") != to_body(first):
        found.append(PolicyShape.collection)
    return found


async def load(
    database: Database, folder: Path, manifest: Manifest, *, now: Callable[[], int], tell: Tell
) -> None:
    """Put a checked backup into a database that is empty, or go on with that.

    Raises PlaceOccupied, BackupRefused if what came of it isn't what was backed up, TurnTaken while
    another process is at it, and TurnLost.
    """
    known = {file_of(shape.collection) for shape in KEPT} | {file_of(COLLECTION)}
    unknown = sorted(set(manifest.files) - known)
    if unknown:
        raise BackupRefused(tuple(f"{name} is of no collection that is known" for name in unknown))
    await _require_place(database, manifest)
    async with Turn.taken(database, doing="putting a backup back", now=now) as turn:
        await _require_place(database, manifest)
        await turn.batch(lambda session: _begin(database, turn, manifest, session))
        # Indexes before documents: so there is no long work that a death would undo.
        numbers = range(1, manifest.schema + 1)
        made = [name for number in numbers for name in migrations.made_by(number)]
        async with turn.kept():
            await schema.make(database, [*made, *(shape.collection for shape in SHAPES)])
        total = sum(facts.size for facts in manifest.files.values())
        before = 0
        for shape in KEPT:
            name = file_of(shape.collection)
            if name not in manifest.files:
                continue
            size = manifest.files[name].size
            with (folder / name).open("rb") as file:
                fill = _Fill(database, turn, shape.collection, file, size)
                while fill.done < size:
                    await turn.batch(fill.put)
                    tell("restore", before + fill.done, total)
            before += size
        async with turn.kept():
            await _verify(database, manifest, tell)
        steps = (folder / file_of(COLLECTION)).read_bytes()
        if _facts([steps]) != manifest.files.get(file_of(COLLECTION)):
            raise BackupRefused((f"{file_of(COLLECTION)} has changed since it was checked",))
        await turn.batch(lambda session: _end(turn, steps, session))


async def _require_place(database: Database, manifest: Manifest) -> None:
    """Let nothing be put over anything, but for the same backup that was begun before."""
    note = await database[COLLECTION].find_one({"_id": migrations.RESTORING})
    if note is None:
        there = await occupied(database)
        if there:
            msg = f"the database {database.name} isn't empty: {', '.join(there)}"
            raise PlaceOccupied(msg)
    elif note["seal"] != _seal(manifest):
        msg = (
            f"another backup is half put back into the database {database.name}: put that one back"
            " to its end, or drop the database"
        )
        raise PlaceOccupied(msg)


async def _begin(
    database: Database, turn: Turn, manifest: Manifest, session: AsyncClientSession
) -> None:
    """Note that a restore is under way, and take away what a new database is made with."""
    key = {"_id": migrations.RESTORING}
    if await turn.notes.find_one(key, session=session):
        return
    await turn.notes.insert_one({**key, "seal": _seal(manifest), "done": {}}, session=session)
    await turn.notes.delete_many(dict(STEPS_KEPT), session=session)
    await database[PolicyShape.collection].delete_many({}, session=session)


async def _end(turn: Turn, steps: bytes, session: AsyncClientSession) -> None:
    """Note the steps that the backup's store had taken, and that it is whole."""
    await turn.notes.delete_one({"_id": migrations.RESTORING}, session=session)
    taken = [RawBSONDocument(bson.encode(each)) for each in bson.decode_all(steps)]
    await turn.notes.insert_many(taken, session=session)


class _Fill:
    """Puts one file into its collection."""

    def __init__(
        self, database: Database, turn: Turn, collection: str, file: IO[bytes], size: int
    ) -> None:
        self._size = size
        self._documents = database[collection]
        self._turn = turn
        self._note = f"done.{collection}"
        self._collection = collection
        self._file = file
        self.done = 0

    async def put(self, session: AsyncClientSession) -> None:
        """Put the next batch back, after all that was put back before."""
        note = await self._turn.notes.find_one({"_id": migrations.RESTORING}, session=session)
        start = (note or {}).get("done", {}).get(self._collection, 0)
        if start >= self._size:
            self.done = start
            return
        batch, end = _chunk(self._file, start)
        try:
            await self._documents.insert_many(batch, session=session)
        except BulkWriteError as error:
            if not is_duplicate(error):
                raise
            msg = f"somebody else writes to {self._collection}: stop them, and drop the database"
            raise PlaceOccupied(msg) from None
        key, done = {"_id": migrations.RESTORING}, {"$set": {self._note: end}}
        await self._turn.notes.update_one(key, done, session=session)
        self.done = end


def _chunk(file: IO[bytes], start: int) -> tuple[list[RawBSONDocument], int]:
    """Read a batch of documents from a place in a file on; return it, and where it ends."""
    batch: list[RawBSONDocument] = []
    file.seek(start)
    end = start
    while len(batch) < DOCUMENTS and end - start < BYTES:
        head = file.read(_LENGTH)
        if not head and batch:
            break
        length = int.from_bytes(head, "little")
        raw = head + file.read(max(0, length - _LENGTH))
        if len(raw) != length or not raw:
            raise BackupRefused(("a file has changed since it was checked",))
        batch.append(RawBSONDocument(raw))
        end += length
    return batch, end


async def _verify(database: Database, manifest: Manifest, tell: Tell) -> None:
    """Read everything back, and hold it against the manifest byte for byte."""
    problems = []
    for done, shape in enumerate(KEPT, start=1):
        name = file_of(shape.collection)
        digest, size = hashlib.sha256(), 0
        async for document in documents(database, shape.collection, *kept_of(shape)):
            digest.update(document.raw)
            size += len(document.raw)
        tell("verify", done, len(KEPT))
        found = FileFacts(size=size, sha256=digest.hexdigest())
        if found != manifest.files.get(name, _facts([])):
            problems.append(
                f"{shape.collection} isn't what was backed up: it has {size} bytes of SHA-256"
                f" {found.sha256}; drop the database and begin anew"
            )
    if problems:
        raise BackupRefused(tuple(problems))


async def rows(database: Database) -> dict[str, int]:
    """Count the documents that a backup would keep, by collection."""
    return {shape.collection: await _count(database, shape) for shape in KEPT}


async def _count(database: Database, shape: type[Shape]) -> int:
    where, _sort = kept_of(shape)
    return await database[shape.collection].count_documents(dict(where))


def _facts(chunks: Sequence[bytes]) -> FileFacts:
    raw = b"".join(chunks)
    return FileFacts(size=len(raw), sha256=hashlib.sha256(raw).hexdigest())


def _seal(manifest: Manifest) -> str:
    return hashlib.sha256(manifests.write(manifest).encode()).hexdigest()
