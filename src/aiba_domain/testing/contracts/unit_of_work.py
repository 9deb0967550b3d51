"""All of a unit takes effect or nothing of it, whoever runs beside it."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from aiba_domain.errors import InvariantViolation
from aiba_domain.money import Currency
from aiba_domain.ports import Reader, Unavailable, UnitOfWork
from aiba_domain.testing.contracts.desk import Desk
from aiba_domain.testing.contracts.expect import holds, same
from aiba_domain.testing.contracts.samples import (
    AT,
    Boom,
    broker,
    movement,
    player,
    refusal,
)
from aiba_domain.testing.contracts.store_suite import StoreSuite
from aiba_domain.testing.contracts.suite import Capability, needs


class UnitOfWorkContract(StoreSuite):
    """The meaning of a unit of work: atomic, isolated, and finished before the store closes."""

    @pytest.mark.parametrize("writes", [0, 1, 2])
    def test_unit_that_raises_keeps_nothing(self, desk: Desk, writes: int) -> None:
        """An exception comes out as it is and undoes every write before it."""
        desk.write(movement(5), changed=(player("1"), broker("b")))
        before = desk.state()

        async def work(unit: UnitOfWork) -> None:
            changed = (replace(player("1"), wallet="w"), broker("c"))
            for turn in range(writes):
                await unit.write(
                    at=AT,
                    postings=(movement(3), movement(2, "player:1", "treasury")),
                    changed=changed,
                    removed=(broker("b"),) if turn == 0 else (),
                    remember=refusal(f"k{turn}"),
                )
            raise Boom

        with pytest.raises(Boom):
            desk.transact(work)
        same(desk.state(), before)
        for turn in range(writes):
            same(desk.answer(f"k{turn}"), None)

    def test_unit_sees_its_own_writes(self, desk: Desk) -> None:
        """Within a unit a read follows the writes before it."""

        async def work(unit: UnitOfWork) -> None:
            await unit.write(at=AT, postings=(movement(5),), changed=(player("1"),))
            same(await unit.balances("player:1"), {Currency.NEUR: 5})
            same(await unit.player("1"), player("1"))

        desk.transact(work)

    def test_violation_undoes_the_unit_even_if_it_is_swallowed(self, desk: Desk) -> None:
        """A unit that goes on after a broken invariant is undone all the same."""

        async def work(unit: UnitOfWork) -> None:
            await unit.write(at=AT, changed=(player("1"),))
            with contextlib.suppress(InvariantViolation):
                await unit.write(
                    at=AT,
                    postings=(movement(1, credit="player:2"), movement(6, "player:1", "treasury")),
                )

        before = desk.state()
        with pytest.raises(InvariantViolation):
            desk.transact(work)
        same(desk.state(), before)

    def test_read_follows_the_units_that_were_answered(self, desk: Desk) -> None:
        """Whoever was answered finds the effect in the next read."""

        async def alternate() -> None:
            for count in range(1, 11):
                await desk.store.transact(lambda unit: unit.write(at=AT, postings=(movement(1),)))
                held = await desk.store.read(lambda read: read.balances("player:1"))
                same(held, {Currency.NEUR: count})

        desk.run(alternate())

    def test_check_passes_while_open(self, desk: Desk) -> None:
        """A healthy store says so."""
        desk.run(desk.store.check())

    def test_close_can_be_repeated(self, desk: Desk) -> None:
        """Closing a closed store, or closing twice at once, is harmless."""

        async def twice() -> None:
            await asyncio.gather(desk.store.close(), desk.store.close())
            await desk.store.close()

        desk.run(twice())

    @needs(Capability.SERIALIZABLE)
    def test_failed_units_disturb_no_others(self, desk: Desk) -> None:
        """Of many units at once exactly those that raise are undone."""

        def unit_of(number: int) -> Callable[[UnitOfWork], Awaitable[int]]:
            async def work(unit: UnitOfWork) -> int:
                await unit.write(at=AT, postings=(movement(1, credit=f"player:{number}"),))
                if number % 3 == 0:
                    raise Boom
                return number

            return work

        results = desk.together([unit_of(number) for number in range(30)])
        for number, result in enumerate(results):
            came_to = type(result) if isinstance(result, Exception) else result
            same(came_to, Boom if number % 3 == 0 else number, f"what unit {number} came to")
            same(desk.balance(f"player:{number}"), 0 if number % 3 == 0 else 1)
        same(len(desk.entries()), 20)

    @needs(Capability.SERIALIZABLE)
    def test_concurrent_units_are_serial(self, desk: Desk) -> None:
        """Of 64 units that each read a balance and add to it none is lost."""

        async def work(unit: UnitOfWork) -> None:
            held = (await unit.balances("player:1")).get(Currency.NEUR, 0)
            found = await unit.player("1") or player("1")
            same(found.win_streak, held)
            await unit.write(
                at=AT,
                postings=(movement(1),),
                changed=(replace(found, win_streak=found.win_streak + 1),),
            )

        results = desk.together([work] * 64)
        same(results, [None] * 64)
        same(desk.balance("player:1"), 64)
        kept = desk.player("1")
        same(kept.win_streak if kept else 0, 64, "what the units added to a record")
        same([entry.number for entry in desk.entries()], list(range(1, 65)))

    @needs(Capability.SERIALIZABLE)
    def test_only_one_of_many_units_can_take_the_last_unit(self, desk: Desk) -> None:
        """A check and the write after it are one step."""
        desk.write(movement(1))

        async def work(unit: UnitOfWork) -> bool:
            if not (await unit.balances("player:1")).get(Currency.NEUR, 0):
                return False
            await unit.write(at=AT, postings=(movement(1, "player:1", "treasury"),))
            return True

        results = desk.together([work] * 32)
        same(results.count(True), 1, "how many took it")
        same(results.count(False), 31, "how many found it gone")

    @needs(Capability.SERIALIZABLE)
    def test_reads_see_whole_committed_units(self, desk: Desk) -> None:
        """A read beside running units sees all of a unit or nothing of it."""

        async def work(unit: UnitOfWork) -> None:
            await unit.write(at=AT, postings=(movement(1),))
            await unit.write(at=AT, postings=(movement(1, "chain", "player:2"),))

        async def look(read: Reader) -> tuple[int, int, int]:
            first = (await read.balances("player:1")).get(Currency.NEUR, 0)
            entries = len(list(read.entries()))
            second = (await read.balances("player:2")).get(Currency.NEUR, 0)
            return first, second, entries

        async def both() -> list[tuple[int, int, int]]:
            seen = []
            tasks = [asyncio.create_task(desk.store.transact(work)) for _ in range(20)]
            while not all(task.done() for task in tasks):
                seen.append(await desk.store.read(look))
                await asyncio.sleep(0)
            await asyncio.gather(*tasks)
            return seen

        for first, second, entries in desk.run(both()):
            same(first, second)
            same(entries, first + second)
        same(desk.read(look), (20, 20, 40))

    @needs(Capability.SERIALIZABLE)
    def test_cancelled_caller_harms_nobody(self, desk: Desk) -> None:
        """Whoever goes away takes nothing with it: its unit is whole or absent, others go on."""

        def unit_of(number: int) -> Callable[[UnitOfWork], Awaitable[None]]:
            async def work(unit: UnitOfWork) -> None:
                await unit.write(
                    at=AT,
                    postings=(movement(1, credit=f"player:{number}"),),
                    remember=refusal(f"k{number}"),
                )

            return work

        async def some_cancelled() -> list[Any]:
            tasks = [
                asyncio.create_task(desk.store.transact(unit_of(number))) for number in range(16)
            ]
            await asyncio.sleep(0)
            for task in tasks[::2]:
                task.cancel()
            return await asyncio.gather(*tasks, return_exceptions=True)

        results = desk.run(some_cancelled())
        same(results[1::2], [None] * 8)
        for number in range(16):
            held, kept = desk.balance(f"player:{number}"), desk.answer(f"k{number}")
            same(held, 0 if kept is None else 1)
            holds(number % 2 == 0 or held == 1, f"unit {number}, whose caller stayed, took effect")

    @needs(Capability.SERIALIZABLE)
    def test_close_drains_and_then_refuses(self, desk: Desk) -> None:
        """What was accepted before the end is finished, what comes after is Unavailable."""

        async def work(unit: UnitOfWork) -> int:
            await unit.write(at=AT, postings=(movement(1),))
            return (await unit.balances("player:1"))[Currency.NEUR]

        async def drained() -> list[Any]:
            tasks = [asyncio.create_task(desk.store.transact(work)) for _ in range(10)]
            await asyncio.sleep(0)
            await desk.store.close()
            return await asyncio.gather(*tasks, return_exceptions=True)

        # Each saw a balance of its own; in which order they came is nobody's promise.
        same(Counter(desk.run(drained())), Counter(range(1, 11)))
        for refused in (
            lambda: desk.transact(work),
            lambda: desk.read(lambda read: read.policy()),
            lambda: desk.run(desk.store.check()),
        ):
            with pytest.raises(Unavailable):
                refused()

    @needs(Capability.SERIALIZABLE)
    def test_cancelled_close_strands_nobody(self, desk: Desk) -> None:
        """Giving up on a close leaves every accepted unit to its end."""

        async def work(unit: UnitOfWork) -> None:
            await unit.write(at=AT, postings=(movement(1),))

        async def impatient() -> list[Any]:
            tasks = [asyncio.create_task(desk.store.transact(work)) for _ in range(10)]
            await asyncio.sleep(0)
            closing = asyncio.create_task(desk.store.close())
            await asyncio.sleep(0)
            closing.cancel()
            async with asyncio.timeout(20):
                return await asyncio.gather(*tasks, return_exceptions=True)

        same(desk.run(impatient()), [None] * 10)
