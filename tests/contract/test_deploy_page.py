"""docs/deploy.md is a page that can be followed, and the operator's command does what it says."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.contract.test_deploy import DEPLOY, ROOT, UNITS, is_command, named, unit


def test_every_command_of_the_page_is_one_that_there_is() -> None:
    """What is typed there can be typed, and every file of deploy/ that is named is there."""
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    page = re.sub(r"\$\(ls .*?\)", str(DEPLOY), page)
    typed = re.findall(
        r"^ *\$ (?:AIBA=\S+ )?(aiba(?:-in aiba(?:-signer)?)? [^>|\n]+)", page, re.MULTILINE
    )
    typed = [re.sub(r"^aiba-in aiba(-signer)? ", "aiba ", line) for line in typed]
    told = re.findall(r"`(aiba [a-z][a-z -]*)`", page)
    assert len(typed) > 6
    environ = {"ORACLE_SIGNER_STORE": "store", "ORACLE_SIGNER_LOG": "log"}
    for line in told:
        assert named(line.split()[1:]), line
    for line in typed:
        a_file = line.replace("/etc/aiba/signer-policy.toml", str(DEPLOY / "Dockerfile"))
        a_file = re.sub(r"/etc/aiba/secrets$", str(DEPLOY), a_file.strip())
        words = shlex.split(a_file)
        assert is_command(words[1:], environ), line
    for path in re.findall(r"\b(deploy/[\w./-]+\w)", page):
        assert (ROOT / path).exists() or path.startswith("deploy/grafana"), path


def test_every_step_of_the_page_is_rehearsed() -> None:
    """What the page has typed on a machine is typed by the rehearsal, each step at least once."""
    page = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    script = (DEPLOY / "rehearse" / "on-the-machine.sh").read_text(encoding="utf-8")
    told = re.findall(r"<!-- step: ([a-z-]+) -->", page)
    done = re.findall(r"^(?:\(cd \S+ && )?step ([a-z-]+)", script, re.MULTILINE)
    assert set(told) == set(done)
    assert len(set(told)) == len(told) > 10
    for name in told:
        words = [shutil.which("sh") or "sh", str(DEPLOY / "rehearse" / "steps.sh")]
        typed = subprocess.run(  # noqa: S603 - ours
            [*words, str(ROOT / "docs" / "deploy.md"), name],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        assert typed.strip()


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_an_operators_command_gets_what_the_unit_gets(path: Path, tmp_path: Path) -> None:
    """User, settings, secrets and folders of unit and drop-ins; nothing of how it is run."""
    files = [path, *sorted(path.with_name(f"{path.name}.d").glob("*.conf"))]
    for name, script in {
        "systemctl": f"cat {' '.join(map(str, files))}",
        "systemd-run": "printf '%s\\n' \"$@\"",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o700)
    words = [str(DEPLOY / "systemd" / "aiba-in"), path.stem, "seed", "rotate", "a b"]
    environ = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(words, env=environ, capture_output=True, text=True, check=True)  # noqa: S603 - ours
    given = done.stdout.splitlines()
    assert given[-4:] == ["/usr/local/lib/aiba/bin/aiba", "seed", "rotate", "a b"]
    (name,) = [each.removeprefix("--unit=") for each in given if each.startswith("--unit=")]
    told = [each.removeprefix("--property=") for each in given if each.startswith("--property=")]
    wanted = {"User", "Group", "SupplementaryGroups", "EnvironmentFile", "Environment", "UMask"}
    wanted |= {"LoadCredential", "UnsetEnvironment", "WorkingDirectory", "StateDirectory"}
    wanted |= {"StateDirectoryMode", "LogsDirectory", "LogsDirectoryMode"}
    assert told == [
        f"{each}={value}".replace("%d", f"/run/credentials/{name}.service")
        for each, value in unit(path)
        if each in wanted
    ]


def test_an_operator_who_asks_for_nothing_is_told_how() -> None:
    """Before anything is run."""
    done = subprocess.run(  # noqa: S603 - ours
        [str(DEPLOY / "systemd" / "aiba-in"), "aiba"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (64, "")
    assert "aiba-in UNIT COMMAND" in done.stderr
