"""The runbook page of a service that doesn't start, walked through as it stands."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.process.support import PATIENCE_S, Server
from tests.support.lasting import lasting
from tests.support.ready import READY

PAGE = Path(__file__).parents[3] / "docs" / "runbook" / "boot-crash.md"
STEP = re.compile(r"<!-- step: (\w+) -->\n```console\n(.*?)```", re.DOTALL)
SECRETS = {
    "seed": "BATTLE_SEED_SECRET",
    "token": "TELEGRAM_BOT_TOKEN",
    "jwt": "ADMIN_JWT_SECRET",
    "hash": "ADMIN_PASSWORD_HASH",
}
FAULTS = {"session_secret_missing", "secret_file_exposed", "dev_switch_on"}


@pytest.fixture(name="page")
def _page(tmp_path: Path) -> dict[str, str]:
    """Return the commands of each step, in the page's order."""
    found = dict(STEP.findall(PAGE.read_text(encoding="utf-8")))
    assert list(found) == ["judge", "record", "secret", "mode", "switch", "again", "serve"]
    assert all(line.startswith("$ ") for block in found.values() for line in block.splitlines())
    del tmp_path
    return {name: re.sub(r"^\$ ", "", block, flags=re.MULTILINE) for name, block in found.items()}


@pytest.fixture(name="shell")
def _shell(tmp_path: Path) -> dict[str, str]:
    """Return an operator's shell: an environment file with three faults, and `aiba` in the path."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    lines = [f"{name}_FILE={secrets / file}" for file, name in SECRETS.items()]
    for file, name in SECRETS.items():
        (secrets / file).write_text(READY[name])
        (secrets / file).chmod(0o444 if file == "seed" else 0o400)
    plain = ("CORS_ORIGIN", "TELEGRAM_INITDATA_MAX_AGE_SECONDS", "ADMIN_EMAIL")
    lines += [f"{name}={READY[name]}" for name in plain]
    lines += ["APP_ENV=prod", "PORT=0", "AIBA_STORE=sqlite", "AIBA_DEV_HEADER_AUTH=true"]
    lines += ["METRICS_ALLOW=127.0.0.1"]
    lines += [f"AIBA_DATA_DIR={lasting(tmp_path) / 'data'}"]
    (tmp_path / "service.env").write_text("\n".join(lines) + "\n")
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "ENV_FILE": str(tmp_path / "service.env"),
        "SECRETS": str(secrets),
    }


def run(shell: dict[str, str], block: str) -> subprocess.CompletedProcess[str]:
    """Run a step's commands; none of them prints a secret."""
    done = subprocess.run(  # noqa: S603 - this project's own page
        ["bash", "-e", "-c", block],  # noqa: S607 - the one in the path
        env=shell,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert not any(READY[name] in done.stdout + done.stderr for name in SECRETS.values())
    return done


def test_the_page_leads_from_a_refusal_to_a_running_service(
    page: dict[str, str], shell: dict[str, str], tmp_path: Path
) -> None:
    """What would be refused is told, mended step by step, and serves in the end as prod does."""
    judged, record = run(shell, page["judge"]), run(shell, page["record"])
    assert judged.returncode == record.returncode == 78
    told = json.loads(record.stdout)
    assert told["code"] == "PROD_READINESS_FAILED"
    assert {each["code"] for each in told["errors"]} == FAULTS
    assert not (tmp_path / "data").exists()
    for step in ("secret", "mode", "switch"):
        assert run(shell, page[step]).returncode == 0
    again = run(shell, page["again"])
    found = set(re.findall(r"\[(\w+)\]", again.stdout)) - {"store_on_one_machine"}
    # Where the tests are in a container's layer the page would send its reader to a volume.
    assert found <= {"data_dir_in_layer"}
    assert again.returncode == 0
    server = Server(tmp_path / "data", shell, ("bash", "-c", page["serve"]))
    try:
        server.wait_until_ready()
        with server.client() as http:
            assert http.get("/health").json()["ok"] is True
            by_header = http.get("/api/economy/me", headers={"x-telegram-id": "7"})
            assert by_header.status_code == 401
        assert "store_on_one_machine" in server.logged.read_text()
        server.send(signal.SIGTERM)
        assert server.wait() == 0
    finally:
        server.kill()


def test_the_page_has_what_every_page_has() -> None:
    """Somebody who was woken up finds the four parts where they always are."""
    headings = re.findall(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[:4] == ["Meaning", "Impact", "Diagnosis", "Mitigation"]
