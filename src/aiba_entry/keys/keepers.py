"""What names a service's secrets, kept in step with their files.

Each form of deployment has its own: a file of variables, a drop-in of a systemd unit, or the
objects of a cluster. What is written is the same again after a death, so a step can be repeated.
"""

import json
import re
import shutil
import subprocess
from base64 import b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, Protocol

from aiba_entry.keys import env_file
from aiba_entry.keys.kinds import KINDS
from aiba_entry.keys.places import MOUNTED, Program
from aiba_entry.keys.replaced import write
from aiba_entry.overlap import NEXT, PREVIOUS

Changes = Mapping[str, str | None]
"""A variable `NAME_FILE` to the path of its file, None where it names none any more."""

_RUNNING: Final = Path("/run/systemd/system")
_BESIDE: Final = (f"{NEXT}_FILE", f"{PREVIOUS}_FILE")
_READ_BESIDE: Final = {f"{name}_FILE" for kind in KINDS.values() for name in kind.beside}
_LOADED: Final = re.compile(r"LoadCredential=([^:]+):(.+)")
_NAMED: Final = re.compile(r"Environment=(\w+)=%d/(.+)")


class Keeper(Protocol):
    """Names the secrets' files for a service."""

    def put(self, changes: Changes) -> bool:
        """Name what is there, and no more what isn't; tell whether that changed anything.

        Raises KeeperFault.
        """
        ...

    def to_set(self, changes: Changes) -> list[str]:
        """Return what an operator has to set by hand, a line each."""
        ...

    def to_restart(self) -> list[str]:
        """Return how the service comes to know it, a line each."""
        ...


class KeeperFault(Exception):  # noqa: N818 - named for what can't be kept
    """What names the secrets can't be changed; the text shows no secret."""


class ByHand:
    """Nothing is kept: the operator is told what to set."""

    def __init__(self, program: Program) -> None:
        """Tell it for a program."""
        self._program = program

    def put(self, changes: Changes) -> bool:
        """Change nothing."""
        del changes
        return False

    def to_set(self, changes: Changes) -> list[str]:
        """Return each variable."""
        return [
            f"unset {name}" if path is None else f"set {name}={path}"
            for name, path in changes.items()
        ]

    def to_restart(self) -> list[str]:
        """Return it in words."""
        return [self._program.restart]


class EnvFile(ByHand):
    """The file of variables that a service is started with."""

    def __init__(self, program: Program, path: Path) -> None:
        """Keep a file that there is."""
        super().__init__(program)
        self._path = path

    def put(self, changes: Changes) -> bool:
        """Change the variables' lines."""
        try:
            return env_file.put(self._path, changes)
        except (OSError, UnicodeDecodeError):
            raise KeeperFault(f"{self._path.name} can't be changed") from None

    def to_set(self, changes: Changes) -> list[str]:
        """Leave nothing to do."""
        del changes
        return []


class DropIn:
    """A drop-in of a systemd unit: the credentials beside those that the unit itself loads."""

    def __init__(self, program: Program, path: Path) -> None:
        """Keep a file; it is there only while a secret stands beside."""
        self._program = program
        self._path = path

    def put(self, changes: Changes) -> bool:
        """Write the drop-in anew, and let a running systemd read it."""
        try:
            text = self._path.read_text(encoding="utf-8") if self._path.exists() else ""
            written = _drop_in(_kept(text) | {k: v for k, v in changes.items() if _is_beside(k)})
            if written:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            if written and written != text:
                write(self._path, written.encode(), mode=0o644)
            elif not written:
                self._path.unlink(missing_ok=True)
        except (OSError, UnicodeDecodeError):
            raise KeeperFault(f"{self._path.name} can't be changed") from None
        self._tell_systemd()
        return written != text

    def to_set(self, changes: Changes) -> list[str]:
        """Leave it to systemd, where it doesn't run here."""
        del changes
        return [] if _RUNNING.is_dir() else ["systemctl daemon-reload"]

    def to_restart(self) -> list[str]:
        """Return the command, for each machine."""
        return [f"systemctl restart {self._program.unit}"]

    def _tell_systemd(self) -> None:
        """Let it forget a credential before the file goes, and know one that has come."""
        if not _RUNNING.is_dir():
            return
        systemctl = shutil.which("systemctl")
        if systemctl is None:
            raise KeeperFault("systemctl isn't there")
        told = subprocess.run([systemctl, "daemon-reload"], check=False)  # noqa: S603 - fixed words
        if told.returncode:
            raise KeeperFault("systemctl daemon-reload failed")


class Manifest:
    """The objects of a cluster: a Secret with all files, and the variables of what stands beside.

    The ConfigMap comes twice: what changes isn't named while the Secret does.
    """

    def __init__(self, program: Program, path: Path, *, folder: Path, namespace: str) -> None:
        """Write a file for `kubectl apply` from a folder of secrets."""
        self._program = program
        self._path = path
        self._folder = folder
        self._namespace = namespace

    def put(self, changes: Changes) -> bool:
        """Write the file, for its owner alone."""
        try:
            data = json.dumps(self._objects(changes), indent=1).encode() + b"\n"
            if self._path.exists() and self._path.read_bytes() == data:
                return False
            write(self._path, data, mode=0o600)
        except OSError:
            raise KeeperFault(f"{self._path.name} can't be written") from None
        return True

    def to_set(self, changes: Changes) -> list[str]:
        """Return the commands that bring the file into the cluster; it goes, with its secrets."""
        del changes
        return [f"kubectl apply --filename {self._path}", f"rm {self._path}"]

    def to_restart(self) -> list[str]:
        """Return the commands that start each pod anew."""
        where = f"kubectl --namespace {self._namespace} rollout"
        return [f"{where} {what} {self._program.workload}" for what in ("restart", "status")]

    def _objects(self, changes: Changes) -> dict[str, object]:
        gone = {name for name, path in changes.items() if path is None}
        variables = {name: path for name, path in self._variables() if name not in gone}
        steady = {name: path for name, path in variables.items() if name not in changes}
        files = {
            path.name: b64encode(path.read_bytes()).decode()
            for path in self._files()
            if _variable_of(path.name) not in gone
        }
        secret = self._object("Secret", self._program.secret) | {"type": "Opaque", "data": files}
        before, after = (
            self._object("ConfigMap", self._program.beside) | {"data": named}
            for named in (steady, variables)
        )
        return {"apiVersion": "v1", "kind": "List", "items": [before, secret, after]}

    def _object(self, kind: str, name: str) -> dict[str, object]:
        return {
            "apiVersion": "v1",
            "kind": kind,
            "metadata": {"name": name, "namespace": self._namespace},
        }

    def _variables(self) -> Iterator[tuple[str, str]]:
        for path in self._files():
            name = _variable_of(path.name)
            if name in _READ_BESIDE:
                yield name, f"{MOUNTED}/{path.name}"

    def _files(self) -> list[Path]:
        """Return the files that pods read, and none that waits for its time."""
        return sorted(
            path
            for path in self._folder.iterdir()
            if path.is_file() and not path.name.startswith(".") and path != self._path
            if _variable_of(path.name) in _READ_BESIDE or not _is_beside(_variable_of(path.name))
        )


def _is_beside(variable: str) -> bool:
    return variable.endswith(_BESIDE)


def _variable_of(file: str) -> str:
    return f"{file.upper().replace('-', '_')}_FILE"


def _kept(text: str) -> dict[str, str | None]:
    """Return the variables of a drop-in, each with its file's path."""
    lines = text.splitlines()
    loaded = {found[1]: found[2] for line in lines if (found := _LOADED.fullmatch(line))}
    named = {found[1]: found[2] for line in lines if (found := _NAMED.fullmatch(line))}
    return {name: _bare(loaded[each]) for name, each in named.items() if each in loaded}


def _drop_in(variables: Changes) -> str:
    lines = []
    for name, path in sorted(variables.items()):
        if path is not None:
            credential = Path(path).name
            lines.append(f"LoadCredential={credential}:{path.replace('%', '%%')}")
            lines.append(f"Environment={name}=%d/{credential}")
    if not lines:
        return ""
    head = "# Kept by `aiba keys rotate`: the secrets beside those in use."
    return "\n".join([head, "[Service]", *lines, ""])


def _bare(path: str) -> str:
    return path.replace("%%", "%")
