"""The decision: sign, give the same again, or refuse. Pure, from what the store knows.

Two payloads under one (vault, recipient, seqno) are never both payable: the second is signed only
after chain time was seen past the first's validity and a margin. Chain time alone counts.
"""

from aiba_domain.claims.model import ClaimTerms
from aiba_domain.instants import SECOND, day_key
from aiba_domain.signing.model import (
    MAX_AHEAD_S,
    Charge,
    Decision,
    Protected,
    Refusal,
    Refused,
    SameAgain,
    Sign,
    SigningRequest,
    Standing,
    Usage,
)
from aiba_domain.signing.policy import Allowed, Limits, SigningPolicy


def decide(
    request: SigningRequest, policy: SigningPolicy, standing: Standing, now_s: int
) -> Decision:
    """Decide a request at a chain time in seconds, by what is remembered about it.

    A denied claim is refused even if it was signed before; terms that were signed before, and
    aren't denied, get the same signature again and are charged nothing.
    """
    terms = request.terms
    allowed = _allowed(terms, policy, standing)
    if isinstance(allowed, Refused):
        return allowed
    first = standing.protected
    if first is not None and first.payload_hash == request.payload_hash:
        return SameAgain()
    code = _time_refusal(terms, policy, standing, now_s) or _seqno_refusal(
        terms, policy, standing, now_s
    )
    if code is not None:
        return Refused(code=code)
    day = day_of(now_s)
    charge = charge_of(terms, first, day)
    code = over_limit(terms, allowed.limits, standing.usage, charge)
    if code is not None:
        return Refused(code=code)
    return Sign(record=record_of(request, first, day), charge=charge)


def _allowed(terms: ClaimTerms, policy: SigningPolicy, standing: Standing) -> Allowed | Refused:
    """Return the entry that allows these terms, before anything else is looked at."""
    if standing.state.locked is not None:
        return Refused(code=Refusal.LOCKED)
    rule = policy.denied(terms)
    if rule is not None:
        return Refused(code=Refusal.DENIED, rule=rule.name)
    allowed = policy.allowed(terms, standing.state.network)
    return Refused(code=Refusal.CONTRACT) if allowed is None else allowed


def day_of(time_s: int) -> str:
    """Return the UTC day of a chain time, as `YYYY-MM-DD`."""
    return day_key(time_s * SECOND)


def charge_of(terms: ClaimTerms, first: Protected | None, day: str) -> Charge:
    """Return what terms take from the limits, after `first` under the same seqno has expired.

    At most one of a seqno's payloads is ever paid, since being paid uses the seqno up. So the
    lifetime counts the largest of them, and a day the largest that was signed in it.
    """
    if first is None:
        return Charge(day=terms.amount, lifetime=terms.amount)
    so_far = first.day_most if first.day == day else 0
    return Charge(day=max(0, terms.amount - so_far), lifetime=max(0, terms.amount - first.most))


def over_limit(terms: ClaimTerms, limits: Limits, usage: Usage, charge: Charge) -> Refusal | None:
    """Return the first limit that a claim would pass, None if it keeps all of them."""
    if terms.amount > limits.claim:
        return Refusal.CLAIM_LIMIT
    if usage.recipient_day + charge.day > limits.recipient_day:
        return Refusal.RECIPIENT_DAY_LIMIT
    if usage.day + charge.day > limits.day:
        return Refusal.DAY_LIMIT
    if usage.lifetime + charge.lifetime > limits.lifetime:
        return Refusal.LIFETIME_LIMIT
    return None


def quarantine_end(now_s: int, margin_s: int) -> int:
    """Return until when nothing new is signed after signatures may have been forgotten, in s.

    No policy lets a claim be valid longer than `MAX_AHEAD_S`, so all of them have expired then.
    """
    return now_s + MAX_AHEAD_S + margin_s


def record_of(request: SigningRequest, first: Protected | None, day: str) -> Protected:
    """Return what is remembered of a request that is signed in a UTC day, in place of `first`."""
    amount = request.terms.amount
    day_most = max(amount, first.day_most) if first and first.day == day else amount
    return Protected(
        payload_hash=request.payload_hash,
        valid_until_s=request.terms.valid_until_s,
        most=max(amount, first.most) if first else amount,
        day=day,
        day_most=day_most,
    )


def _time_refusal(
    terms: ClaimTerms, policy: SigningPolicy, standing: Standing, now_s: int
) -> Refusal | None:
    if terms.valid_until_s < now_s:
        return Refusal.EXPIRED
    if terms.valid_until_s > now_s + policy.max_ahead_s:
        return Refusal.TOO_FAR
    mark = standing.mark
    quarantined = max(standing.state.quarantined_until_s, mark.quarantined_until_s if mark else 0)
    return Refusal.QUARANTINED if now_s <= quarantined else None


def _seqno_refusal(
    terms: ClaimTerms, policy: SigningPolicy, standing: Standing, now_s: int
) -> Refusal | None:
    used = standing.mark.seqno if standing.mark else 0
    first = standing.protected
    if terms.seqno < used or (first is None and terms.seqno == used):
        return Refusal.BELOW
    if first is not None:
        expired = now_s > first.valid_until_s + policy.expiry_margin_s
        return None if expired else Refusal.CONFLICT
    # The chain pays one seqno after another. One that was passed over here was signed elsewhere, or
    # by a memory that is lost: so may this one have been.
    return Refusal.GAP if terms.seqno > used + 1 else None
