"""Backups of a database of MongoDB: every collection as it was at one moment, in BSON."""

import contextlib
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from pymongo.errors import DuplicateKeyError

from aiba_adapters.backups.manifest import Manifest
from aiba_adapters.backups.ports import PlaceInUse, Snapshot, Tell
from aiba_adapters.mongo import TurnLost, TurnTaken, Unfit, migrations, open_store, opened, schema
from aiba_adapters.mongo import backup as dumping
from aiba_adapters.mongo import backup_load as loading
from aiba_adapters.mongo.documents import Collection, Database
from aiba_adapters.mongo.transaction import DURABLE
from aiba_adapters.mongo.turns import COLLECTION
from aiba_adapters.steps import SchemaTooNew
from aiba_domain.outage import Unavailable
from aiba_domain.ports import Store

SCRATCH_MS: Final = 3_600_000
"""How long after its last sign of life a drill's database may be dropped by the next drill."""

_SCRATCH: Final = "scratch"
_LONGEST: Final = 50


def scratch_name(name: str) -> str:
    """Name the database in which the backups of another are tried."""
    return f"{name[:_LONGEST]}_drill"


class MongoBackups:
    """The backups of the database that a URI names; `now` gives the instant in ms, UTC.

    A scratch place is the database `<name>_drill` of the same server. No text repeats the URI.
    """

    kind = "mongo"
    can_replace = False
    is_numbered_by_commit = False

    def __init__(self, uri: str, *, now: Callable[[], int], is_scratch: bool = False) -> None:
        """Work for the database of `uri`, or for the scratch one beside it."""
        self._uri = uri
        self._now = now
        self._is_scratch = is_scratch
        self._mine: str | None = None

    @property
    def newest_schema(self) -> int:
        """The newest schema version that this build knows."""
        return len(migrations.STEPS)

    async def schema(self) -> int | None:
        """Return the schema version of the database, None where no step was taken."""
        async with self._database() as database:
            return await migrations.version(database) or None

    async def dump(self, folder: Path, *, tell: Tell) -> Snapshot:
        """Write one state of the database, read at one moment, while servers go on."""
        async with self._database() as database:
            return await dumping.dump(database, folder, now=self._now, tell=tell)

    async def occupied(self) -> Sequence[str]:
        """Name the collections that hold more than what a new database is made with."""
        async with self._database() as database:
            return await loading.occupied(database)

    async def load(
        self,
        folder: Path,
        manifest: Manifest,
        *,
        replace: bool,  # noqa: ARG002 - a database is never replaced
        tell: Tell,
    ) -> str | None:
        """Put a checked backup into the database, which must be empty, and read it back.

        Until that is done no server starts on it; the same call goes on after a death.
        """
        async with self._database() as database:
            if self._is_scratch:
                await self._claim(database)
            await loading.load(database, folder, manifest, now=self._now, tell=tell)
        return None

    def scratch(self, folder: Path) -> "MongoBackups":  # noqa: ARG002 - it is on the server
        """Return the same for the scratch database."""
        return MongoBackups(self._uri, now=self._now, is_scratch=True)

    async def discard(self) -> None:
        """Drop the scratch database, if it was this one that made it."""
        if self._mine is None:
            return
        async with self._database() as database:
            if await database[COLLECTION].find_one({"_id": _SCRATCH, "by": self._mine}):
                await database.client.drop_database(database.name)
        self._mine = None

    async def faults(self) -> Sequence[str]:
        """Say what of the schema isn't as declared; what was restored was read back already."""
        async with self._database() as database:
            return await schema.problems(database)

    async def rows(self) -> Mapping[str, int]:
        """Count the documents by collection."""
        async with self._database() as database:
            await self._live_on(database)
            return await loading.rows(database)

    async def open(self) -> Store:
        """Open the store that is there; a scratch one is brought to this build's schema first."""
        async with self._database() as database:
            await self._live_on(database)
            name = database.name
        try:
            return await open_store(self._uri, name=name, create=self._is_scratch)
        except Unfit as error:
            raise Unavailable(f"the database {name} can't be used: {error}") from error

    async def _claim(self, database: Database) -> None:
        """Make the scratch database this drill's; one that a dead drill left is dropped.

        Raises PlaceInUse for one that isn't a drill's, or that another drill works in.
        """
        notes, at = _notes(database), self._now()
        there = await notes.find_one({"_id": _SCRATCH})
        if there is None and await loading.occupied(database):
            msg = f"the database {database.name} isn't a drill's; it is left alone"
            raise PlaceInUse(msg)
        if there is not None and there["until"] > at:
            msg = f"another drill works in the database {database.name}; drop it if none does"
            raise PlaceInUse(msg)
        await database.client.drop_database(database.name)
        mine = secrets.token_hex(16)
        with contextlib.suppress(DuplicateKeyError):
            await notes.insert_one({"_id": _SCRATCH, "by": mine, "until": at + SCRATCH_MS})
            self._mine = mine
            return
        msg = f"another drill begins in the database {database.name}"
        raise PlaceInUse(msg)

    async def _live_on(self, database: Database) -> None:
        if self._mine is not None:
            until = self._now() + SCRATCH_MS
            key = {"_id": _SCRATCH, "by": self._mine}
            await _notes(database).update_one(key, {"$set": {"until": until}})

    @contextlib.asynccontextmanager
    async def _database(self) -> AsyncIterator[Database]:
        try:
            async with opened(self._uri) as database:
                name = database.name
                yield database.client[scratch_name(name)] if self._is_scratch else database
        except (TurnTaken, TurnLost) as error:
            raise PlaceInUse(f"the database of MONGO_URI is in use: {error}") from error
        except (Unfit, SchemaTooNew) as error:
            raise Unavailable(f"the database of MONGO_URI can't be used: {error}") from error


def _notes(database: Database) -> Collection:
    return database[COLLECTION].with_options(write_concern=DURABLE)
