"""Where a production store may be kept by a test: not in memory, which production refuses."""

import atexit
import shutil
import tempfile
from pathlib import Path

from aiba_entry.disks import IN_MEMORY, kind_of_disk
from tests.support.mongo import cache


def lasting(folder: Path) -> Path:
    """Return a test's own folder; where that is in memory, a new one beside what is cached."""
    if kind_of_disk(str(folder)) not in IN_MEMORY:
        return folder
    cache().mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(prefix="lasting-", dir=cache()))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made
