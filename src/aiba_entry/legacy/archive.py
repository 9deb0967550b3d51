"""The archive: what of the source has no place here, as JSON lines that a hash seals."""

import hashlib
import os
from collections import Counter
from pathlib import Path
from types import TracebackType
from typing import Self

from aiba_adapters.legacy.bson_values import line
from aiba_adapters.legacy.staging import Row


class Archive:
    """Written beside its place first; it takes the place only when it is whole, on `seal`."""

    def __init__(self, path: Path) -> None:
        """Begin one that nobody but its owner may read."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._unsealed = path.with_name(path.name + ".part")
        handle = os.open(self._unsealed, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        self._file = os.fdopen(handle, "wb")
        self._hash = hashlib.sha256()
        self.counts: Counter[str] = Counter()

    def keep(self, row: Row, why: str, fields: tuple[str, ...]) -> None:
        """Keep a row, or the fields of it that have no place; a row of two faults comes twice."""
        text = line(row.raw, collection=row.collection, why=why, fields=fields) + b"\n"
        self._file.write(text)
        self._hash.update(text)
        self.counts[row.collection] += 1

    def seal(self) -> str:
        """Put the archive in its place, durably, and return its SHA-256."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._unsealed.replace(self._path)
        return self._hash.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._unsealed.unlink(missing_ok=True)
