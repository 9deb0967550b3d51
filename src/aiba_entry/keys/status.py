"""What can be said of secrets without saying them: where from, how old, and whether two are one."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiba_entry.keys.kinds import KINDS
from aiba_entry.overlap import NEXT, PREVIOUS
from aiba_entry.readiness.judgment import judge
from aiba_entry.variables import Variables

_COST: Final = 2**14
_DIGITS: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretStatus:
    """One variable that is set; `source` is `env` or the file's path, `age_s` that of the file.

    `overlap` tells whether another one stands beside the secret, or this is one beside.
    `findings` are the readiness gate's codes about it.
    """

    name: str
    source: str
    fingerprint: str | None
    age_s: int | None
    overlap: bool
    findings: tuple[str, ...]


def status(environ: Mapping[str, str]) -> tuple[SecretStatus, ...]:
    """Return what there is to say of every secret that an environment gives."""
    variables = Variables(environ)
    readiness = judge(environ)
    codes: dict[str, list[str]] = {}
    for finding in (*readiness.errors, *readiness.warnings):
        for name in finding.variables:
            codes.setdefault(name.removesuffix("_FILE"), []).append(finding.code)
    names = [name + ending for name in KINDS for ending in ("", NEXT, PREVIOUS)]
    given = [name for name in names if variables.given(name)]
    return tuple(_status(name, variables, given, codes.get(name, ())) for name in given)


def fingerprint(name: str, value: str) -> str:
    """Return a short name of a secret's value, the same in use, before and after.

    It is slow to make, and too short to tell whether a guess was right.
    """
    salt = f"aiba secret fingerprint\0{_base(name)}".encode()
    made = hashlib.scrypt(value.encode(), salt=salt, n=_COST, r=8, p=1, dklen=_DIGITS // 2)
    return made.hex()


def _base(name: str) -> str:
    return name.removesuffix(NEXT).removesuffix(PREVIOUS)


def _status(
    name: str, variables: Variables, given: list[str], codes: list[str] | tuple[()]
) -> SecretStatus:
    value = variables.secret(name)
    path = variables.get(f"{name}_FILE")
    # A path that can't be read may be the secret itself, given in the wrong variable.
    source = "env" if path is None else path if value is not None else "a file that can't be read"
    age_s = None
    if path is not None and value is not None:
        age_s = max(0, int(time.time() - Path(path).stat().st_mtime))
    return SecretStatus(
        name=name,
        source=source,
        fingerprint=None if value is None else fingerprint(name, value),
        age_s=age_s,
        overlap=sum(_base(each) == _base(name) for each in given) > 1,
        findings=tuple(codes),
    )
