"""Duty: a lease is renewed for as long as the work lasts, and let go of at the end."""

import asyncio

import pytest

from aiba_domain.leases.model import Lease, is_lease_text
from aiba_domain.leases.ports import Leases
from aiba_domain.ports import Unavailable
from aiba_entry.duty import Duty, make_holder
from tests.support.leases import memory_leases
from tests.support.virtual_time import now, run

TTL = 9_000


class LoopClock:
    """The time of the event loop that runs now."""

    def now(self) -> int:
        """Return the loop's time in ms."""
        return int(now() * 1_000)


class Flaky:
    """Leases that are out of order while `is_down`."""

    def __init__(self, inner: Leases) -> None:
        """Stand in front of `inner`."""
        self.inner = inner
        self.is_down = False

    async def acquire(self, name: str, holder: str, ttl_ms: int) -> Lease | None:
        """Ask for a lease."""
        self._check()
        return await self.inner.acquire(name, holder, ttl_ms)

    async def renew(self, lease: Lease, ttl_ms: int) -> Lease | None:
        """Renew it."""
        self._check()
        return await self.inner.renew(lease, ttl_ms)

    async def release(self, lease: Lease) -> None:
        """Let go of it."""
        self._check()
        await self.inner.release(lease)

    def _check(self) -> None:
        if self.is_down:
            raise Unavailable("down")


def duty(leases: Leases, holder: str) -> Duty:
    """Return a process's part in the work."""
    return Duty(leases, "work", holder=holder, ttl_ms=TTL)


def test_long_work_stays_with_whoever_began_it() -> None:
    """Ten times as long as a lease lasts; afterwards it is held until its end, or the next turn."""
    leases = memory_leases(LoopClock())
    one, other = duty(leases, "one"), duty(leases, "other")

    async def work() -> list[bool]:
        found = []
        async with one.held() as lease:
            assert lease is not None
            for _ in range(10):
                await asyncio.sleep(TTL / 1_000)
                async with other.held() as second:
                    found.append(second is None)
        await asyncio.sleep(TTL / 1_000 - 1)
        async with one.held() as again:
            assert again is not None
            assert again.is_same(lease)
        await asyncio.sleep(TTL / 1_000)
        async with other.held() as third:
            assert third is not None
            assert third.number == lease.number + 1
        return found

    assert run(work()) == [True] * 10


def test_an_ended_duty_is_free_at_once() -> None:
    """And whoever never had it ends nothing."""
    leases = memory_leases(LoopClock())
    one, other = duty(leases, "one"), duty(leases, "other")

    async def work() -> None:
        async with one.held() as lease:
            assert lease is not None
        await other.end()
        async with other.held() as second:
            assert second is None
        await one.end()
        await one.end()
        async with other.held() as third:
            assert third is not None

    run(work())


def test_a_lease_that_was_lost_meanwhile_is_not_renewed() -> None:
    """Through an outage longer than it lasts another one takes it; this one has to ask again."""
    leases = memory_leases(LoopClock())
    flaky = Flaky(leases)
    one, other = duty(flaky, "one"), duty(leases, "other")

    async def work() -> None:
        async with one.held() as lease:
            assert lease is not None
            flaky.is_down = True
            await asyncio.sleep(2 * TTL / 1_000)
            async with other.held() as second:
                assert second is not None
                flaky.is_down = False
                await asyncio.sleep(TTL / 1_000)
                assert await leases.renew(lease, TTL) is None
        await one.end()
        async with one.held() as third:
            assert third is None

    run(work())


def test_an_outage_shorter_than_the_lease_costs_nothing() -> None:
    """The next renewal is in time."""
    leases = memory_leases(LoopClock())
    flaky = Flaky(leases)
    one = duty(flaky, "one")

    async def work() -> None:
        async with one.held() as lease:
            assert lease is not None
            flaky.is_down = True
            await asyncio.sleep(TTL / 2_000)
            flaky.is_down = False
            await asyncio.sleep(TTL / 1_000)
            assert await leases.acquire("work", "other", TTL) is None

    run(work())


def test_no_lease_is_taken_or_given_back_through_an_outage() -> None:
    """Taking says so; at the end the lease is left to end by itself."""
    leases = memory_leases(LoopClock())
    flaky = Flaky(leases)
    one = duty(flaky, "one")

    async def work() -> None:
        flaky.is_down = True
        with pytest.raises(Unavailable):
            async with one.held():
                pytest.fail("nothing is held")
        flaky.is_down = False
        async with one.held() as lease:
            assert lease is not None
        flaky.is_down = True
        await one.end()
        assert await leases.acquire("work", "other", TTL) is None

    run(work())


def test_no_two_processes_have_one_name() -> None:
    """Also on one machine, and it may stand in a lease."""
    names = {make_holder() for _ in range(100)}
    assert len(names) == 100
    assert all(is_lease_text(name) for name in names)
