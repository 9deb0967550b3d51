"""The strict judge of Telegram's initData."""

import hmac
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import init_data_py
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_adapters.telegram import InitDataRefused, Problem, sign, verify

TOKEN = "123456:TEST"
NOW = 1_700_000_000
GOLDEN = Path(__file__).parents[2] / "vectors" / "init_data.json"
CASES: list[dict[str, Any]] = json.loads(GOLDEN.read_text(encoding="utf-8"))["cases"]


def fields(**changed: str) -> dict[str, str]:
    """Return the fields of a plain launch, with some of them changed."""
    user = json.dumps({"id": 42, "first_name": "A", "username": "bob"})
    return {"auth_date": str(NOW), "query_id": "AAE", "user": user} | changed


def refusal(init_data: str, *, now_s: int = NOW, max_age_s: int = 900) -> Problem:
    """Return why initData is refused."""
    with pytest.raises(InitDataRefused) as caught:
        verify(init_data, bot_token=TOKEN, now_s=now_s, max_age_s=max_age_s)
    return caught.value.reason


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_golden_case_gets_the_strict_verdict(case: dict[str, Any]) -> None:
    """Every recorded launch is judged as a strict verifier judges it."""
    given_in = case["in"]
    try:
        identity = verify(
            given_in["init_data"],
            bot_token=given_in["bot_token"],
            now_s=given_in["now"],
            max_age_s=given_in["max_age"],
        )
    except InitDataRefused:
        assert case["secure_verdict"] is not True
    else:
        assert case["secure_verdict"] is not False
        if case["original"]["ok"]:
            assert case["original"]["user_id"] == identity.player_id


def test_reference_example_gives_its_player() -> None:
    """The documented example of the wire reference names player 42."""
    init_data = (
        "auth_date=1700000000&query_id=AAE&user=%7B%22id%22%3A42%2C%22first_name%22%3A%22A%22%2C"
        "%22username%22%3A%22bob%22%7D"
        "&hash=68563f881c6fcff775a6254c22e6c52b00794742c3f1a2484e90a48191ddf6ac"
    )
    identity = verify(init_data, bot_token=TOKEN, now_s=NOW, max_age_s=900)
    assert (identity.player_id, identity.username, identity.first_name) == ("42", "bob", "A")


def test_an_independent_library_accepts_what_sign_makes_and_the_other_way_round() -> None:
    """Signing and verifying agree with an independent implementation, both ways."""
    ours = sign(fields(start_param="x y&z=ä"), TOKEN)
    assert init_data_py.is_valid_by_hash(ours, TOKEN, expires_in=None)
    theirs = init_data_py.sign(
        init_data_py.UnsignedInitData(user=init_data_py.User(id=7, first_name="Ünal")),
        TOKEN,
        auth_date=NOW,
    )
    assert verify(theirs, bot_token=TOKEN, now_s=NOW, max_age_s=900).first_name == "Ünal"


keys = st.text(min_size=1).filter(lambda key: "\n" not in key and key not in fields() | {"hash": 0})
values = st.text().filter(lambda value: "\n" not in value)


@given(st.dictionaries(keys, values, max_size=6))
def test_signed_fields_of_any_text_verify(extra: dict[str, str]) -> None:
    """Whatever Telegram adds to a launch, its signature covers it and it verifies."""
    init_data = sign(fields() | extra, TOKEN)
    assert verify(init_data, bot_token=TOKEN, now_s=NOW, max_age_s=900).player_id == "42"


@given(st.data())
def test_any_changed_character_is_refused(data: st.DataObject) -> None:
    """No single character of a launch can be changed without being noticed."""
    init_data = sign(fields(), TOKEN)
    place = data.draw(st.integers(0, len(init_data) - 1))
    letter = data.draw(st.sampled_from("0aZ&=%+-"))
    changed = init_data[:place] + letter + init_data[place + 1 :]
    if parse_qsl(changed, keep_blank_values=True) == parse_qsl(init_data):
        return  # another spelling of the same text
    with pytest.raises(InitDataRefused):
        verify(changed, bot_token=TOKEN, now_s=NOW, max_age_s=0)


@given(st.text())
def test_any_text_is_refused_without_another_error(text: str) -> None:
    """A text that nobody signed is refused, whatever it holds."""
    with pytest.raises(InitDataRefused):
        verify(text, bot_token=TOKEN, now_s=NOW, max_age_s=900)


def test_d27_init_data_is_refused_after_its_age() -> None:
    """A launch works within its age to the second, and not after it."""
    init_data = sign(fields(), TOKEN)
    assert verify(init_data, bot_token=TOKEN, now_s=NOW + 900, max_age_s=900).auth_date == NOW
    assert refusal(init_data, now_s=NOW + 901) is Problem.EXPIRED


def test_d28_hash_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The only comparison of the hash is the constant-time one, and its word is final."""
    seen: list[tuple[object, object]] = []

    def refuse(first: object, second: object) -> bool:
        seen.append((first, second))
        return False

    monkeypatch.setattr(hmac, "compare_digest", refuse)
    assert refusal(sign(fields(), TOKEN)) is Problem.MISMATCH
    assert len(seen) == 1
    assert seen[0][0] == seen[0][1]


def test_d29_future_dates_are_refused() -> None:
    """A date more than a minute ahead is refused, also where no age is asked for."""
    init_data = sign(fields(), TOKEN)
    assert verify(init_data, bot_token=TOKEN, now_s=NOW - 60, max_age_s=900).player_id == "42"
    assert refusal(init_data, now_s=NOW - 61) is Problem.FUTURE
    assert refusal(init_data, now_s=NOW - 61, max_age_s=0) is Problem.FUTURE


@pytest.mark.parametrize("date", ["", "NaN", "0", "-1", "1e9", "01700000000", "1700000000.0"])
def test_d29_age_is_never_skipped(date: str) -> None:
    """A date that can't be judged is refused even when genuinely signed."""
    assert refusal(sign(fields(auth_date=date), TOKEN)) is Problem.NO_DATE


def test_d29_repeated_keys_are_refused() -> None:
    """A key that occurs twice is refused, whichever of the two was signed."""
    init_data = sign(fields(), TOKEN)
    user = urlencode({"user": '{"id":1}'})
    assert refusal(f"{init_data}&{user}") is Problem.REPEATED
    assert refusal(f"{user}&{init_data}") is Problem.REPEATED


def test_d29_keys_are_sorted_by_code_unit() -> None:
    """Upper case sorts before lower case and a prefix before what it begins, in any locale."""
    extra = {"Zeta": "1", "auth_date2": "2", "user_": "3"}
    identity = verify(sign(fields(**extra), TOKEN), bot_token=TOKEN, now_s=NOW, max_age_s=900)
    assert identity.player_id == "42"


def test_digest_is_the_same_for_another_spelling() -> None:
    """Another order and escaping of one launch is the same launch; another date is another."""
    init_data = sign(fields(), TOKEN)
    respelled = urlencode(parse_qsl(init_data)[::-1])
    assert respelled != init_data
    first, second = (
        verify(text, bot_token=TOKEN, now_s=NOW, max_age_s=900) for text in (init_data, respelled)
    )
    other = verify(
        sign(fields(auth_date=str(NOW + 1)), TOKEN), bot_token=TOKEN, now_s=NOW, max_age_s=900
    )
    assert first.digest == second.digest != other.digest


def test_profile_texts_can_be_stored() -> None:
    """Lone surrogates and control characters of a profile never reach a store."""
    user = '{"id":5,"first_name":"a\\ud800\\u0000b","last_name":7,"username":"' + "x" * 999 + '"}'
    identity = verify(sign(fields(user=user), TOKEN), bot_token=TOKEN, now_s=NOW, max_age_s=900)
    assert (identity.first_name, identity.last_name) == ("ab", "")
    assert len(identity.username) == 256
