"""Claims of a restored store held against the chain, the signer's memory and the live store.

The ledger says which claims there must be, so none is looked for by any other list.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from aiba_adapters.ton.claim_cell import payload_of
from aiba_domain.claims.claim import ChainView, Claim, ClaimState, verdict
from aiba_domain.claims.commands import claim_id
from aiba_domain.economy.ledger import CHAIN, CLAIMS, player_account
from aiba_domain.money import Currency
from aiba_domain.ports import Entry, Reader
from aiba_domain.signing.interchange import Protection
from aiba_domain.signing.model import Mark

Recipient = tuple[str, str]
"""A vault and who is paid by it, as raw addresses."""

MOST_NAMED: Final = 20
"""How many findings of one kind are named; the rest is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimBook:
    """All claims of a store, and what doesn't fit between them and the ledger."""

    claims: Sequence[Claim]
    faults: Sequence[str] = ()

    @property
    def recipients(self) -> Mapping[Recipient, Sequence[Claim]]:
        """The claims by whom they pay, in the order of their reservation."""
        found: dict[Recipient, list[Claim]] = {}
        for claim in self.claims:
            found.setdefault((claim.terms.vault, claim.terms.recipient), []).append(claim)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What doesn't hold, and what a restored store would lack though the live one knows it."""

    faults: Sequence[str] = ()
    lost: Sequence[str] = ()
    facts: Sequence[str] = ()


def moves_claims(entry: Entry) -> bool:
    """Tell whether an entry reserves money for a claim or settles one."""
    return CLAIMS in (entry.posting.debit, entry.posting.credit)


async def read_claims(read: Reader, moves: Sequence[Entry]) -> ClaimBook:
    """Read the claims that a ledger has reserved money for, and compare the sums.

    `moves` are all its entries that `moves_claims`.
    """
    claims: list[Claim] = []
    faults: list[str] = []
    settled: Counter[ClaimState] = Counter()
    for entry in moves:
        posting = entry.posting
        if posting.debit == CLAIMS:
            end = ClaimState.CONFIRMED if posting.credit == CHAIN else ClaimState.REFUNDED
            settled[end] += posting.amount
            continue
        player_id = posting.debit.removeprefix(player_account(""))
        claim = await read.claim(claim_id(player_id, posting.source_type, posting.source_id))
        if claim is None:
            faults.append(f"entry {entry.number} reserves money for a claim that isn't there")
        elif claim.terms.amount != posting.amount:
            faults.append(f"claim {claim.id} is of {claim.terms.amount}, its entry otherwise")
        else:
            claims.append(claim)
    sums: Counter[ClaimState] = Counter()
    for claim in claims:
        sums[claim.state] += claim.terms.amount
    faults += [
        f"{state} claims sum to {sums[state]}, the ledger says {settled[state]}"
        for state in (ClaimState.CONFIRMED, ClaimState.REFUNDED)
        if sums[state] != settled[state]
    ]
    held = (await read.balances(CLAIMS)).get(Currency.AIBA, 0)
    in_flight = sum(claim.terms.amount for claim in claims if claim.is_open)
    if in_flight != held:
        faults.append(f"claims in flight sum to {in_flight}, the ledger holds {held} for them")
    return ClaimBook(claims=claims, faults=named(faults))


def on_chain(
    book: ClaimBook, views: Mapping[Recipient, ChainView], live: ClaimBook | None
) -> Findings:
    """Hold every claim's seqno against what the chain has paid to its recipient.

    A payment that the book lacks is lost if the live store knows it, and a fault otherwise: a store
    put back so would pay it again.
    """
    faults: list[str] = []
    lost: list[str] = []
    ends: Counter[str] = Counter()
    known_live = _counting(live) if live else {}
    now_live = {claim.id: claim.state for claim in live.claims} if live else {}
    for recipient, claims in book.recipients.items():
        seen = views[recipient]
        for claim in claims:
            if claim.state is ClaimState.CONFIRMED and claim.terms.seqno > seen.seqno:
                faults.append(
                    f"claim {claim.id} is confirmed with seqno {claim.terms.seqno},"
                    f" the chain has paid up to {seen.seqno}"
                )
            end = verdict(claim, seen)
            if claim.is_open:
                ends[_ENDS[end]] += 1
            if end is ClaimState.CONFIRMED and now_live.get(claim.id) is ClaimState.REFUNDED:
                lost.append(f"claim {claim.id} was given back since, and looks paid to this backup")
        given_back = {each.terms.seqno for each in claims if each.state is ClaimState.REFUNDED}
        for seqno in _missing(claims, seen):
            what = f"seqno {seqno} of {recipient[1]} was paid"
            if seqno in known_live.get(recipient, ()):
                lost.append(f"{what} after the backup was taken")
            elif seqno in given_back:
                faults.append(f"{what}, and its money was given back")
            else:
                faults.append(f"{what} by no claim that is known")
    facts = [f"{count} in flight {end}" for end, count in sorted(ends.items())]
    return Findings(faults=named(faults), lost=named(lost), facts=facts)


def by_signer(
    book: ClaimBook, protection: Protection, live: ClaimBook | None, *, time_s: int
) -> Findings:
    """Hold every signed claim against what the signer remembers; `time_s` is chain time, or 0.

    A watermark below a signed claim means a signer that could sign its seqno again.
    """
    faults: list[str] = []
    lost: list[str] = []
    hashes = _hashes(book)
    hashes_live = _hashes(live) if live else {}
    for (vault, recipient), claims in book.recipients.items():
        highest = max((each.terms.seqno for each in claims if each.signature), default=0)
        mark = protection.marks.get((vault, recipient), Mark())
        if mark.seqno < highest:
            faults.append(
                f"the signer's watermark of {recipient} is {mark.seqno},"
                f" a claim was signed with seqno {highest}"
            )
    for key, remembered in protection.claims.items():
        known = hashes.get(key, {})
        digest, until = remembered.payload_hash, remembered.valid_until_s
        what = f"seqno {key[2]} of {key[1]}"
        if digest in known:
            continue
        if digest in hashes_live.get(key, {}):
            lost.append(f"{what} was signed after the backup was taken")
        elif known and until <= max(known.values()):
            faults.append(f"{what}: the signer remembers other terms than the store")
        elif until >= time_s or known:
            faults.append(f"{what} was signed for no claim that is known, valid until {until}")
    facts = [f"{len(protection.claims)} signatures remembered"]
    return Findings(faults=named(faults), lost=named(lost), facts=facts)


def named(findings: Sequence[str]) -> Sequence[str]:
    """Return the first findings, and how many more there are."""
    more = len(findings) - MOST_NAMED
    return (*findings[:MOST_NAMED], *([f"and {more} more"] if more > 0 else []))


_ENDS: Final = {
    ClaimState.CONFIRMED: "will be confirmed",
    ClaimState.REFUNDED: "will be given back or issued again",
    None: "may still be paid",
}


def _counting(book: ClaimBook) -> dict[Recipient, set[int]]:
    return {
        recipient: {each.terms.seqno for each in claims if each.state is not ClaimState.REFUNDED}
        for recipient, claims in book.recipients.items()
    }


def _missing(claims: Sequence[Claim], seen: ChainView) -> Iterator[int]:
    """Yield seqnos that were paid, from the first that was ever claimed here, and are no claim's.

    A few of them: a recipient may have been paid by another service as often as it likes.
    """
    known = {each.terms.seqno for each in claims if each.state is not ClaimState.REFUNDED}
    first = min(each.terms.seqno for each in claims)
    return islice((each for each in range(first, seen.seqno + 1) if each not in known), MOST_NAMED)


def _hashes(book: ClaimBook) -> dict[tuple[str, str, int], dict[bytes, int]]:
    """Return the validity of each payload that was signed for a seqno, by the payload's hash."""
    found: dict[tuple[str, str, int], dict[bytes, int]] = {}
    for claim in book.claims:
        terms = claim.terms
        hashes = found.setdefault((terms.vault, terms.recipient, terms.seqno), {})
        hashes[payload_of(terms).hash] = terms.valid_until_s
    return found
