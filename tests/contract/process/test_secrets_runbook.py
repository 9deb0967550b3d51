"""The runbook's pages about secrets, walked through with their commands as they stand."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from string import Template
from typing import Final

import pytest
from click.testing import CliRunner

from aiba_entry.cli.doctor import read_env_file
from aiba_entry.cli.main import main
from aiba_entry.readiness.judgment import judge
from aiba_entry.settings import load
from aiba_entry.signer import environment
from tests.contract.process.support import PATIENCE_S
from tests.support.lasting import lasting
from tests.support.logs import logging_kept
from tests.support.ready import READY
from tests.support.signers import AUDIT_KEY, Files

ROOT: Final = Path(__file__).parents[3]
BASH: Final = [False, pytest.param(True, marks=pytest.mark.soak)]
"""Whether a shell runs the steps, which takes a minute a page."""

STEP: Final = re.compile(r"<!-- step: ([\w-]+) -->\n```console\n(.*?)```", re.DOTALL)
NEW_BOT: Final = "734512:RUNBOOK-tests-token_0123456789abcdef"
PASSWORD: Final = "a password for the runbook's admins"
SECRETS: Final = (
    *("TELEGRAM_BOT_TOKEN", "SESSION_SECRET", "BATTLE_SEED_SECRET", "ADMIN_JWT_SECRET"),
    *("ADMIN_PASSWORD_HASH", "METRICS_TOKEN", "ORACLE_SIGNER_TOKEN"),
)
PLAIN: Final = ("APP_ENV", "CORS_ORIGIN", "TELEGRAM_INITDATA_MAX_AGE_SECONDS", "ADMIN_EMAIL")
WITHDRAWALS: Final = (
    *("ARENA_VAULT_ADDRESS", "AIBA_JETTON_MASTER", "TON_PROVIDER_URL", "TON_PROOF_DOMAINS"),
    "ORACLE_SIGNER_URL",
)


class Operator:
    """Somebody with the service's variables and secrets, who follows a page step by step."""

    def __init__(self, folder: Path, page: str) -> None:
        """Write an environment that production starts with."""
        self.secrets = folder / "secrets"
        self.secrets.mkdir()
        self.env_file = folder / "service.env"
        values = READY
        lines = [f"{name}={values[name]}" for name in (*PLAIN, *WITHDRAWALS)]
        for name in SECRETS:
            (self.secrets / name).write_text(values[name])
            (self.secrets / name).chmod(0o400)
            lines.append(f"{name}_FILE={self.secrets / name}")
        lines += ["AIBA_STORE=sqlite", f"AIBA_DATA_DIR={lasting(folder) / 'data'}"]
        self.env_file.write_text("\n".join(lines) + "\n")
        for name, text in (("token", NEW_BOT), ("password", PASSWORD)):
            (folder / name).write_text(f"{text}\n")
        self.folder = folder
        self.signer_env = self._signer()
        self.bash = False
        self.shell = {
            "ENV_FILE": str(self.env_file),
            "SIGNER_ENV_FILE": str(self.signer_env),
            "SECRETS": str(self.secrets),
            "TOKEN": str(folder / "token"),
            "PASSWORD": str(folder / "password"),
            "EMAIL": "ops2@game.example",
        }
        text = (ROOT / "docs" / "runbook" / page).read_text(encoding="utf-8")
        self.steps: Mapping[str, str] = dict(STEP.findall(text))
        assert len(self.steps) == text.count("```console"), "each block has a step of its own"
        self.done: set[str] = set()

    def _signer(self) -> Path:
        """Make a signer's store with a log that is signed, and the variables with which it runs."""
        files, key = Files(self.folder / "signer"), self.folder / "signer" / "audit-key"
        files.file().close()
        key.write_text(bytes(AUDIT_KEY).hex())
        path = self.folder / "signer.env"
        variables = {
            environment.STORE: files.store,
            environment.LOG: files.log,
            f"{environment.AUDIT_KEY}_FILE": key,
        }
        path.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
        return path

    def do(self, step: str) -> str:
        """Run a step's commands, none of which fails or shows a secret; return what they print."""
        block = re.sub(r"^\$ ", "", self.steps[step], flags=re.MULTILINE)
        before = self.values()
        told = self.by_bash(block) if self.bash else self.here(block)
        assert not [each for each in before | self.values() if each in told]
        assert judge(self.environ).ready
        self.done.add(step)
        return told

    def by_bash(self, block: str) -> str:
        """Let a shell do it, with `aiba` as a process of its own each time."""
        ended = subprocess.run(  # noqa: S603 - this project's own page
            ["bash", "-e", "-c", block],  # noqa: S607 - the one in the path
            env={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **self.shell},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    def here(self, block: str) -> str:
        """Do what a shell would do with the few forms that the pages have, in this process."""
        environ, told = dict(self.shell), ""
        for line in block.replace(" && ", "\n").splitlines():
            words = shlex.split(Template(line).substitute(environ))
            if words[:2] == ["set", "-a"]:
                continue
            if words[0] == ".":
                environ |= read_env_file(Path(words[1]))
                continue
            turned = {}
            for sign in "<>":
                if sign in words:
                    place = words.index(sign)
                    turned[sign] = self.folder / words[place + 1]
                    del words[place : place + 2]
            given = turned["<"].read_text() if "<" in turned else None
            if words[0] == "echo":
                output = f"{words[1]}\n"
            else:
                assert words[0] == "aiba", line
                run = CliRunner().invoke(main, words[1:], env=environ, input=given)
                assert run.exit_code == 0, run.output
                output, told = run.stdout, told + run.stderr
            if ">" in turned:
                turned[">"].write_text(output)
            else:
                told += output
        return told

    @property
    def environ(self) -> Mapping[str, str]:
        """The variables that a process would now be started with."""
        return read_env_file(self.env_file)

    def values(self) -> set[str]:
        """Return every secret there is."""
        files = (*self.secrets.iterdir(), *self.folder.glob("signer/audit-key*"))
        return {path.read_text().strip() for path in files} | {PASSWORD, NEW_BOT}


@pytest.fixture(autouse=True, scope="module")
def _logging() -> Iterator[None]:
    with logging_kept():
        yield


@pytest.fixture(name="operator")
def _operator(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Operator]:
    """Return an operator on a page, who has done all of it in the end."""
    monkeypatch.chdir(tmp_path)
    operator = Operator(tmp_path, request.param)
    yield operator
    assert operator.done == set(operator.steps)


@pytest.mark.parametrize("bash", BASH)
@pytest.mark.parametrize("operator", ["rotate-secrets.md"], indirect=True)
def test_every_secret_is_rotated_as_the_page_says(operator: Operator, *, bash: bool) -> None:
    """There, back, there again and to the end; what a process reads in between is as it says."""
    operator.bash = bash
    assert "store_on_one_machine" in operator.do("status")
    operator.do("announce")
    operator.do("use")
    old = READY["BATTLE_SEED_SECRET"]
    assert load(operator.environ).overlap.battle_seed == (old,)
    operator.do("back")
    assert load(operator.environ).battle_seed_secret == old
    operator.do("use")
    operator.do("turn")
    operator.do("finish")
    operator.do("leaked")
    operator.do("bot")
    assert load(operator.environ).overlap.telegram_bot_token == READY["TELEGRAM_BOT_TOKEN"]
    operator.do("bot-finish")
    assert "SIGNER_TOKENS_FILE" in operator.do("signer")
    operator.do("signer-use")
    operator.do("signer-finish")
    began = operator.do("audit")
    assert "signer status" in began
    (log_key,) = re.findall(r"its public part: (\w+)", began)
    assert json.loads(operator.do("audit-look"))["logKey"] == log_key
    operator.do("audit-finish")
    operator.do("metrics")
    operator.do("metrics-finish")
    settings = load(operator.environ)
    assert settings.telegram_bot_token == NEW_BOT
    assert not set(settings.secrets) & {
        READY[name] for name in SECRETS if name in ("METRICS_TOKEN", "ORACLE_SIGNER_TOKEN")
    }


@pytest.mark.parametrize("bash", BASH)
@pytest.mark.parametrize("operator", ["admin-compromise.md"], indirect=True)
def test_an_admin_is_locked_out_as_the_page_says(operator: Operator, *, bash: bool) -> None:
    """Before the restart nothing but files has changed; after it no old token is good."""
    operator.bash = bash
    added = f'set -a && . "{operator.env_file}" && aiba admin add ops2@game.example'
    operator.steps = {**operator.steps, "add": f'$ {added} < "$PASSWORD"\n'}
    for step in ("add", "look", "account", "pause", "secrets", "resume"):
        operator.do(step)
    admin = load(operator.environ).admin
    assert admin is not None
    assert (admin.jwt_secret, admin.password_hash) != (
        READY["ADMIN_JWT_SECRET"],
        READY["ADMIN_PASSWORD_HASH"],
    )
    assert READY["ADMIN_JWT_SECRET"] not in admin.secrets


@pytest.mark.parametrize("bash", BASH)
@pytest.mark.parametrize("operator", ["telegram-compromise.md"], indirect=True)
def test_a_stolen_bot_is_taken_back_as_the_page_says(operator: Operator, *, bash: bool) -> None:
    """Nothing that the old token or an old session says is believed by what starts then."""
    operator.bash = bash
    for step in ("look", "pause", "revoke", "resume"):
        operator.do(step)
    settings = load(operator.environ)
    assert settings.telegram_bot_token == NEW_BOT
    for name in ("TELEGRAM_BOT_TOKEN", "SESSION_SECRET"):
        assert READY[name] not in settings.secrets
