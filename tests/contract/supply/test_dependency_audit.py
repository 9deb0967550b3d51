"""`make audit-deps` as it is run, with the real pip-audit, before services as the real ones."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.advisories import CONTROL, Faults, service

ROOT: Final = Path(__file__).parents[3]
LOCK: Final = "".join(
    f"{name} \\\n    --hash=sha256:{'0' * 64}\n" for name in ("click==8.1.0", "structlog==24.1.0")
)
KNOWN: Final[Faults] = {CONTROL: ("PYSEC-2020-96", "5.3.1")}
FAULTY: Final[Faults] = {**KNOWN, ("click", "8.1.0"): ("PYSEC-2026-7", "8.1.9")}


def audit(
    supply_chain: Path, lock: Path, environ: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run the goal's tool over a lock."""
    words = [sys.executable, str(ROOT / "tools" / "dependency_audit.py")]
    words += [str(supply_chain / "bin" / "pip-audit"), str(lock)]
    cache = {"PIP_CACHE_DIR": str(lock.parent / "cache"), "XDG_CACHE_HOME": str(lock.parent)}
    environ = {"PATH": os.environ["PATH"], "HOME": str(lock.parent), **cache, **environ}
    return subprocess.run(words, env=environ, capture_output=True, text=True, check=False)  # noqa: S603 - ours


@pytest.fixture(name="lock")
def _lock(tmp_path: Path) -> Path:
    """Return a lock of two packages."""
    lock = tmp_path / "requirements.lock"
    lock.write_text(LOCK)
    return lock


@pytest.mark.parametrize("kind", ["pypi", "osv"])
def test_every_package_is_asked_for_and_a_fault_is_named_with_its_mend(
    kind: str, supply_chain: Path, lock: Path
) -> None:
    """Over both protocols: PyPI's, and OSV's or a mirror's of it."""
    with service(lock.parent, FAULTY) as (server, environ):
        done = audit(supply_chain, lock, {**environ, "PIP_AUDIT_VULNERABILITY_SERVICE": kind})
    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines() == ["click 8.1.0: PYSEC-2026-7, fixed in 8.1.9"]
    assert done.stdout == "1 known vulnerabilities in 1 locks\n"
    assert server.asked == [CONTROL, ("click", "8.1.0"), ("structlog", "24.1.0")]


@pytest.mark.parametrize(
    ("faults", "how", "told"),
    [
        (KNOWN, {"absent": "structlog"}, "1 packages not audited, such as structlog"),
        ({}, {}, "it has no advisories"),
        (KNOWN, {"broken": True}, "the advisory service was not asked"),
    ],
)
def test_what_is_not_known_is_no_pass(
    faults: Faults, how: dict[str, Any], told: str, supply_chain: Path, lock: Path
) -> None:
    """A package that the service hasn't, a mirror without advisories, a service that is down."""
    with service(lock.parent, faults, **how) as (_, environ):
        done = audit(supply_chain, lock, environ)
    assert done.returncode == 2
    assert told in done.stderr
    assert done.stderr.endswith("the audit is not complete: nothing is known of what is missing\n")


def test_a_service_that_nobody_reaches_is_no_pass(supply_chain: Path, lock: Path) -> None:
    """And is said in a line, not in a traceback."""
    done = audit(supply_chain, lock, {"HTTPS_PROXY": "http://127.0.0.1:9"})
    assert done.returncode == 2
    assert "the advisory service was not asked" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 2
