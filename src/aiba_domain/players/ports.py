"""The ports of identity: who opened the game, and the tokens by which a session is known again."""

from typing import Protocol


class NotProven(Exception):  # noqa: N818 - a refusal, as the domain names its own
    """What was shown proves nobody. Its text holds no part of what was shown.

    `expired` tells a genuine proof whose time is over.
    """

    expired: bool = False


class Identity(Protocol):
    """Whom a proof names: a player, when it was made, and which proof it is.

    `auth_date` is in seconds since the Unix epoch. `digest` is the same for one proof however it is
    spelled, and another for any other proof.
    """

    @property
    def player_id(self) -> str:
        """Return the player's id."""
        ...

    @property
    def auth_date(self) -> int:
        """Return when the proof was made, in seconds since the Unix epoch."""
        ...

    @property
    def digest(self) -> str:
        """Return what names the proof."""
        ...


class Identities(Protocol):
    """Judges the proof that a client brings when it opens the game."""

    def identify(self, proof: str, *, now_s: int, max_age_s: int) -> Identity:
        """Return whom a proof names.

        Raises NotProven for any other text, for a proof older than `max_age_s` seconds (0 means
        no bound; then it is `expired`), and for one made well after `now_s`. Nothing else is
        raised, whatever the text.
        """
        ...


class SessionClaim(Protocol):
    """What a genuine session token says; `expires_at_ms` is in ms since the Unix epoch, UTC."""

    @property
    def player_id(self) -> str:
        """Return the player's id."""
        ...

    @property
    def session_id(self) -> str:
        """Return the session's id."""
        ...

    @property
    def expires_at_ms(self) -> int:
        """Return when the session ends."""
        ...


class Sessions(Protocol):
    """Issues session tokens, and reads those it issued."""

    def issue(self, player_id: str, session_id: str, expires_at_ms: int) -> str:
        """Return the token of a session.

        Ids have 1 to 64 of `A-Z a-z 0-9 _ -`. Raises ValueError for others, or for no instant.
        """
        ...

    def read(self, token: str, now_ms: int) -> SessionClaim:
        """Return what a token says, as it was issued.

        Raises NotProven for any other text, in any other spelling, and from `expires_at_ms` on
        (then it is `expired`). Nothing else is raised, whatever the text.
        """
        ...
