"""The verifiers as programs: they agree on everything, and none is fooled."""

import json
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from aiba_domain.battle.receipt import Receipt, to_json
from aiba_domain.battle.resolve import BattleInputs, Emission
from aiba_domain.fairness import epochs as fairness
from aiba_domain.money import exact_text
from aiba_entry.cli.verify import judge, read_fairness, read_json, receipts_in, verify_command
from tests.support.verifiers import VERIFIER, run_node
from tests.unit.battles import (
    COMMITMENT,
    EPOCH,
    ROOT,
    SECRET,
    battles,
    fight,
    is_bound,
    leaves,
    receipts,
    tampered,
)
from tools import verify_battle

ROOT_FOLDER = Path(__file__).resolve().parents[2]
TOOL = ROOT_FOLDER / "tools" / "verify_battle.py"
FOLDER = ROOT_FOLDER / "tests" / "vectors"
OPEN_FAIRNESS = {"epochs": [{"number": EPOCH, "commitment": COMMITMENT, "revealedSecret": None}]}
FAIRNESS = {"epochs": [{"number": EPOCH, "commitment": COMMITMENT, "revealedSecret": SECRET}]}


def _cases(stem: str) -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads((FOLDER / f"{stem}.json").read_text(encoding="utf-8"))[
        "cases"
    ]
    return cases


def _verdicts(entry: dict[str, Any], secret: str | None = SECRET) -> tuple[bool, bool]:
    """Return what the command and the single file say of one receipt."""
    ours = judge(entry, secret=secret, published={})
    theirs, _line = verify_battle.line_for(entry, secret, {})
    return ours.is_genuine, theirs


@given(receipts)
def test_both_accept_honest_battles(receipt: Receipt) -> None:
    """Random fighters, modes, guilds, rates and bonuses, through JSON text."""
    entry = json.loads(json.dumps(to_json(receipt)))
    assert _verdicts(entry) == (True, True)


@given(receipts)
@settings(max_examples=25)
def test_both_find_any_changed_result(receipt: Receipt) -> None:
    """Every value that came out or that the draw was made from, one at a time."""
    for path in filter(is_bound, leaves(to_json(receipt))):
        assert _verdicts(tampered(receipt, path)) == (False, False), path


@given(receipts)
def test_both_need_the_promised_secret(receipt: Receipt) -> None:
    """Another secret, or none, verifies nothing."""
    entry = to_json(receipt)
    assert _verdicts(entry, fairness.epoch_secret(ROOT, EPOCH + 1)) == (False, False)
    assert _verdicts(entry, None) == (False, False)


@given(battles)
def test_both_compute_the_same_outcome(inputs: BattleInputs) -> None:
    """Field by field, from the inputs alone."""
    receipt = fight(inputs, aiba=Emission.GRANTED, neur=Emission.CAP_EXCEEDED)
    entry: Any = to_json(receipt)
    outcome = verify_battle.outcome_of(entry["inputs"], SECRET)
    assert outcome == entry["outcome"]
    assert verify_battle.grant_of(entry["inputs"], outcome, entry["grant"]) == entry["grant"]


@given(st.fractions(min_value=0, max_denominator=10**6))
def test_both_write_fractions_alike(number: Fraction) -> None:
    """Decimals where they end, fractions where they don't."""
    assert verify_battle.decimal_text(number) == exact_text(number)


def test_the_single_file_draws_as_the_golden_files_say() -> None:
    """Seeds and draws."""
    for case in _cases("prng"):
        drawn = list(islice(verify_battle.mulberry32(int(case["in"]["seed"])), 16))
        assert drawn == case["out"]["outputs"]
    for case in _cases("battle_seed"):
        if case["class"] == "coercion":
            continue
        digest = verify_battle.hmac_hex(case["in"]["secret"], case["out"]["message"])
        assert digest == case["out"]["hmac_sha256_hex"]


def test_the_single_file_scores_as_the_golden_files_say() -> None:
    """Scores of every case that is no bad input."""
    for case in _cases("battle_score"):
        if case["class"] in {"coercion", "degenerate"}:
            continue
        given_, fighter = case["in"], {"level": 1, **case["in"]["broker"]}
        fighter["level"] = 1 if fighter["level"] is None else fighter["level"]
        mode = {part: given_.get(part) for part in ("arena", "league", "rules")}
        draw = next(verify_battle.mulberry32(given_["seed"]))
        assert verify_battle.score(fighter, mode, draw) == case["out"]["score"], case["id"]


def test_the_single_file_pays_as_the_golden_files_say() -> None:
    """Rewards of every case, exact."""
    names = {
        "streakMultiplierAt7Days": "1.25",
        "streakMultiplierAt30Days": "1.5",
        "streakCapMultiplier": "2",
        "battleWinStreakBonusBps": "100",
        "premiumRewardMultiplier": "2",
        "referralUnlock3BonusBps": "100",
    }
    text = (FOLDER / "reward.json").read_text(encoding="utf-8")
    for case in json.loads(text, parse_float=str)["cases"]:
        given_, config = case["in"], {k: str(v) for k, v in case["in"]["cfg"].items()}
        rates = {name: config.get(name, usual) for name, usual in names.items()}
        rates["winStreakBonusBps"] = rates.pop("battleWinStreakBonusBps")
        rates["premiumMultiplier"] = rates.pop("premiumRewardMultiplier")
        rates["inviteBonusBps"] = rates.pop("referralUnlock3BonusBps")
        factor = verify_battle.bonus_multiplier(_bonuses(given_), rates)
        assert f"{factor.numerator}/{factor.denominator}" == case["out"]["multiplier"]
        boost = str(given_["boost"]["multiplier"]) if "boost" in given_ else None
        for currency in ("Aiba", "Neur"):
            paid = verify_battle.reward(
                case["out"]["score"],
                config[f"baseReward{currency}PerScore"],
                str(given_["mode"].get(f"rewardMultiplier{currency}", 1)),
                factor,
                boost,
            )
            assert paid == case["out"][f"proposed_{currency.lower()}"], case["id"]


def _bonuses(given_: dict[str, Any]) -> dict[str, Any] | None:
    player = given_.get("innovations")
    return player and {
        "loginStreakDays": player["login_streak_days"],
        "winStreak": player["battle_win_streak"],
        "premium": player["premium_active"],
        "invites": player.get("referral_uses", 0),
    }


@pytest.fixture(name="entry", scope="module")
def _entry() -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    @given(receipts)
    @settings(max_examples=1, database=None, derandomize=True)
    def take(receipt: Receipt) -> None:
        found.append(to_json(receipt))

    take()
    return found[0]


def _run_ours(arguments: list[str], stdin: str) -> tuple[int, str]:
    result = CliRunner().invoke(verify_command, arguments, input=stdin)
    return result.exit_code, result.output


def _run_theirs(arguments: list[str], stdin: str) -> tuple[int, str]:
    done = subprocess.run(  # noqa: S603 - this repository's own file
        [sys.executable, "-I", str(TOOL), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def _run_javascript(arguments: list[str], stdin: str) -> tuple[int, str]:
    done = run_node([str(VERIFIER), *arguments], stdin)
    return done.returncode, done.stdout + done.stderr


commands = pytest.mark.parametrize(
    "run", [_run_ours, _run_theirs, _run_javascript], ids=["aiba", "single file", "javascript"]
)
Run = Callable[[list[str], str], tuple[int, str]]


@commands
def test_one_line_a_battle_and_zero_if_all_are_genuine(run: Run, entry: dict[str, Any]) -> None:
    """One receipt, a list, JSON lines and the service's replies are all read."""
    line = json.dumps(entry)
    sources = {
        line: 1,
        json.dumps([entry, entry]): 2,
        f"{line}\n{line}\n\n{line}\n": 3,
        json.dumps({"ok": True, "data": {"receipt": entry}}): 1,
        json.dumps({"ok": True, "data": {"items": [{"receipt": entry}, {"receipt": entry}]}}): 2,
    }
    for source, count in sources.items():
        code, output = run(["--receipt", "-", "--secret", SECRET], source)
        assert code == 0, output
        assert len(output.splitlines()) == count
        assert all(line.startswith("ok ") for line in output.splitlines())


@commands
def test_the_secret_may_come_with_the_receipt(run: Run, entry: dict[str, Any]) -> None:
    """As the service sends it once the epoch is revealed."""
    code, _ = run(["--receipt", "-"], json.dumps({**entry, "revealedSecret": SECRET}))
    assert code == 0
    code, output = run(["--receipt", "-"], json.dumps({**entry, "revealedSecret": None}))
    assert code == 1
    assert "not revealed" in output


@commands
def test_the_published_commitment_is_compared(
    run: Run, entry: dict[str, Any], tmp_path: Path
) -> None:
    """A receipt under a commitment that was never published is not genuine."""
    receipt, page = tmp_path / "receipt.json", tmp_path / "fairness.json"
    receipt.write_text(json.dumps(entry), encoding="utf-8")
    arguments = ["--receipt", str(receipt), "--fairness", str(page)]
    for reply, code in ((FAIRNESS, 0), ({"ok": True, "data": FAIRNESS}, 0), (OPEN_FAIRNESS, 1)):
        page.write_text(json.dumps(reply), encoding="utf-8")
        assert run(arguments, "")[0] == code
    other = {"number": EPOCH, "commitment": "0" * 64, "revealedSecret": SECRET}
    page.write_text(json.dumps({"epochs": [other]}), encoding="utf-8")
    code, output = run(arguments, "")
    assert code == 1
    assert "published" in output


@commands
def test_one_forgery_spoils_the_lot(run: Run, entry: dict[str, Any]) -> None:
    """Every battle gets its line, and the exit code tells."""
    forged = json.loads(json.dumps(entry))
    forged["outcome"]["score"] += 1
    code, output = run(["--receipt", "-", "--secret", SECRET], json.dumps([entry, forged]))
    assert code == 1
    assert [line.split()[0] for line in output.splitlines()] == ["ok", "FAILED"]
    assert "outcome.score" in output


@commands
@pytest.mark.parametrize(
    "source",
    [
        "",
        "{",
        "[]",
        "5",
        '"x"',
        "null",
        "{}",
        "NaN",
        "[1]",
        "{}\n{}",
        '{"inputs": 5}',
        '{"inputs": {"battleId": "\\u001b[31m"}}',
        '{"inputs": {"\\u001b[31m": 1}, "outcome": 1, "grant": 1, "version": 1}',
        '{"data": {"epochs": []}}',
        "[" * 100_000,
    ],
)
def test_what_is_no_receipt_is_not_genuine(run: Run, source: str) -> None:
    """Whatever is handed over ends in exit code 1, without a traceback or a raw escape."""
    code, output = run(["--receipt", "-", "--secret", SECRET], source)
    assert code == 1
    assert "Traceback" not in output
    assert "\x1b" not in output


@commands
def test_what_says_two_things_is_refused(run: Run, entry: dict[str, Any], tmp_path: Path) -> None:
    """A name given twice in one object, or an epoch published twice."""
    line = json.dumps(entry)
    score = '"score": ' + str(entry["outcome"]["score"])
    assert line.count(score) == 1
    for twice in (
        line.replace(score, '"score": 7, ' + score),
        line.replace(score, '"\\u0073core": 7, ' + score),
        '{"version": 1, ' + line[1:],
        '{"receipt": [], "receipt": ' + line + "}",
        line + "\n" + '{"version": 1, ' + line[1:],
    ):
        code, output = run(["--receipt", "-", "--secret", SECRET], twice)
        assert code == 1
        assert output.startswith("not readable: ")
        assert "duplicate" in output
    page = tmp_path / "fairness.json"
    page.write_text(json.dumps({"epochs": FAIRNESS["epochs"] * 2}), encoding="utf-8")
    code, output = run(["--receipt", "-", "--fairness", str(page)], line)
    assert code == 1
    assert "not readable: epochs.number" in output


@commands
@pytest.mark.parametrize("secret", [5, 0, False, [], {}, ["x"]])
def test_a_secret_that_is_no_text_is_refused(
    run: Run, entry: dict[str, Any], secret: object
) -> None:
    """Even where another one is at hand."""
    code, output = run(
        ["--receipt", "-", "--secret", SECRET], json.dumps({**entry, "revealedSecret": secret})
    )
    assert code == 1
    assert "receipt.revealedSecret: " in output


@commands
def test_a_wrong_command_line_is_exit_code_two(run: Run) -> None:
    """No receipt, and an option that isn't one."""
    for arguments in ([], ["--secret", "x"], ["--receipt", "-", "--nope"], ["--receipt", "-", "x"]):
        assert run(arguments, "{}")[0] == 2


@commands
def test_lines_end_at_line_feeds_only(run: Run, entry: dict[str, Any]) -> None:
    """A separator that only some programs count as the end of a line is part of a text."""
    entry = json.loads(json.dumps(entry))
    entry["inputs"]["mode"]["key"] += "\u2028\x85"
    line = json.dumps(entry, ensure_ascii=False)
    code, output = run(["--receipt", "-", "--secret", SECRET], f"{line}\r\n{line}\r\n")
    assert code == 1
    assert [line.split()[0] for line in output.splitlines()] == ["FAILED", "FAILED"]


@commands
def test_missing_and_broken_files_are_reported(run: Run, tmp_path: Path) -> None:
    """A path that can't be read is exit code 1, not a traceback."""
    broken = tmp_path / "broken.json"
    broken.write_text('{"epochs": [{"number": "1"}]}', encoding="utf-8")
    no_text = tmp_path / "latin.json"
    no_text.write_bytes(b'{"inputs": "\xe9"}')
    for arguments in (
        ["--receipt", str(tmp_path / "missing.json")],
        ["--receipt", "-", "--fairness", str(tmp_path / "missing.json")],
        ["--receipt", "-", "--fairness", str(broken)],
        ["--receipt", str(no_text)],
    ):
        code, output = run(arguments, "{}")
        assert code == 1
        assert "Traceback" not in output


def test_reading_helpers_refuse_what_they_cannot_place() -> None:
    """JSON lines need at least two lines; epochs need a number and a commitment."""
    assert read_json('{"a": 1}\n{"b": 2}') == [{"a": 1}, {"b": 2}]
    with pytest.raises(ValueError, match="line 1"):
        read_json("{oops")
    assert read_fairness(json.dumps(FAIRNESS))[EPOCH].secret == SECRET
    assert list(receipts_in({"battles": []})) == []
