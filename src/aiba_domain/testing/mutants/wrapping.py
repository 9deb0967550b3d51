"""Stores in front of stores: what a faulty one is made of, and one that is opened when used."""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

from aiba_domain.ports import Entry, Reader, Store, UnitOfWork
from aiba_domain.testing.mutants.build import Build, OpenStore, Plant

T = TypeVar("T")


class PassingStore:
    """A store that hands everything on to the one behind it."""

    def __init__(self, inner: Store) -> None:
        """Stand in front of `inner`."""
        self.inner = inner

    async def transact(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run `work` on the store behind, with this store's own unit in front."""

        async def wrapped(unit: UnitOfWork) -> T:
            return await work(cast("UnitOfWork", self.unit(unit)))

        return await self.inner.transact(wrapped)

    async def read(self, work: Callable[[Reader], Awaitable[T]]) -> T:
        """Run `work` against the store behind, with this store's own unit in front."""

        async def wrapped(read: Reader) -> T:
            return await work(cast("Reader", self.unit(cast("UnitOfWork", read))))

        return await self.inner.read(wrapped)

    async def check(self) -> None:
        """Check the store behind."""
        await self.inner.check()

    async def close(self) -> None:
        """Close the store behind."""
        await self.inner.close()

    def unit(self, inner: UnitOfWork) -> object:
        """Return what stands in front of a unit of work, or of a reader."""
        return inner


class PassingUnit:
    """A unit of work that hands everything on to the one behind it."""

    def __init__(self, inner: UnitOfWork) -> None:
        """Stand in front of `inner`."""
        self.inner = inner

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the unit has there
        return getattr(self.inner, name)

    def entries(self) -> Iterable[Entry]:
        """Go through the ledger behind."""
        return self.inner.entries()

    async def write(self, **effects: Any) -> None:
        """Write behind what `altered` makes of it."""
        await self.inner.write(**self.altered(effects))

    def altered(self, effects: dict[str, Any]) -> dict[str, Any]:
        """Return the effects as they are."""
        return effects


class LaterStore(PassingStore):
    """A store that is opened at its first use, for whoever has no event loop before."""

    def __init__(self, open_store: OpenStore, folder: Path) -> None:
        """Open later."""
        self._open_store = open_store
        self._folder = folder

    async def transact(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run `work` on the store."""
        await self._opened()
        return await super().transact(work)

    async def read(self, work: Callable[[Reader], Awaitable[T]]) -> T:
        """Run `work` against the store."""
        await self._opened()
        return await super().read(work)

    async def _opened(self) -> None:
        if not hasattr(self, "inner"):
            self.inner = await self._open_store(self._folder)


def in_front(kind: Callable[[Store], Store]) -> Plant:
    """Return what puts a faulty store in front of a build's own."""

    def plant(build: Build) -> Build:
        async def open_store(folder: Path) -> Store:
            return kind(await build.open_store(folder))

        return replace(build, open_store=open_store)

    return plant


def of_units(kind: Callable[[UnitOfWork], object]) -> Plant:
    """Return what puts a faulty unit of work in front of each one of a build's store."""

    class Faulty(PassingStore):
        """A store of such units."""

        def unit(self, inner: UnitOfWork) -> object:
            """Return the faulty unit."""
            return kind(inner)

    return in_front(Faulty)
