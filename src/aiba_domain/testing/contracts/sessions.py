"""What whoever issues session tokens owes: a token says what it was issued for, in one spelling."""

from abc import abstractmethod
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.players.ports import NotProven, Sessions
from aiba_domain.testing.contracts.expect import holds, same
from aiba_domain.testing.contracts.suite import (
    Capability,
    Opening,
    PortContract,
    base,
    broad,
    needs,
)

_KEY: Final = bytes(range(32))
_IDS: Final = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
_INSTANTS: Final = st.integers(0, 2**53 - 1)


class SessionsContract(PortContract):
    """Subclass and make an issuer from a key of 32 bytes.

    `reopen`: tokens issued before a restart are read after it, under the same key.
    """

    port = "Sessions"
    version = "1.0"

    @abstractmethod
    def make_sessions(self, key: bytes) -> Sessions:
        """Return what issues and reads tokens under a key."""

    @pytest.fixture(name="tokens")
    def _tokens(self, opening: Opening) -> Sessions:
        with opening:
            return self.make_sessions(_KEY)

    @base
    def test_a_token_says_what_it_was_issued_for(self, tokens: Sessions) -> None:
        """Its player, its session and its end."""
        found = tokens.read(tokens.issue("42", "s-1", 1_000), 999)
        same((found.player_id, found.session_id, found.expires_at_ms), ("42", "s-1", 1_000))

    @broad()
    @given(player=_IDS, session=_IDS, expiry=_INSTANTS)
    def test_a_token_counts_until_it_expires(
        self, tokens: Sessions, player: str, session: str, expiry: int
    ) -> None:
        """Until its last millisecond, and from its end on it is expired."""
        token = tokens.issue(player, session, expiry)
        found = tokens.read(token, expiry - 1)
        same((found.player_id, found.session_id, found.expires_at_ms), (player, session, expiry))
        holds(_refusal(tokens, token, expiry).expired, "a token is expired at its end")

    @broad()
    @given(player=_IDS, session=_IDS, data=st.data())
    def test_no_other_spelling_of_a_token_is_genuine(
        self, tokens: Sessions, player: str, session: str, data: st.DataObject
    ) -> None:
        """A token with any character changed, added or dropped is refused."""
        token = tokens.issue(player, session, 1_000)
        place = data.draw(st.integers(0, len(token)))
        letters, dropped = data.draw(st.text(max_size=2)), data.draw(st.integers(0, 2))
        changed = token[:place] + letters + token[place + dropped :]
        if changed != token:
            _refusal(tokens, changed)

    @broad()
    @given(text=st.text())
    def test_any_text_is_refused_without_another_error(self, tokens: Sessions, text: str) -> None:
        """A text that nobody issued is refused."""
        holds(not _refusal(tokens, text).expired, "any text is not told as expired")

    def test_another_key_refuses(self, tokens: Sessions) -> None:
        """A token is worth nothing under another key."""
        _refusal(tokens, self.make_sessions(bytes(32)).issue("42", "s", 1_000))

    @pytest.mark.parametrize("odd", ["", "a.b", "x" * 65, "é", "a b", "a\x00"])
    def test_ids_that_would_blur_a_token_are_refused(self, tokens: Sessions, odd: str) -> None:
        """No token is issued for them."""
        for player, session in ((odd, "s"), ("42", odd)):
            with pytest.raises(ValueError, match=r".+"):
                tokens.issue(player, session, 1)

    def test_the_key_is_shown_nowhere(self, tokens: Sessions) -> None:
        """No text of the issuer holds the key."""
        for text in (repr(tokens), str(tokens)):
            holds(repr(_KEY)[2:-1] not in text, "the key is not in its repr")
            holds(_KEY.hex() not in text, "the key is not in its repr")

    @needs(Capability.REOPEN)
    def test_tokens_are_read_after_a_restart(self, tokens: Sessions) -> None:
        """Nobody has to log in again."""
        token = tokens.issue("42", "s", 1_000)
        same(self.make_sessions(_KEY).read(token, 999).player_id, "42", "the player")


def _refusal(tokens: Sessions, token: str, now_ms: int = 0) -> NotProven:
    """Return the refusal of a token; it is one, and no other error."""
    with pytest.raises(NotProven) as refused:
        tokens.read(token, now_ms)
    return refused.value
