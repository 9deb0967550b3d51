"""`aiba serve` on its way up: what it prints, and what it says when it can't start."""

import contextlib
import json
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.contract.process.support import Server, aiba, environment

EX_CONFIG = 78


def test_the_three_printed_addresses_answer(serve: Callable[..., Server]) -> None:
    """A newcomer who opens what is printed finds the docs, the health and the metrics."""
    server = serve()
    lines = server.printed.read_text().splitlines()
    assert [line.rsplit(maxsplit=1)[0].strip() for line in lines] == [
        "API docs",
        "Health",
        "Metrics",
    ]
    with server.client() as http:
        pages = [http.get(line.split()[-1], follow_redirects=True) for line in lines]
    assert [page.status_code for page in pages] == [200, 200, 200]
    assert "html" in pages[0].headers["content-type"]
    assert pages[1].json()["ok"] is True
    assert "aiba_http_request_duration_seconds" in pages[2].text
    server.send(signal.SIGINT)
    assert server.wait() == 0


def test_a_taken_port_is_said_in_one_line(tmp_path: Path) -> None:
    """The message names the address; there is no traceback and no store left open."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as other:
        port = str(other.getsockname()[1])
        run = aiba(environment(tmp_path / "data", PORT=port), "serve")
    assert run.returncode == 1
    assert run.stderr == (
        f"Error: cannot listen on 127.0.0.1 port {port}: address already in use\n"
    )
    assert run.stdout == ""
    assert not (tmp_path / "data").exists()


def test_a_host_that_is_not_here_is_said_in_one_line(tmp_path: Path) -> None:
    """An address of another machine can't be listened on."""
    run = aiba(environment(tmp_path, HOST="203.0.113.7"), "serve")
    assert run.returncode == 1
    assert run.stderr.startswith("Error: cannot listen on 203.0.113.7 port 0: ")
    assert "Traceback" not in run.stderr


def test_a_faulty_environment_names_every_variable_and_no_secret(tmp_path: Path) -> None:
    """All faults are told at once, none with the value of a secret, and nothing is touched."""
    faulty = {
        "APP_ENV": "prod",
        "PORT": "70000",
        "JSON_BODY_LIMIT": "lots",
        "CORS_ORIGIN": "*",
        "RATE_LIMIT_PER_MINUTE": "0",
        "LOG_LEVEL": "LOUD",
        "TELEGRAM_BOT_TOKEN": "hunter2-the-bot-token",
        "SESSION_SECRET": "hunter2-too-short",
        "BATTLE_SEED_SECRET": "change-me-hunter2-change-me-hunter2",
        "TELEGRAM_INITDATA_MAX_AGE_SECONDS": "0",
        "AIBA_DEV_HEADER_AUTH": "1",
        "MONGO_URI": "mongodb://admin:hunter2@db",
    }
    run = aiba(environment(tmp_path / "data", **faulty), "serve")
    assert run.returncode == EX_CONFIG
    *lines, machine = run.stderr.splitlines()
    named = {line[2:].partition(":")[0] for line in lines if line[:2] == "- "}
    missing = {"ADMIN_JWT_SECRET", "ADMIN_EMAIL", "ADMIN_PASSWORD_HASH"}
    assert named == {*faulty} - {"APP_ENV"} | missing
    told = json.loads(machine)
    assert told["code"] == "PROD_READINESS_FAILED"
    assert {name for error in told["errors"] for name in error["variables"]} == named
    assert "hunter2" not in run.stderr + run.stdout
    assert "Traceback" not in run.stderr
    assert not (tmp_path / "data").exists()


def test_an_unknown_app_env_is_refused_by_every_command(tmp_path: Path) -> None:
    """`production` is not `prod`: nobody runs under rules they didn't mean."""
    environ = environment(tmp_path / "data", APP_ENV="production")
    for command in (["serve"], ["seed", "rotate"]):
        run = aiba(environ, *command)
        assert run.returncode == EX_CONFIG
        assert "APP_ENV: must be exactly dev, test or prod" in run.stderr


@pytest.mark.parametrize("command", ["serve", "audit"])
def test_a_data_dir_that_can_not_be_made_is_said(tmp_path: Path, command: str) -> None:
    """Where a file stands in the way the message says where and why."""
    (tmp_path / "file").write_text("in the way")
    run = aiba(environment(tmp_path / "file" / "data"), command)
    assert run.returncode == 1
    assert "file/data/aiba.db can't be opened: Not a directory" in run.stderr
    assert "Traceback" not in run.stderr


def test_a_file_that_is_no_store_is_said_and_kept(tmp_path: Path) -> None:
    """Somebody else's file under our name is neither used nor changed."""
    (tmp_path / "aiba.db").write_text("these are my holiday notes, not a database\n" * 20)
    before = (tmp_path / "aiba.db").read_bytes()
    run = aiba(environment(tmp_path), "serve")
    assert run.returncode == 1
    assert "aiba.db can't be opened: file is not a database" in run.stderr
    assert "Traceback" not in run.stderr
    assert (tmp_path / "aiba.db").read_bytes() == before


def test_dev_secrets_are_made_once_and_never_shown(tmp_path: Path) -> None:
    """Without secrets a dev server makes its own, readable by the owner alone."""
    environ = environment(tmp_path / "data", APP_ENV="dev")
    for name in ("TELEGRAM_BOT_TOKEN", "SESSION_SECRET", "BATTLE_SEED_SECRET"):
        del environ[name]
    first, second = aiba(environ, "init-data"), aiba(environ, "init-data")
    assert first.returncode == second.returncode == 0
    kept = tmp_path / "data" / "dev-secrets.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    server = Server(tmp_path / "data", environ)
    try:
        server.wait_until_ready()
        with server.client() as http:
            opened = http.post("/api/auth/session", json={"initData": first.stdout.strip()})
        assert opened.status_code == httpx.codes.OK
        shown = server.printed.read_text() + server.logged.read_text()
    finally:
        server.kill()
    assert not any(secret in shown for secret in json.loads(kept.read_text()).values())
