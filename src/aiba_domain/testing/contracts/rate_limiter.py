"""What a rate limiter owes: exact counts in windows that start at a key's first hit."""

import asyncio
from abc import abstractmethod
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.ports import RateLimiter, Verdict
from aiba_domain.testing.contracts.expect import holds, same
from aiba_domain.testing.contracts.suite import (
    Capability,
    Opening,
    PortContract,
    base,
    broad,
    needs,
)

_MINUTE: Final = 60_000
_NOW: Final = 1_767_268_800_000
_HITS: Final = st.lists(
    st.tuples(st.integers(0, 40_000), st.sampled_from("abc")), min_size=1, max_size=40
)


class Counter:
    """A limiter with synchronous helpers around it, on one event loop."""

    def __init__(self, runner: asyncio.Runner, limiter: RateLimiter) -> None:
        """Serve `limiter`, which was opened inside `runner`."""
        self.runner = runner
        self.limiter = limiter
        self._fresh = count()

    def fresh(self) -> str:
        """Return a name that was not given out before."""
        return f"limit-{next(self._fresh)}"

    def hit(self, name: str, key: str = "k", *, after_ms: int = 0, limit: int = 3) -> Verdict:
        """Hit a key once, so long after noon."""
        return self.runner.run(
            self.limiter.hit(name, key, limit=limit, window_ms=_MINUTE, now_ms=_NOW + after_ms)
        )


class RateLimiterContract(PortContract):
    """Subclass and say how to open a limiter that counts nothing yet.

    `serializable`: hits at once are counted one after another. `shared`: limiters on one `folder`
    count together. `reopen`: what was counted is there after `release` and a new opening.
    """

    port = "RateLimiter"
    version = "1.0"

    @abstractmethod
    async def open_limiter(self, folder: Path) -> RateLimiter:
        """Open a limiter; `folder` is of this test alone, and empty at first."""

    @pytest.fixture(name="counter")
    def _counter(
        self, runner: asyncio.Runner, opening: Opening, tmp_path: Path
    ) -> Iterator[Counter]:
        with opening:
            limiter = runner.run(self.open_limiter(tmp_path))
        counter = Counter(runner, limiter)
        yield counter
        runner.run(self.release(counter.limiter))

    @base
    def test_hits_are_allowed_up_to_the_limit(self, counter: Counter) -> None:
        """The first hits are allowed with what remains; from the next on they are refused."""
        name = counter.fresh()
        found = [counter.hit(name, limit=2) for _ in range(4)]
        same([each.allowed for each in found], [True, True, False, False], "allowed")
        same([each.remaining for each in found], [1, 0, 0, 0], "remaining")
        same([each.limit for each in found], [2] * 4, "limit")

    @broad()
    @given(steps=_HITS, limit=st.integers(1, 4))
    def test_a_window_starts_at_its_first_hit(
        self, counter: Counter, steps: list[tuple[int, str]], limit: int
    ) -> None:
        """For any run of hits every verdict is that of a key's own window."""
        name, now = counter.fresh(), 0
        windows: dict[str, tuple[int, int]] = {}
        for wait, key in steps:
            now += wait
            start, hits = windows.get(key, (now, 0))
            if now - start >= _MINUTE:
                start, hits = now, 0
            windows[key] = (start, hits + 1)
            left = start + _MINUTE - now
            owed = Verdict(
                allowed=hits < limit,
                limit=limit,
                remaining=max(0, limit - hits - 1),
                reset_at_ms=_NOW + start + _MINUTE,
                retry_after_s=0 if hits < limit else -(-left // 1_000),
            )
            same(counter.hit(name, key, after_ms=now, limit=limit), owed, f"hit at {now} ms")

    def test_the_wait_is_whole_seconds_and_never_0(self, counter: Counter) -> None:
        """A refused caller is told to wait until the window is over, 1 second at the least."""
        name = counter.fresh()
        counter.hit(name, limit=1)
        same(counter.hit(name, after_ms=500, limit=1).retry_after_s, 60)
        same(counter.hit(name, after_ms=_MINUTE - 1, limit=1).retry_after_s, 1)

    def test_a_window_ends_in_its_last_millisecond(self, counter: Counter) -> None:
        """A hit just before the end counts, a hit at the end is the first of the next window."""
        name = counter.fresh()
        counter.hit(name, limit=1)
        holds(
            not counter.hit(name, after_ms=_MINUTE - 1, limit=1).allowed,
            "a hit before the window's end is refused",
        )
        holds(counter.hit(name, after_ms=_MINUTE, limit=1).allowed, "a hit at its end is allowed")

    @pytest.mark.parametrize("other", ["K", "k ", "", "é", "e\u0301", "k\x00", "x" * 100_000])
    def test_keys_and_names_count_apart(self, counter: Counter, other: str) -> None:
        """Another key or another limit's name has a count of its own, whatever its text."""
        name = counter.fresh()
        holds(counter.hit(name, limit=1).allowed, "the first hit is allowed")
        holds(counter.hit(name, other, limit=1).allowed, "another key's first hit is allowed")
        holds(counter.hit(counter.fresh(), limit=1).allowed, "another limit's hit is allowed")
        for key in ("k", other):
            holds(not counter.hit(name, key, limit=1).allowed, f"a second hit of {key[:9]!r} isn't")

    @needs(Capability.SERIALIZABLE)
    def test_of_many_hits_at_once_the_limit_is_allowed(self, counter: Counter) -> None:
        """No hit is lost and none is counted twice."""
        same(_allowed(counter, [counter.limiter] * 50, limit=7), 7, "hits that are allowed")

    @needs(Capability.SHARED)
    def test_two_limiters_on_one_state_count_together(
        self, counter: Counter, tmp_path: Path
    ) -> None:
        """Of the hits on both no more than the limit is allowed."""
        other = counter.runner.run(self.open_limiter(tmp_path))
        same(_allowed(counter, [counter.limiter, other] * 20, limit=7), 7, "hits that are allowed")
        counter.runner.run(self.release(other))

    @needs(Capability.REOPEN)
    def test_counts_are_there_after_a_restart(self, counter: Counter, tmp_path: Path) -> None:
        """Nobody gets a new window by a restart."""
        name = counter.fresh()
        counter.hit(name, limit=1)
        counter.runner.run(self.release(counter.limiter))
        counter.limiter = counter.runner.run(self.open_limiter(tmp_path))
        holds(not counter.hit(name, limit=1).allowed, "the limit holds after a restart")


def _allowed(counter: Counter, limiters: list[RateLimiter], *, limit: int) -> int:
    """Hit one key through all limiters at once; return how many hits were allowed."""
    name = counter.fresh()

    async def at_once() -> list[Verdict]:
        return await asyncio.gather(
            *(each.hit(name, "k", limit=limit, window_ms=_MINUTE, now_ms=_NOW) for each in limiters)
        )

    return sum(verdict.allowed for verdict in counter.runner.run(at_once()))
