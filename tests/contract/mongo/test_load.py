"""Many writers at once, and a server that is killed under them."""

import asyncio
import os
import shutil
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from aiba_adapters.mongo import MongoStore, open_store
from aiba_domain.application.audit import audit_store
from aiba_domain.errors import InvariantViolation
from aiba_domain.money import Currency
from aiba_domain.ports import Store, Unavailable, UnitOfWork
from aiba_domain.testing.contracts.store import Desk, movement, player, refusal
from tests.support.mongo import Server, is_real, open_mongo, quick_folder, with_database

AT = 1_767_268_800_000
SINK = "sink:2026-01-01:train:training"
WRITERS = 64
ROUNDS = int(os.environ.get("AIBA_KILL_ROUNDS", "3"))


@pytest.fixture(name="pair")
def _pair(tmp_path: Path) -> Iterator[tuple[asyncio.Runner, MongoStore, MongoStore]]:
    """Open one database twice, as two processes would."""
    with asyncio.Runner() as runner:
        stores = [runner.run(open_mongo(tmp_path)) for _ in range(2)]
        yield runner, stores[0], stores[1]
        for store in stores:
            runner.run(store.close())


def spending(number: int) -> Callable[[UnitOfWork], Awaitable[None]]:
    """Return a unit that one player spends by, as a training does."""

    async def work(unit: UnitOfWork) -> None:
        held = (await unit.balances(account(number))).get(Currency.NEUR, 0)
        found = await unit.player(f"{number}") or player(f"{number}")
        await unit.write(
            at=AT,
            postings=(movement(held + 2, "chain", account(number)),),
            changed=(found,),
        )
        await unit.write(at=AT, postings=(movement(1, account(number), SINK),))

    return work


def account(number: int) -> str:
    """Name a player's account."""
    return f"player:{number}"


def train_all(stores: tuple[MongoStore, MongoStore], rounds: int) -> Coroutine[Any, Any, None]:
    """Let 64 players spend at once, half of them through each store."""

    async def all_at_once() -> None:
        for _ in range(rounds):
            units = [stores[number % 2].transact(spending(number)) for number in range(WRITERS)]
            await asyncio.gather(*units)

    return all_at_once()


def test_players_are_not_in_each_others_way(
    pair: tuple[asyncio.Runner, MongoStore, MongoStore],
) -> None:
    """64 writers on 64 players share sink and chain; fewer than 1 in 100 units run again."""
    runner, one, other = pair
    runner.run(one.transact(spending(WRITERS)))  # the first entry changes an index of this server
    runner.run(train_all((one, other), 3))
    conflicts = one.counts.conflicts + other.counts.conflicts
    assert conflicts <= 3 * WRITERS // 100
    report = runner.run(audit_store(one))
    assert report.is_sound, report.faults
    assert Desk(runner, one).balance(SINK) == 3 * WRITERS + 1


def test_processes_that_meet_part(pair: tuple[asyncio.Runner, MongoStore, MongoStore]) -> None:
    """One that posts to another's shares is in its way, and finds shares of its own."""
    runner, one, other = pair
    runner.run(train_all((one, other), 1))
    other._berth.number = one._berth.number
    for _ in range(3):
        other._berth._due_ms = 0  # as a conflict brings it about, a moment later
        runner.run(train_all((one, other), 1))
    assert one._berth.number != other._berth.number
    one.counts.conflicts = other.counts.conflicts = 0
    runner.run(train_all((one, other), 1))
    assert one.counts.conflicts + other.counts.conflicts <= 1


def test_a_guarded_account_in_shares_is_never_overdrawn(
    pair: tuple[asyncio.Runner, MongoStore, MongoStore],
) -> None:
    """25 writers take more from the treasury than 25 brought: what is there is given, no more."""
    runner, one, other = pair

    async def all_at_once() -> list[object]:
        bring = [each.transact(paying("chain", "treasury", 3)) for each in (one, other) * 12]
        await asyncio.gather(*bring)
        take = [each.transact(paying("treasury", "reserve", 4)) for each in (one, other) * 12]
        return await asyncio.gather(*take, return_exceptions=True)

    came_to = Counter(type(each) for each in runner.run(all_at_once()))
    assert came_to == {type(None): 18, InvariantViolation: 6}
    desk = Desk(runner, one)
    assert desk.balance("treasury") == 0
    assert desk.balance("reserve") == 72
    report = runner.run(audit_store(other))
    assert report.is_sound, report.faults


def paying(debit: str, credit: str, amount: int) -> Callable[[UnitOfWork], Awaitable[None]]:
    """Return a unit of one posting."""

    async def work(unit: UnitOfWork) -> None:
        await unit.write(at=AT, postings=(movement(amount, debit, credit),))

    return work


class Load:
    """Writers that each pay under one key after another, again until they are answered."""

    def __init__(self, store: Store) -> None:
        """Write to a store."""
        self._store = store
        self.answered: list[str] = []
        self.refused = 0
        self.stopping = False
        self._news = asyncio.Event()

    async def more(self, count: int) -> None:
        """Wait for so many more answers."""
        goal = len(self.answered) + count
        while len(self.answered) < goal:
            self._news.clear()
            await self._news.wait()

    async def write(self, writer: int) -> None:
        """Pay until told to stop; whatever went wrong, the same key is tried again."""
        for turn in range(1_000_000):
            if self.stopping:
                return
            key = f"{writer}-{turn}"
            while not await self._paid(key, f"player:{writer % 5}"):
                self.refused += 1
            self.answered.append(key)
            self._news.set()

    async def _paid(self, key: str, account: str) -> bool:
        async def work(unit: UnitOfWork) -> None:
            if await unit.remembered(refusal(key).scope) is None:
                postings = (movement(2, "chain", account), movement(1, account, SINK))
                await unit.write(at=AT, postings=postings, remember=refusal(key))

        try:
            await self._store.transact(work)
        except Unavailable:
            return False
        return True


@pytest.mark.skipif(is_real(), reason="the server that was given isn't ours to kill")
@pytest.mark.kill
@pytest.mark.usefixtures("strays")
def test_a_killed_server_loses_nothing_and_doubles_nothing() -> None:
    """Killed again and again under load: every answered unit is there, each exactly once."""
    folder = quick_folder()
    with Server(folder) as server, asyncio.Runner() as runner:
        uri = with_database(server.uri, "killed")

        async def under_load() -> tuple[MongoStore, Load]:
            store = await open_store(uri, create=True)
            load = Load(store)
            writers = [asyncio.create_task(load.write(number)) for number in range(16)]
            for _ in range(ROUNDS):
                await load.more(40)
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)
            load.stopping = True
            await asyncio.gather(*writers)
            return store, load

        store, load = runner.run(under_load())
        desk = Desk(runner, store)
        count = len(desk.entries())
        lost = [key for key in load.answered if desk.answer(key) is None]
        assert lost == []
        assert count == 2 * len(load.answered)
        assert desk.balance(SINK) == len(load.answered)
        report = runner.run(audit_store(store))
        assert report.is_sound, report.faults
        runner.run(store.close())
    shutil.rmtree(folder, ignore_errors=True)
