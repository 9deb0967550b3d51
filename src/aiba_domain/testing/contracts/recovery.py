"""What a store owes that declares more than one open life: after a restart, a kill, beside others.

The other processes open the adapter by the file that its class, or its opener, is written in.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from aiba_domain.money import Currency
from aiba_domain.ports import Unavailable, UnitOfWork
from aiba_domain.testing.contracts import processes
from aiba_domain.testing.contracts.desk import Desk, increment, patiently
from aiba_domain.testing.contracts.expect import holds, same
from aiba_domain.testing.contracts.samples import AT, claim, guild, movement, player, refusal
from aiba_domain.testing.contracts.store_suite import StoreSuite
from aiba_domain.testing.contracts.suite import Capability, needs

_ACKNOWLEDGED = 24


class RecoveryContract(StoreSuite):
    """The meaning of what is durable, shared, or behind a medium that fails."""

    @needs(Capability.REOPEN)
    def test_reopening_finds_everything_that_was_answered(
        self, runner: asyncio.Runner, tmp_path: Path
    ) -> None:
        """After an orderly end and a new start all is there, and the ledger's numbers go on."""
        kept = refusal("k")
        for turn in range(3):
            desk = Desk(runner, runner.run(self.open_store(tmp_path)))
            same(len(desk.entries()), 2 * turn, "entries after a start")
            desk.write(
                movement(5),
                movement(2, "player:1", "treasury"),
                changed=(player(f"{turn}"), guild(turn + 1, turn, members=(f"{turn}",))),
                remember=refusal(f"k{turn}"),
            )
            if turn == 0:
                desk.write(changed=(claim("c"),), remember=kept)
            desk.run(desk.store.close())
        desk = Desk(runner, runner.run(self.open_store(tmp_path)))
        same([entry.number for entry in desk.entries()], list(range(1, 7)), "entry numbers")
        same(desk.balance("player:1"), 9, "the balance")
        for turn in range(3):
            same(desk.player(f"{turn}"), player(f"{turn}"))
            same(desk.answer(f"k{turn}"), refusal(f"k{turn}"))
        same(desk.answer("k"), kept)
        same(desk.flying(), [claim("c")], "claims in flight")
        desk.run(desk.store.close())

    @needs(Capability.DURABLE)
    def test_a_killed_process_loses_nothing_that_was_answered(
        self, runner: asyncio.Runner, tmp_path: Path
    ) -> None:
        """Every unit that a killed process had reported is there, whole and once."""
        with processes.started(self, tmp_path, "endless") as worker:
            reported = [int(worker.line()) for _ in range(_ACKNOWLEDGED)]
            reported += [int(line) for line in worker.killed()]
        desk = Desk(runner, runner.run(self.open_store(tmp_path)))
        entries = desk.entries()
        same([entry.number for entry in entries], list(range(1, len(entries) + 1)), "the numbers")
        credited = [entry.posting.credit for entry in entries]
        same(len(set(credited)), len(credited), "the units that took effect, each once")
        lost = {f"player:{number}" for number in reported} - set(credited)
        same(sorted(lost), [], "answered units that are lost")
        for account in credited:
            number = account.removeprefix("player:")
            same(desk.balance(account), 1, f"the balance of unit {number}")
            same(desk.player(number), player(number), f"the record of unit {number}")
            holds(desk.answer(f"k{number}"), f"the answer of unit {number} came with its posting")
        desk.write(movement(1))
        same(desk.entries()[-1].number, len(entries) + 1, "the next number")
        desk.run(desk.store.close())

    @needs(Capability.SHARED)
    def test_two_stores_on_one_state_are_serial(self, desk: Desk, tmp_path: Path) -> None:
        """Of 64 increments through two stores none is lost, and each sees the other's."""

        async def both() -> list[int]:
            second = await self.open_store(tmp_path)
            stores = [desk.store, second] * 32
            seen = await asyncio.gather(*(patiently(each, increment) for each in stores))
            for each in (desk.store, second):
                held = await each.read(lambda read: read.balances("player:1"))
                same(held, {Currency.NEUR: 64}, "the balance through one of the stores")
            await second.close()
            return seen

        same(sorted(desk.run(both())), list(range(64)), "the balances that the units saw")
        same([entry.number for entry in desk.entries()], list(range(1, 65)), "entry numbers")

    @needs(Capability.SHARED)
    def test_two_processes_on_one_state_are_serial(self, desk: Desk, tmp_path: Path) -> None:
        """Of the increments of two processes at once none is lost."""

        async def here() -> list[int]:
            return [await patiently(desk.store, increment) for _ in range(40)]

        with processes.started(self, tmp_path, "increments") as worker:
            worker.line()  # it is open and begins
            seen = desk.run(here())
            seen += [int(line) for line in worker.finished()]
        same(sorted(seen), list(range(80)), "the balances that the units saw")
        same(desk.balance("player:1"), 80)
        same([entry.number for entry in desk.entries()], list(range(1, 81)), "entry numbers")

    @needs(Capability.FAULTS)
    def test_a_failed_commit_is_unavailable_and_keeps_nothing(self, desk: Desk) -> None:
        """While commits fail everyone is told so, `check` too; afterwards it works as before."""

        def unit_of(number: int) -> Callable[[UnitOfWork], Awaitable[int]]:
            async def work(unit: UnitOfWork) -> int:
                await unit.write(
                    at=AT,
                    postings=(movement(1, credit=f"player:{number}"),),
                    changed=(player(f"{number}"),),
                    remember=refusal(f"k{number}"),
                )
                return number

            return work

        works = [unit_of(number) for number in range(8)]
        with self.outage(desk.store):
            results = desk.together(works)
            with pytest.raises(Unavailable):
                desk.run(desk.store.check())
        same([type(result) for result in results], [Unavailable] * 8, "what the units came to")
        same(desk.entries(), [])
        same(desk.player("3"), None)
        same(desk.answer("k3"), None)
        same(desk.together(works), list(range(8)), "the same units afterwards")
        desk.run(desk.store.check())
