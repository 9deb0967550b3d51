"""The commands as an operator meets them: what they print, and how they refuse."""

import json
import shutil
from pathlib import Path

from click.testing import CliRunner, Result

from aiba_adapters.backups.sqlite import FILE
from aiba_entry.cli.main import main
from tests.contract.backups.support import make_store, units_in
from tests.contract.process.support import SECRETS, environment


def aiba(folder: Path, *arguments: object, **more: str) -> Result:
    """Run a command on a data directory; it prints no secret and no traceback."""
    done = CliRunner().invoke(main, list(map(str, arguments)), env=environment(folder, **more))
    assert not any(secret in done.output for secret in SECRETS)
    assert done.exception is None or isinstance(done.exception, SystemExit)
    return done


def test_a_backup_is_taken_refused_and_put_back(tmp_path: Path) -> None:
    """Scripts get JSON and exit codes; each refusal names what is in the way."""
    data, target = tmp_path / "data", tmp_path / "backup"
    make_store(data, 3)
    (data / "dev-secrets.json").write_text("a developer's secret")
    told = json.loads(aiba(data, "backup", target, "--json").stdout)
    assert (told["store"], told["entries"], told["rows"]["players"]) == ("sqlite", 3, 3)
    assert told["bytes"] == (target / FILE).stat().st_size
    assert not [each for each in target.iterdir() if b"'s secret" in each.read_bytes()]

    again = aiba(data, "backup", target)
    assert (again.exit_code, "is there already" in again.output) == (1, True)
    occupied = aiba(data, "restore", target)
    assert (occupied.exit_code, "--replace" in occupied.output) == (1, True)
    put_back = aiba(data, "restore", target, "--replace")
    assert put_back.exit_code == 0
    assert told["digest"] in put_back.output
    assert units_in(data) == 3

    (target / FILE).write_bytes(b"")
    refused = aiba(tmp_path / "other", "restore", target)
    assert refused.exit_code == 1
    assert f"- {FILE} has 0 bytes" in refused.output
    drilled = aiba(data, "drill", "--backup", target, "--json")
    assert (drilled.exit_code, json.loads(drilled.stdout)["ok"]) == (1, False)


def test_an_export_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    """A drill without the signer's memory that was asked for would prove less than was asked."""
    make_store(tmp_path / "data", 1)
    export = tmp_path / "signer.json"
    assert "signer.json" in aiba(tmp_path / "data", "drill", "--signer-export", export).output
    export.write_text("{}")
    done = aiba(tmp_path / "data", "drill", "--signer-export", export)
    assert (done.exit_code, "format" in done.output) == (1, True)


def test_a_directory_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    """The system's own reason, in one line."""
    make_store(tmp_path / "data", 1)
    (tmp_path / "file").write_text("")
    done = aiba(tmp_path / "data", "backup", tmp_path / "file" / "backup")
    assert done.exit_code == 1
    assert "file" in done.output
    shutil.rmtree(tmp_path / "data")
    assert "not there" in aiba(tmp_path / "data", "backup", tmp_path / "backup").output
