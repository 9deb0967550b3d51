"""An event loop whose time passes only when nobody has anything to do: hours in a moment.

What a thread does takes no virtual time: while one is at work the loop really waits for it.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from typing import Any, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class _Leap(selectors.SelectSelector):
    """Never waits: what would be waited for is added to the time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.threads = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Look for what is ready now; with nothing ready, let the timeout have passed."""
        ready = super().select(0)
        if not ready and timeout != 0 and self.threads:
            return super().select()
        if not ready and timeout is None:
            raise RuntimeError("everybody waits for ever")
        if not ready and timeout:
            self.now += timeout
        return ready


class _VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._leap = _Leap()
        super().__init__(self._leap)

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._leap.now

    def run_in_executor(
        self, executor: Executor | None, func: Callable[[Unpack[Ts]], T], *args: *Ts
    ) -> "asyncio.Future[T]":
        """Run in a thread, for which the loop waits."""
        work = super().run_in_executor(executor, func, *args)
        self._leap.threads += 1
        work.add_done_callback(self._end_of_thread)
        return work

    def _end_of_thread(self, _work: "asyncio.Future[Any]") -> None:
        self._leap.threads -= 1


def runner() -> asyncio.Runner:
    """Return what runs coroutines in virtual time, which stands still between them."""
    return asyncio.Runner(loop_factory=_VirtualLoop)


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine in virtual time."""
    with runner() as virtual:
        return virtual.run(work)


def now() -> float:
    """Return the virtual time in seconds."""
    return asyncio.get_running_loop().time()
