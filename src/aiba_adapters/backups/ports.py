"""What a kind of store can do for its backups; commands and drills know nothing else of it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from aiba_adapters.backups.manifest import LedgerHead, Manifest
from aiba_domain.ports import Store

Tell = Callable[[str, int, int], None]
"""Told of progress: which stage, how much of it is done, and how much it is in all."""


class PlaceInUse(Exception):  # noqa: N818 - named for the state of the place
    """A process works on the store there; the text says what to do."""


class PlaceOccupied(Exception):  # noqa: N818 - named for the state of the place
    """There is something already where a backup is to be put back; the text names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What was written of a store as it was at one moment; `taken_at` is ms, UTC."""

    schema: int
    taken_at: int
    rows: Mapping[str, int]
    ledger: LedgerHead


class Dumps(Protocol):
    """What backups are taken of."""

    @property
    def kind(self) -> str:
        """The name of the kind of store; another kind's backups are refused by it."""
        ...

    async def dump(self, folder: Path, *, tell: Tell) -> Snapshot:
        """Write one consistent state into an empty folder, durably, also while a server writes.

        A server is never made to wait for it. Raises Unavailable where there is no sound store.
        """
        ...


class Backups(Dumps, Protocol):
    """The backups of one store, at the place where the settings keep it."""

    @property
    def can_replace(self) -> bool:
        """Whether `load` can put a backup in the place of a store, which it keeps."""
        ...

    @property
    def is_numbered_by_commit(self) -> bool:
        """Whether a backup's ledger is the first part of any later one.

        Otherwise a unit that was under way during the backup may have its place before the end.
        """
        ...

    @property
    def newest_schema(self) -> int:
        """The newest schema version that this build knows."""
        ...

    async def schema(self) -> int | None:
        """Return the schema version of the store, None where there is none."""
        ...

    async def occupied(self) -> Sequence[str]:
        """Name what is already at the place, so that nothing is put over it unasked."""
        ...

    async def load(
        self, folder: Path, manifest: Manifest, *, replace: bool, tell: Tell
    ) -> str | None:
        """Put a checked backup at the place: all of it, or nothing, whenever this is killed.

        "Nothing" is what was there before, or a place that no server opens until the same call has
        come to its end. What it replaces is kept; returns where, None if there was nothing. Raises
        PlaceOccupied unless `replace` (and it can), PlaceInUse while a process has the store open,
        and BackupRefused if a file has changed since it was checked.
        """
        ...

    def scratch(self, folder: Path) -> "Backups":
        """Return the same for a throw-away place, in an empty folder if it is one of files."""
        ...

    async def discard(self) -> None:
        """Remove what `load` has made at a throw-away place, and nothing else anywhere."""
        ...

    async def faults(self) -> Sequence[str]:
        """Say what the database itself finds wrong with the store; nothing if sound."""
        ...

    async def rows(self) -> Mapping[str, int]:
        """Count the rows by table."""
        ...

    async def open(self) -> Store:
        """Open the store that is there. Raises Unavailable."""
        ...
