"""The runbook of backups, done as it says beside a running service with a signer and a chain."""

import json
import re
import shlex
from functools import partial
from pathlib import Path
from string import Template
from typing import Any

from click.testing import CliRunner

from aiba_entry.cli.main import main
from tests.contract.process.support import Player, Server, until
from tests.contract.signer_service.site import Site, ask, claim, state_of

RUNBOOK = Path(__file__).parents[3] / "docs" / "backup.md"
STEP = re.compile(r"<!-- step: (\w+) -->\n *```console\n(.*?)```", re.DOTALL)
STEPS = {
    name: "\n".join(line.strip().removeprefix("$ ") for line in text.splitlines())
    for name, text in STEP.findall(RUNBOOK.read_text(encoding="utf-8"))
}


def operate(site: Site, command: str, *, code: int = 0) -> str:
    """Do a line of the runbook where service and signer are, and return what it printed.

    In this process: a command takes longer to start than to do its work.
    """
    environ = {**site.environ, **site.api_environment("old")}
    program, *arguments = shlex.split(Template(command).substitute(environ))
    assert program == "aiba"
    done = CliRunner().invoke(main, arguments, env=environ)
    assert done.exit_code == code, done.output
    return done.stdout


def drilled(site: Site, *, code: int) -> dict[str, Any]:
    """Run the runbook's drill and return its report."""
    report: dict[str, Any] = json.loads(operate(site, f"{STEPS['drill']} --json", code=code))
    return report


def statuses(report: dict[str, Any]) -> dict[str, str]:
    """Return what became of each check."""
    return {check["name"]: check["status"] for check in report["checks"]}


def confirmed(server: Server, player: Player, key: str) -> bool:
    """Tell whether a claim has come to its end."""
    return state_of(server, player, key) == "confirmed"


def test_a_night_a_drill_and_a_loss(site: Site) -> None:
    """Backed up while it runs; what was paid since is told; put back, it goes on where it was."""
    (site.folder / "backups").mkdir()
    site.environ["BACKUPS"] = str(site.folder / "backups")
    site.start_signer()
    server = site.start_api("old")
    with server.client() as http:
        paid, waiting = (site.player(http, number) for number in (1, 2))
        assert site.pay("1", claim(http, paid, "before"))["exitCode"] == 0
        until(partial(confirmed, server, paid, "before"))
        sent_late = claim(http, waiting, "waits")
        operate(site, STEPS["backup"])
        operate(site, STEPS["export"])
        assert site.pay("1", claim(http, paid, "after"))["exitCode"] == 0
        until(partial(confirmed, server, paid, "after"))
        report = drilled(site, code=0)
        assert set(statuses(report).values()) == {"ok"}
        assert report["rpo"]["entries"] == 2
        assert len(report["rpo"]["payments"]) == 1
        operate(site, STEPS["restore"], code=1)
    assert server.stop() == 0

    said = operate(site, STEPS["restore"])
    assert "what was there before is kept as" in said
    assert operate(site, STEPS["audit"]).endswith("sound\n")
    assert operate(site, STEPS["plan"]).startswith("schema ")
    report = drilled(site, code=1)
    assert statuses(report)["chain"] == "failed"
    assert "was paid by no claim that is known" in json.dumps(report)

    server = site.start_api("old")
    with server.client() as http:
        assert ask(http, paid, "before").json()["claim"]["seqno"] == 1
        assert site.pay("2", sent_late)["exitCode"] == 0
        until(partial(confirmed, server, waiting, "waits"))
    assert server.stop() == 0
