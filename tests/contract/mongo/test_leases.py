"""Leases kept in MongoDB, where units of work run at once."""

from pathlib import Path

import pytest

from aiba_domain.outage import Clock
from aiba_domain.testing.contracts import Capability, LeasesContract
from tests.support.leases import LeasesOf
from tests.support.mongo import fewer, open_mongo


class TestMongoLeases(LeasesContract):
    """The leases of all processes on one database."""

    capabilities = frozenset({Capability.SERIALIZABLE, Capability.SHARED, Capability.REOPEN})

    @pytest.fixture(autouse=True)
    @classmethod
    def _fewer(cls, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
        fewer(request, monkeypatch)

    async def open_leases(self, folder: Path, clock: Clock) -> LeasesOf:
        """Open the leases of a database, an empty one for a new folder."""
        return LeasesOf(await open_mongo(folder), clock)

    async def release(self, adapter: LeasesOf) -> None:
        """Close the database's client."""
        await adapter.store.close()
