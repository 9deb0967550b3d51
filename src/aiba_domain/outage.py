"""What every port has in common: that it may be out of order, and the clock that is told the time.

Apart from the other ports, so that a program which isn't the game, as the signer, needs no more.
"""

from typing import Protocol


class Unavailable(Exception):  # noqa: N818 - named for the state of the port
    """A port can't answer now; nothing happened, and the same call may be made again.

    `retry_after_ms` says when that is worth while.
    """

    def __init__(self, reason: str = "", *, retry_after_ms: int = 1_000) -> None:
        """Say why, for the log."""
        super().__init__(reason)
        self.retry_after_ms = retry_after_ms


class Clock(Protocol):
    """The time."""

    def now(self) -> int:
        """Return the instant in ms since the Unix epoch, UTC."""
        ...
