"""Who else may read or write the file of a secret, by its mode."""

import os
import stat
from enum import IntEnum
from pathlib import Path
from typing import Final

_ACL: Final = "system.posix_acl_access"
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


def reach_of(path: str | Path) -> Reach:
    """Return how far a file can be reached, links followed; raises OSError, ValueError.

    A group that this process reads the file by is no finding: that is how Kubernetes hands secrets
    to those who aren't root. With an access list the group's bits are only its mask and say
    nothing.
    """
    found = Path(path).stat()
    if found.st_mode & _OTHERS:
        return Reach.EVERYBODY
    group = found.st_mode & _GROUP
    if found.st_uid != os.geteuid() and found.st_gid in (os.getegid(), *os.getgroups()):
        group &= ~stat.S_IRGRP
    return Reach.GROUP if group and not _has_access_list(path) else Reach.OWN


def _has_access_list(path: str | Path) -> bool:
    try:
        return bool(os.getxattr(path, _ACL))
    except (OSError, AttributeError):
        # There is none, or nothing like it on this machine.
        return False
