"""An independent model of a signer's promises: one payable claim for a seqno, and its limits.

It shares no rule with the code it judges, and knows nothing but the signatures that leave.
"""

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from aiba_domain.claims.model import ClaimTerms
from aiba_domain.signing.policy import Limits

_DAY_S: Final = 86_400
_HOUR_S: Final = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """A signature that left, and the chain time in s by which it was decided."""

    signature: str
    at_s: int


class SigningAuditor:
    """Follows signatures as they leave. Raises AssertionError at one that shouldn't have."""

    def __init__(self, limits: Limits) -> None:
        """Hold a signer to these limits for now."""
        self.limits = limits
        self._issued: dict[tuple[str, str, int], dict[ClaimTerms, Issue]] = defaultdict(dict)

    def highest(self, vault: str, recipient: str) -> int:
        """Return the highest seqno that was signed for a recipient, 0 without one."""
        mine = (place[2] for place in self._issued if place[:2] == (vault, recipient))
        return max(mine, default=0)

    def enter(self, terms: ClaimTerms, signature: str, now_s: int) -> bool:
        """Take a signature in, decided at a chain time in s; return whether it is a new one."""
        issued = self._issued[terms.vault, terms.recipient, terms.seqno]
        known = issued.get(terms)
        if known is not None:
            assert signature == known.signature, f"{terms} has two signatures"
            return False
        for other, issue in issued.items():
            # What was decided first may leave last.
            is_apart = other.valid_until_s < now_s or terms.valid_until_s < issue.at_s
            assert is_apart, f"at {now_s} two claims can be paid: {other}, {terms}"
        assert now_s <= terms.valid_until_s <= now_s + _HOUR_S, f"at {now_s} {terms} is signed"
        issued[terms] = Issue(signature=signature, at_s=now_s)
        self._check_limits(terms, now_s // _DAY_S)
        return True

    def _check_limits(self, terms: ClaimTerms, day: int) -> None:
        limits, vault = self.limits, terms.vault
        for name, limit, used in (
            ("a claim", limits.claim, terms.amount),
            (
                "a recipient and day",
                limits.recipient_day,
                self._used(vault, terms.recipient, day),
            ),
            ("a day", limits.day, self._used(vault, None, day)),
            ("a lifetime", limits.lifetime, self._used(vault, None, None)),
        ):
            assert used <= limit, f"{used} may be paid of {name}, where {limit} is the limit"

    def _used(self, vault: str, recipient: str | None, day: int | None) -> int:
        """Return what may be paid by what was signed: of each seqno the largest claim."""
        return sum(
            max(
                (
                    terms.amount
                    for terms, issue in issued.items()
                    if day in (None, issue.at_s // _DAY_S)
                ),
                default=0,
            )
            for (where, who, _), issued in self._issued.items()
            if where == vault and recipient in (None, who)
        )
