"""How often a login may be tried: counted from the audit trail, so that all processes count as one.

An attempt counts whether its password was right or not; one that was refused for being one too many
doesn't, so that nobody is kept out for longer by it.
"""

from collections.abc import Collection, Sequence
from typing import Final

from aiba_domain.administration.model import AuditRow
from aiba_domain.instants import MINUTE

WINDOW_MS: Final = 15 * MINUTE
"""How long an attempt counts."""

AT_ONE_ADDRESS: Final = 5
"""How many attempts at one account one address has in a window."""

AT_ONE_ACCOUNT: Final = 20
"""How many attempts at one account all addresses have that it was never logged in to from."""


def locked_until(
    attempts: Sequence[AuditRow], *, address: str, known: Collection[str], now: int
) -> int | None:
    """Return until when an account can't be tried from an address, None if it can now.

    `attempts` are the rows of those at the account within the last window. `known` are addresses
    that it was logged in to from: they have attempts of their own, so that strangers can't lock its
    owner out there.
    """
    recent = [row for row in attempts if row.at > now - WINDOW_MS]
    ends = [_end([row.at for row in recent if row.address == address], AT_ONE_ADDRESS)]
    if address not in known:
        strangers = [row.at for row in recent if row.address not in known]
        ends.append(_end(strangers, AT_ONE_ACCOUNT))
    return max((end for end in ends if end is not None), default=None)


def _end(instants: list[int], limit: int) -> int | None:
    """Return when fewer than `limit` of these still count, None if that is so now."""
    if len(instants) < limit:
        return None
    return sorted(instants)[-limit] + WINDOW_MS
