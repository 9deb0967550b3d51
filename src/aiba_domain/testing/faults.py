"""A store that dies on demand, for everything that must survive a crash at any point."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar, cast

from aiba_domain.ports import Reader, Store, UnitOfWork

T = TypeVar("T")
_NEVER: Final = -1


class Crash(Exception):  # noqa: N818 - the end of a process, not an error of one
    """The process died here."""


class FaultyStore:
    """A store that can be told to crash in a unit of work: anywhere in it, or after its commit.

    The points of a unit are: before and after each call it makes on the store, and after the
    commit, when the effects are durable but nobody was told.
    """

    def __init__(self, inner: Store) -> None:
        """Stand in front of `inner`."""
        self.inner = inner
        self._left = _NEVER

    def crash_at(self, point: int) -> None:
        """Crash at the `point`-th point from now on, counted from 1, once."""
        self._left = point

    def disarm(self) -> bool:
        """Crash no more; tell whether a crash was still to come."""
        pending, self._left = self._left > 0, _NEVER
        return pending

    async def transact(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run `work` on the store behind, crashing where it was told to.

        What has died stays dead, also where the store runs it again.
        """
        dead: list[Crash] = []

        async def faulty(unit: UnitOfWork) -> T:
            if dead:
                raise dead[0]
            try:
                return await work(cast("UnitOfWork", _FaultyUnit(unit, self._pass)))
            except Crash as crash:
                dead.append(crash)
                raise

        result = await self.inner.transact(faulty)
        self._pass("the commit")
        return result

    async def read(self, work: Callable[[Reader], Awaitable[T]]) -> T:
        """Read from the store behind."""
        return await self.inner.read(work)

    async def check(self) -> None:
        """Check the store behind."""
        await self.inner.check()

    async def close(self) -> None:
        """Close the store behind."""
        await self.inner.close()

    def _pass(self, place: str) -> None:
        """Count one point, and crash if it is the one."""
        if self._left == _NEVER:
            return
        self._left -= 1
        if self._left == 0:
            self._left = _NEVER
            raise Crash(place)


class _FaultyUnit:
    """Passes every call on, with a point before and after it."""

    def __init__(self, unit: UnitOfWork, point: Callable[[str], None]) -> None:
        self._unit = unit
        self._point = point

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._unit, name)

        async def call(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - whatever the method takes
            self._point(f"before {name}")
            answer = await method(*args, **kwargs)
            self._point(f"after {name}")
            return answer

        return call
