"""What a process holds that stands still or dies in the middle of a unit."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pymongo.errors import OperationFailure

from aiba_adapters.mongo.connecting import advice_for
from aiba_adapters.mongo.fitness import advice
from aiba_domain.ports import UnitOfWork
from aiba_domain.testing.contracts.desk import increment
from aiba_domain.testing.contracts.samples import AT, movement
from tests.support.mongo import open_mongo, run, server_uri, with_database


def test_a_unit_that_stands_still_is_in_nobodys_way(tmp_path: Path) -> None:
    """What it writes is sent at its end, so that others go on; then it runs again."""

    async def live() -> None:
        one, other = [await open_mongo(tmp_path) for _ in range(2)]
        stands, may_go_on = asyncio.Event(), asyncio.Event()

        async def slow(unit: UnitOfWork) -> None:
            await unit.balances("player:1")
            await unit.write(at=AT, postings=(movement(1),))
            stands.set()
            await may_go_on.wait()

        task = asyncio.create_task(one.transact(slow))
        await stands.wait()
        assert await other.transact(increment) == 0
        assert other.counts.conflicts == 0
        may_go_on.set()
        await task
        assert one.counts.conflicts == 1
        assert await other.transact(increment) == 2
        for store in (one, other):
            await store.close()

    run(live())


class Answers:
    """A client's `admin` that answers `getParameter`."""

    def __init__(self, found: Mapping[str, Any] | OperationFailure) -> None:
        self.admin = self
        self._found = found

    async def command(self, _words: Mapping[str, Any]) -> Mapping[str, Any]:
        """Answer, or fail."""
        if isinstance(self._found, OperationFailure):
            raise self._found
        return self._found


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({"transactionLifetimeLimitSeconds": 60}, ""),
        ({"transactionLifetimeLimitSeconds": 3600}, "is 3600"),
        (OperationFailure("not authorized", 13), "can't be seen"),
    ],
)
def test_how_long_a_transaction_may_live_is_told(
    found: Mapping[str, Any] | OperationFailure, told: str
) -> None:
    """Longer than the default is noted, and so is what may not be asked."""
    client: Any = Answers(found)
    notes = run(advice(client))
    assert [told in note for note in notes] == ([True] if told else [])


def test_this_server_can_be_asked() -> None:
    """Whatever the server of the tests answers: a list of notes."""
    assert len(run(advice_for(with_database(server_uri(), "aiba")))) <= 1
