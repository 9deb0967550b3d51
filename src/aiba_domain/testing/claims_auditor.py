"""An independent model of withdrawals: what ledger, claims, signatures and chain must agree on.

It shares no rule with the code it checks: it knows account names, the four states and the vault's
`now <= validUntil` from the documentation, and looks at both sides of every claim. A claim may be
issued again once the vault can't pay its last issue any more.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from aiba_domain.claims.claim import Claim
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.ports import Entry

_NEXT: Final = {
    "reserved": {"reserved", "signed", "confirmed", "refunded"},
    "signed": {"signed", "confirmed", "refunded"},
    "confirmed": {"confirmed"},
    "refunded": {"refunded"},
}
_OPEN: Final = ("reserved", "signed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """The truth about the chain: its newest block's time, and all that the vault ever paid."""

    now_s: int
    paid: Sequence[ClaimTerms]


class ClaimsAuditor:
    """Follows the life of all claims. Every method raises AssertionError at what must not be."""

    def __init__(self) -> None:
        """Start with no claim."""
        self.debited = self.confirmed = self.refunded = 0
        self.reissued = 0
        self._entries = 0
        self._claims: dict[str, Claim] = {}
        self._moved: dict[tuple[str, str, str], list[str]] = defaultdict(list)
        self._left: dict[tuple[str, str], list[int]] = defaultdict(list)
        self._credited: set[str] = set()
        self._alive: dict[tuple[str, str, int], list[ClaimTerms]] = defaultdict(list)
        self._signed = self._paid = 0
        self._last: dict[tuple[str, str], int] = {}
        self._paid_terms: set[ClaimTerms] = set()
        self._reserved: set[ClaimTerms] = set()
        self._made: set[ClaimTerms] = set()

    def audit(
        self,
        entries: Iterable[Entry],
        claims: Sequence[Claim],
        signed: Sequence[ClaimTerms],
        chain: Chain,
    ) -> None:
        """Check one moment: the whole ledger, all claims, all signatures made, and the chain."""
        self._follow_money(entries)
        self._follow_claims(claims, chain)
        self._follow_chain(chain)
        self._follow_signatures(signed, chain)
        self._compare_books(claims)
        self._compare_chain(claims)

    def ended(self) -> None:
        """Check that nothing is in flight any more, and that the chain paid what was confirmed."""
        flying = [claim for claim in self._claims.values() if claim.state in _OPEN]
        assert not flying, f"still in flight: {flying}"
        paid = sum(terms.amount for terms in self._paid_terms)
        assert paid == self.confirmed, f"the chain paid {paid}, {self.confirmed} were confirmed"
        assert self.debited == self.confirmed + self.refunded

    def _follow_money(self, entries: Iterable[Entry]) -> None:
        """Enter what went into the claims account and out of it."""
        for entry in entries:
            if entry.number <= self._entries:
                continue
            self._entries = entry.number
            posting = entry.posting
            if "claims" not in (posting.debit, posting.credit):
                continue
            assert posting.currency == "AIBA", entry
            source = (posting.source_type, posting.source_id)
            if posting.credit == "chain":
                # It names no player, and two of them may have claims under one key.
                self.confirmed += posting.amount
                self._left[source].append(posting.amount)
                continue
            is_debit = posting.credit == "claims"
            player = posting.debit if is_debit else posting.credit
            assert player.startswith("player:"), entry
            moved = self._moved[player, *source]
            if is_debit:
                self.debited += posting.amount
            else:
                assert moved[:1] == [f"{player}>claims:{posting.amount}"], entry
                self.refunded += posting.amount
            moved.append(f"{posting.debit}>{posting.credit}:{posting.amount}")

    def _follow_claims(self, claims: Sequence[Claim], chain: Chain) -> None:
        """Check that claims stay what they were and only go forward, each with its postings."""
        assert len(claims) >= len(self._claims), "a claim is gone"
        flying = set()
        for claim in claims:
            before = self._claims.get(claim.id)
            if claim is not before:
                self._check_step(before, claim, chain)
                self._check_postings(claim)
                self._claims[claim.id] = claim
                self._reserved.add(claim.terms)
            if claim.state in _OPEN:
                target = (claim.terms.vault, claim.terms.recipient)
                assert target not in flying, f"two claims in flight to {target}"
                flying.add(target)
        left = {source: amounts for source, amounts in self._left.items() if amounts}
        assert not left, f"left for the chain and of no confirmed claim: {left}"

    def _check_step(self, before: Claim | None, claim: Claim, chain: Chain) -> None:
        if before is not None:
            assert claim.player_id == before.player_id, claim
            if claim.reissues == before.reissues:
                assert claim.state in _NEXT[before.state], f"{claim.id} from {before} to {claim}"
                assert claim.terms == before.terms, claim
                assert before.signature in (None, claim.signature), claim
            else:
                self._check_reissue(before, claim, chain)
        assert claim.state != "signed" or claim.signature, claim
        assert claim.state != "reserved" or not claim.signature, claim
        assert (claim.settled_at is None) == (claim.state in _OPEN), claim

    def _check_reissue(self, before: Claim, claim: Claim, chain: Chain) -> None:
        """Check that a claim was issued again once, for the same, after it could be paid."""
        changed = f"{claim.id} from {before} to {claim}"
        assert claim.reissues == before.reissues + 1, changed
        assert before.state in _OPEN, changed
        assert claim.state in _OPEN, changed
        same = replace(before.terms, valid_until_s=claim.terms.valid_until_s)
        assert claim.terms == same, changed
        assert before.terms.valid_until_s < chain.now_s, f"issued again while payable: {changed}"
        is_later = before.terms.valid_until_s < claim.terms.valid_until_s
        assert is_later, f"issued again for a shorter time: {changed}"
        assert claim.signature is None or claim.signature != before.signature, changed
        self.reissued += 1

    def _check_postings(self, claim: Claim) -> None:
        """Check that a claim moved its amount once, and back or on once when it ended."""
        source = (claim.source_type, claim.request_id)
        player, amount = f"player:{claim.player_id}", claim.terms.amount
        moved = self._moved[player, *source]
        expected = [f"{player}>claims:{amount}"]
        if claim.state == "refunded":
            expected.append(f"claims>{player}:{amount}")
        assert moved == expected, f"{claim.id} is {claim.state} and moved {moved}"
        if claim.state == "confirmed" and claim.id not in self._credited:
            left = self._left[source]
            assert amount in left, f"{claim.id} is confirmed, and of {amount} to the chain {left}"
            left.remove(amount)
            self._credited.add(claim.id)

    def _follow_chain(self, chain: Chain) -> None:
        """Note what was paid since, each seqno once and in order."""
        for terms in chain.paid[self._paid :]:
            target = (terms.vault, terms.recipient)
            assert terms.seqno == self._last.get(target, 0) + 1, terms
            self._last[target] = terms.seqno
            self._paid_terms.add(terms)
        self._paid = len(chain.paid)

    def _follow_signatures(self, signed: Sequence[ClaimTerms], chain: Chain) -> None:
        """Check that of all signatures ever made, one at the most can be paid for a seqno.

        And that whoever has a signature has one that was made for these terms.
        """
        for terms in signed[self._signed :]:
            assert terms in self._reserved, f"signed before it was reserved: {terms}"
            others = self._alive[terms.vault, terms.recipient, terms.seqno]
            if terms not in others:
                others.append(terms)
            self._made.add(terms)
        self._signed = len(signed)
        for claim in self._claims.values():
            assert not claim.signature or claim.terms in self._made, f"signed for others: {claim}"
        for place, versions in list(self._alive.items()):
            last = self._last.get(place[:2], 0)
            alive = [terms for terms in versions if terms.valid_until_s >= chain.now_s]
            if place[2] <= last or not alive:
                del self._alive[place]
            else:
                assert len(alive) == 1, f"two signatures can be paid: {alive}"
                self._alive[place] = alive

    def _compare_books(self, claims: Sequence[Claim]) -> None:
        """Check that what was debited is confirmed, refunded, or in flight, to the unit."""
        flying = sum(claim.terms.amount for claim in claims if claim.state in _OPEN)
        assert self.debited == self.confirmed + self.refunded + flying, (
            f"{self.debited} debited, {self.confirmed} confirmed, {self.refunded} refunded,"
            f" {flying} in flight"
        )

    def _compare_chain(self, claims: Sequence[Claim]) -> None:
        """Check that confirmed is paid, and paid is never refunded."""
        paid = set(self._paid_terms)
        for claim in claims:
            if claim.state == "confirmed":
                assert claim.terms in paid, f"confirmed and never paid: {claim}"
            elif claim.state == "refunded":
                assert claim.terms not in paid, f"refunded and paid: {claim}"
            paid.discard(claim.terms)
        assert not paid, f"paid without a claim: {paid}"
