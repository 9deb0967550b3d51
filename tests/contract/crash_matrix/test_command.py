"""`aiba crash-matrix`: the table, the document, and an exit code that says what they say."""

import json
from functools import partial

import pytest
from click.testing import CliRunner

from aiba_domain.testing.crash_matrix import Cell, Fault, run_matrix
from aiba_entry.cli import crash_matrix as module
from aiba_entry.cli.main import main

ONE = frozenset({Cell(call="Reader.balances", fault=Fault.CRASH_AFTER)})
NONE = frozenset[Cell]()


def command(monkeypatch: pytest.MonkeyPatch, only: frozenset[Cell], *words: str) -> tuple[int, str]:
    """Run the command on some of the cells; return its exit code and what it printed."""
    monkeypatch.setattr(module, "run_matrix", partial(run_matrix, only=only))
    result = CliRunner().invoke(main, ["crash-matrix", "--depth", "short", *words])
    return result.exit_code, result.stdout


@pytest.mark.parametrize("store", ["memory", "sqlite"])
def test_the_table_is_printed(monkeypatch: pytest.MonkeyPatch, store: str) -> None:
    """A row for the call, and the counts in the last line."""
    code, text = command(monkeypatch, ONE, "--store", store)
    assert code == 0
    assert text.splitlines()[-1].startswith("1 cells: 1 passed, 0 failed")


@pytest.mark.parametrize("command_name", ["crash-matrix", "simulate"])
@pytest.mark.parametrize(
    ("given", "told"),
    [
        ((), "needs --mongo-uri"),
        (("--mongo-uri", "mongodb://host/aiba"), "no database"),
        (("--mongo-uri", "http://host/"), "no database"),
    ],
)
def test_mongo_needs_a_server(command_name: str, given: tuple[str, ...], told: str) -> None:
    """A server and no database: those that are made are dropped again."""
    result = CliRunner().invoke(main, [command_name, "--store", "mongo", *given])
    assert (result.exit_code, told in result.stderr) == (2, True)


def test_the_document_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one JSON document."""
    code, text = command(monkeypatch, ONE, "--json")
    assert (code, json.loads(text)["passed"]) == (0, 1)


def test_a_matrix_without_a_run_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that ran is nothing that passed."""
    assert command(monkeypatch, NONE)[0] == 1
