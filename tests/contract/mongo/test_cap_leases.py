"""Caps of one database kept by several stores: to the last unit, in nobody's way, nothing lost."""

import asyncio
import copy
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aiba_adapters.mongo import MongoStore
from aiba_adapters.mongo.shapes.money import AccountShape
from aiba_adapters.mongo.shapes.work import LockShape
from aiba_adapters.mongo.shares import AT_ONCE
from aiba_domain.application.audit import audit_store
from aiba_domain.economy.emission import NOTHING_EMITTED, EmissionResult, judge
from aiba_domain.economy.ledger import Posting, emission_account, player_account
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.money import Currency
from aiba_domain.ports import UnitOfWork
from bench.pipelines import open_arena
from tests.support.mongo import open_mongo

DAY, NEXT = "2026-01-01", "2026-01-02"
AT = 1_767_268_800_000
ARENAS = ("prediction", "simulation")
WRITERS = 64


class Two:
    """Two stores on one database, and what is asked of them."""

    def __init__(self, runner: asyncio.Runner, stores: list[MongoStore]) -> None:
        self.runner = runner
        self.stores = stores

    def together(self, amounts: list[int], arena: str = ARENAS[0], day: str = DAY) -> list[bool]:
        """Emit amounts at once, by both stores in turn; return which were granted."""

        async def all_of_them() -> list[bool]:
            units = [
                self.stores[number % 2].transact(emitting(number, amount, arena, day))
                for number, amount in enumerate(amounts)
            ]
            return await asyncio.gather(*units)

        return self.runner.run(all_of_them())

    def one(self, amount: int, arena: str = ARENAS[0], *, store: int = 0, day: str = DAY) -> bool:
        """Emit an amount by one store."""
        return self.runner.run(self.stores[store].transact(emitting(0, amount, arena, day)))

    def emitted(self, day: str = DAY) -> Counter[str]:
        """Return what the day has emitted, by arena."""
        used = self.runner.run(self.stores[0].read(lambda read: read.emitted(day)))
        return Counter(used.get(Currency.NEUR, NOTHING_EMITTED).by_arena)

    def set_caps(self, **changes: object) -> None:
        """Make the next version of the policy."""

        async def work(unit: UnitOfWork) -> None:
            policy = await unit.policy()
            changed: EconomyPolicy = replace(policy, version=policy.version + 1, **changes)  # type: ignore[arg-type]
            await unit.write(at=AT, changed=(changed,))

        self.runner.run(self.stores[0].transact(work))

    def stored(self, shape: type[Any] = AccountShape, **where: object) -> list[dict[str, Any]]:
        """Return documents as they are stored."""
        collection = self.stores[0]._documents.collection(shape)
        found: list[dict[str, Any]] = self.runner.run(collection.find(where).to_list())
        return found

    def room(self, **where: Any) -> int:
        """Return the room that shares hold."""
        return sum(
            each["room"]["left"].get("NEUR", 0) for each in self.stored(**where) if each.get("room")
        )


@pytest.fixture(name="two")
def _two(tmp_path: Path) -> Iterator[Two]:
    with asyncio.Runner() as runner:
        two = Two(runner, [runner.run(open_mongo(tmp_path)) for _ in range(2)])
        yield two
        for store in two.stores:
            runner.run(store.close())


def emitting(
    number: int, amount: int, arena: str, day: str
) -> Callable[[UnitOfWork], Awaitable[bool]]:
    """Return a unit that emits to a player what the rule grants."""

    async def work(unit: UnitOfWork) -> bool:
        used = (await unit.emitted(day)).get(Currency.NEUR, NOTHING_EMITTED)
        policy = await unit.policy()
        granted = judge(
            policy, Currency.NEUR, amount, arena=arena, league="rookie", now=AT, used=used
        )
        if granted is not EmissionResult.OK:
            return False
        posting = Posting(
            currency=Currency.NEUR,
            amount=amount,
            debit=emission_account(day, arena),
            credit=player_account(f"{number}"),
            reason="test",
            arena=arena,
            league="rookie",
            source_type="test",
            source_id=f"{number}",
        )
        await unit.write(at=AT, postings=(posting,))
        return True

    return work


def test_the_cap_is_emitted_to_the_last_unit(two: Two) -> None:
    """Whatever is refused didn't fit; then what is left is granted, and no unit more."""
    two.set_caps(daily_cap_neur=120)
    amounts = [1 + number % 7 for number in range(48)]
    granted = two.together(amounts)
    total = sum(two.emitted().values())
    assert total == sum(each for each, ok in zip(amounts, granted, strict=True) if ok)
    assert total + two.room() <= 120
    for amount, ok in zip(amounts, granted, strict=True):
        assert ok or total + amount > 120
    if total < 120:
        assert two.one(120 - total, store=1)
    assert not two.one(1)
    report = two.runner.run(audit_store(two.stores[0]))
    assert report.is_sound, report.faults


def test_caps_of_arenas_hold_beside_the_days(two: Two) -> None:
    """An arena is held to its own cap, also where the day's has room."""
    two.set_caps(daily_cap_neur=100, daily_cap_neur_by_arena={ARENAS[0]: 30})
    granted = two.together([4] * 16)
    assert granted.count(True) == 7
    assert two.one(70, ARENAS[1], store=1)
    assert not two.one(3)
    assert two.one(2, store=1)
    assert two.emitted() == {ARENAS[0]: 30, ARENAS[1]: 70}
    assert not two.one(1, ARENAS[1])


def test_what_a_dead_process_held_is_emitted_by_others(two: Two) -> None:
    """Room of a store that is never closed again is gathered when it is needed."""
    two.set_caps(daily_cap_neur=1_000)
    assert two.one(1)
    held = two.room()
    assert held > 0
    assert two.one(999, store=1)
    assert two.room() == 0
    assert not two.one(1)


def test_a_store_that_closes_gives_back(two: Two, tmp_path: Path) -> None:
    """Room and berth are free for others at once."""
    assert two.one(5)
    closing = two.runner.run(open_mongo(tmp_path))
    berth = closing._berth
    two.runner.run(closing.transact(emitting(1, 5, ARENAS[0], DAY)))
    assert two.room() > 0
    keys = {
        each["_id"]
        for each in two.stored()
        if each.get("room") and int(each["_id"].rpartition("#")[2]) // AT_ONCE == berth.number
    }
    assert len(keys) == 1
    two.runner.run(closing.close())
    assert two.room(_id=keys.pop()) == 0
    assert two.stored(LockShape, _id=f"berth:{berth.number}")[0]["until"] == 0


def test_a_lowered_cap_binds_at_once(two: Two) -> None:
    """What was granted under a higher one isn't spent any more, by any store."""
    assert two.together([10, 10]) == [True, True]
    assert two.room() > 20
    two.set_caps(daily_cap_neur=25)
    assert two.together([10, 10, 10, 10]) == [False] * 4
    assert two.one(5, store=1)
    assert not two.one(1)


def test_a_day_that_is_over_is_put_together(two: Two) -> None:
    """Each account of yesterday is one document again, with nothing held; balances stay."""
    two.together([3] * 24)
    account = emission_account(DAY, ARENAS[0])
    assert len(two.stored(account=account)) > 1
    before = two.emitted()
    assert two.one(1, day=NEXT)

    async def merged() -> None:
        while two.stores[0]._under_way:
            await asyncio.wait(two.stores[0]._under_way)

    two.runner.run(merged())
    (stored,) = two.stored(account=account)
    assert stored.get("room") is None
    assert two.emitted() == before
    assert two.one(1, store=1)  # whoever is late
    assert sum(two.emitted().values()) == sum(before.values()) + 1
    report = two.runner.run(audit_store(two.stores[1]))
    assert report.is_sound, report.faults


def test_battles_of_64_players_share_no_document(two: Two) -> None:
    """Battles that emit: fewer than 1 in 100 run again for another's sake, and no cap is written.

    Once each share has room, that is; a portion is for more than a hundred battles.
    """

    async def fight() -> None:
        arena = await open_arena(two.stores[0], players=WRITERS)
        pipelines = [copy.copy(arena.pipeline) for _ in two.stores]
        for pipeline, store in zip(pipelines, two.stores, strict=True):
            pipeline._store = store

        async def all_at_once(tag: str) -> None:
            battles = [
                pipelines[number % 2].execute(seat.player, seat.battle(), f"{tag}-{number}")
                for number, seat in enumerate(arena.seats)
            ]
            for answer in await asyncio.gather(*battles):
                answer.reply()

        def counted(store: MongoStore) -> tuple[int, int]:
            return store.counts.conflicts, store.caps.shared_writes

        await all_at_once("first")
        before = [counted(store) for store in two.stores]
        for number in range(2):
            await all_at_once(f"{number}")
        after = [counted(store) for store in two.stores]
        for kind in range(2):
            more = sum(b[kind] - a[kind] for a, b in zip(before, after, strict=True))
            assert more <= 2 * WRITERS // 100

    two.runner.run(fight())
    report = two.runner.run(audit_store(two.stores[1]))
    assert report.is_sound, report.faults


def test_shares_are_as_many_as_units_at_once(two: Two, tmp_path: Path) -> None:
    """Processes that come one after another use the same shares again."""
    for number in range(4):
        store = two.runner.run(open_mongo(tmp_path))
        two.runner.run(store.transact(emitting(number, 1, ARENAS[0], DAY)))
        two.runner.run(store.close())
    assert len(two.stored(account=emission_account(DAY, ARENAS[0]))) == 1
