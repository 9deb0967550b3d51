"""Session tokens."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_adapters.sessions import MAX_TOKEN_LENGTH, SessionRefused, SessionTokens

KEY = bytes(range(32))
TOKENS = SessionTokens(KEY)
ids = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
instants = st.integers(0, 2**53 - 1)


@given(ids, ids, instants)
def test_token_says_what_it_was_issued_for(player: str, session: str, expiry: int) -> None:
    """A token says its player, session and expiry until that instant, and nothing after it."""
    token = TOKENS.issue(player, session, expiry)
    assert len(token) <= MAX_TOKEN_LENGTH
    read = TOKENS.read(token, expiry - 1)
    assert (read.player_id, read.session_id, read.expires_at_ms) == (player, session, expiry)
    with pytest.raises(SessionRefused) as caught:
        TOKENS.read(token, expiry)
    assert caught.value.expired


@given(ids, ids, st.data())
def test_no_other_spelling_of_a_token_is_genuine(
    player: str, session: str, data: st.DataObject
) -> None:
    """A token with any character changed, added or dropped is refused."""
    token = TOKENS.issue(player, session, 1_000)
    place = data.draw(st.integers(0, len(token)))
    dropped = data.draw(st.integers(0, 2))
    letters = data.draw(st.text(max_size=2))
    changed = token[:place] + letters + token[place + dropped :]
    if changed != token:
        with pytest.raises(SessionRefused):
            TOKENS.read(changed, 0)


@given(st.text())
def test_any_text_is_refused_without_another_error(text: str) -> None:
    """A text that nobody issued is refused."""
    with pytest.raises(SessionRefused):
        TOKENS.read(text, 0)


def test_another_key_refuses() -> None:
    """A token is worth nothing under another key."""
    token = SessionTokens(bytes(32)).issue("42", "s", 1_000)
    with pytest.raises(SessionRefused):
        TOKENS.read(token, 0)


def test_short_keys_and_odd_ids_are_refused() -> None:
    """A weak key and an id that would blur the token's parts are never used."""
    with pytest.raises(ValueError, match="32 bytes"):
        SessionTokens(bytes(31))
    for player in ("", "a.b", "x" * 65, "é"):
        with pytest.raises(ValueError, match="id"):
            TOKENS.issue(player, "s", 1)
