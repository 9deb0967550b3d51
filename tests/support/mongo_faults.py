"""Which commands the store on MongoDB gives, and where each is struck by faults."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final

import pytest
from pymongo.monitoring import (
    CommandFailedEvent,
    CommandListener,
    CommandStartedEvent,
    CommandSucceededEvent,
)

from aiba_adapters.mongo import connecting

STRUCK_IN: Final[Mapping[str, str]] = {
    "find": "a unit",
    "insert": "the search for a lost commit",
    "update": "the opening",
    "bulkWrite": "a unit",
    "commitTransaction": "a unit",
    "abortTransaction": "a unit that is undone",
    "getMore": "a read",
    "aggregate": "a read",
    "killCursors": "a read that is broken off",
    "killSessions": "the search for a lost commit",
    "hello": "the opening",
    "buildInfo": "the opening",
    "listCollections": "the opening",
    "listIndexes": "the opening",
    "create": "the opening",
    "createIndexes": "the opening",
    "endSessions": "the closing",
}
"""By the kind of command: the scenario of `test_faults.py` in which each fault strikes it."""

BEFORE_8: Final = frozenset({"delete"})
"""What a unit gives beside these on a MongoDB before 8.0, which has no `bulkWrite`."""

OF_PLAY: Final = frozenset(
    f"test_{name}"
    for name in ("commits", "faults", "leases", "life", "load", "simulation", "store")
)
"""The modules whose tests play. What restores and migrates is killed by tests of its own."""


class _Kinds(CommandListener):
    """Keeps the kinds of commands that are given."""

    def __init__(self) -> None:
        self.given: set[str] = set()

    def started(self, event: CommandStartedEvent) -> None:
        self.given.add(event.command_name)

    def succeeded(self, event: CommandSucceededEvent) -> None:
        """It was kept when it started."""

    def failed(self, event: CommandFailedEvent) -> None:
        """It was kept when it started."""


@contextmanager
def kinds_given() -> Iterator[set[str]]:
    """Give the kinds of commands that all stores give which are opened meanwhile."""
    kinds = _Kinds()
    with pytest.MonkeyPatch.context() as patch:
        defaults = {**connecting.DEFAULTS, "event_listeners": [kinds]}
        patch.setattr(connecting, "DEFAULTS", defaults)
        yield kinds.given
