"""`aiba mutants` says what killed each fault, and fails for a survivor."""

import json

import pytest
from click.testing import CliRunner

from aiba_domain.testing.mutants import ABSENT, MUTANTS, Mutant, Outcome, Verdict
from aiba_domain.testing.mutants.report import defect_lines, is_good, line, summary, to_json
from aiba_entry.cli.main import main

FIRST: Mutant = next(mutant for mutant in MUTANTS if mutant.id == "upsert-debit")
KILLED = Verdict(mutant=FIRST, outcome=Outcome.KILLED, attempts=1, told="DID NOT RAISE")
ALIVE = Verdict(mutant=FIRST, outcome=Outcome.SURVIVED)


def test_a_verdict_names_the_property_and_the_budget() -> None:
    """One line each, and a survivor stands out with what it breaks."""
    assert line(KILLED).startswith("killed    upsert-debit ")
    assert "LedgerContract.test_guarded_account_never_goes_below_zero[player:1]" in line(KILLED)
    assert "attempt 1 of 1" in line(KILLED)
    assert line(ALIVE).startswith("SURVIVED  upsert-debit ")
    assert FIRST.breaks in line(ALIVE)
    assert summary([KILLED, ALIVE]) == (
        "2 planted faults: 1 killed, 1 survived, 0 unsound, 0 broken"
    )


@pytest.mark.parametrize("outcome", [each for each in Outcome if each is not Outcome.KILLED])
def test_only_kills_are_good(outcome: Outcome) -> None:
    """Neither a survivor nor an unsound property is, and nothing isn't either."""
    assert is_good([KILLED])
    assert not is_good([KILLED, Verdict(mutant=FIRST, outcome=outcome)])
    assert not is_good([])


def test_the_defects_are_listed_each_once() -> None:
    """With the faults they are planted as, or why they have nowhere to live."""
    lines = defect_lines(MUTANTS)
    assert len(lines) == len({text.partition(":")[0] for text in lines})
    assert any(text.startswith("D-01: ") and "upsert-debit" in text for text in lines)
    assert any(text == f"D-38: not in this build: {ABSENT['D-38'].why}" for text in lines)


def test_the_json_says_the_same() -> None:
    """Counts, each fault with its property and budget, and the defects."""
    document = json.loads(to_json([KILLED, ALIVE]))
    assert (document["good"], document["killed"], document["survived"]) == (False, 1, 1)
    assert [each["outcome"] for each in document["mutants"]] == ["killed", "survived"]
    assert document["mutants"][0]["property"] == FIRST.killed_by.name
    assert document["mutants"][0]["budget"] == FIRST.budget
    assert document["defects"]["D-01"] == ["upsert-debit", "upsert-debit"]


def test_the_command_plants_what_it_is_told_to() -> None:
    """And ends with 0 when all are dead; another name is refused with the names there are."""
    runner = CliRunner()
    done = runner.invoke(main, ["mutants", "--only", "upsert-debit", "--defects"])
    assert done.exit_code == 0, done.output
    assert "1 planted faults: 1 killed" in done.output
    assert "D-01: upsert-debit" in done.output
    printed = runner.invoke(main, ["mutants", "--only", "lost-write", "--json"])
    assert json.loads(printed.output)["good"]
    refused = runner.invoke(main, ["mutants", "--only", "nonesuch"])
    assert refused.exit_code == 2
    assert "upsert-debit" in refused.output
