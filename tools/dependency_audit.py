#!/usr/bin/env python3
"""Ask an advisory service for known vulnerabilities of every pinned package.

    python tools/dependency_audit.py PIP-AUDIT LOCK...

Exits with 0 only where every package of every lock was asked for and none is known to be
vulnerable; with 1 where one is, each named with its fixed versions; with 2 where that couldn't be
found out: the service wasn't reached, left packages out, or didn't know a fault that is known since
2020, as a mirror without advisories doesn't. Not knowing is never taken for knowing nothing.

The service is PyPI's. `PIP_AUDIT_VULNERABILITY_SERVICE=osv`, with `PIP_AUDIT_OSV_URL` for a mirror,
asks OSV instead; `HTTPS_PROXY` and `REQUESTS_CA_BUNDLE` lead there as for any program.
"""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

_PIN: Final = re.compile(r"^([A-Za-z0-9._-]+)==", re.MULTILINE)
_CONTROL: Final = (
    "pyyaml==5.3 --hash=sha256:e9f45bd5b92c7974e59bcd2dcc8631a6b6cc380a904725fce7bc08872e691615\n"
)
"""A release with a known vulnerability (CVE-2020-1747): who doesn't know it has no advisories."""

_PATIENCE_S: Final = 600
_LONGEST: Final = 300
_SHOWN: Final = 5


class NotKnown(Exception):  # noqa: N818 - the state of knowledge
    """The question has no whole answer."""


def asked(program: str, lock: Path) -> list[dict[str, Any]]:
    """Return what the service says of each package of a lock. Raises NotKnown."""
    words = [program, "--requirement", str(lock), "--disable-pip", "--require-hashes"]
    words += ["--format", "json", "--progress-spinner", "off"]
    try:
        done = subprocess.run(  # noqa: S603 - the program given
            words, capture_output=True, text=True, check=False, timeout=_PATIENCE_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NotKnown(f"{lock}: {error}") from None
    try:
        packages: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError, TypeError):
        told = (done.stderr.strip().splitlines() or ["no answer"])[-1]
        raise NotKnown(f"{lock}: the advisory service was not asked: {told[:_LONGEST]}") from None
    return packages


def judge(lock: Path, packages: list[dict[str, Any]]) -> list[str]:
    """Return a line for each vulnerability. Raises NotKnown where a package is left out."""
    left_out = [each for each in packages if "skip_reason" in each]
    if left_out:
        names = ", ".join(each["name"] for each in left_out[:_SHOWN])
        reason = left_out[0]["skip_reason"]
        told = f"{lock}: {len(left_out)} packages not audited, such as {names}: {reason}"
        raise NotKnown(told[:_LONGEST])
    if not packages or not _PIN.search(lock.read_text(encoding="utf-8")):
        raise NotKnown(f"{lock}: holds no package that was audited")
    return [
        f"{each['name']} {each['version']}: {fault['id']}, fixed in "
        f"{', '.join(fault['fix_versions']) or 'no version'}"
        for each in packages
        for fault in each.get("vulns", [])
    ]


def has_advisories(program: str) -> None:
    """Ask the service what it must know. Raises NotKnown where it doesn't."""
    with tempfile.TemporaryDirectory() as folder:
        control = Path(folder, "control question")
        control.write_text(_CONTROL, encoding="utf-8")
        try:
            faults = judge(control, asked(program, control))
        except NotKnown as reason:
            raise NotKnown(str(reason).replace(f"{control}", control.name)) from None
    if not faults:
        raise NotKnown("the service knows no vulnerability of pyyaml 5.3: it has no advisories")


def main(words: list[str]) -> int:
    """Ask for each lock, tell what was said, and return the exit code."""
    program, *locks = words
    faults: set[str] = set()
    unknown = []
    try:
        has_advisories(program)
    except NotKnown as error:
        unknown.append(str(error))
    for lock in map(Path, [] if unknown else locks):
        try:
            faults |= set(judge(lock, asked(program, lock)))
        except NotKnown as error:
            unknown.append(str(error))
    for line in (*sorted(faults), *unknown):
        print(line, file=sys.stderr)
    if unknown:
        print("the audit is not complete: nothing is known of what is missing", file=sys.stderr)
        return 2
    print(f"{len(faults)} known vulnerabilities in {len(locks)} locks")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
