"""The token bucket: never more than the rate, in order, and no wait beyond patience."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_adapters.toncenter.pacing import TokenBucket
from aiba_domain.ports import Unavailable
from tests.support.virtual_time import now, run


@given(
    rate=st.sampled_from((0.5, 1, 3, 10)),
    burst=st.integers(1, 5),
    pauses=st.lists(st.floats(0, 3), min_size=1, max_size=30),
)
def test_no_window_holds_more_than_rate_and_burst(
    rate: float, burst: int, pauses: list[float]
) -> None:
    """In any stretch of time: its length times the rate, and the burst."""

    async def work() -> list[float]:
        bucket, passed = TokenBucket(rate, burst=burst), []

        async def one(start: float) -> None:
            await asyncio.sleep(start)
            await bucket.take(10**6)
            passed.append(now())

        await asyncio.gather(*map(one, pauses))
        return passed

    passed = run(work())
    assert len(passed) == len(pauses)
    for start in range(len(passed)):
        for end in range(start, len(passed)):
            length = passed[end] - passed[start]
            assert end - start + 1 <= length * rate + burst + 1e-6


def test_tokens_are_given_in_the_order_they_were_asked_for() -> None:
    """Nobody is overtaken."""

    async def work() -> list[int]:
        bucket, passed = TokenBucket(1), []

        async def one(number: int) -> None:
            await bucket.take(100)
            passed.append(number)

        await asyncio.gather(*map(one, range(10)))
        return passed

    assert run(work()) == list(range(10))


def test_a_wait_beyond_patience_is_refused_at_once_and_costs_nobody_a_token() -> None:
    """With how long it would have been."""

    async def work() -> None:
        bucket = TokenBucket(1)
        await bucket.take(0)
        for _ in range(5):
            with pytest.raises(Unavailable) as caught:
                await bucket.take(0.5)
            assert caught.value.retry_after_ms == 1_000
        assert now() == 0
        await bucket.take(1)
        assert now() == 1

    run(work())


def test_a_pause_holds_for_everybody() -> None:
    """The provider has asked for it."""

    async def work() -> None:
        bucket = TokenBucket(10, burst=5)
        bucket.pause(7)
        await bucket.take(10)
        assert now() == pytest.approx(7)

    run(work())


def test_a_rate_of_zero_lets_everything_pass() -> None:
    """A local chain has no limit."""

    async def work() -> None:
        bucket = TokenBucket(0)
        for _ in range(100):
            await bucket.take(0)
        assert now() == 0

    run(work())
