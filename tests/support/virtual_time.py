"""An event loop whose time passes only when nobody has anything to do: hours in a moment.

What a thread does takes no virtual time: the loop stands still until it is done, so that the same
work takes the same turns each time.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor, Future
from typing import Any, TypeVar, TypeVarTuple, Unpack

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class _Leap(selectors.SelectSelector):
    """Never waits: what would be waited for is added to the time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Look for what is ready now; with nothing ready, let the timeout have passed."""
        ready = super().select(0)
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
        """Run in a thread and wait for it; whoever asked is told in the loop's next turn."""
        told: asyncio.Future[T] = self.create_future()
        done: Future[T] = Future()
        try:
            done.set_result(executor.submit(func, *args).result() if executor else func(*args))
        except Exception as failure:  # noqa: BLE001 - handed to the one who asked
            done.set_exception(failure)
        self.call_soon(_tell, done, told)
        return told


def _tell(done: "Future[T]", told: "asyncio.Future[T]") -> None:
    """Hand over what came of a thread's work, unless nobody waits for it any more."""
    if told.done():
        return
    failure = done.exception()
    if failure is None:
        told.set_result(done.result())
    else:
        told.set_exception(failure)


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
