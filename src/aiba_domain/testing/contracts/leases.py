"""What whoever gives leases owes: one holder at a time, and numbers that tell who came later."""

import asyncio
from abc import abstractmethod
from collections.abc import Callable, Coroutine, Iterator
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.errors import DomainError
from aiba_domain.leases.model import MAX_TTL_MS, Lease
from aiba_domain.leases.ports import Leases
from aiba_domain.outage import Clock
from aiba_domain.testing.contracts.expect import holds, same
from aiba_domain.testing.contracts.suite import (
    Capability,
    Opening,
    PortContract,
    base,
    broad,
    needs,
)
from aiba_domain.testing.doubles import SettableClock

T = TypeVar("T")

_TTL: Final = 1_000
_STEPS: Final = st.lists(
    st.tuples(
        st.sampled_from(("acquire", "acquire", "renew", "release")),
        st.sampled_from("abc"),  # who
        st.integers(0, 1_500),  # ms that pass before
        st.integers(1, 2_000),  # ms to hold it
    ),
    min_size=1,
    max_size=30,
)


class Desk:
    """Leases with synchronous helpers around them, on one event loop and one clock."""

    def __init__(self, runner: asyncio.Runner, clock: SettableClock, leases: Leases) -> None:
        """Serve `leases`, which were opened inside `runner` and are told the time by `clock`."""
        self.runner = runner
        self.clock = clock
        self.leases = leases
        self._fresh = count()

    def fresh(self) -> str:
        """Return a name that was not given out before."""
        return f"work-{next(self._fresh)}"

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """Wait for a call."""
        return self.runner.run(call)

    def acquire(self, name: str, holder: str, ttl_ms: int = _TTL) -> Lease | None:
        """Ask for a lease."""
        return self.run(self.leases.acquire(name, holder, ttl_ms))

    def taken(self, name: str, holder: str, ttl_ms: int = _TTL) -> Lease:
        """Ask for a lease that is there to be had."""
        lease = self.acquire(name, holder, ttl_ms)
        holds(lease is not None, f"{holder} gets the lease")
        assert lease is not None
        return lease

    def renew(self, lease: Lease, ttl_ms: int = _TTL) -> Lease | None:
        """Renew a lease."""
        return self.run(self.leases.renew(lease, ttl_ms))

    def release(self, lease: Lease) -> None:
        """Let go of a lease."""
        self.run(self.leases.release(lease))


class LeasesContract(PortContract):
    """Subclass and say how to open leases of which none is held, told the time by `clock`.

    `serializable`: of those who ask at once one gets a lease. `shared`: those opened on one
    `folder` give each lease once. `reopen`: what was held is held after `release` and a new
    opening.
    """

    port = "Leases"
    version = "1.0"

    @abstractmethod
    async def open_leases(self, folder: Path, clock: Clock) -> Leases:
        """Open leases; `folder` is of this test alone, and empty at first."""

    @pytest.fixture(name="desk")
    def _desk(self, runner: asyncio.Runner, opening: Opening, tmp_path: Path) -> Iterator[Desk]:
        clock = SettableClock()
        with opening:
            leases = runner.run(self.open_leases(tmp_path, clock))
        desk = Desk(runner, clock, leases)
        yield desk
        runner.run(self.release(desk.leases))

    @base
    def test_one_holds_a_lease_at_a_time(self, desk: Desk) -> None:
        """Whoever asks first gets it, with its end; nobody else does until then."""
        name = desk.fresh()
        lease = desk.taken(name, "a")
        same((lease.name, lease.holder), (name, "a"))
        same(lease.expires_at, desk.clock.now() + _TTL, "the lease's end")
        same(desk.acquire(name, "b"), None, "a second holder")
        desk.taken(desk.fresh(), "b")

    def test_a_dead_holders_lease_is_taken_at_its_end(self, desk: Desk) -> None:
        """In its last millisecond it is still held; at its end it is anyone's."""
        name = desk.fresh()
        first = desk.taken(name, "a")
        desk.clock.advance(_TTL - 1)
        same(desk.acquire(name, "b"), None, "the lease in its last millisecond")
        desk.clock.advance(1)
        second = desk.taken(name, "b")
        holds(second.number > first.number, "the next holder has a higher number")

    def test_a_late_holder_has_lost_its_lease(self, desk: Desk) -> None:
        """Once it was taken it can't be renewed, and letting go of it does nothing."""
        name = desk.fresh()
        first = desk.taken(name, "a")
        desk.clock.advance(_TTL)
        second = desk.taken(name, "b")
        same(desk.renew(first), None, "the late holder's lease")
        desk.release(first)
        same(desk.acquire(name, "c"), None, "a third holder")
        same(desk.renew(second), second, "the holder's own lease")

    def test_a_lease_is_renewed_also_after_its_end_if_nobody_took_it(self, desk: Desk) -> None:
        """It keeps its number, since nobody was there in between."""
        first = desk.taken(desk.fresh(), "a")
        desk.clock.advance(3 * _TTL)
        renewed = desk.renew(first, 2 * _TTL)
        assert renewed is not None
        same((renewed.holder, renewed.number), ("a", first.number))
        same(renewed.expires_at, desk.clock.now() + 2 * _TTL, "the lease's end")
        same(desk.acquire(first.name, "b"), None, "another holder")

    def test_the_holder_gets_its_lease_again_under_its_number(self, desk: Desk) -> None:
        """So a call whose answer was lost can be made again."""
        name = desk.fresh()
        first = desk.taken(name, "a")
        desk.clock.advance(10)
        again = desk.taken(name, "a")
        same((again.number, again.expires_at), (first.number, first.expires_at + 10))

    def test_a_lease_that_was_let_go_of_is_anyones_under_a_new_number(self, desk: Desk) -> None:
        """Also its last holder's, who could renew it no more."""
        name = desk.fresh()
        first = desk.taken(name, "a")
        desk.release(first)
        desk.release(first)
        same(desk.renew(first), None, "the lease that was let go of")
        second = desk.taken(name, "b")
        desk.release(second)
        third = desk.taken(name, "a")
        holds(first.number < second.number < third.number, "numbers grow")

    @broad()
    @given(steps=_STEPS)
    def test_never_two_hold_a_lease_at_once(
        self, desk: Desk, steps: list[tuple[str, str, int, int]]
    ) -> None:
        """Whatever workers do, at most one of them is within the time that it was promised."""
        name, highest = desk.fresh(), 0
        held: dict[str, Lease] = {}
        for what, who, wait, ttl in steps:
            desk.clock.advance(wait)
            before = held.get(who)
            if what == "acquire":
                given_now = desk.acquire(name, who, ttl)
            elif before is None:
                continue
            elif what == "renew":
                given_now = desk.renew(before, ttl)
            else:
                desk.release(before)
                given_now = None
            if given_now is not None:
                held[who] = given_now
                is_anew = before is None or before.number != given_now.number
                holds(given_now.number > highest if is_anew else True, "numbers grow")
                highest = max(highest, given_now.number)
            elif what != "acquire" or before is None or not before.is_held(desk.clock.now()):
                held.pop(who, None)
            promised = [who for who, lease in held.items() if lease.is_held(desk.clock.now())]
            holds(len(promised) <= 1, f"{promised} hold the lease at once")

    @broad()
    @given(moves=st.lists(st.integers(-5_000, 5_000), min_size=1, max_size=20))
    def test_whatever_the_clock_does_the_newest_holder_is_the_only_one_that_counts(
        self, desk: Desk, moves: list[int]
    ) -> None:
        """Also if it goes back: no number comes twice, and an earlier holder can't renew."""
        name = desk.fresh()
        given_out: list[Lease] = []
        for turn, move in enumerate(moves):
            desk.clock.advance(move)
            lease = desk.acquire(name, f"w{turn}")
            if lease is not None:
                given_out.append(lease)
        numbers = [lease.number for lease in given_out]
        same(sorted(set(numbers)), numbers, "the numbers in the order they were given")
        for late in given_out[:-1]:
            same(desk.renew(late), None, f"the lease {late.number}")

    @pytest.mark.parametrize("odd", ["", " ", "é", "a b", "x" * 200, "a\x00"])
    def test_odd_names_and_holders_are_refused(self, desk: Desk, odd: str) -> None:
        """They would blur whose lease it is."""
        _refused(lambda: desk.acquire(odd, "a"))
        _refused(lambda: desk.acquire("work", odd))

    @pytest.mark.parametrize("ttl_ms", [0, -1, MAX_TTL_MS + 1])
    def test_times_out_of_range_are_refused(self, desk: Desk, ttl_ms: int) -> None:
        """A lease lasts a while, and not for ever; a refusal changes nothing."""
        name = desk.fresh()
        _refused(lambda: desk.acquire(name, "a", ttl_ms))
        lease = desk.taken(name, "a")
        _refused(lambda: desk.renew(lease, ttl_ms))
        same(desk.renew(lease), lease, "the lease")

    @needs(Capability.SERIALIZABLE)
    def test_of_many_who_ask_at_once_one_gets_the_lease(self, desk: Desk) -> None:
        """All others are told that they don't."""
        same(len(_winners(desk, [desk.leases] * 20)), 1, "holders")

    @needs(Capability.SHARED)
    def test_leases_opened_twice_are_given_once(self, desk: Desk, tmp_path: Path) -> None:
        """As by two processes on one state."""
        other = desk.run(self.open_leases(tmp_path, desk.clock))
        same(len(_winners(desk, [desk.leases, other] * 10)), 1, "holders")
        lease = desk.taken(desk.fresh(), "a")
        same(desk.run(other.acquire(lease.name, "b", _TTL)), None, "a second holder")
        desk.run(other.release(lease))
        holds(desk.acquire(lease.name, "b") is not None, "what one lets go of the other gives")
        desk.run(self.release(other))

    @needs(Capability.REOPEN)
    def test_a_lease_is_held_after_a_restart(self, desk: Desk, tmp_path: Path) -> None:
        """Nobody gets a lease by a restart of whoever keeps it."""
        lease = desk.taken(desk.fresh(), "a")
        desk.run(self.release(desk.leases))
        desk.leases = desk.run(self.open_leases(tmp_path, desk.clock))
        same(desk.acquire(lease.name, "b"), None, "a second holder")
        same(desk.renew(lease), lease, "the holder's lease")


def _refused(call: Callable[[], object]) -> None:
    with pytest.raises(DomainError) as refused:
        call()
    same(refused.value.code, "validation_error")


def _winners(desk: Desk, leases: list[Leases]) -> list[Lease]:
    """Let each ask for one lease at once, as a holder of its own; return what was given."""
    name = desk.fresh()

    async def at_once() -> list[Lease | None]:
        return await asyncio.gather(
            *(each.acquire(name, f"w{number}", _TTL) for number, each in enumerate(leases))
        )

    return [lease for lease in desk.run(at_once()) if lease is not None]
