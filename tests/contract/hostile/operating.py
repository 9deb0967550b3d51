"""Every `aiba` command, run as an operator does among canaries; what each says is kept."""

import os
import shutil
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

import click
from click.testing import CliRunner

from aiba_entry.cli.main import main
from tests.contract.hostile.canaries import CANARIES, NEW_PASSWORD
from tests.contract.hostile.stage import Told

ELSEWHERE: Final[Mapping[str, str]] = {
    "serve": "runs as a process of its own",
    "devnet": "as above",
    "signer serve": "as above",
    "demo": "starts a service and a chain with secrets of its own, made for the moment",
    "verify": "reads public documents, and no secret",
    "vectors": "as above",
    "simulate": "lives in a process without secrets",
    "crash-matrix": "as above",
    "mutants": "as above",
}
"""The commands that aren't run here, and why."""

READY_OR_NOT: Final = (0, 78)
"""What `aiba doctor` ends with: where the tests keep their files production may not."""

WORD: Final = f"{NEW_PASSWORD}\n"
EMAIL: Final = "cli@game.example"


def commands(command: click.Command = main, words: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield every command there is."""
    if not isinstance(command, click.Group):
        yield " ".join(words)
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        assert inner is not None
        yield from commands(inner, (*words, name))


class Operator:
    """Somebody with a shell; `told` takes what commands say, and the files that they write."""

    def __init__(self, environ: Mapping[str, str], folder: Path, told: Told) -> None:
        """Work in a new folder, with these variables and no others."""
        folder.mkdir()
        self._environ = dict(environ)
        self._folder = folder
        self._told = told
        self.ran: list[str] = []

    def run(
        self,
        *words: str,
        given: str = "",
        codes: tuple[int, ...] = (0,),
        changes: Mapping[str, str] = MappingProxyType({}),
    ) -> str:
        """Run a command to its end, and return all that it said.

        That is its output, its errors, and the traceback that an interpreter would print.
        """
        environ = {**self._environ, **changes}
        others = dict.fromkeys(os.environ.keys() - environ.keys() - {"PATH"})
        ended = CliRunner().invoke(main, words, env={**others, **environ}, input=given)
        text = ended.output
        if ended.exception is not None and not isinstance(ended.exception, SystemExit):
            text += "".join(traceback.format_exception(ended.exception))
        self._told.add(f"aiba {words[0]}", f"{text}\n")
        assert ended.exit_code in codes, f"{words}: {text}"
        self.ran.append(" ".join(words))
        return text

    def looks(self) -> None:
        """Look at a service and its store, and change things, as it may be done beside it."""
        run, here = self.run, self._folder
        run("doctor", codes=READY_OR_NOT)
        run("doctor", "--live", "--json", codes=READY_OR_NOT)
        run("doctor", "--json", codes=READY_OR_NOT, changes={"APP_ENV": "prod", "PORT": "many"})
        run("keys", "status", "--json")
        (here / "pasted").write_text(f"APP_ENV=test\n{CANARIES['SESSION_SECRET']}\n")
        for words in (("doctor",), ("keys", "status")):
            run(*words, "--env-file", str(here / "pasted"), codes=(1,))
        (here / "pasted").unlink()
        (here / "policy.json").write_text('{"repair_neur_cost": 1}')
        run("policy", "change", str(here / "policy.json"))
        run("policy", "show")
        run("seed", "rotate")
        run("seed", "list")
        run("outbox", "list")
        run("outbox", "list", "--json")
        run("audit", "--json", "--export", str(here / "ledger.jsonl"))
        run("backup", str(here / "backup"), "--json")
        run("drill", "--backup", str(here / "backup"), "--json", codes=(0, 1))
        run("migrate", "--dry-run")
        run("init-data")

    def changes(self, broker_id: str) -> None:
        """Look after admins, players, letters and secrets."""
        run = self.run
        run("admin", "add", EMAIL, given=WORD)
        run("admin", "add", EMAIL, given=WORD, codes=(1,))
        run("admin", "reset-password", EMAIL, given=WORD)
        run("admin", "set-role", EMAIL, "operator")
        run("admin", "allow-address", EMAIL, "192.0.2.7")
        for word in ("disable", "enable", "revoke"):
            run("admin", word, EMAIL)
        run("admin", "list")
        run("admin", "verify-audit")
        run("admin", "hash-password", "--cost", "4", given=WORD)
        run("mod", "ban-player", "2", "--reason", "a test")
        run("mod", "unban-player", "2")
        run("mod", "ban-broker", broker_id)
        run("mod", "unban-broker", broker_id)
        run("outbox", "retry", "--all")
        run("outbox", "drop", "--all")
        run("conformance", "--url", "http://127.0.0.1:9", "--timeout", "1", codes=(2,))

    def restores(self, folder: Path) -> None:
        """Put the backup that was taken into another data directory."""
        changes = {"AIBA_DATA_DIR": str(folder)}
        self.run("restore", str(self._folder / "backup"), changes=changes)

    def rotates(self, secrets: Path) -> None:
        """Make secrets and put them in others' places, in a copy of the folder they are in."""
        copy = self._folder / "secrets"
        shutil.copytree(secrets, copy)
        for path in copy.iterdir():
            path.chmod(0o600)
        made = self._folder / "made"
        made.mkdir()
        self.run("keys", "generate", "SESSION_SECRET", "--out", str(made))
        token = {"METRICS_TOKEN_FILE": str(copy / "metrics_token")}
        for step in ((), ("--back",)):
            self.run("keys", "rotate", "METRICS_TOKEN", *step, changes=token)
        given = f"{CANARIES['TELEGRAM_BOT_TOKEN_PREVIOUS']}\n"
        (copy / "telegram_bot_token_previous").unlink()
        bot = {"TELEGRAM_BOT_TOKEN_FILE": str(copy / "telegram_bot_token")}
        self.run("keys", "rotate", "TELEGRAM_BOT_TOKEN", given=given, changes=bot)

    def looks_after_signer(self) -> None:
        """Look after a signer's store, log, policy and keys, none of which anybody uses now."""
        run, here = self.run, self._folder
        log = self._environ["ORACLE_SIGNER_LOG"]
        run("signer", "status")
        run("signer", "export", "--output", str(here / "memory.json"))
        run("signer", "export")
        run("signer", "import", str(here / "memory.json"))
        run("signer", "audit", "verify", log)
        policy = here / "policy.toml"
        policy.write_text(f"{CANARIES['ORACLE_SIGNER_TOKEN']}\n")
        run("signer", "check-policy", str(policy), "--network", "testnet", codes=(1,))
        policy.write_text("")
        run("signer", "check-policy", str(policy), "--network", "testnet")
        public = run("signer", "public-key").strip()
        run("signer", "set-oracle", public)
        run("signer", "new-key", str(here / "oracle.key"))
        run("signer", "new-token", "other", str(here / "token"))
        run("signer", "audit", "adopt")
        run("signer", "lock")
        run("signer", "unlock", "--vault", f"0:{'11' * 32}", codes=(0, 1))
