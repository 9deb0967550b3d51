"""Who else may read or write the file of a secret, by its mode."""

import os
import stat
from enum import IntEnum
from pathlib import Path
from typing import Final

_ACL: Final = "system.posix_acl_access"
_READS: Final = stat.S_IROTH | stat.S_IRGRP
_OTHERS: Final = stat.S_IROTH | stat.S_IWOTH
_GROUP: Final = stat.S_IRGRP | stat.S_IWGRP


class Reach(IntEnum):
    """How far a file can be reached beside the process that needs it."""

    OWN = 0
    """By nobody else, but whoever administers the machine."""
    GROUP = 1
    """By a group, which this process doesn't need to read it itself."""
    EVERYBODY = 2
    """By everybody on the machine."""


def reach_of(path: str | Path, *, is_secret: bool = True) -> Reach:
    """Return how far a file can be reached, links followed; raises OSError, ValueError.

    One that is no secret anybody may read, and nobody else write.

    A group that this process reads the file by is no finding: that is how Kubernetes hands secrets
    to those who aren't root. With an access list the group's bits are only its mask and say
    nothing.
    """
    found = Path(path).stat()
    mode = found.st_mode if is_secret else found.st_mode & ~_READS
    if mode & _OTHERS:
        return Reach.EVERYBODY
    group = mode & _GROUP
    if found.st_uid != os.geteuid() and found.st_gid in (os.getegid(), *os.getgroups()):
        group &= ~stat.S_IRGRP
    return Reach.GROUP if group and not _has_access_list(path) else Reach.OWN


def _has_access_list(path: str | Path) -> bool:
    try:
        return bool(os.getxattr(path, _ACL))
    except (OSError, AttributeError):
        # There is none, or nothing like it on this machine.
        return False
