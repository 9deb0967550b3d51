"""The file of variables that a service is started with, changed a line at a time and as a whole."""

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

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
    for left in path.parent.glob(f".{path.name}.*.draft"):
        left.unlink()
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.draft")
    like = path.stat()
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(written)
            file.flush()
            os.fchown(descriptor, like.st_uid, like.st_gid)
            os.fchmod(descriptor, like.st_mode & 0o777)
            os.fsync(descriptor)
        draft.replace(path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return True
