"""Plain records for the store's suites: few, small and all of one instant."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from aiba_domain.brokers.listing import Listing
from aiba_domain.brokers.model import Broker
from aiba_domain.claims.claim import ChainView, Claim, ClaimState
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.decision import Refused
from aiba_domain.economy.ledger import Posting
from aiba_domain.guilds.model import Guild
from aiba_domain.money import MAX_AMOUNT, Currency
from aiba_domain.players.model import Player
from aiba_domain.ports import Remembered, Scope

AT: Final = 1_767_268_800_000
"""When all of it happens, in ms since the Unix epoch: 2026-01-01T12:00:00Z."""


class Boom(Exception):  # noqa: N818 - a made-up failure
    """Raised by a unit of work that fails half-way."""


def movement(
    amount: int,
    debit: str = "chain",
    credit: str = "player:1",
    currency: Currency = Currency.NEUR,
) -> Posting:
    """Return a posting with an ordinary reason."""
    return Posting(
        currency=currency,
        amount=amount,
        debit=debit,
        credit=credit,
        reason="test",
        arena="prediction",
        league="rookie",
        source_type="test",
        source_id="1",
    )


def refusal(key: str, *, principal: str = "player:1", fingerprint: str = "f") -> Remembered:
    """Return a remembered refusal."""
    return Remembered(
        scope=Scope(principal=principal, command="broker.train", key=key),
        fingerprint=fingerprint,
        outcome=Refused(code="no energy", details={"need": 10, "have": MAX_AMOUNT}),
        at=AT,
    )


def player(player_id: str) -> Player:
    """Return a new player."""
    return Player(id=player_id, created_at=AT, updated_at=AT, last_seen_at=AT)


def broker(broker_id: str, owner_id: str = "1", created_at: int = AT) -> Broker:
    """Return a fresh broker."""
    return Broker(
        id=broker_id,
        owner_id=owner_id,
        created_at=created_at,
        updated_at=created_at,
        energy_updated_at=created_at,
    )


def guild(number: int, pooled: int, *, members: Sequence[str] = (), active: bool = True) -> Guild:
    """Return a guild whose id rises with `number`."""
    return Guild(
        id=f"{number:024x}",
        name="",
        owner_id="1",
        member_ids=tuple(members),
        created_at=AT,
        active=active,
        pooled=pooled,
    )


def listing(listing_id: str, broker_id: str) -> Listing:
    """Return an active listing."""
    return Listing(id=listing_id, broker_id=broker_id, seller_id="1", price_aiba=10, created_at=AT)


def claim(claim_id: str, state: ClaimState = ClaimState.SIGNED, **fields: Any) -> Claim:
    """Return a claim of player 1; `fields` are those of the claim or of its terms."""
    terms: dict[str, Any] = {
        "vault": "v",
        "jetton_master": "m",
        "recipient": "r",
        "amount": 5,
        "seqno": 1,
        "valid_until_s": 1_700_000_600,
    }
    terms |= {name: fields.pop(name) for name in tuple(fields) if name in terms}
    known: dict[str, Any] = {"player_id": "1", "created_at": AT} | fields
    made = Claim(
        id=claim_id,
        request_id="k",
        source_type="aiba_claim",
        state=ClaimState.RESERVED,
        terms=ClaimTerms(**terms),
        **known,
    )
    return turned(made, state)


def turned(one: Claim, state: ClaimState) -> Claim:
    """Return a claim as it is in another state."""
    if state is ClaimState.RESERVED:
        return replace(one, state=state, signature=None, payload=None, settled_at=None, seen=None)
    signed = one.signed("signature", "payload")
    if state is ClaimState.SIGNED:
        return signed
    return signed.settled(state, ChainView(seqno=one.terms.seqno, time_s=1_700_000_700), AT)


class ClaimBook:
    """What the claims of one example must look like: the port's words over a plain dictionary."""

    def __init__(self) -> None:
        """Start without a claim."""
        self.claims: dict[str, Claim] = {}

    def admits(self, one: Claim) -> bool:
        """Tell whether a claim may stand beside the others."""
        others = [
            other
            for other in self.claims.values()
            if other.id != one.id
            and (other.terms.vault, other.terms.recipient) == (one.terms.vault, one.terms.recipient)
        ]
        if one.is_open and any(other.is_open for other in others):
            return False
        taken = {other.terms.seqno for other in others if other.state is not ClaimState.REFUNDED}
        return one.state is ClaimState.REFUNDED or one.terms.seqno not in taken

    def where(self, chosen: Callable[[Claim], bool]) -> list[Claim]:
        """Return the claims that are meant, oldest first."""
        found = [one for one in self.claims.values() if chosen(one)]
        return sorted(found, key=lambda one: (one.created_at, one.id))
