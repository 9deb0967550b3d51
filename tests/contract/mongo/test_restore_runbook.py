"""The runbook of a restore, done as it says."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from string import Template
from typing import Final

from click.testing import CliRunner

from aiba_entry.cli.main import main
from tests.contract.mongo.places import Place
from tests.contract.process.support import environment

PAGE: Final = Path(__file__).parents[3] / "docs" / "runbook" / "restore.md"
STEP: Final = re.compile(r"<!-- step: (\w+) -->\n *```console\n(.*?)```", re.DOTALL)
STEPS: Final = {
    name: text.strip().removeprefix("$ ")
    for name, text in STEP.findall(PAGE.read_text(encoding="utf-8"))
}


def test_a_loss_is_restored_into_a_new_database(
    places: Callable[[], Place], tmp_path: Path
) -> None:
    """Drilled, put back, brought up to date, audited and checked; the old one stays as it was."""
    old, new = places(), places()
    old.make(3)
    environ = environment(tmp_path, MONGO_URI=old.uri, NEW_MONGO_URI=new.uri, BACKUPS=str(tmp_path))

    def operate(command: str) -> str:
        words = shlex.split(Template(command).substitute(environ))
        given = dict(word.split("=", 1) for word in words[: words.index("aiba")])
        arguments = words[words.index("aiba") + 1 :]
        done = CliRunner().invoke(main, arguments, env=environ | given)
        assert done.exit_code == 0, done.output
        return done.stdout

    operate('aiba backup "$BACKUPS/nightly"')
    assert list(STEPS) == ["drill", "restore", "migrate", "audit", "check"]
    said = {name: operate(command) for name, command in STEPS.items()}
    assert said["drill"].endswith("holds\n")
    assert said["restore"].startswith("restored the state of ")
    assert said["audit"].endswith("sound\n")
    assert said["check"].startswith("fit; ")
    assert (old.units(), new.units()) == (3, 3)
