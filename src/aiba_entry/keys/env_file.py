"""The file of variables that a service is started with, changed a line at a time and as a whole."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from aiba_entry.keys.replaced import write

_NAME: Final = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=")


def put(path: Path, changes: Mapping[str, str | None]) -> bool:
    """Set variables in a file, or take them out where they are None; tell whether that changed it.

    Other lines stay as they are, and so do owner, group and mode. Raises OSError, and
    UnicodeDecodeError where the file is no text.
    """
    path = path.resolve()
    text = path.read_text(encoding="utf-8")
    kept: list[str] = []
    missing = {name: value for name, value in changes.items() if value is not None}
    for line in text.splitlines():
        found = _NAME.match(line)
        name = found[1] if found else ""
        if name not in changes:
            kept.append(line)
        elif name in missing:
            kept.append(f"{name}={missing.pop(name)}")
    kept += [f"{name}={value}" for name, value in missing.items()]
    written = "".join(f"{line}\n" for line in kept)
    if written == text:
        return False
    like = path.stat()

    def keep_owner(descriptor: int) -> None:
        os.fchown(descriptor, like.st_uid, like.st_gid)

    write(path, written.encode(), mode=like.st_mode & 0o777, before=keep_owner)
    return True
