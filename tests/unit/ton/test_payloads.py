"""Payloads of ton_proof: bound to a player and a time, and nobody else can make one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_adapters.ton.payloads import LIFETIME_MS, PayloadRefused, ProofPayloads
from aiba_domain.idempotency import parse_key

PAYLOADS = ProofPayloads(b"k" * 32)
NONCE = "0123456789abcdef" * 2
players = st.text(min_size=1, max_size=20)


@given(players, st.integers(0, 2**45))
def test_a_payload_holds_for_its_player_until_its_end(player: str, now: int) -> None:
    """To the millisecond."""
    payload, end = PAYLOADS.issue(player, nonce=NONCE, now_ms=now)
    PAYLOADS.check(payload, player, now_ms=now)
    PAYLOADS.check(payload, player, now_ms=end - 1)
    assert end == now + LIFETIME_MS
    with pytest.raises(PayloadRefused, match="over"):
        PAYLOADS.check(payload, player, now_ms=end)


@given(players, players)
def test_a_payload_is_worth_nothing_to_another_player(player: str, other: str) -> None:
    """Nor under another key."""
    payload, _ = PAYLOADS.issue(player, nonce=NONCE, now_ms=1)
    if other != player:
        with pytest.raises(PayloadRefused):
            PAYLOADS.check(payload, other, now_ms=1)
    with pytest.raises(PayloadRefused):
        ProofPayloads(b"q" * 32).check(payload, player, now_ms=1)


@given(st.data())
def test_no_character_can_be_changed(data: st.DataObject) -> None:
    """Any other text is refused, not misread."""
    payload, _ = PAYLOADS.issue("42", nonce=NONCE, now_ms=1)
    place = data.draw(st.integers(0, len(payload) - 1))
    letter = data.draw(st.sampled_from("0123456789abcdefp."))
    changed = payload[:place] + letter + payload[place + 1 :]
    if changed != payload:
        with pytest.raises(PayloadRefused):
            PAYLOADS.check(changed, "42", now_ms=1)


@given(st.text(max_size=60))
def test_any_text_is_refused_by_name(text: str) -> None:
    """Without a crash."""
    with pytest.raises(PayloadRefused):
        PAYLOADS.check(text, "42", now_ms=1)


def test_a_payload_is_an_idempotency_key() -> None:
    """Which is what makes it good for one connection."""
    payload, _ = PAYLOADS.issue("42", nonce=NONCE, now_ms=1_700_000_000_000)
    assert parse_key(payload) == payload


def test_a_short_key_is_refused() -> None:
    """And a nonce that is none."""
    with pytest.raises(ValueError, match="32 bytes"):
        ProofPayloads(b"short")
    with pytest.raises(ValueError, match="nonce"):
        PAYLOADS.issue("42", nonce="x", now_ms=1)


def test_one_key_takes_anothers_place() -> None:
    """Whoever makes payloads by the one and by the other believe each other; a third doesn't."""
    old, new = b"o" * 32, b"n" * 32
    before, after = ProofPayloads(old, new), ProofPayloads(new, old)
    for maker, other in ((before, after), (after, before)):
        payload, _ = maker.issue("1", nonce="0" * 32, now_ms=0)
        other.check(payload, "1", now_ms=1)
        with pytest.raises(PayloadRefused):
            PAYLOADS.check(payload, "1", now_ms=1)
    with pytest.raises(ValueError, match="32 bytes"):
        ProofPayloads(old, b"short")
