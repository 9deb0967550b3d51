"""Reading the database of the service before: in batches, by `find` alone, as one moment if it can.

On a server with snapshot sessions all is read as it was at one moment. Whether anything changed
since is told by a second pass over the same rows, on any server.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Final, Self

from bson.raw_bson import RawBSONDocument
from pymongo import ASCENDING, MongoClient
from pymongo.client_session import ClientSession
from pymongo.errors import ConfigurationError, InvalidName, OperationFailure, PyMongoError

from aiba_adapters.legacy.rows import SnapshotLost
from aiba_adapters.mongo.failures import text_of
from aiba_adapters.mongo.fitness import Unfit
from aiba_domain.ports import Unavailable

_BATCH: Final = 500
_OPTIONS: Final[Mapping[str, Any]] = {
    "serverSelectionTimeoutMS": 5_000,
    "connectTimeoutMS": 5_000,
    "socketTimeoutMS": 60_000,
    "appname": "aiba-import-legacy",
}
_NO_SNAPSHOT: Final = frozenset({20, 72, 123, 246, 263})
"""What servers answer that know no snapshot session."""

_SNAPSHOT_TOO_OLD: Final = 239

Client = MongoClient[RawBSONDocument]


class LegacySource:
    """One database, read only. Close it after use."""

    def __init__(self, uri: str, **options: Any) -> None:
        """Connect to the database that a URI names.

        Raises Unfit for a URI that is none or names no database; no text repeats the URI.
        """
        given = uri.lower()
        ours = {name: value for name, value in _OPTIONS.items() if f"{name.lower()}=" not in given}
        try:
            self._client: Client = MongoClient(
                uri, document_class=RawBSONDocument, **ours, **options
            )
        except (PyMongoError, ValueError, TypeError):
            raise Unfit(["the URI is not one of MongoDB"]) from None
        try:
            self._database = self._client.get_default_database()
        except (ConfigurationError, InvalidName):
            self._client.close()
            raise Unfit(["the URI names no database, as in mongodb://host/aiba"]) from None
        self._session: ClientSession | None = None

    @property
    def is_snapshot(self) -> bool:
        """Whether all is read as it was at one moment."""
        return self._session is not None

    def begin(self) -> None:
        """Begin to read one moment, where the server can. Raises Unavailable."""
        with _told():
            session = self._client.start_session(snapshot=True)
            try:
                self._database.get_collection("users").find_one({}, session=session)
            except (OperationFailure, ConfigurationError) as refused:
                session.end_session()
                code = refused.code if isinstance(refused, OperationFailure) else 0
                if code and code not in _NO_SNAPSHOT:
                    raise
            else:
                self._session = session

    def collections(self) -> dict[str, int]:
        """Return the collections with how many rows each has, about. Raises Unavailable."""
        with _told():
            names = sorted(
                name
                for name in self._database.list_collection_names()
                if not name.startswith("system.")
            )
            return {name: self._database[name].estimated_document_count() for name in names}

    def rows(self, collection: str) -> Iterator[bytes]:
        """Yield the rows of a collection by `_id`, as their bytes.

        Raises Unavailable, and SnapshotLost if it takes longer than the server keeps a moment.
        """
        with _told():
            cursor = self._database[collection].find(
                {}, session=self._session, batch_size=_BATCH, no_cursor_timeout=False
            )
            with cursor.sort("_id", ASCENDING) as found:
                for row in found:
                    yield bytes(row.raw)

    def identity(self) -> tuple[str, frozenset[str]]:
        """Return the database's name, and by what its server is known: addresses and process."""
        with _told():
            hello: Any = self._client.admin.command("hello")
            address = self._client.address
        known = {f"host:{each}" for each in hello.get("hosts", ())}
        known |= {f"host:{hello['me']}"} if "me" in hello else set()
        known |= {f"host:{address[0]}:{address[1]}"} if address else set()
        topology = hello.get("topologyVersion")
        if topology:
            known.add(f"process:{topology['processId']}")
        return self._database.name, frozenset(known)

    def release(self) -> None:
        """Read from now on what is there now."""
        if self._session is not None:
            self._session.end_session()
            self._session = None

    def close(self) -> None:
        """Close the connections."""
        self.release()
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@contextmanager
def _told() -> Iterator[None]:
    """Turn the driver's errors into Unavailable; no text of them repeats the URI."""
    try:
        yield
    except PyMongoError as error:
        if isinstance(error, OperationFailure) and error.code == _SNAPSHOT_TOO_OLD:
            raise SnapshotLost from None
        raise Unavailable(f"the source: {text_of(error)}") from None
