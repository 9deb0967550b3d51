"""The store on MongoDB keeps the contract of stores."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiba_adapters.mongo import MongoStore
from aiba_domain.testing.contracts import Capability, StoreContract
from tests.support.mongo import failing, fewer, open_mongo, server_uri


class TestMongoStore(StoreContract):
    """The contract over a database of its own."""

    capabilities = frozenset(
        {
            Capability.SERIALIZABLE,
            Capability.REOPEN,
            Capability.DURABLE,
            Capability.SHARED,
            Capability.FAULTS,
        }
    )

    @pytest.fixture(autouse=True)
    @classmethod
    def _fewer(cls, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        fewer(request, monkeypatch)

    async def open_store(self, folder: Path) -> MongoStore:
        """Open a database, an empty one for a new folder."""
        return await open_mongo(folder)

    @contextlib.contextmanager
    def outage(self, adapter: MongoStore) -> Iterator[None]:
        """Let the server refuse every write and every commit as one that is shutting down."""
        commands = ("bulkWrite", "insert", "update", "delete", "commitTransaction")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(adapter.patience, "seconds", 0.2)
            with failing(server_uri(), commands, errorCode=91):
                yield
