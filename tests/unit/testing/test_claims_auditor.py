"""The auditor of claims tells players apart who use one key, and still sees what is wrong."""

from dataclasses import replace

import pytest

from aiba_domain.claims.claim import Claim, ClaimState
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.economy.ledger import Posting
from aiba_domain.money import Currency
from aiba_domain.ports import Entry
from aiba_domain.testing.chain import GENESIS_S, JETTON_MASTER, VAULT
from aiba_domain.testing.claims_auditor import Chain, ClaimsAuditor
from aiba_domain.testing.strategies import wallet_of

KEY = "the key of both"


def claim_of(player: str, state: ClaimState, amount: int = 5) -> Claim:
    """Return a player's claim under the key."""
    return Claim(
        id=f"claim of {player}",
        player_id=player,
        request_id=KEY,
        source_type="aiba_claim",
        state=state,
        terms=ClaimTerms(
            vault=VAULT,
            jetton_master=JETTON_MASTER,
            recipient=wallet_of(player),
            amount=amount,
            seqno=1,
            valid_until_s=GENESIS_S + 600,
        ),
        created_at=1,
        signature=None if state is ClaimState.RESERVED else "signed",
        settled_at=2 if state in (ClaimState.CONFIRMED, ClaimState.REFUNDED) else None,
    )


def moved(*moves: str) -> list[Entry]:
    """Return the entries of moves such as `player:1>claims`, each of 5 AIBA under the key."""
    return [
        Entry(
            number=number,
            at=1,
            posting=Posting(
                currency=Currency.AIBA,
                amount=5,
                debit=move.split(">")[0],
                credit=move.split(">")[1],
                reason="a move",
                arena="chain",
                league="global",
                source_type="aiba_claim",
                source_id=KEY,
            ),
        )
        for number, move in enumerate(moves, start=1)
    ]


def audited(claims: list[Claim], *moves: str) -> ClaimsAuditor:
    """Look at two players' reserved claims, then at what became of them."""
    auditor = ClaimsAuditor()
    chain = Chain(now_s=GENESIS_S, paid=())
    begun = [replace(claim_of(each.player_id, ClaimState.RESERVED)) for each in claims]
    opened = [f"player:{each.player_id}>claims" for each in claims]
    auditor.audit(moved(*opened), begun, [each.terms for each in begun], chain)
    paid = [each.terms for each in claims if each.state is ClaimState.CONFIRMED]
    later = Chain(now_s=GENESIS_S + 1, paid=paid)
    auditor.audit(moved(*opened, *moves), claims, [each.terms for each in begun], later)
    return auditor


def test_two_players_may_use_one_key() -> None:
    """One's claim is paid, the other's money comes back, and both are as they should be."""
    claims = [claim_of("1", ClaimState.CONFIRMED), claim_of("2", ClaimState.REFUNDED)]
    auditor = audited(claims, "claims>chain", "claims>player:2")
    auditor.ended()
    assert (auditor.debited, auditor.confirmed, auditor.refunded) == (10, 5, 5)


@pytest.mark.parametrize(
    ("states", "moves"),
    [
        # The money of one goes back to the other.
        ((ClaimState.REFUNDED, ClaimState.SIGNED), ("claims>player:2",)),
        # One is confirmed, and the money of nobody went to the chain; or it went twice.
        ((ClaimState.CONFIRMED, ClaimState.SIGNED), ()),
        ((ClaimState.CONFIRMED, ClaimState.SIGNED), ("claims>chain", "claims>chain")),
        # Both are confirmed, and only one's money went to the chain.
        ((ClaimState.CONFIRMED, ClaimState.CONFIRMED), ("claims>chain",)),
        # Money goes back to somebody who never gave it.
        ((ClaimState.REFUNDED, ClaimState.SIGNED), ("claims>player:3",)),
    ],
)
def test_what_is_wrong_is_seen_under_one_key_too(
    states: tuple[ClaimState, ClaimState], moves: tuple[str, ...]
) -> None:
    """Each player's money is that player's own."""
    claims = [claim_of(f"{player}", state) for player, state in enumerate(states, start=1)]
    with pytest.raises(AssertionError):
        audited(claims, *moves)
