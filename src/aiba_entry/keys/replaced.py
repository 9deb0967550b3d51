"""A file written as a whole or not at all, in the place of the one that may be there."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path


def write(
    path: Path, data: bytes, *, mode: int, before: Callable[[int], None] = lambda _file: None
) -> None:
    """Write a file's bytes durably under its name; drafts that a death has left are removed.

    `before` is called with the draft's descriptor, once it is written. Raises OSError.
    """
    for left in path.parent.glob(f".{path.name}.*.draft"):
        left.unlink()
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            before(descriptor)
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
