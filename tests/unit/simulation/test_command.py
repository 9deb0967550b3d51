"""`aiba simulate` as it is called: reports, ranges of seeds, failures with their replay, traces."""

import json
from collections import Counter
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.moderation.model import Ban
from aiba_entry.cli.main import main
from aiba_entry.cli.simulate import World, read_numbers, run_plan, write_numbers

FAST = ("--steps", "40", "--through", "pipeline")


def call(*options: str) -> Result:
    """Call the command."""
    return CliRunner().invoke(main, ["simulate", *options])


def test_a_seed_is_reported_and_its_trace_kept(tmp_path: Path) -> None:
    """The report names version, seed, digest, what happened, days and speed; so does the file."""
    trace = tmp_path / "trace.txt"
    result = call(*FAST, "--seed", "3", "--trace", str(trace))
    assert result.exit_code == 0, result.output
    digest = next(line for line in result.output.splitlines() if line.startswith("digest "))
    for part in ("version ", "seed 3, 40 steps", "simulated days", "days/s", "0 violations"):
        assert part in result.output
    kept = trace.read_text(encoding="utf-8")
    assert digest in kept
    assert "aiba simulate --seed 3 --steps 40 --through pipeline" in kept
    assert "somebody_acts" in kept


def test_the_same_call_prints_the_same_digest_and_json_says_all() -> None:
    """One document holds the whole report."""
    first, again = (json.loads(call(*FAST, "--seed", "4", "--json").stdout) for _ in range(2))
    assert first["ok"] is True
    assert (first["digest"], first["counts"]) == (again["digest"], again["counts"])
    assert first["version"] == again["version"]
    assert first["days"] > 0


def test_many_seeds_come_to_the_same_however_many_cores_there_are() -> None:
    """A range of seeds has one digest, which is that of the seeds one after another."""
    many = json.loads(call(*FAST, "--seeds", "0..5", "--jobs", "2", "--json").stdout)
    world = World(through="pipeline", store="memory", steps=40, players=3)
    alone = [run_plan(world, world.plan(seed)) for seed in range(6)]
    digest = sha256("".join(outcome.digest for outcome in alone).encode()).hexdigest()
    assert (many["seeds"], many["digest"]) == (6, digest)
    assert many["counts"] == sum((Counter(outcome.counts) for outcome in alone), Counter())


def test_a_failure_is_shrunk_and_its_command_fails_alike(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The printed command replays the shrunk failure with the same text and exit code 1."""
    monkeypatch.setattr(Ban, "holds", lambda *_: False)
    trace = tmp_path / "failure.txt"
    options = ("--through", "pipeline", "--steps", "300", "--trace", str(trace), "--json")
    for seed in range(20):
        result = call("--seed", str(seed), *options)
        if result.exit_code:
            break
    assert result.exit_code == 1
    failure = json.loads(result.stdout)["failure"]
    assert "is banned until" in failure["text"]
    assert failure["replay"] in trace.read_text(encoding="utf-8")
    replayed = call(*failure["replay"].split()[2:])
    assert replayed.exit_code == 1
    assert failure["text"] in replayed.output
    assert failure["replay"] in replayed.output


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--seed", "1", "--seeds", "1..2"), "--seeds"),
        (("--seeds", "5..1"), "--seeds"),
        (("--seeds", "5"), "--seeds"),
        (("--seed", "-1"), "--seed"),
        (("--only", "0"), "--only"),
        (("--only", "401"), "--only"),
        (("--only", "7,3"), "--only"),
        (("--only", "x"), "--only"),
        (("--seeds", "1..2", "--only", "3"), "--only"),
        (("--players", "1"), "--players"),
    ],
)
def test_wrong_options_are_named(options: tuple[str, ...], named: str) -> None:
    """What can't be run is refused with the option that is wrong."""
    result = call(*options)
    assert result.exit_code == 2
    assert named in result.output


@given(st.sets(st.integers(1, 400)))
def test_numbers_of_steps_are_read_as_they_are_written(numbers: set[int]) -> None:
    """Any choice of steps survives the command line."""
    wanted = tuple(sorted(numbers))
    assert read_numbers(write_numbers(wanted), 400) == wanted
