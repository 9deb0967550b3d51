"""What MongoDB's store tells of itself: commands, connections, servers, lost commits.

It is beside the store, so that whoever counts needs no driver, which is an extra. The store knows
nothing of who counts. Every value told is one of the closed sets below: no name of a collection, no
key, no address and no part of a command leaves the store this way.
"""

import asyncio
import weakref
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Protocol

COMMANDS: Final = frozenset(
    {
        "find",
        "getMore",
        "killCursors",
        "aggregate",
        "insert",
        "bulkWrite",
        "update",
        "delete",
        "commitTransaction",
        "abortTransaction",
        "killSessions",
        "endSessions",
        "hello",
        "ping",
        "buildInfo",
        "listCollections",
        "listIndexes",
        "create",
        "createIndexes",
    }
)
"""The commands that the store gives, by the server's names."""

OTHER: Final = "other"
"""What any other command is told as."""


class Trouble(StrEnum):
    """Why a command failed, or a unit of work is run again.

    `CONFLICT`: another unit was first. `NO_TRANSACTION`: the server has none of this number any
    more. `UNCONFIRMED`: carried out, and not confirmed by a majority. `REFUSED` is all else that
    a server says, and passes by nothing that is tried again.
    """

    CONFLICT = "conflict"
    DUPLICATE = "duplicate"
    NOT_PRIMARY = "not_primary"
    NETWORK = "network"
    TIMEOUT = "timeout"
    NO_TRANSACTION = "no_transaction"
    UNCONFIRMED = "unconfirmed"
    TRANSIENT = "transient"
    REFUSED = "refused"


class Resolved(StrEnum):
    """How a commit whose answer was lost came out.

    `CONFIRMED`: asked for again, and answered. `FOUND`: its marker is there. `UNDONE`: its marker
    isn't, and never will be. `UNKNOWN`: the server wasn't back in time.
    """

    CONFIRMED = "confirmed"
    FOUND = "found"
    UNDONE = "undone"
    UNKNOWN = "unknown"


class Closed(StrEnum):
    """Why a connection was closed: `STALE` is one of a pool that was cleared."""

    STALE = "stale"
    IDLE = "idle"
    ERROR = "error"
    POOL_CLOSED = "pool_closed"


class NoConnection(StrEnum):
    """Why whoever wanted a connection got none."""

    TIMEOUT = "timeout"
    POOL_CLOSED = "pool_closed"
    ERROR = "error"


@dataclass(slots=True, kw_only=True)
class Connections:
    """The connections of one client as they are now, over all servers that it knows.

    `primary` is the server that takes writes, as far as is known. The store keeps all this up to
    date, the primary within a second; others only read it.
    """

    open: int = 0
    in_use: int = 0
    wanting: "weakref.WeakSet[asyncio.Task[object]]" = field(default_factory=weakref.WeakSet)
    """Who asked for a connection; the driver doesn't tell of one who stopped waiting for it."""
    primary: tuple[str, int | None] | None = None

    @property
    def waiting(self) -> int:
        """How many want a connection and have none yet."""
        return sum(not task.done() for task in self.wanting)


class Meter(Protocol):
    """Whoever counts. Called on the event loop; must neither block nor raise."""

    def watch(self, connections: Connections) -> None:
        """Keep a client's connections, to look at them whenever it is asked."""
        ...

    def command(self, name: str, seconds: float, trouble: Trouble | None) -> None:
        """Count a command of COMMANDS or OTHER, how long it took, and why it failed if it did."""
        ...

    def connected(self) -> None:
        """Count a connection that was made."""
        ...

    def disconnected(self, why: Closed) -> None:
        """Count a connection that was closed."""
        ...

    def checkout(self, seconds: float, missed: NoConnection | None) -> None:
        """Count who got a connection from the pool or none, and how long that took."""
        ...

    def cleared(self) -> None:
        """Count a pool whose connections were all given up."""
        ...

    def reconnect(self) -> None:
        """Count a server that was lost and is known again."""
        ...

    def primary_changed(self) -> None:
        """Count that another server takes the writes than the one that did before."""
        ...

    def retry(self, why: Trouble) -> None:
        """Count a unit of work that is run again."""
        ...

    def lost_commit(self, outcome: Resolved) -> None:
        """Count a commit whose first answer was none."""
        ...


class Unmetered:
    """Counts nothing."""

    def watch(self, connections: Connections) -> None:
        """Forget it."""

    def command(self, name: str, seconds: float, trouble: Trouble | None) -> None:
        """Forget it."""

    def connected(self) -> None:
        """Forget it."""

    def disconnected(self, why: Closed) -> None:
        """Forget it."""

    def checkout(self, seconds: float, missed: NoConnection | None) -> None:
        """Forget it."""

    def cleared(self) -> None:
        """Forget it."""

    def reconnect(self) -> None:
        """Forget it."""

    def primary_changed(self) -> None:
        """Forget it."""

    def retry(self, why: Trouble) -> None:
        """Forget it."""

    def lost_commit(self, outcome: Resolved) -> None:
        """Forget it."""
