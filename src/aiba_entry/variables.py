"""Environment variables as they are read: trimmed, secrets also from files, every fault gathered.

What a value must look like is in `forms`, what production needs beside that in `readiness`.
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

from aiba_entry import forms
from aiba_entry.disks import Disks, kind_of_disk
from aiba_entry.secret_files import Reach, reach_of

T = TypeVar("T")

SECRETS: Final = (
    "TELEGRAM_BOT_TOKEN",
    "TELEGRAM_BOT_TOKEN_PREVIOUS",
    "SESSION_SECRET",
    "SESSION_SECRET_NEXT",
    "SESSION_SECRET_PREVIOUS",
    "BATTLE_SEED_SECRET",
    "BATTLE_SEED_SECRET_NEXT",
    "BATTLE_SEED_SECRET_PREVIOUS",
    "ADMIN_JWT_SECRET",
    "ADMIN_JWT_SECRET_NEXT",
    "ADMIN_JWT_SECRET_PREVIOUS",
    "ADMIN_PASSWORD_HASH",
    "MONGO_URI",
    "REDIS_URL",
    "REDIS_PASSWORD",
    "TON_API_KEY",
    "ORACLE_PRIVATE_KEY_HEX",
    "ORACLE_SIGNER_TOKEN",
    "METRICS_TOKEN",
    "DOCS_TOKEN",
)
"""Every variable of the API that holds a secret: each can be given in a file as `NAME_FILE`."""

SETTING_INVALID: Final = "setting_invalid"
"""The code of a faulty value that has no code of its own."""

GIVEN_TWICE: Final = "secret_given_twice"
FILE_UNREADABLE: Final = "secret_file_unreadable"
FILE_EMPTY: Final = "secret_file_empty"
"""The codes of what can be wrong with how a secret is given."""

# ECMAScript white space, which is what the service before trimmed. Unlike `str.strip()` it takes
# U+FEFF and leaves U+0085 and U+001C..U+001F.
_BLANKS: Final = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
_LONGEST_FILE: Final = 65_536


class Fault(Protocol):
    """Takes what is wrong with a variable; the text repeats no secret."""

    def __call__(self, name: str, text: str, code: str = SETTING_INVALID) -> None:
        """Note it, unless something is noted of the variable already."""
        ...


@dataclass(frozen=True, slots=True)
class Noted:
    """What is wrong with a variable, in words and by its stable code."""

    text: str
    code: str


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A file's text, and whether everybody on the machine, or a group, may read or write it."""

    text: str
    exposed: bool
    in_group: bool = False

    def __repr__(self) -> str:
        return "SecretFile([hidden])"


Files = Callable[[str], SecretFile]
"""Reads a secret's file by its path; raises OSError, or ValueError for what is no UTF-8 text."""


def read_secret_file(path: str) -> SecretFile:
    """Read a secret's file, links followed."""
    with Path(path).open("rb") as file:
        text = file.read(_LONGEST_FILE).decode("utf-8")
    reach = reach_of(path)
    return SecretFile(text, exposed=reach is Reach.EVERYBODY, in_group=reach is Reach.GROUP)


def trimmed(text: str) -> str:
    """Return a text without the blanks around it."""
    return text.strip(_BLANKS)


class Variables:
    """The variables of one environment, each file read once; blank counts as absent.

    `faults` are those of parsing, by variable, in the order in which they were found.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        files: Files = read_secret_file,
        disks: Disks = kind_of_disk,
    ) -> None:
        """Read from `environ`, and files of secrets by `files`, when they are asked for.

        `disks` tells what kind of file system a path is on.
        """
        self._environ = environ
        self._files = files
        self.disks = disks
        self._read: dict[str, str | None] = {}
        self.faults: dict[str, Noted] = {}
        self.exposed: list[str] = []
        self.in_group: list[str] = []

    def fault(self, name: str, text: str, code: str = SETTING_INVALID) -> None:
        """Note what is wrong with a variable, unless something is noted of it already."""
        self.faults.setdefault(name, Noted(text, code))

    def names(self) -> list[str]:
        """Return the names of all variables that are set to something."""
        return sorted(name for name in self._environ if self.get(name) is not None)

    def exact(self, name: str) -> str | None:
        """Return a variable as it stands, None where it is blank."""
        text = self._environ.get(name, "")
        return text if trimmed(text) else None

    def get(self, name: str) -> str | None:
        """Return a variable's text, None where it is blank."""
        return trimmed(self._environ.get(name, "")) or None

    def given(self, name: str) -> list[str]:
        """Return by which of `NAME` and `NAME_FILE` a secret is given, without reading it."""
        return [each for each in (name, f"{name}_FILE") if self.get(each) is not None]

    def secret(self, name: str) -> str | None:
        """Return a secret that is given by itself or in a file; None where it can't be read."""
        if name not in self._read:
            self._read[name] = self._secret(name)
        return self._read[name]

    def look_at(self, name: str) -> None:
        """Note who may read the file that a variable names, if it can be read here."""
        path = self.get(name)
        if path is not None:
            with contextlib.suppress(OSError, ValueError):
                self._note(name, self._files(path))

    def read(self, name: str, parse: Callable[[str], T], code: str = SETTING_INVALID) -> T | None:
        """Return what `parse` makes of a variable; a ValueError is the variable's fault."""
        text = self.get(name)
        if text is None:
            return None
        try:
            return parse(text)
        except ValueError as error:
            self.fault(name, str(error), code)
            return None

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        """Return a whole number within bounds, the default where none is given."""
        value = self.read(name, lambda text: forms.whole(text, least=least, most=most))
        return default if value is None else value

    def _secret(self, name: str) -> str | None:
        path = self.get(f"{name}_FILE")
        if path is None:
            return self.get(name)
        if self.get(name) is not None:
            self.fault(name, f"is given twice: {name} and {name}_FILE", GIVEN_TWICE)
            return None
        try:
            file = self._files(path)
        # The path may be the secret itself, given in the wrong variable: it isn't shown.
        except (OSError, ValueError):
            self.fault(f"{name}_FILE", "the file can't be read as UTF-8 text", FILE_UNREADABLE)
            return None
        self._note(f"{name}_FILE", file)
        text = trimmed(file.text)
        if not text:
            self.fault(f"{name}_FILE", "the file is empty", FILE_EMPTY)
        return text or None

    def _note(self, name: str, file: SecretFile) -> None:
        if file.exposed:
            self.exposed.append(name)
        elif file.in_group:
            self.in_group.append(name)
