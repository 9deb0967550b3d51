"""What an audit of the ledger can find wrong, and where it stands."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

STANDING: Final = "ledger"
"""The key of the one standing that there is."""

MAX_FINDINGS: Final = 100
"""How many findings are told in detail; all are counted."""


class FindingKind(StrEnum):
    """What kind of thing is wrong."""

    CHAIN = "chain"
    """A checkpoint, or what it covers, isn't what was sealed."""
    ORDER = "order"
    """Entries aren't numbered one after another from 1."""
    ENTRY = "entry"
    """An entry is none that the ledger would have taken."""
    DEBT = "debt"
    """An account owes that may not."""
    CAP = "cap"
    """A day emitted more than any policy of that day allowed."""
    SINK = "sink"
    """Money came out of a sink, or went back into an emission."""
    BALANCE = "balance"
    """A stored balance isn't what the entries come to."""
    IMBALANCE = "imbalance"
    """The stored balances of a currency don't sum to 0."""
    CLAIMS = "claims"
    """What is set aside for withdrawals isn't what is under way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something wrong: of what kind, with what, and in words."""

    kind: FindingKind
    subject: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerStanding:
    """Where the continuous audit stood when it last went round, as every process can read it.

    `at` and `passed_at` are instants in ms, UTC: of that round, and of the last one that found
    nothing wrong, None for none yet. `entries` were gone through, `checkpoints` sealed, of which
    `rechecked` were gone through again since the audit began, and `reread` is the number of the
    last that was; `accounts` were compared. `behind_ms` is how old the oldest entry is that no
    checkpoint covers, 0 without one. `findings` are up to MAX_FINDINGS of `found`.
    """

    name: str = STANDING
    at: int
    passed_at: int | None
    entries: int
    checkpoints: int
    head: str
    rechecked: int
    reread: int
    accounts: int
    behind_ms: int
    found: int
    findings: tuple[Finding, ...]

    @property
    def is_sound(self) -> bool:
        """Tell whether nothing is wrong."""
        return self.found == 0
