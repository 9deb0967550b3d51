"""Who works in a data directory: any number of stores, or one restore, never both at once.

By a lock on the directory itself, which ends with its process, however that ends.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from aiba_domain.outage import Unavailable


def enter(directory: Path) -> int:
    """Be there with others, until the descriptor that is returned is closed. Raises Unavailable."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Unavailable(f"a backup is being put back in {directory}") from None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextlib.contextmanager
def alone(directory: Path) -> Iterator[None]:
    """Be there alone while the context lasts. Raises BlockingIOError if others are there."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(descriptor)
