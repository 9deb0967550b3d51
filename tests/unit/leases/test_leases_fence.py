"""Late workers: whatever one had in hand when it was paused, its time is over when it wakes."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.application.leases import StoreLeases
from aiba_domain.application.upkeep import SERVICE, rotate_seed
from aiba_domain.claims.claim import ChainView, ClaimState
from aiba_domain.errors import InvariantViolation
from aiba_domain.leases.commands import TakeLease
from aiba_domain.leases.model import NOBODY, Lease, LeaseLost, let_go, take
from aiba_domain.ports import Reader
from aiba_domain.testing.chain import ModelReader
from aiba_domain.testing.doubles import SettableClock
from aiba_domain.testing.playground import Playground
from tests.support.arena import entries
from tests.support.leases import memory_leases
from tests.unit.claims.support import LATE_S, Bank

TTL = 1_000


class Pausing(ModelReader):
    """A reader whose first answer comes only when it is let go on."""

    def __init__(self, bank: Bank) -> None:
        """Read the bank's chain."""
        super().__init__(bank.chain, lambda: bank.server)
        self.is_asked, self.goes_on = asyncio.Event(), asyncio.Event()

    async def view(self, vault: str, recipient: str) -> ChainView:
        """Look, and tell it late."""
        seen = await super().view(vault, recipient)
        if not self.is_asked.is_set():
            self.is_asked.set()
            await self.goes_on.wait()
        return seen


@pytest.fixture(name="bank")
def _bank(play: Playground) -> Bank:
    return Bank(play)


def held(play: Playground, leases: StoreLeases, holder: str) -> Lease:
    """Take the lease of the work."""
    lease = play.run(leases.acquire("work", holder, TTL))
    assert lease is not None
    return lease


def test_a_worker_that_was_paused_settles_nothing_any_more(bank: Bank) -> None:
    """It looked at the chain under its lease, and comes back when another has settled."""
    play, leases = bank.play, StoreLeases(bank.play.pipeline)
    bank.open("1", 100)
    claim = bank.claim("1", 40)
    bank.wait(LATE_S)
    late = held(play, leases, "late")

    async def pause_and_wake() -> None:
        reader = bank.withdrawals._chain = Pausing(bank)
        paused = asyncio.create_task(bank.withdrawals.under(late).settle_all())
        await reader.is_asked.wait()
        play.clock.advance(TTL)
        lease = await leases.acquire("work", "new", TTL)
        assert lease is not None
        assert await bank.withdrawals.under(lease).settle_all() == 1
        before = await play.store.read(_everything)
        reader.goes_on.set()
        with pytest.raises(LeaseLost):
            await paused
        assert await play.store.read(_everything) == before

    play.run(pause_and_wake())
    assert bank.stored(claim).state is ClaimState.REFUNDED
    assert (bank.aiba("1"), bank.in_flight()) == (100, 0)


async def _everything(read: Reader) -> object:
    return list(read.entries()), await read.accounts()


def test_a_late_worker_turns_no_epoch_over(play: Playground) -> None:
    """Also not when the epoch is still the one that it meant to close."""
    leases = StoreLeases(play.pipeline)
    late = held(play, leases, "late")
    play.clock.advance(TTL)
    lease = held(play, leases, "new")
    with pytest.raises(LeaseLost):
        play.run(rotate_seed(play.pipeline.under(late), play.store, play.seeds))
    reply = play.run(rotate_seed(play.pipeline.under(lease), play.store, play.seeds))
    assert reply.closed is not None
    assert (reply.closed.number, reply.opened.number) == (1, 2)


def test_a_lease_that_was_let_go_of_fences_too(bank: Bank) -> None:
    """What is still on its way when a process stops has no effect after the stop."""
    leases = StoreLeases(bank.play.pipeline)
    lease = held(bank.play, leases, "me")
    bank.play.run(leases.release(lease))
    bank.open("1", 100)
    bank.claim("1", 40)
    bank.wait(LATE_S)
    before = len(entries(bank.play))
    with pytest.raises(LeaseLost):
        bank.play.run(bank.withdrawals.under(lease).settle_all())
    assert len(entries(bank.play)) == before


def test_players_need_no_lease(bank: Bank) -> None:
    """The pipeline that a worker uses is another one than the players'."""
    lease = held(bank.play, StoreLeases(bank.play.pipeline), "me")
    bank.withdrawals.under(lease)
    bank.play.clock.advance(TTL)
    held(bank.play, StoreLeases(bank.play.pipeline), "other")
    bank.open("1", 100)
    assert bank.claim("1", 40).state is ClaimState.SIGNED


@given(
    number=st.integers(1, 9),
    holder=st.sampled_from(("a", "b", NOBODY)),
    expires_at=st.integers(0, 20),
    now=st.integers(0, 20),
)
def test_only_an_ended_lease_changes_hands(
    number: int, holder: str, expires_at: int, now: int
) -> None:
    """From another holder at its end, from nobody at once, to the holder itself at any time."""
    before = Lease(name="work", holder=holder, number=number, expires_at=expires_at)
    taken = take(before, name="work", holder="a", until=now + 5, now=now)
    if holder == "b" and now < expires_at:
        assert taken is None
        return
    assert taken == Lease(
        name="work",
        holder="a",
        number=number if holder == "a" else number + 1,
        expires_at=now + 5,
    )
    free = let_go(taken, now)
    assert not free.is_held(now)
    assert not free.is_same(taken)


def test_a_lease_has_a_number() -> None:
    """Nobody holds a lease for the 0th time."""
    with pytest.raises(InvariantViolation, match="number 0"):
        Lease(name="work", holder="a", number=0, expires_at=0)


@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from("abc"),
            st.sampled_from(("ask", "work", "work", "let go")),
            st.integers(-400, 900),
        ),
        max_size=40,
    )
)
def test_what_is_done_is_done_in_the_order_of_the_holders(
    steps: list[tuple[str, str, int]],
) -> None:
    """Workers on clocks that jump, each sure of its lease: only the newest one gets work done."""
    clock = SettableClock()
    leases = memory_leases(clock)
    held: dict[str, Lease] = {}
    done: list[int] = []

    async def work(worker: str) -> None:
        lease = held[worker]
        task = TakeLease(name=f"task-{len(done)}", holder=worker, ttl_ms=TTL)
        try:
            await leases.pipeline.under(lease).execute(SERVICE, task)
        except LeaseLost:
            del held[worker]
        else:
            done.append(lease.number)

    async def live() -> None:
        for worker, what, move in steps:
            clock.advance(move)
            if what == "ask":
                lease = await leases.acquire("work", worker, TTL)
                if lease is not None:
                    held[worker] = lease
            elif worker not in held:
                continue
            elif what == "work":
                newest = max(lease.number for lease in held.values())
                before = len(done)
                number = held[worker].number
                await work(worker)
                assert (len(done) > before) <= (number == newest)
            else:
                await leases.release(held[worker])

    asyncio.run(live())
    assert done == sorted(done)
