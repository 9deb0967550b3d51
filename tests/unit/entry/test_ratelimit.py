"""The in-process rate limiter."""

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from aiba_adapters.ratelimit import MemoryRateLimiter
from aiba_domain.ports import RateLimiter, Verdict

MINUTE = 60_000
hits = st.lists(st.tuples(st.integers(0, 40_000), st.sampled_from("abc")), max_size=60)


def hit(limiter: RateLimiter, key: str, now_ms: int, limit: int = 3, name: str = "n") -> Verdict:
    """Hit a key once."""
    return asyncio.run(limiter.hit(name, key, limit=limit, window_ms=MINUTE, now_ms=now_ms))


@given(hits, st.integers(1, 4))
def test_verdicts_are_those_of_a_fixed_window_from_the_first_hit(
    steps: list[tuple[int, str]], limit: int
) -> None:
    """For any run of hits, each key's window starts at its first hit and counts to the limit."""
    limiter = MemoryRateLimiter(max_keys=100)
    now = 0
    started: dict[str, tuple[int, int]] = {}
    for wait, key in steps:
        now += wait
        start, count = started.get(key, (now, 0))
        if now - start >= MINUTE:
            start, count = now, 0
        started[key] = (start, count + 1)
        verdict = hit(limiter, key, now, limit)
        assert verdict.allowed == (count < limit)
        assert verdict.remaining == max(0, limit - count - 1)
        assert verdict.reset_at_ms == start + MINUTE
        assert (verdict.retry_after_s == 0) == verdict.allowed


def test_retry_after_is_whole_seconds_and_at_least_one() -> None:
    """A refused caller is told to wait until the window is over, never 0 seconds."""
    limiter = MemoryRateLimiter()
    hit(limiter, "k", 0, limit=1)
    assert hit(limiter, "k", 500, limit=1).retry_after_s == 60
    assert hit(limiter, "k", MINUTE - 1, limit=1).retry_after_s == 1


@given(st.integers(1, 10 * MINUTE), st.integers(0, MINUTE))
def test_a_clock_that_is_set_back_refuses_nobody_for_longer(back: int, later: int) -> None:
    """Whatever the clock did, a caller waits a window at the most."""
    limiter, now = MemoryRateLimiter(), 20 * MINUTE
    hit(limiter, "k", now, limit=1)
    hit(limiter, "other", now - back, limit=1)
    verdict = hit(limiter, "k", now - back, limit=1)
    assert not verdict.allowed
    assert verdict.reset_at_ms <= now - back + MINUTE
    assert hit(limiter, "k", now - back + MINUTE + later, limit=1).allowed


def test_names_do_not_share_a_count() -> None:
    """Two limits on one key count apart."""
    limiter = MemoryRateLimiter()
    assert hit(limiter, "k", 0, limit=1, name="battle").allowed
    assert hit(limiter, "k", 0, limit=1, name="global").allowed
    assert not hit(limiter, "k", 0, limit=1, name="battle").allowed


def test_d25_memory_is_bounded_while_windows_run() -> None:
    """However many keys come, no more than the cap are kept, and the newest of them count."""
    limiter = MemoryRateLimiter(max_keys=50)
    for number in range(1_000):
        hit(limiter, f"key-{number}", number, limit=1)
        assert len(limiter) <= 50
    assert not hit(limiter, "key-999", 1_000, limit=1).allowed
    assert hit(limiter, "key-0", 1_000, limit=1).allowed


def test_d25_the_window_that_ends_first_makes_room() -> None:
    """With all places taken, a short window makes room before a long one."""

    async def run() -> Verdict:
        limiter = MemoryRateLimiter(max_keys=2)
        await limiter.hit("login", "a", limit=1, window_ms=900_000, now_ms=0)
        await limiter.hit("battle", "a", limit=1, window_ms=MINUTE, now_ms=1)
        await limiter.hit("battle", "b", limit=1, window_ms=MINUTE, now_ms=2)
        return await limiter.hit("login", "a", limit=1, window_ms=900_000, now_ms=3)

    assert not asyncio.run(run()).allowed


def test_d25_ended_windows_are_dropped() -> None:
    """Keys that are never hit again are gone once their windows have ended."""
    limiter = MemoryRateLimiter(max_keys=10_000)
    for number in range(1_000):
        hit(limiter, f"key-{number}", 0)
    for _ in range(500):
        hit(limiter, "other", MINUTE + 1)
    assert len(limiter) <= 2


def test_d25_long_keys_are_kept_as_digests() -> None:
    """A caller's long text is a key, yet is not itself kept."""
    limiter = MemoryRateLimiter()
    long = "x" * 1_000_000
    assert hit(limiter, long, 0, limit=1).allowed
    assert not hit(limiter, long, 0, limit=1).allowed
    assert hit(limiter, long + "y", 0, limit=1).allowed
