"""Secrets that are found, a bill of materials that is whole, and an audit that is not fooled."""

import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).parents[2]
# Put together here, so that no file of the repository holds one.
PLANTED: Final = {
    "private key": "-----BEGIN PRIVATE" + " KEY-----\n" + "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC" * 2,
    "Telegram bot token": "7345128861" + ":AA" + "Hx7Qk2vB9dRt4LmZp1NcYw8JfGs3EuVo6",
    "AWS key": "AKIA" + "Q7X2M4P9K1LZ8RVT",
    "GitHub token": "ghp_" + "a7Kd93Lmx02QpZr5TtYv81BnWc46HjEs0UgF",
    "GitLab token": "glpat-" + "a7Kd93Lmx02QpZr5TtYv",
    "Slack token": "xoxb-" + "7345128861-7345128862-a7Kd93Lmx02QpZr5TtYv",
    "Stripe key": "sk_" + "live_a7Kd93Lmx02QpZr5TtYv81Bn",
    "Google key": "AIza" + "SyA7Kd93Lmx02QpZr5TtYv81BnWc46HjEs0",
    "npm token": "npm_" + "a7Kd93Lmx02QpZr5TtYv81BnWc46HjEs0UgF",
    "PyPI token": "pypi-" + "AgEIcHlwaS5vcmcCJGE3S2Q5M0xteDAyUXBacjVUdFl2ODFCbldjNDZIakVzMFVnRg",
    "age key": "AGE-SECRET-KEY-1" + "Q7X2M4P9K1LZ8RVTW3N5" * 2 + "Q7X2M4P9K1LZ8RVTW3",
    "password in a URL": "mongodb://aiba:" + "h7Kq92xLmZ4t" + "@db1.example/aiba",
    "assigned secret": "SESSION_" + "SECRET=" + "9f3a7c51e8b24d60aa17c3e95b02d8f4",
    "signed token": "eyJhbGciOiJIUzI1NiJ9 eyJzdWIiOiI0MiJ9X c2lnbmF0dXJlLXRoYXQtaXMtbG9uZw".replace(
        " ", "."
    ),
}


def tool(name: str) -> ModuleType:
    """Return one of the tools as a module."""
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        return __import__(name)
    finally:
        sys.path.pop(0)


scan, sbom, audit = tool("secret_scan"), tool("sbom"), tool("dependency_audit")


@pytest.fixture(name="repository")
def _repository(tmp_path: Path) -> Path:
    """Return a small repository of git."""
    git(tmp_path, "init", "--quiet")
    commit(tmp_path, "README.md", "Nothing is secret here: token = os.environ['TOKEN']\n")
    return tmp_path


def git(root: Path, *words: str) -> None:
    """Run git in a repository, as nobody in particular."""
    who = ["-c", "user.name=nobody", "-c", "user.email=nobody@game.example"]
    subprocess.run(["git", "-C", str(root), *who, *words], check=True, capture_output=True)  # noqa: S603, S607


def commit(root: Path, name: str, text: str | None) -> None:
    """Commit a file with a text, or without it."""
    path = root / name
    path.unlink() if text is None else path.write_text(text)
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "change")


# --- secrets ---


@pytest.mark.parametrize("kind", PLANTED)
def test_d63_a_planted_secret_is_found_and_not_shown(
    kind: str, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a file that nobody has committed yet, where it stands and what it is, without its text."""
    assert scan.main([str(repository)]) == 0
    (repository / "notes.txt").write_text(f"first\n{PLANTED[kind]}\n")
    assert scan.main([str(repository)]) == 1
    told = capsys.readouterr().out
    assert re.search(rf"^notes\.txt:2: {kind} \(", told, re.MULTILINE)
    assert PLANTED[kind].split(":")[-1].split("=")[-1][-12:] not in told


def test_every_kind_that_is_looked_for_is_planted_here() -> None:
    """A kind whose pattern finds nothing would be found by nobody."""
    assert set(PLANTED) == set(scan.KINDS)


def test_d63_a_secret_that_was_taken_out_again_is_still_found(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever clones the repository has its history, other branches too."""
    git(repository, "checkout", "--quiet", "-b", "side")
    commit(repository, "config.env", PLANTED["Telegram bot token"])
    commit(repository, "config.env", None)
    git(repository, "checkout", "--quiet", "-")
    assert scan.main([str(repository), "--tree-only"]) == 0
    assert scan.main([str(repository)]) == 1
    assert "config.env@" in capsys.readouterr().out


def test_what_is_no_secret_is_said_with_a_reason(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its hash; without a reason it isn't taken, and where nothing needs it it goes."""
    (repository / "vector.txt").write_text(PLANTED["assigned secret"])
    assert scan.main([str(repository)]) == 1
    digest = re.findall(r"\(([0-9a-f]{24})\)", capsys.readouterr().out)[0]
    allowed = repository / scan.ALLOWED
    allowed.parent.mkdir()
    allowed.write_text(f"{digest} a test vector of the format's own description\n")
    assert scan.main([str(repository)]) == 0
    (repository / "vector.txt").unlink()
    assert scan.main([str(repository)]) == 1
    assert "is nowhere any more" in capsys.readouterr().out
    allowed.write_text(f"{digest}\n")
    assert scan.main([str(repository)]) == 2


def test_what_cannot_be_looked_at_is_no_pass(tmp_path: Path) -> None:
    """A folder that is no repository isn't free of secrets."""
    assert scan.main([str(tmp_path)]) == 2


def test_d63_no_file_here_holds_a_secret() -> None:
    """The tree as it stands; `make secrets` looks at the history too."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    assert scan.main([str(ROOT), "--tree-only"]) == 0


# --- the bill of materials ---


def made() -> dict[str, Any]:
    """Return the bill of this checkout."""
    project = {"name": "aiba-arena", "version": "0.1.0"}
    found: dict[str, Any] = sbom.bill(sbom.LOCK.read_text(encoding="utf-8"), project)
    return found


def test_the_bill_lists_exactly_what_the_image_has() -> None:
    """Name, version and hashes of the lock, with a licence for whatever runs here."""
    lines = sbom.LOCK.read_text(encoding="utf-8").splitlines()
    pinned = {line.split()[0] for line in lines if "==" in line.split(" ")[0]}
    bill = made()
    assert {f"{each['name']}=={each['version']}" for each in bill["components"]} == pinned
    for each in bill["components"]:
        names = {item["name"] for item in each["properties"]}
        assert "aiba:sha256" in names
        assert "licenses" in each or "aiba:only" in names
    references = {each["bom-ref"] for each in bill["components"]}
    assert set(bill["dependencies"][0]["dependsOn"]) == references
    assert len(references) == len(bill["components"])


def test_the_same_lock_gives_the_same_bytes() -> None:
    """Nothing in it is of this moment or this machine; another lock is another bill."""
    first, second = (json.dumps(made(), sort_keys=True) for _ in range(2))
    assert first == second
    assert str(ROOT) not in first
    other = sbom.bill(
        "click==8.5.1 \\\n    --hash=sha256:" + "a" * 64, {"name": "x", "version": "1"}
    )
    assert other["serialNumber"] != made()["serialNumber"]


def test_a_bill_of_what_is_not_here_is_refused() -> None:
    """It would say the licence of another version, or none."""
    for lock in ("click==0.0.1 \\\n", "no-such-package-anywhere==1.0 \\\n"):
        with pytest.raises(sbom.Unknown):
            sbom.bill(lock, {"name": "x", "version": "1"})


# --- the audit ---

CLEAN: Final = {"dependencies": [{"name": "click", "version": "8.5.1", "vulns": []}]}
CONTROL: Final = {
    "dependencies": [
        {
            "name": "pyyaml",
            "version": "5.3",
            "vulns": [{"id": "CVE-2020-1747", "fix_versions": ["5.3.1"]}],
        }
    ]
}
FAULT: Final = {"id": "PYSEC-2026-1", "fix_versions": ["8.6"]}


@pytest.mark.parametrize(
    ("answer", "exit_code", "told"),
    [
        (json.dumps(CLEAN), 0, "0 known vulnerabilities"),
        (
            json.dumps({"dependencies": [{**CLEAN["dependencies"][0], "vulns": [FAULT]}]}),
            1,
            "click 8.5.1: PYSEC-2026-1, fixed in 8.6",
        ),
        ("", 2, "was not asked"),
        ("{}", 2, "was not asked"),
        (json.dumps({"dependencies": []}), 2, "holds no package"),
        (json.dumps({"dependencies": [{"name": "click", "skip_reason": "?"}]}), 2, "not audited"),
    ],
)
def test_an_audit_passes_only_where_everything_was_asked(
    answer: str, exit_code: int, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A service that can't be reached, or leaves something out, is a failure of its own."""
    program = tmp_path / "pip-audit"
    program.write_text(
        f"#!/bin/sh\ncase $2 in *control*) cat << 'END'\n{json.dumps(CONTROL)}\nEND\n;; *)\n"
        f"cat << 'END'\n{answer}\nEND\necho unreachable >&2\n;; esac\nexit 1\n"
    )
    program.chmod(0o700)
    lock = tmp_path / "lock"
    lock.write_text("click==8.5.1 \\\n")
    assert audit.main([str(program), str(lock)]) == exit_code
    shown = capsys.readouterr()
    assert told in shown.out + shown.err


def test_a_service_without_advisories_is_no_pass(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mirror that has packages and no advisories finds everything sound."""
    program = tmp_path / "pip-audit"
    program.write_text(f"#!/bin/sh\ncat << 'END'\n{json.dumps(CLEAN)}\nEND\n")
    program.chmod(0o700)
    (tmp_path / "lock").write_text("click==8.5.1 \\\n")
    assert audit.main([str(program), str(tmp_path / "lock")]) == 2
    assert "it has no advisories" in capsys.readouterr().err


def test_a_missing_program_is_no_pass(tmp_path: Path) -> None:
    """Nor is one that never ends."""
    (tmp_path / "lock").write_text("click==8.5.1 \\\n")
    assert audit.main([str(tmp_path / "none"), str(tmp_path / "lock")]) == 2
