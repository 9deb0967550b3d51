"""Three verifiers, two of them programs of their own: one verdict on whatever they are handed.

The command `aiba verify` shares the service's code; `verify_battle.py` and `verify_battle.mjs`
share none, and print the same lines.
"""

import hmac
import json
import struct
from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from aiba_domain.battle.receipt import to_json
from aiba_entry.cli.verify import judge
from tests.support.verifiers import (
    VERIFIER,
    called,
    forgeries,
    random_receipts,
    run_node,
    written,
)
from tests.unit.battles import SECRET
from tools import verify_battle

FULL = 52
"""A seed whose first receipt has rules, a guild, bonuses and a boost."""

FOLDER = Path(__file__).resolve().parents[1] / "vectors"


def _cases(stem: str) -> list[dict[str, Any]]:
    text = (FOLDER / f"{stem}.json").read_text(encoding="utf-8")
    cases: list[dict[str, Any]] = json.loads(text)["cases"]
    return cases


def _agree(lines: Iterable[str]) -> Iterator[bool]:
    """Yield the verdict on each receipt, once all three agree on it."""
    sources = list(lines)
    done = run_node([str(VERIFIER), "--receipt", "-", "--secret", SECRET], "\n".join(sources))
    assert not done.stderr
    for source, theirs in zip(sources, done.stdout.splitlines(), strict=True):
        entry = verify_battle.loads(source)
        assert isinstance(entry, dict)
        is_genuine, line = verify_battle.line_for(entry, SECRET, {})
        assert line == theirs, source
        ours = judge(entry, secret=SECRET, published={})
        assert ours.is_genuine is is_genuine, (source, line, ours)
        yield is_genuine


def _honest(seed: int, count: int) -> Iterator[str]:
    return (written(to_json(receipt)) for receipt in random_receipts(seed, count))


def _forged(seed: int, count: int) -> Iterator[str]:
    for receipt in random_receipts(seed, count):
        entry: dict[str, Any] = json.loads(json.dumps(to_json(receipt)))
        yield from map(written, forgeries({**entry, "revealedSecret": SECRET}))


def test_all_three_accept_honest_battles() -> None:
    """Random ones, and the two programs print the same lines."""
    assert all(_agree(_honest(1, 3_000)))


def test_all_three_judge_every_forgery_alike() -> None:
    """Each value of a receipt replaced by each kind of other value, or left out."""
    verdicts = list(_agree(_forged(FULL, 1)))
    assert len(verdicts) > 2_500
    assert verdicts.count(False) > len(verdicts) * 0.9


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_all_three_accept_a_hundred_thousand_battles(seed: int) -> None:
    """In ten parts, so that a failure tells which."""
    assert all(_agree(_honest(1_000 + seed, 10_000)))


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(10))
def test_all_three_judge_many_forgeries_alike(seed: int) -> None:
    """As above, from more receipts."""
    assert list(_agree(_forged(2_000 + seed, 3)))


def test_the_hashes_are_those_of_the_standard_library() -> None:
    """SHA-256 and HMAC of keys and texts of every length around that of a block."""
    texts = [(bytes(range(n)), bytes(range(200 - n))) for n in range(200)]
    calls = [["hmacSha256", key.hex(), text.hex()] for key, text in texts]
    expected = [hmac.digest(key, text, "sha256").hex() for key, text in texts]
    assert called(calls) == expected


def test_the_hashes_are_those_of_the_standards() -> None:
    """FIPS 180-4's examples, and RFC 4231's first, second and sixth."""
    long = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"
    assert called([["sha256", text.hex()] for text in (b"", b"abc", long, b"a" * 1_000_000)]) == [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
    ]
    pairs = [
        (b"\x0b" * 20, b"Hi There"),
        (b"Jefe", b"what do ya want for nothing?"),
        (b"\xaa" * 131, b"Test Using Larger Than Block-Size Key - Hash Key First"),
    ]
    assert called([["hmacSha256", key.hex(), text.hex()] for key, text in pairs]) == [
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
    ]


def test_it_draws_and_seeds_as_the_golden_files_say() -> None:
    """The same cases as the Python file's."""
    cases = _cases("prng")
    drawn = called([["draws", int(case["in"]["seed"]), 16] for case in cases])
    assert drawn == [case["out"]["outputs"] for case in cases]
    cases = [case for case in _cases("battle_seed") if case["class"] != "coercion"]
    seeds = called([["hmacHex", case["in"]["secret"], case["out"]["message"]] for case in cases])
    assert seeds == [case["out"]["hmac_sha256_hex"] for case in cases]


def test_it_scores_as_the_golden_files_say() -> None:
    """Scores of every case that is no bad input."""
    cases = [c for c in _cases("battle_score") if c["class"] not in {"coercion", "degenerate"}]
    calls = []
    for case in cases:
        given_, fighter = case["in"], {"level": 1, **case["in"]["broker"]}
        fighter["level"] = 1 if fighter["level"] is None else fighter["level"]
        mode = {part: given_.get(part) for part in ("arena", "league", "rules")}
        calls.append(["score", fighter, mode, next(verify_battle.mulberry32(given_["seed"]))])
    assert called(calls) == [case["out"]["score"] for case in cases]


def test_it_pays_as_the_golden_files_say() -> None:
    """Rewards of every case, exact."""
    names = {
        "streakMultiplierAt7Days": ("streakMultiplierAt7Days", "1.25"),
        "streakMultiplierAt30Days": ("streakMultiplierAt30Days", "1.5"),
        "streakCapMultiplier": ("streakCapMultiplier", "2"),
        "winStreakBonusBps": ("battleWinStreakBonusBps", "100"),
        "premiumMultiplier": ("premiumRewardMultiplier", "2"),
        "inviteBonusBps": ("referralUnlock3BonusBps", "100"),
    }
    text = (FOLDER / "reward.json").read_text(encoding="utf-8")
    calls, expected = [], []
    for case in json.loads(text, parse_float=str)["cases"]:
        given_, config = case["in"], {k: str(v) for k, v in case["in"]["cfg"].items()}
        rates = {name: config.get(old, usual) for name, (old, usual) in names.items()}
        player = given_.get("innovations")
        bonuses = player and {
            "loginStreakDays": player["login_streak_days"],
            "winStreak": player["battle_win_streak"],
            "premium": player["premium_active"],
            "invites": player.get("referral_uses", 0),
        }
        boost = str(given_["boost"]["multiplier"]) if "boost" in given_ else None
        for currency in ("Aiba", "Neur"):
            per_score = config[f"baseReward{currency}PerScore"]
            factor = str(given_["mode"].get(f"rewardMultiplier{currency}", 1))
            score = case["out"]["score"]
            calls.append(["rewards", score, per_score, factor, bonuses, rates, boost])
            expected.append(case["out"][f"proposed_{currency.lower()}"])
    assert called(calls) == expected


JSON_TEXTS = [
    "0", "-0", "1e5", "-1.5E-3", "123456789012345678901234567890", '"\\u00e9\\ud83c\\udfb2\\/"',
    '"\\ud800"', " [1 , {} , [ ] ]\r\n", '{"a": {"b": null}, "": true}', '{"__proto__": 1}', "01",
    "1.", ".5", "+1", "--1", "1e", "0x1", "NaN", "Infinity", "-Infinity", "tru", "nul", "[1,]",
    "[,1]", '{"a":1,}', "{a:1}", "{'a':1}", '{"a" 1}', '"\t"', '"\\x"', '"\\u12g4"', '"open', "[",
    "{", "]", "1 2", "\ufeff1", "\u00a01", "\x0c1", "", " ", '{"a":1,"a":1}', "9" * 4_300,
    "9" * 4_301, '{"a":{"é":1,"\\u00e9":2}}', "1.7976931348623159e308", "4.9e-324", "/* */1",
]  # fmt: skip


def _read(source: str) -> object:
    try:
        return _kinds(verify_battle.loads(source))
    except (ValueError, verify_battle.UnverifiableError):
        return "refused"


def _kinds(value: object) -> object:
    """Write a value so that its kind and every bit of it show."""
    match value:
        case list():
            return [_kinds(item) for item in value]
        case dict():
            return [[key, _kinds(part)] for key, part in value.items()]
        case bool() | None | str():
            return value
        case int():
            return f"int {Decimal(value):f}"
        case _:
            return "float " + struct.pack("<d", value).hex()


def test_both_programs_read_the_same_json() -> None:
    """Numbers exact, nothing beyond the grammar, no name twice."""
    results = called([["read", source] for source in JSON_TEXTS])
    for source, theirs in zip(JSON_TEXTS, results, strict=True):
        assert theirs == _read(source), source
