"""Stand-ins for the ports that a test must be able to set: clock, seed secrets, observer."""

from typing import Final

from aiba_domain.events import Event
from aiba_domain.fairness.epochs import epoch_secret, keeps_promise

NOON: Final = 1_767_268_800_000
"""2026-01-01T12:00:00Z in ms since the Unix epoch: far from midnight on either side."""

ROOT: Final = "a root of seed secrets that is only good for tests"


class SettableClock:
    """A clock that stands still until it is told otherwise."""

    def __init__(self, now: int = NOON) -> None:
        """Start at an instant in ms, UTC."""
        self.instant = now

    def now(self) -> int:
        """Return the instant in ms, UTC."""
        return self.instant

    def advance(self, milliseconds: int) -> None:
        """Go forward, or back for a negative number."""
        self.instant = max(0, self.instant + milliseconds)


class FixedSeeds:
    """Seed secrets derived from a published root."""

    def __init__(self, root: str = ROOT) -> None:
        """Derive from `root`."""
        self._root = root

    def secret(self, number: int) -> str:
        """Return the secret of a seed epoch."""
        return epoch_secret(self._root, number)

    def promised(self, number: int, commitment: str) -> str | None:
        """Return that secret if the epoch was committed to it."""
        secret = self.secret(number)
        return secret if keeps_promise(number, commitment, secret) else None


class Tally:
    """An observer that keeps all it is told."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self.events: list[Event] = []
        self.failures: list[str] = []
        self.replays: list[str] = []

    def committed(self, event: Event) -> None:
        """Keep an event."""
        self.events.append(event)

    def failed(self, command: str) -> None:
        """Keep the name of a command that ended in an unexpected error."""
        self.failures.append(command)

    def replayed(self, command: str) -> None:
        """Keep the name of a command that was answered from memory."""
        self.replays.append(command)
