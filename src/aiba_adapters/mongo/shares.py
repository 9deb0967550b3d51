"""System accounts in shares, so that no document is written by every command.

The balance of `treasury`, `chain`, an emission or a sink is the sum of up to `SHARES` documents.
A unit of work adds to one share: each unit that runs in a process has a number of its own, so no
two of them meet, and processes begin at places drawn at random, drawn anew after a conflict.

A guarded account's shares are each kept at 0 or above, so their sum is too. What one share can't
pay is taken from the others within the same snapshot.
"""

import heapq
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

SHARES: Final = 4096
"""The most documents that hold one system account; there are as many as were ever used."""

_WHOLE: Final = ("player:", "guild:")


def is_shared_out(account: str) -> bool:
    """Tell whether an account is held in shares: all but those of players and guilds are."""
    return not account.startswith(_WHOLE)


def document_id(account: str, share: int) -> str:
    """Name the document that holds an account, or its share number `share`."""
    return f"{account}#{share}" if is_shared_out(account) else account


class Places:
    """Gives each unit of work that runs in this process a share number of its own."""

    def __init__(self) -> None:
        """Begin at a random place."""
        self._base = secrets.randbelow(SHARES)
        self._free: list[int] = []
        self._used = 0

    @contextmanager
    def taken(self) -> Iterator[int]:
        """Take the lowest free number, for `share`, and give it back."""
        if self._free:
            place = heapq.heappop(self._free)
        else:
            place, self._used = self._used, self._used + 1
        try:
            yield place
        finally:
            heapq.heappush(self._free, place)

    def share(self, place: int) -> int:
        """Return the share that a number stands for now."""
        return (self._base + place) % SHARES

    def leave(self, place: int, share: int) -> None:
        """Go elsewhere after a conflict on a share: another process is there.

        Only once for all that ran there: whoever met others before the move says nothing new.
        """
        if share == self.share(place):
            self._base = secrets.randbelow(SHARES)
