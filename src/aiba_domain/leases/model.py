"""A lease: one worker may do a named piece of work for a while, and is told apart from the last.

Clocks of different machines differ, and a worker that was paused doesn't know that its time is
over. So a lease is no more than a way not to do work twice; what makes a late worker harmless is
its number: whoever takes a lease over gets a higher one, and what the earlier holder then sends is
refused in the unit of work that would have carried it out.
"""

import re
from dataclasses import dataclass, replace
from typing import Final

from aiba_domain.errors import DomainError, InvariantViolation

MAX_TTL_MS: Final = 600_000
"""The longest that a lease lasts without being renewed, in ms."""

MAX_TEXT: Final = 128
"""The longest name, and the longest holder, in characters."""

LOST: Final = "lease lost"
"""The refusal of work under a lease that somebody else has taken, or that was let go of."""

HELD: Final = "lease held"
"""The refusal of a lease that somebody else holds."""

NOBODY: Final = ""
"""The holder of a lease that was let go of."""

_TEXT: Final = re.compile(r"[A-Za-z0-9_.:/-]+")


class LeaseLost(DomainError):  # noqa: N818 - a refusal, named for what happened
    """The work was to be done under a lease that isn't the worker's any more; nothing was done."""

    def __init__(self, name: str) -> None:
        """Name the lease."""
        super().__init__(LOST, lease=name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Who may do the work `name`, until when (ms, UTC), and for the how manieth time it was taken.

    `number` is the fencing number: it grows each time another holder gets the lease, and never
    comes back. `holder` is NOBODY once the lease was let go of. Raises InvariantViolation for a
    number below 1.
    """

    name: str
    holder: str
    number: int
    expires_at: int

    def __post_init__(self) -> None:
        """Check the number."""
        if self.number < 1:
            raise InvariantViolation(f"lease {self.name} has the number {self.number}")

    def is_held(self, now: int) -> bool:
        """Tell whether somebody holds the lease at `now`; at its end nobody does."""
        return self.holder != NOBODY and now < self.expires_at

    def is_same(self, other: "Lease | None") -> bool:
        """Tell whether `other` is this holding of the lease, renewed or not."""
        return other is not None and (other.name, other.holder, other.number) == (
            self.name,
            self.holder,
            self.number,
        )


def is_lease_text(text: str) -> bool:
    """Tell whether a text may name a lease or a holder: up to MAX_TEXT of `A-Z a-z 0-9 _.:/-`."""
    return len(text) <= MAX_TEXT and _TEXT.fullmatch(text) is not None


def is_ttl(ttl_ms: int) -> bool:
    """Tell whether a lease may last so long: 1 to MAX_TTL_MS."""
    return 1 <= ttl_ms <= MAX_TTL_MS


def take(before: Lease | None, *, name: str, holder: str, until: int, now: int) -> Lease | None:
    """Return the lease as `holder` holds it from `now` to `until`, None while another holds it.

    Whoever holds it already keeps its number.
    """
    if before is None:
        return Lease(name=name, holder=holder, number=1, expires_at=until)
    if before.holder == holder:
        return replace(before, expires_at=until)
    if before.is_held(now):
        return None
    return Lease(name=name, holder=holder, number=before.number + 1, expires_at=until)


def let_go(lease: Lease, now: int) -> Lease:
    """Return the lease when its holder has let go of it: anyone may take it, under a new number."""
    return replace(lease, holder=NOBODY, expires_at=now)
