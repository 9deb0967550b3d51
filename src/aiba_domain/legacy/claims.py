"""Withdrawals of the service before: what the vault may still pay, and what it has paid.

A claim was a debit in the ledger with the terms beside it; one made with a battle kept its
signature in the battle. The next seqno of a recipient was only issued once the chain had reached
the one before, so of a recipient's claims all but the last are paid. The last is in flight, however
old: only the chain can tell, so it is imported as such, and the settlement asks the chain.
"""

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import floor
from typing import Final

from aiba_domain.claims.claim import ChainView, Claim, ClaimState
from aiba_domain.claims.commands import BY_BATTLE, BY_REQUEST, claim_id
from aiba_domain.claims.model import MAX_SEQNO, MAX_VALID_UNTIL, ClaimTerms
from aiba_domain.economy.ledger import CHAIN, CLAIMS, Posting, player_account
from aiba_domain.errors import InvalidInput
from aiba_domain.instants import SECOND
from aiba_domain.legacy.values import NOBODY, Document, Plain, born, number
from aiba_domain.money import MAX_AMOUNT, Currency

WITHDRAWAL: Final = "withdraw_to_chain"
SOURCES: Final = (BY_REQUEST, BY_BATTLE)
_SIGNATURE_BYTES: Final = 64
_CONFIRMED: Final = "claim_confirmed"

Canonical = Callable[[str], str]
"""Writes an address in its canonical form; raises InvalidInput for a text that is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A claim with its terms. `debited` is what the ledger took for it, None without a debit."""

    owner: str
    source_type: str
    key: str
    at: int
    terms: ClaimTerms
    signature: str
    payload: str
    debited: int | None

    @property
    def id(self) -> str:
        """The claim's id, by which a repeated key finds it."""
        return claim_id(self.owner, self.source_type, self.key)


def is_withdrawal(row: Document) -> bool:
    """Tell whether a ledger row took AIBA for the chain."""
    return (
        row.get("reason") == WITHDRAWAL
        and row.get("currency") == "AIBA"
        and row.get("direction") == "debit"
        and row.get("applied") is not False
    )


def told_by(battle: Document) -> bool:
    """Tell whether a battle holds a claim; one without is an object of defaults."""
    claim = battle.get("claim")
    return isinstance(claim, Mapping) and bool(number(claim.get("seqno")))


def amount_of(row: Document) -> Fraction:
    """Return what a ledger row took, exactly; 0 for what is no amount."""
    amount = number(row.get("amount"))
    return amount if amount is not None and 0 <= amount <= MAX_AMOUNT else Fraction(0)


def issued(
    place: tuple[str, str, str],
    row: Document | None,
    battle: Document | None,
    *,
    canonical: Canonical,
    jetton_master: str,
) -> Issued | None:
    """Return the claim of an owner, source type and key, None without terms that can be paid."""
    owner, source_type, key = place
    told = [_claim_in(row), battle.get("claim") if battle else None]
    known = [each for each in told if isinstance(each, Mapping)]
    if not known or source_type not in SOURCES or not key:
        return None
    try:
        terms = _terms(known[0], canonical, jetton_master)
    except InvalidInput:
        return None
    signature = next(filter(None, (_signature(each) for each in known)), "")
    payload = next(filter(None, (_base64(each, "payloadBocBase64") for each in known)), "")
    return Issued(
        owner=owner,
        source_type=source_type,
        key=key,
        at=born(row or battle or NOBODY),
        terms=terms,
        signature=signature,
        payload=payload,
        debited=floor(amount_of(row)) if row else None,
    )


def claim(of: Issued, last: int, last_at: int) -> Claim:
    """Return the claim as the chain must have it: `last` is the recipient's last issued seqno.

    One below `last` is confirmed by the chain's state when `last` was issued, at `last_at` in ms.
    """
    is_signed = bool(of.signature and of.payload)
    base = Claim(
        id=of.id,
        player_id=of.owner,
        request_id=of.key,
        source_type=of.source_type,
        state=ClaimState.RESERVED,
        terms=of.terms,
        created_at=of.at,
    )
    if is_signed:
        base = base.signed(of.signature, of.payload)
    if of.terms.seqno < last:
        seen = ChainView(seqno=last - 1, time_s=last_at // SECOND)
        return base.settled(ClaimState.CONFIRMED, seen, last_at)
    return base


def postings(of: Claim) -> tuple[Posting, ...]:
    """Return what a claim moves out of its player's balance: what it would have moved here."""
    moves = [(player_account(of.player_id), CLAIMS, WITHDRAWAL)]
    if not of.is_open:
        moves.append((CLAIMS, CHAIN, _CONFIRMED))
    return tuple(
        Posting(
            currency=Currency.AIBA,
            amount=of.terms.amount,
            debit=debit,
            credit=credit,
            reason=reason,
            arena="vault",
            league="global",
            source_type=of.source_type,
            source_id=of.request_id,
        )
        for debit, credit, reason in moves
    )


def _claim_in(row: Document | None) -> Plain:
    meta = row.get("meta") if row else None
    return meta.get("claim") if isinstance(meta, Mapping) else None


def _terms(told: Mapping[str, Plain], canonical: Canonical, jetton_master: str) -> ClaimTerms:
    return ClaimTerms(
        vault=canonical(_address(told, "vaultAddress")),
        jetton_master=jetton_master,
        recipient=canonical(_address(told, "toAddress")),
        amount=_digits(told, "amount", MAX_AMOUNT),
        seqno=_digits(told, "seqno", MAX_SEQNO),
        valid_until_s=_digits(told, "validUntil", MAX_VALID_UNTIL),
    )


def _address(told: Mapping[str, Plain], name: str) -> str:
    value = told.get(name)
    if not isinstance(value, str):
        raise InvalidInput(name, "string")
    return value


def _digits(told: Mapping[str, Plain], name: str, most: int) -> int:
    value = told.get(name)
    if (
        isinstance(value, str)
        and value.isascii()
        and value.isdigit()
        and len(value) <= len(str(most))
    ):
        found: Fraction | None = Fraction(int(value))
    else:
        found = number(value)
    if found is None or found.denominator != 1 or not 1 <= found <= most:
        raise InvalidInput(name, f"integer of 1..{most}")
    return int(found)


def _signature(told: Mapping[str, Plain]) -> str:
    text = _base64(told, "signatureBase64")
    return text if text and len(base64.b64decode(text)) == _SIGNATURE_BYTES else ""


def _base64(told: Mapping[str, Plain], name: str) -> str:
    value = told.get(name)
    if not isinstance(value, str):
        return ""
    try:
        base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return ""
    return value
