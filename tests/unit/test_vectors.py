"""The golden files, and the command that runs them."""

import json
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from aiba_entry.cli.vector_runners import RUNNERS
from aiba_entry.cli.vectors import Verdict, judge, run, vectors

FOLDER = Path(__file__).resolve().parents[1] / "vectors"
REFUSABLE = {"coercion", "degenerate"}


def _cases(stem: str) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads(
        (FOLDER / f"{stem}.json").read_text(encoding="utf-8"), parse_float=Decimal
    )["cases"]
    return cases


def _write(folder: Path, name: str, content: object) -> None:
    (folder / name).write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize("stem", sorted(RUNNERS))
def test_every_golden_case_holds(
    stem: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not one case fails, and only bad input is refused."""
    (tmp_path / f"{stem}.json").symlink_to(FOLDER / f"{stem}.json")
    assert run(tmp_path) == 0
    cases = _cases(stem)
    refusable = sum(case.get("class") in REFUSABLE for case in cases)
    counts = capsys.readouterr().out.splitlines()[0].removeprefix(f"{stem}.json: ")
    passed, refused, failed = (int(part.split()[1]) for part in counts.split(", "))
    assert passed + refused == len(cases)
    assert refused <= refusable
    assert failed == 0


def test_the_whole_folder_is_known() -> None:
    """Each file in the folder has a runner and each runner its file."""
    assert {path.stem for path in FOLDER.iterdir()} == set(RUNNERS)


@pytest.mark.parametrize("stem", sorted(RUNNERS))
def test_a_wrong_answer_fails(stem: str) -> None:
    """A case whose expectation is spoilt doesn't pass, so passing means something."""
    runner = RUNNERS[stem]
    plain = [c for c in _cases(stem) if judge(stem, runner, c) == Verdict("passed")]
    assert len(plain) >= {"claims": 21, "readiness": 80, "signer_interchange": 90}.get(stem, 201)
    for case in plain:
        if stem == "claims":
            spoilt = {**case, "extra": 1}
        elif stem != "init_data":
            spoilt = {**case, "out": {**case["out"], "extra": 1}}
        elif case["secure_verdict"] is not None:
            spoilt = {**case, "secure_verdict": not case["secure_verdict"]}
        else:
            continue
        assert judge(stem, runner, spoilt).kind == "failed"


def test_every_part_of_a_claim_counts() -> None:
    """A claim whose cell, hash, signature, key or message is another one doesn't pass."""
    case = _cases("claims")[0]
    inputs = {"id", "vault", "jettonMaster", "to", "amount", "seqno", "validUntil", "seedHex"}
    outputs = case.keys() - inputs
    assert len(outputs) == 9
    for name in outputs:
        spoilt = {**case, name: _cases("claims")[-1][name]}
        assert judge("claims", RUNNERS["claims"], spoilt).kind == "failed"


def test_a_file_that_needs_a_missing_package_fails_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the extra, claims are reported as not run, and every other file still runs."""
    monkeypatch.setitem(sys.modules, "aiba_adapters.ton.claim_cell", None)
    for name in ("claims.json", "prng.json"):
        (tmp_path / name).symlink_to(FOLDER / name)
    assert run(tmp_path) == 1
    shown = capsys.readouterr()
    assert "claims.json: needs an extra" in shown.err
    assert "prng.json: passed 300" in shown.out


def test_decided_cases_are_named_with_their_reason() -> None:
    """Where the reference is wrong, the output says which case and why another answer is right."""
    result = CliRunner().invoke(vectors, [str(FOLDER)])
    assert result.exit_code == 0
    lines = [line for line in result.output.splitlines() if line.startswith("  decided ")]
    named = {line.split()[1].rstrip(":") for line in lines}
    split_tags = {"fractional_part", "negative_part", "exact_integer_differs"}
    assert "p-emission_window-67" in named
    assert {
        case["id"]
        for case in _cases("token_splits")
        if split_tags & set(case.get("tags", ())) and case["class"] not in REFUSABLE
    } <= named
    assert all(line.partition(": ")[2] for line in lines)


def test_a_rounded_part_does_not_pass_as_exact() -> None:
    """The reference's own doubly rounded parts are not what is accepted in those cases."""
    case = next(c for c in _cases("token_splits") if "exact_integer_differs" in c.get("tags", ()))
    verdict = judge("token_splits", lambda _given: {**case["out"], "burn": 1}, case)
    assert verdict.kind == "failed"


def test_an_unknown_file_fails(tmp_path: Path) -> None:
    """Nothing in the folder is passed over in silence."""
    _write(tmp_path, "weather.json", {"cases": []})
    assert run(tmp_path) == 1


@pytest.mark.parametrize("name", ["prng.txt", ".keep"])
def test_a_stray_file_fails(name: str, tmp_path: Path) -> None:
    """Also one that only looks like a known one."""
    _write(tmp_path, "prng.json", {"cases": _cases("prng")[:1]})
    assert run(tmp_path) == 0
    _write(tmp_path, name, {"cases": []})
    assert run(tmp_path) == 1


def test_an_empty_or_missing_folder_fails(tmp_path: Path) -> None:
    """No vectors are no proof."""
    assert run(tmp_path) == 1
    assert run(tmp_path / "missing") == 1


@pytest.mark.parametrize("content", [{"cases": []}, {}, [], {"cases": [{}]}, {"cases": 5}])
def test_a_file_without_cases_fails(content: object, tmp_path: Path) -> None:
    """As does one that is not in the golden format."""
    _write(tmp_path, "prng.json", content)
    assert run(tmp_path) == 1


def test_a_failing_case_is_shown_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command exits with 1 and names the case."""
    case = _cases("prng")[0]
    _write(tmp_path, "prng.json", {"cases": [{**case, "out": {"outputs": [1]}}, case | {"id": 2}]})
    assert run(tmp_path) == 1
    out = capsys.readouterr().out
    assert "prng.json: passed 1, refused 0, failed 1" in out
    assert f"FAILED {case['id']}" in out


def test_a_case_that_stops_a_runner_fails() -> None:
    """Missing inputs are a failure of that case, not of the run."""
    verdict = judge("prng", RUNNERS["prng"], {"id": 1, "class": "uint32", "in": {}, "out": {}})
    assert verdict.kind == "failed"
    assert "KeyError" in verdict.detail


def test_refusals_count_only_for_bad_input() -> None:
    """A strict refusal of a plain case is a failure."""
    case = {"id": 1, "class": "plain", "in": {"seed": "x"}, "out": {"outputs": []}}
    assert judge("prng", RUNNERS["prng"], case).kind == "failed"
    assert judge("prng", RUNNERS["prng"], {**case, "class": "coercion"}).kind == "refused"
