"""The programs besides Python that tests drive, and where they come from.

`python3 -m tests.support.programs` installs what is missing, with apt-get and as root; CI calls it.
A test never installs anything: where a program is missing it fails in CI and is skipped elsewhere.
"""

import os
import shutil
import subprocess
import sys
from typing import Final, NoReturn

PACKAGES: Final = {
    "node": "nodejs",
    "chromium": "chromium",
    "chromedriver": "chromium-driver",
    "nginx": "nginx-light",
    "openssl": "openssl",
    "redis-server": "redis-server",
    "prometheus": "prometheus",
    "promtool": "prometheus",
}
"""The commands, and Debian's packages that bring them."""


def missing() -> list[str]:
    """List the packages whose command is not there."""
    wanted = (package for command, package in PACKAGES.items() if shutil.which(command) is None)
    return list(dict.fromkeys(wanted))


def install() -> str:
    """Install what is missing; return what was done, or why nothing was."""
    wanted = missing()
    if not wanted:
        return "nothing is missing"
    apt = shutil.which("apt-get")
    if apt is None or os.geteuid() != 0:
        return f"not installed, which takes apt-get and root: {' '.join(wanted)}"
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "-y", "--no-install-recommends", *wanted]):
        done = subprocess.run(  # noqa: S603 - the packages named above
            [apt, "-qq", "-o", "Acquire::http::Timeout=30", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            return f"apt-get {arguments[0]} failed: {done.stderr.strip()[-300:]}"
    return f"installed: {' '.join(wanted)}"


class MissingProgramError(Exception):
    """A program that a test drives is not installed."""


def program(name: str) -> str:
    """Return where a program is. Raises MissingProgramError naming its package."""
    found = shutil.which(name)
    if found is None:
        raise MissingProgramError(f"{name} is not installed (package {PACKAGES[name]})")
    return found


def main() -> NoReturn:
    """Install what is missing; tests tell whether it was enough."""
    print(install())  # noqa: T201 - it is a command
    sys.exit(0)


if __name__ == "__main__":
    main()
