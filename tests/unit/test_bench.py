"""The benchmark itself runs, tiny: what it measured here is worth nothing, that it can is all."""

import json
from pathlib import Path

import pytest

import bench.__main__ as program
from bench.load import percentile
from bench.report import Figure, Machine, Report

TINY = program.Size(
    rounds=1,
    loads=1,
    seconds=0.05,
    few=20,
    many=60,
    battles=40,
    replays=40,
    players=8,
    claims=200,
    chain_claims=20,
    mongo_battles=32,
    mongo_processes=(),
    audit_s=1,
)


def _report(*figures: Figure) -> Report:
    return Report(machine=Machine.this(), figures=figures, seconds=1.0)


def test_every_part_of_the_benchmark_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One tiny run gives every figure, has no request refused, and leaves nothing behind."""
    monkeypatch.setattr(program, "QUICK", TINY)
    assert program.main(["--quick", "--json", "--folder", str(tmp_path)]) in (0, 1)
    figures = {item["name"]: item for item in json.loads(capsys.readouterr().out)["figures"]}
    assert {
        "import aiba_domain",
        "aiba serve to its first 200 of /health",
        "receipts replayed one at a time, one core",
        "claims signed (hash and sign) : bare PyNaCl signing",
        "claims signed (hash, sign, BoC, base64) : bare PyNaCl signing",
        "local chain: transactions of these claims",
        "isolated signer : bare PyNaCl signing",
        "pipeline on the memory store",
        "pipeline on the SQLite store",
        "battle/run : no-op",
        "battle/run, p99 : median",
        "battle/run with metrics, logs and audit : without",
        "processor time of a battle without them : with",
        "60 rows : 20 rows",
        "MongoDB store : bare driver",
    } <= figures.keys()
    assert figures["errors"]["value"] == 0
    assert figures["errors with and without them"]["value"] == 0
    assert list(tmp_path.iterdir()) == []


def test_a_missed_target_is_named() -> None:
    """A figure at its lower bound is met, one at its upper bound is not."""
    least = Figure(name="a", value=0.25, unit="x", at_least=0.25)
    most = Figure(name="b", value=60.0, unit="ms", below=60)
    assert _report(least, most, Figure(name="c", value=1.0)).missed == [most]


def test_the_table_shows_what_was_measured_beside_its_target() -> None:
    """Both tables hold the value, its target and whether it is met."""
    shown = _report(Figure(name="rate", value=12_345.6, unit="/s", at_least=10_000, note="why"))
    row = "| rate | 12,346/s (why) | at least 10,000/s met |"
    assert row in shown.to_markdown()
    assert all(part in shown.to_text() for part in ("12,346/s (why)", "at least 10,000/s", "met"))


def test_percentiles_are_values_that_were_seen() -> None:
    """A percentile is one of the values, also of a single one."""
    values = [float(number) for number in range(100)]
    assert (percentile(values, 50), percentile(values, 99), percentile([7.0], 99)) == (50, 99, 7)
