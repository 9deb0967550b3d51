"""System accounts in shares, so that no document is written by every command.

The balance of `treasury`, `chain`, an emission or a sink is the sum of up to `SHARES` documents.
A unit of work adds to one share: each unit that runs in a process has a number of its own, so no
two of them meet, and each process has numbers of its own (see `berths`). The shares of a day that
is over are put together (see `merging`).

A guarded account's shares are each kept at 0 or above, so their sum is too. What one share can't
pay is taken from the others within the same snapshot.
"""

import heapq
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

AT_ONCE: Final = 64
"""How many units and reads of one store are under way at the most; the others wait."""

SHARES: Final = 4096
"""The most documents that hold one system account: as many as units were ever under way at once."""

_WHOLE: Final = ("player:", "guild:")


def is_shared_out(account: str) -> bool:
    """Tell whether an account is held in shares: all but those of players and guilds are."""
    return not account.startswith(_WHOLE)


def share_of(key: str) -> int:
    """Return the number of the share that a document of an account held in shares is."""
    return int(key.rpartition("#")[2])


def document_id(account: str, share: int) -> str:
    """Name the document that holds an account, or its share number `share`."""
    return f"{account}#{share}" if is_shared_out(account) else account


class Places:
    """Gives each unit of work that runs in this process a number of its own."""

    def __init__(self) -> None:
        """Have given none."""
        self._free: list[int] = []
        self._used = 0

    @contextmanager
    def taken(self) -> Iterator[int]:
        """Take the lowest free number, and give it back."""
        if self._free:
            place = heapq.heappop(self._free)
        else:
            place, self._used = self._used, self._used + 1
        try:
            yield place
        finally:
            heapq.heappush(self._free, place)
