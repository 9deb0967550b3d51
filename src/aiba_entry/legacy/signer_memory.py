"""What a signer must remember of the claims that came over, in the form that signers exchange."""

from collections.abc import Iterable

from aiba_adapters.ton.claim_cell import payload_of
from aiba_domain.claims.claim import Claim
from aiba_domain.legacy.units import Unit
from aiba_domain.signing.interchange import ClaimKey, Protection, higher
from aiba_domain.signing.model import Mark, Network, Protected


def memory_of(units: Iterable[Unit], network: Network) -> Protection:
    """Return the last seqno of each recipient, and the payloads of the claims in flight.

    With it a signer signs no other terms under a seqno that the service before has used.
    """
    claims: dict[ClaimKey, Protected] = {}
    marks: dict[tuple[str, str], Mark] = {}
    for unit in units:
        for claim in unit.records:
            if isinstance(claim, Claim):
                terms = claim.terms
                target = (terms.vault, terms.recipient)
                marks[target] = higher(marks.get(target), Mark(seqno=terms.seqno))
                if claim.is_open:
                    claims[*target, terms.seqno] = Protected(
                        payload_hash=payload_of(terms).hash,
                        valid_until_s=terms.valid_until_s,
                        most=terms.amount,
                    )
    return Protection(network=network, claims=claims, marks=marks)
