"""A withdrawal: what was reserved for it, what was signed, and how it ended.

Life: `reserved -> signed -> confirmed`, or `-> refunded` once it has expired on the chain. The
amount stands in the account `claims` until then: debited = confirmed + refunded + in flight.
Where the economy's policy says so, an expired claim is first issued again: `-> reserved`, with the
same seqno and amount and a new validity, a number of times.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from aiba_domain.claims.model import ClaimTerms

VALIDITY_S: Final = 600
"""How long a claim is valid after it was reserved, in seconds of chain time."""

EXPIRY_MARGIN_S: Final = 60
"""How far chain time must be past a claim's validity before its money comes back, in seconds."""


class ClaimState(StrEnum):
    """Where a claim is in its life."""

    RESERVED = "reserved"
    SIGNED = "signed"
    CONFIRMED = "confirmed"
    REFUNDED = "refunded"


OPEN: Final = (ClaimState.RESERVED, ClaimState.SIGNED)
"""The states of claims whose money is in flight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainView:
    """What was seen of a recipient on the chain, in one block.

    `seqno` is the last one the vault has paid to the recipient; `time_s` is the time of a block not
    later than the one in which `seqno` was read, in seconds since the Unix epoch.
    """

    seqno: int
    time_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One withdrawal of a player. Instants are ms, UTC, by the service's clock.

    `signature` is the base64 of the 64 signature bytes, `payload` of the signed cell's BoC. `seen`
    is what of the chain settled it. `reissues` counts how often it was issued again; the terms and
    the signature are those of the last time.
    """

    id: str
    player_id: str
    request_id: str
    source_type: str
    state: ClaimState
    terms: ClaimTerms
    created_at: int
    signature: str | None = None
    payload: str | None = None
    settled_at: int | None = None
    seen: ChainView | None = None
    reissues: int = 0

    @property
    def is_open(self) -> bool:
        """Whether its money is in flight."""
        return self.state in OPEN

    def signed(self, signature: str, payload: str) -> "Claim":
        """Return the claim with its signature."""
        return replace(self, state=ClaimState.SIGNED, signature=signature, payload=payload)

    def reissued(self, seen: ChainView) -> "Claim":
        """Return the expired claim as it is issued once more, still to be signed.

        The terms before can't be paid any more: `seen` is of a block after their validity.
        """
        terms = replace(self.terms, valid_until_s=seen.time_s + VALIDITY_S)
        return replace(
            self,
            state=ClaimState.RESERVED,
            terms=terms,
            signature=None,
            payload=None,
            reissues=self.reissues + 1,
        )

    def settled(self, state: ClaimState, seen: ChainView, now: int) -> "Claim":
        """Return the claim at its end, with what of the chain ended it."""
        return replace(self, state=state, seen=seen, settled_at=now)


def verdict(claim: Claim, seen: ChainView) -> ClaimState | None:
    """Say how a claim has ended by what was seen of the chain, None while it hasn't.

    The chain comes before the clock: a seqno that was reached is a payment, however late. Expired
    is judged by chain time alone, and only with the seqno still below.
    """
    if not claim.is_open:
        return None
    if seen.seqno >= claim.terms.seqno:
        return ClaimState.CONFIRMED
    if seen.time_s > claim.terms.valid_until_s + EXPIRY_MARGIN_S:
        return ClaimState.REFUNDED
    return None
