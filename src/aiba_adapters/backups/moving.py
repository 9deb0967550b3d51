"""A backup of one kind of store made into one of another: for who outgrows a machine, and back.

Records, answers and the ledger are the same on every store; what else a store keeps is made of
them. The ledger that comes out must be the one that went in, entry by entry and number by number.
"""

import contextlib
import itertools
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import bson
from bson import Timestamp

from aiba_adapters.backups.archive import BackupRefused, check, manifest_of, take
from aiba_adapters.backups.manifest import LedgerDigest, Manifest
from aiba_adapters.backups.mongo import MongoBackups
from aiba_adapters.backups.ports import Snapshot, Tell
from aiba_adapters.backups.sqlite import FILE, SqliteBackups
from aiba_adapters.codec import decode, decode_outcome
from aiba_adapters.mongo import migrations
from aiba_adapters.mongo.backup import KEPT, file_of
from aiba_adapters.mongo.documents import RECORDS
from aiba_adapters.mongo.ledger import posting_of, stored_posting
from aiba_adapters.mongo.ledger_pages import place_after
from aiba_adapters.mongo.locks import claim_day_id
from aiba_adapters.mongo.reads import answer_id
from aiba_adapters.mongo.shapes.base import RecordShape, Shape
from aiba_adapters.mongo.shapes.money import (
    AccountShape,
    CheckpointShape,
    ClaimDayShape,
    ClaimShape,
    UnitShape,
    found_by,
)
from aiba_adapters.mongo.shapes.play import ScoreShape
from aiba_adapters.mongo.shapes.work import AnswerShape
from aiba_adapters.mongo.shares import SHARES, document_id, is_shared_out
from aiba_adapters.mongo.turns import COLLECTION
from aiba_adapters.mongo.values import pack_int
from aiba_adapters.sqlite import SqliteStore
from aiba_adapters.sqlite.schema import migrate
from aiba_adapters.sqlite.store import connect
from aiba_adapters.sqlite.unit_of_work import SqliteUnitOfWork
from aiba_domain.claims.claim import Claim, ClaimState
from aiba_domain.decision import Record
from aiba_domain.ledger_audit.chain import Checkpoint
from aiba_domain.money import MAX_AMOUNT
from aiba_domain.ports import Entry, Remembered, Scope, Store, UnitOfWork

_BATCH: Final = 1_000
_MOST_IN_A_SHARE: Final = MAX_AMOUNT // SHARES

Document = dict[str, Any]


async def move(source: Path, target: Path, *, tell: Tell) -> Manifest:
    """Check a backup, and make of it one of the other kind in the new folder `target`.

    Raises BackupRefused, and BackupExists.
    """
    if manifest_of(source).store == SqliteAsMongo.kind:
        known = MongoBackups("", now=lambda: 0)
        return await take(MongoAsSqlite(source, check(source, known, tell=tell)), target, tell=tell)
    own = SqliteBackups(source / FILE, now=lambda: 0)
    return await take(SqliteAsMongo(source, check(source, own, tell=tell)), target, tell=tell)


class SqliteAsMongo:
    """A checked backup of an embedded store, told as one of MongoDB. Always the same bytes."""

    kind = "mongo"

    def __init__(self, source: Path, manifest: Manifest) -> None:
        """Read a backup's folder, which is left as it is."""
        self._source = source
        self._manifest = manifest

    async def dump(self, folder: Path, *, tell: Tell) -> Snapshot:
        """Write what a database with the same records, answers and ledger would have.

        Raises BackupRefused if the ledger comes out other than the manifest tells.
        """
        rows: dict[str, int] = {}
        ledger = LedgerDigest()
        with self._at_this_schema() as connection:
            for done, shape in enumerate(KEPT, start=1):
                documents = _documents(connection, shape, ledger)
                rows[shape.collection] = _write(folder, shape.collection, documents)
                tell("move", done, len(KEPT))
        _require_same(self._manifest, ledger)
        steps = range(1, len(migrations.STEPS) + 1)
        at = self._manifest.taken_at
        taken = [
            {"_id": each, "does": migrations.shortly(migrations.does(each)), "at": at}
            for each in steps
        ]
        _write(folder, COLLECTION, taken)
        return Snapshot(schema=len(steps), taken_at=at, rows=rows, ledger=ledger.head)

    @contextlib.contextmanager
    def _at_this_schema(self) -> Iterator[sqlite3.Connection]:
        """Give a copy of the database that is brought up to date."""
        with tempfile.TemporaryDirectory(prefix="aiba-move-") as folder:
            copied = Path(folder) / FILE
            shutil.copyfile(self._source / FILE, copied)
            with contextlib.closing(connect(copied)) as connection:
                migrate(connection)
                yield connection


class MongoAsSqlite:
    """A checked backup of a database of MongoDB, told as one of an embedded store."""

    kind = "sqlite"

    def __init__(self, source: Path, manifest: Manifest) -> None:
        """Read a backup's folder, which is left as it is."""
        self._source = source
        self._manifest = manifest

    async def dump(self, folder: Path, *, tell: Tell) -> Snapshot:
        """Write a database with the same records, answers and ledger.

        Raises BackupRefused if the ledger comes out other than the manifest tells, and for a backup
        from before a step that rewrites documents.
        """
        for number in range(self._manifest.schema + 1, len(migrations.STEPS) + 1):
            if isinstance(migrations.STEPS[number - 1], migrations.Rewrite):
                msg = f"it is from before step {number}: restore it into MongoDB, migrate, back up"
                raise BackupRefused((msg,))
        with tempfile.TemporaryDirectory(prefix="aiba-move-") as scratch:
            path = Path(scratch) / FILE
            with contextlib.closing(connect(path)) as connection:
                migrate(connection)
                connection.execute("DELETE FROM policies")  # the backup's are put in their place
            store = SqliteStore(path)
            try:
                await self._fill(store, tell)
            finally:
                await store.close()
            made = SqliteBackups(path, now=lambda: self._manifest.taken_at)
            snapshot = await made.dump(folder, tell=tell)
        if snapshot.ledger != self._manifest.ledger:
            raise BackupRefused((_OTHER_LEDGER,))
        return snapshot

    async def _fill(self, store: Store, tell: Tell) -> None:
        for done, shape in enumerate(RECORDS.values(), start=1):
            async for batch in _batches(
                _numbered(shape.record(each)) for each in self._read(shape)
            ):
                await store.transact(_keeping(batch))
            tell("records", done, len(RECORDS))
        async for units in _batches(self._read(UnitShape)):
            await store.transact(_posting(units))
        async for answers in _batches(self._read(AnswerShape)):
            await store.transact(_remembering(answers))

    def _read(self, shape: type[Shape]) -> Iterator[Document]:
        path = self._source / file_of(shape.collection)
        if path.exists():
            with path.open("rb") as file:
                yield from bson.decode_file_iter(file)


_OTHER_LEDGER: Final = "its ledger doesn't come out as the one that the manifest tells"


def _require_same(manifest: Manifest, ledger: LedgerDigest) -> None:
    if ledger.head != manifest.ledger:
        raise BackupRefused((_OTHER_LEDGER,))


async def _batches(items: Iterable[Any]) -> AsyncIterator[list[Any]]:
    rest = iter(items)
    while batch := list(itertools.islice(rest, _BATCH)):
        yield batch


def _keeping(records: list[Record]) -> Callable[[UnitOfWork], Any]:
    async def work(unit: UnitOfWork) -> None:
        await unit.write(at=0, changed=records)

    return work


def _numbered(record: Record) -> Record:
    """Let a checkpoint's first entry be found where an embedded store has it."""
    if isinstance(record, Checkpoint):
        return replace(record, place=str(record.first - 1) if record.first > 1 else "")
    return record


def _posting(units: list[Document]) -> Callable[[UnitOfWork], Any]:
    async def work(unit: UnitOfWork) -> None:
        postings = [each for stored in units for each in stored["postings"]]
        for at, group in itertools.groupby(postings, key=lambda each: int(each["at"])):
            await unit.write(at=at, postings=[posting_of(each) for each in group])

    return work


def _remembering(answers: list[Document]) -> Callable[[UnitOfWork], Any]:
    async def work(unit: UnitOfWork) -> None:
        for each in answers:
            scope = Scope(principal=each["principal"], command=each["command"], key=each["key"])
            outcome = decode_outcome(scope.command, accepted=each["accepted"], text=each["reply"])
            kept = Remembered(
                scope=scope, fingerprint=each["fingerprint"], outcome=outcome, at=int(each["at"])
            )
            await unit.write(at=kept.at, remember=kept)

    return work


def _documents(
    connection: sqlite3.Connection, shape: type[Shape], ledger: LedgerDigest
) -> Iterable[Document]:
    """Return what a collection holds, in the order of its file."""
    if shape is CheckpointShape:
        return _checkpoints(connection)
    if issubclass(shape, RecordShape):
        return (shape.of(each).stored() for each in _records(connection, shape))
    derived: Mapping[type[Shape], Callable[[], Iterable[Document]]] = {
        ClaimDayShape: lambda: _claim_days(connection),
        ScoreShape: lambda: _scores(connection),
        AccountShape: lambda: _accounts(connection),
        UnitShape: lambda: _units(connection, ledger),
        AnswerShape: lambda: _answers(connection),
    }
    return derived[shape]()


def _write(folder: Path, collection: str, documents: Iterable[Document]) -> int:
    count = 0
    with (folder / file_of(collection)).open("xb") as file:
        for document in documents:
            file.write(bson.encode(document))
            count += 1
    return count


def _records(connection: sqlite3.Connection, shape: type[RecordShape[Any]]) -> Iterator[Any]:
    """Go through a table's records by its key, which is its first column."""
    table = shape.collection
    key = connection.execute(f"PRAGMA table_info({table})").fetchone()[1]
    for (body,) in connection.execute(f"SELECT body FROM {table} ORDER BY {key}"):  # noqa: S608 - the schema's own names
        yield decode(shape.kind, body)


def _checkpoints(connection: sqlite3.Connection) -> Iterator[Document]:
    """Let each checkpoint's first entry be found where MongoDB will have it."""
    units, passed, unit = _units(connection, LedgerDigest()), 0, None
    checkpoint: Checkpoint
    for checkpoint in _records(connection, CheckpointShape):
        before, place = checkpoint.first - 1, ""
        while passed < before and (unit := next(units, None)) is not None:
            passed += len(unit["postings"])
        if unit is not None and before:
            offset = len(unit["postings"]) - (passed - before)
            place = place_after(before, (unit["stamp"], unit["_id"], offset))
        yield CheckpointShape.of(replace(checkpoint, place=place)).stored()


def _claim_days(connection: sqlite3.Connection) -> Iterable[Document]:
    amounts: dict[tuple[str, str], int] = {}
    claim: Claim
    for claim in _records(connection, ClaimShape):
        if claim.state is not ClaimState.REFUNDED:
            for who in ("", claim.player_id):
                place = (ClaimShape.day(claim), who)
                amounts[place] = amounts.get(place, 0) + claim.terms.amount
    documents = [
        {"_id": claim_day_id(day, who), "day": day, "player_id": who, "amount": pack_int(amount)}
        for (day, who), amount in amounts.items()
    ]
    return sorted(documents, key=lambda each: str(each["_id"]))


def _scores(connection: sqlite3.Connection) -> Iterator[Document]:
    query = "SELECT player_id, score FROM scores ORDER BY player_id"
    for player_id, score in connection.execute(query):
        yield {"_id": player_id, "score": pack_int(score)}


def _accounts(connection: sqlite3.Connection) -> Iterable[Document]:
    """Return the balances, those of system accounts in as many shares as it takes."""
    documents: dict[str, Document] = {}
    for account, currency, balance in connection.execute(
        "SELECT name, currency, balance FROM accounts"
    ):
        most = _MOST_IN_A_SHARE if is_shared_out(account) else MAX_AMOUNT
        for share, part in enumerate(_parts(balance, most)):
            key = document_id(account, share)
            held = documents.setdefault(key, {"_id": key, "account": account, "held": {}})
            held["held"][currency] = part
    return [documents[key] for key in sorted(documents)]


def _parts(balance: int, most: int) -> Iterator[int]:
    """Split a balance into parts of one sign, none of them above `most`; 0 is one part."""
    sign, left = (-1 if balance < 0 else 1), abs(balance)
    while True:
        part = min(left, most)
        yield sign * part
        left -= part
        if not left:
            return


def _units(connection: sqlite3.Connection, ledger: LedgerDigest) -> Iterator[Document]:
    """Go through the ledger, what came of one thing at one instant as one unit."""

    def source(entry: Entry) -> tuple[int, str, str]:
        return entry.at, entry.posting.source_type, entry.posting.source_id

    entries = SqliteUnitOfWork(connection).entries()
    for number, (_, group) in enumerate(itertools.groupby(entries, key=source), start=1):
        moved = list(group)
        for entry in moved:
            ledger.add(Entry(number=ledger.entries + 1, at=entry.at, posting=entry.posting))
        sides = ((entry.posting.debit, entry.posting.credit) for entry in moved)
        yield {
            "_id": f"{number:020d}",
            "stamp": Timestamp(1, number),
            "postings": [stored_posting(entry.at, entry.posting) for entry in moved],
            "accounts": found_by(itertools.chain.from_iterable(sides)),
        }


def _answers(connection: sqlite3.Connection) -> Iterable[Document]:
    """Go through the answers by their ids, for which SQLite is given their name."""

    def name(principal: str, command: str, key: str) -> str:
        return answer_id(Scope(principal=principal, command=command, key=key))

    connection.create_function("answer_id", 3, name, deterministic=True)
    query = (
        "SELECT answer_id(principal, command, key) AS name, principal, command, key, fingerprint,"
        " accepted, body, at FROM answers ORDER BY name"
    )
    fields = ("_id", "principal", "command", "key", "fingerprint", "accepted", "reply", "at")
    for row in connection.execute(query):
        document = dict(zip(fields, row, strict=True))
        yield {**document, "accepted": bool(document["accepted"])}
