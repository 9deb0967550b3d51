"""What the tests of imports share."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, TypeVar, cast

from aiba_adapters.legacy.rows import RowSource
from aiba_domain.legacy.findings import NEVER, RULES, Code
from aiba_domain.ports import Reader, Store, UnitOfWork
from aiba_entry.legacy.importing import Result, Wish, run_import
from tests.support.node_layout import MASTER

T = TypeVar("T")

NOW: Final = 1_800_000_000_000
ALL: Final = frozenset(RULES) - NEVER


def wish(folder: Path, *, accepted: frozenset[Code] = ALL, dry_run: bool = False) -> Wish:
    """Ask for an import with small units, so that there are many places to die at."""
    return Wish(
        archive=folder / "archive.jsonl",
        staging=folder / "staging" / "staging.db",
        jetton_master=MASTER,
        accepted=accepted,
        dry_run=dry_run,
        batch=15,
    )


async def imported(
    source: RowSource, store: Store | None, asked: Wish, *, now: int = NOW
) -> Result:
    """Import without showing how far it is."""
    return await run_import(source, store, asked, now=now, tell=lambda *_: None)


class Died(Exception):  # noqa: N818 - what happened
    """The process is gone."""


class Dying:
    """A store whose process dies in its `at`-th unit of work, before or after the commit."""

    def __init__(self, store: Store, at: int, *, after_commit: bool) -> None:
        """Die once."""
        self._store = store
        self._left = at
        self._after_commit = after_commit

    async def transact(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run a unit, or die."""
        self._left -= 1
        if self._left == 0 and not self._after_commit:
            raise Died
        result = await self._store.transact(work)
        if self._left == 0:
            raise Died
        return result

    async def read(self, work: Callable[[Reader], Awaitable[T]]) -> T:
        """Read."""
        return await self._store.read(work)

    async def check(self) -> None:
        """Check."""
        await self._store.check()

    async def close(self) -> None:
        """Close."""
        await self._store.close()


Write = dict[str, Any]


class Lying:
    """A store that keeps something other than it is given: `spoil` changes what is written."""

    def __init__(self, store: Store, spoil: Callable[[Write], Write]) -> None:
        """Lie about every write."""
        self._store = store
        self._spoil = spoil

    async def transact(self, work: Callable[[UnitOfWork], Awaitable[T]]) -> T:
        """Run a unit that writes something else."""

        async def spoilt(uow: UnitOfWork) -> T:
            return await work(cast("UnitOfWork", _Spoilt(uow, self._spoil)))

        return await self._store.transact(spoilt)

    async def read(self, work: Callable[[Reader], Awaitable[T]]) -> T:
        """Read what there is."""
        return await self._store.read(work)

    async def check(self) -> None:
        """Check."""
        await self._store.check()

    async def close(self) -> None:
        """Close."""
        await self._store.close()


class _Spoilt:
    def __init__(self, uow: UnitOfWork, spoil: Callable[[Write], Write]) -> None:
        self._uow = uow
        self._spoil = spoil

    async def write(self, **words: Any) -> None:
        await self._uow.write(**self._spoil(words))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - the unit's own
        return getattr(self._uow, name)
