"""Idempotency keys."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.errors import InvalidInput
from aiba_domain.idempotency import MAX_KEY_LENGTH, parse_key, select_key

keys = st.from_regex(r"[a-zA-Z0-9._:-]{1,128}", fullmatch=True)
blanks = st.text("\t\n\v\f\r \u00a0\u1680\u2003\u2028\u2029\u202f\u205f\u3000\ufeff", max_size=4)
BAD = ["", " ", "a b", "key\u0085", "\u200bkey", "key\u001d", "k\u00e9y", "k" * 129, "a\nb", "a/b"]


@given(keys, blanks, blanks)
def test_a_key_is_its_trimmed_text(key: str, before: str, after: str) -> None:
    """White space around it is what the clients' own trim removes."""
    assert parse_key(before + key + after) == key


@pytest.mark.parametrize("candidate", [*BAD, None])
def test_d30_no_key_is_made_up(candidate: str | None) -> None:
    """Absent and malformed keys give none, so a command that needs one is refused."""
    assert parse_key(candidate) is None
    assert select_key(candidate, None, candidate) is None


@pytest.mark.parametrize("candidate", [0, 1.5, True, ["a"], {"a": 1}, b"a"])
def test_d30_only_a_text_is_a_key(candidate: object) -> None:
    """A number or a list is never read as one: it is refused by the field's name."""
    with pytest.raises(InvalidInput, match="requestId"):
        select_key(candidate, "key")


@given(keys, keys, st.sampled_from(BAD))
def test_the_first_valid_candidate_wins(first: str, second: str, bad: str) -> None:
    """In order of precedence, passing over what is absent or malformed."""
    assert select_key(first, second) == first
    assert select_key(None, first, second) == first
    assert select_key(bad, first) == first


@given(st.text(max_size=140))
def test_a_key_is_short_and_plain(text: str) -> None:
    """Whatever is sent, what comes back fits a log line and a column."""
    key = parse_key(text)
    assert key is None or (1 <= len(key) <= MAX_KEY_LENGTH and key.isascii() and " " not in key)
