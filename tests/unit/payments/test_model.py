"""Hashes of transactions: one payment has one name, however it is written."""

import base64
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.errors import InvalidInput
from aiba_domain.payments.model import Purpose, order_comment, transaction_hash

digests = st.binary(min_size=32, max_size=32)


@given(digests)
def test_d19_every_writing_of_a_hash_is_the_same_payment(digest: bytes) -> None:
    """Hex in any case, base64 of both alphabets, with and without its end: else it pays twice."""
    name = digest.hex()
    writings = {name, name.upper()}
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        writings |= {encode(digest).decode(), encode(digest).decode().rstrip("=")}
    assert {transaction_hash(text) for text in writings} == {name}


@given(digests, st.integers(1, 3))
def test_d19_loose_bits_at_the_end_make_no_second_name(digest: bytes, loose: int) -> None:
    """43 characters hold two bits more than 32 bytes; only zeros there are a hash."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    text = base64.b64encode(digest).decode().rstrip("=")
    forged = text[:-1] + letters[letters.index(text[-1]) + loose]
    with pytest.raises(InvalidInput):
        transaction_hash(forged)


@given(st.text(max_size=70) | st.none() | st.integers() | st.binary(max_size=64))
def test_anything_else_is_refused_by_name(text: object) -> None:
    """Never another exception; whatever is taken is 64 lower-case hex digits."""
    with suppress(InvalidInput):
        found = transaction_hash(text, "hash")
        assert len(found) == 64
        assert found == found.lower()


@pytest.mark.parametrize(
    "text",
    [
        *("", "0" * 63, "0" * 65, "g" * 64, "0x" + "0" * 62, " " + "0" * 64, "0" * 64 + "\n"),
        *("A" * 42, "A" * 43 + "==", "A" * 42 + "==", "+" * 21 + "_" * 22, "\uff10" * 64),
    ],
)
def test_what_only_looks_like_a_hash_is_refused(text: str) -> None:
    """Wrong lengths, prefixes, blanks, mixed alphabets and digits of other scripts."""
    with pytest.raises(InvalidInput) as caught:
        transaction_hash(text, "hash")
    assert caught.value.field == "hash"


def test_orders_have_comments_of_their_own() -> None:
    """No two players or purposes share one."""
    comments = {order_comment(purpose, player) for purpose in Purpose for player in ("1", "11")}
    assert len(comments) == 2 * len(Purpose)
    assert order_comment(Purpose.CREATE_BROKER, "7") == "aiba:create-broker:7"
