"""Secrets of a developer's own machine: made at random once, kept in a private file."""

import fcntl
import json
import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

FILE_NAME: Final = "dev-secrets.json"
_OWNER_ONLY: Final = 0o600
_OWNER_S_FOLDER: Final = 0o700
_ORACLE: Final = "ORACLE_PRIVATE_KEY_HEX"
_KEY_BYTES: Final = 32
_KEY: Final = re.compile(r"[0-9a-f]{64}")


class DevSecretsUnusable(Exception):  # noqa: N818 - named for the state of the file
    """The file can't be read or made; the text says why and holds no secret."""


def dev_secrets(data_dir: Path) -> Mapping[str, str]:
    """Return the secrets kept in `data_dir`, making them on the first call.

    They are as strong as any, and readable by the owner alone. Two processes that start at once
    agree on one set. Raises DevSecretsUnusable.
    """
    path = data_dir / FILE_NAME
    try:
        data_dir.mkdir(mode=_OWNER_S_FOLDER, parents=True, exist_ok=True)
        if not path.exists():
            _create(path)
        path.chmod(_OWNER_ONLY)
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DevSecretsUnusable(f"{FILE_NAME} can't be used there: {error.strerror}") from None
    return _parse(text)


def dev_oracle_key(data_dir: Path) -> str:
    """Return the key of a local chain's oracle, as hex, kept beside the other secrets.

    It is made on the first call, also where the others were made before. Raises
    DevSecretsUnusable.
    """
    dev_secrets(data_dir)
    path = data_dir / FILE_NAME
    try:
        with path.open("rb+") as file:
            # Of two processes that start at once the second finds what the first has made.
            fcntl.flock(file, fcntl.LOCK_EX)
            kept = json.loads(path.read_text(encoding="utf-8"))
            if _ORACLE not in kept:
                kept[_ORACLE] = secrets.token_hex(_KEY_BYTES)
                draft = _draft(path, kept)
                draft.replace(path)
    except OSError as error:
        raise DevSecretsUnusable(f"{FILE_NAME} can't be used there: {error.strerror}") from None
    key = kept[_ORACLE]
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise _damaged()
    return key


def _create(path: Path) -> None:
    made = {
        "TELEGRAM_BOT_TOKEN": f"{secrets.randbelow(9 * 10**9) + 10**9}:{secrets.token_urlsafe(26)}",
        "SESSION_SECRET": secrets.token_urlsafe(48),
        "BATTLE_SEED_SECRET": secrets.token_urlsafe(48),
    }
    draft = _draft(path, made)
    try:
        # A link never replaces: whoever comes second keeps the first one's secrets.
        path.hardlink_to(draft)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _draft(path: Path, made: Mapping[str, str]) -> Path:
    """Write secrets to a file beside the one they are for, and return it."""
    draft = path.with_name(f".{FILE_NAME}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(made, file, indent=2)
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        draft.unlink()
        raise
    return draft


def _parse(text: str) -> Mapping[str, str]:
    try:
        kept = json.loads(text)
    except ValueError:
        kept = None
    names = ("TELEGRAM_BOT_TOKEN", "SESSION_SECRET", "BATTLE_SEED_SECRET")
    if not isinstance(kept, dict) or not all(
        isinstance(kept.get(name), str) and kept[name] for name in names
    ):
        raise _damaged()
    return {name: kept[name] for name in names}


def _damaged() -> DevSecretsUnusable:
    return DevSecretsUnusable(f"{FILE_NAME} there is damaged; delete it to make new secrets")
