"""What kind of file system a path is on: whether what is written there stays."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

IN_MEMORY: Final = frozenset(("tmpfs", "ramfs", "rootfs", "devtmpfs"))
"""File systems that are gone with the machine, or with the mount."""

IN_LAYERS: Final = frozenset(("overlay", "fuse.fuse-overlayfs", "aufs"))
"""File systems that containers are on: what is written there goes with the container."""

DATABASE: Final = "aiba.db"
"""The name of the embedded database in the data directory."""

_MOUNTS: Final = Path("/proc/self/mounts")

Disks = Callable[[str], str]
"""Tells the kind of file system that a path is on, or would be if it was made; "" if unknown."""


def kind_of_disk(path: str) -> str:
    """Return the kind of file system a path is on; "" where this machine doesn't tell.

    A volume that is mounted at it, or above it, counts; what is around that doesn't.
    """
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape")
        place = Path(path).absolute()
        there = next(each for each in (place, *place.parents) if each.exists())
    except (OSError, ValueError):
        return ""
    return file_system_of(there, mounts)


def file_system_of(place: Path, mounts: str) -> str:
    """Return the kind of file system a path is on, by the lines of `/proc/self/mounts`."""
    inside = place.resolve()
    best = ("", "")
    for line in mounts.splitlines():
        point, kind = line.split(" ")[1:3]
        root = Path(point.replace("\\040", " "))
        # Of two mounts on one place the later one is seen.
        if inside.is_relative_to(root) and len(point) >= len(best[0]):
            best = (point, kind)
    return best[1]
