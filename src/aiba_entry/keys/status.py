"""What can be said of secrets without saying them: where from, how old, and how a change stands.

It is what a process that starts now would read; what runs already has read it at its own start.
"""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiba_entry.keys.kinds import KINDS, Change, Kind
from aiba_entry.keys.shelf import Shelf, ShelfFault, Stage
from aiba_entry.overlap import NEXT, PREVIOUS
from aiba_entry.readiness.judgment import judge
from aiba_entry.signer import environment as signer
from aiba_entry.variables import Variables

NOT_SET: Final = "not set"
"""The source of a secret that is missing."""

UNREADABLE: Final = "a file that can't be read"
"""The source of one whose file can't be read; its path may be the secret itself."""

_COST: Final = 2**14
_DIGITS: Final = 8
_SIGNERS: Final = (signer.STORE, signer.LOG, signer.POLICY)
_INVALID: Final = "signer_setting_invalid"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretStatus:
    """One secret that is set or missing; `source` is `env`, the file's path, or why there is none.

    `age_s` is the file's age, None where the file is a copy that was made when its process was
    started. `overlap` tells whether another one stands beside the secret, or this is one beside.
    `stage` is how far a change of it has come by its files, None where they don't tell, and `notes`
    what follows from that. `findings` are the codes of what is wrong with it.
    """

    name: str
    source: str
    fingerprint: str | None = None
    age_s: int | None = None
    overlap: bool = False
    stage: str | None = None
    notes: tuple[str, ...] = ()
    findings: tuple[str, ...] = field(default=())


def status(environ: Mapping[str, str]) -> tuple[SecretStatus, ...]:
    """Return what there is to say of every secret that an environment gives, or fails to give."""
    variables = Variables(environ)
    codes = _codes(environ)
    names = [name + ending for name in KINDS for ending in ("", NEXT, PREVIOUS)]
    given = [name for name in names if variables.given(name)]
    return tuple(
        _status(name, variables, environ, given, tuple(codes.get(name, ())))
        if name in given
        else SecretStatus(name=name, source=NOT_SET, findings=tuple(codes[name]))
        for name in names
        if name in given or name in codes
    )


def fingerprint(name: str, value: str) -> str:
    """Return a short name of a secret's value, the same in use, before and after.

    It is slow to make, and too short to tell whether a guess was right.
    """
    salt = f"aiba secret fingerprint\0{_base(name)}".encode()
    made = hashlib.scrypt(value.encode(), salt=salt, n=_COST, r=8, p=1, dklen=_DIGITS // 2)
    return made.hex()


def _base(name: str) -> str:
    return name.removesuffix(NEXT).removesuffix(PREVIOUS)


def _codes(environ: Mapping[str, str]) -> dict[str, list[str]]:
    """Return what is wrong, by secret: as the API would say, and as the signer would of its own."""
    codes: dict[str, list[str]] = {}
    is_signer = any(environ.get(name, "").strip() for name in _SIGNERS)
    if not is_signer or environ.get("APP_ENV", "").strip():
        readiness = judge(environ)
        for finding in (*readiness.errors, *readiness.warnings):
            for name in finding.variables:
                codes.setdefault(name.removesuffix("_FILE"), []).append(finding.code)
    if is_signer:
        for name in signer.faulty_secrets(environ):
            codes.setdefault(name, []).append(_INVALID)
    return codes


def _status(
    name: str,
    variables: Variables,
    environ: Mapping[str, str],
    given: list[str],
    codes: tuple[str, ...],
) -> SecretStatus:
    value = variables.secret(name)
    path = variables.get(f"{name}_FILE")
    stage: str | None = None
    notes: tuple[str, ...] = ()
    if path is not None and value is not None and name in KINDS:
        stage, notes = _change(KINDS[name], Path(path), given)
    return SecretStatus(
        name=name,
        source="env" if path is None else path if value is not None else UNREADABLE,
        fingerprint=None if value is None else fingerprint(name, value),
        age_s=None if path is None or value is None else _age(Path(path), environ),
        overlap=sum(_base(each) == _base(name) for each in given) > 1,
        stage=stage,
        notes=notes,
        findings=codes,
    )


def _age(path: Path, environ: Mapping[str, str]) -> int | None:
    """Return a file's age in seconds, None for a copy of systemd's or of a cluster's."""
    copies = environ.get("CREDENTIALS_DIRECTORY")
    is_copy = copies is not None and path.is_relative_to(copies)
    # A cluster mounts each file by a link through `..data`.
    if is_copy or "..data" in (path.readlink().parts if path.is_symlink() else ()):
        return None
    return max(0, int(time.time() - path.stat().st_mtime))


def _change(kind: Kind, path: Path, given: list[str]) -> tuple[str | None, tuple[str, ...]]:
    """Return how far a change has come, and what is to be known of that."""
    if kind.change is Change.ELSEWHERE:
        return None, (f"how it is changed: {kind.doc}",)
    try:
        stage = Shelf(path).stage
    except ShelfFault as fault:
        return None, (str(fault),)
    return stage.value, tuple(_notes(kind, stage, given))


def _notes(kind: Kind, stage: Stage, given: list[str]) -> list[str]:
    again = f"aiba keys rotate {kind.name}"
    if stage is Stage.STEADY:
        return []
    if stage in (Stage.TAKING, Stage.RETURNING):
        step = "use" if stage is Stage.TAKING else "back"
        return [f"a step was cut short: {again} --{step}"]
    beside = kind.name + (NEXT if stage is Stage.ANNOUNCED else PREVIOUS)
    if beside in kind.beside and beside not in given:
        return [f"{beside}_FILE isn't set: no process that starts now knows what stands beside"]
    if stage is Stage.ANNOUNCED:
        return [f"nothing is made with the next one before {again} --use"]
    return [f"the one before goes when {kind.over}: {again} --finish"]
