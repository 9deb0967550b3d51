"""The isolated signer: policy, memory, chain and key together, behind the signer port.

It builds the cell itself from typed fields, decides by chain time in one transaction that reserves
the limits, and signs only once that is durable. A crash after that point is harmless: the same
terms get the same signature.
"""

from base64 import b64encode
from collections.abc import Callable
from functools import partial
from typing import Final

from aiba_adapters.ton.addresses import AddressRefused
from aiba_adapters.ton.claim_cell import payload_of
from aiba_domain.claims.claim import ChainView
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.claims.ports import SignedClaim, SignerRefused, SignerUnavailable
from aiba_domain.outage import Unavailable
from aiba_domain.signing.model import Decision, Mark, Refusal, Refused, Sign, SigningRequest
from aiba_domain.signing.policy import SigningPolicy
from aiba_domain.signing.ports import (
    Key,
    KeyUnavailable,
    ProtectionStore,
    ProtectionUnavailable,
    ProtectionUnit,
    SigningChain,
)
from aiba_domain.signing.rules import day_of, decide, quarantine_end
from aiba_domain.signing.trail import Kind

SIGNED: Final = "signed"
SAME_AGAIN: Final = "same_again"
UNAVAILABLE: Final = "unavailable"

OUTCOMES: Final = frozenset({SIGNED, SAME_AGAIN, UNAVAILABLE, *(code.value for code in Refusal)})
"""The closed set of what can come of a request."""

Observe = Callable[[str], None]
"""Told the outcome of each request, once."""


class ProtectedSigner:
    """Signs what its policy allows, and never two claims for one seqno that could both be paid.

    Several of them, in several processes, may share one store.
    """

    __slots__ = ("_chain", "_key", "_observe", "_policy", "_store")

    def __init__(
        self,
        key: Key,
        *,
        store: ProtectionStore,
        chain: SigningChain,
        policy: SigningPolicy,
        observe: Observe = lambda _outcome: None,
    ) -> None:
        """Sign with a key under a policy; whoever opened the store closes it."""
        self._key = key
        self._store = store
        self._chain = chain
        self._policy = policy
        self._observe = observe

    @property
    def public_key(self) -> bytes:
        """The 32 bytes by which the vault knows this signer."""
        return self._key.public_key

    async def start(self, policy: SigningPolicy, *, digest: str) -> None:
        """Sign under a policy from now on, and write key and policy's digest into the log.

        Raises SignerUnavailable, and then the policy stays as it was.
        """
        facts = {"key": self.public_key.hex(), "policy": digest}
        try:
            now_s = await self._chain.time_s()
            await self._store.transact(lambda unit: unit.note(Kind.STARTED, now_s, facts))
        except (Unavailable, ProtectionUnavailable) as error:
            raise SignerUnavailable(str(error)) from error
        self._policy = policy

    async def sign(self, terms: ClaimTerms) -> SignedClaim:
        """Return the terms with their signature, or raise SignerRefused or SignerUnavailable."""
        try:
            cell = payload_of(terms)
            request = SigningRequest(terms=terms, payload_hash=cell.hash)
            decision = await self._decide(request)
            if isinstance(decision, Refused):
                raise self._refused(decision.code)
            signature = await self._key.sign(request.payload_hash)
        except AddressRefused as refused:
            known = refused.field == "recipient"
            code = await self._note_malformed(Refusal.RECIPIENT if known else Refusal.CONTRACT)
            raise self._refused(code) from None
        except (Unavailable, ProtectionUnavailable, KeyUnavailable) as error:
            self._observe(UNAVAILABLE)
            raise SignerUnavailable(str(error)) from error
        self._observe(SIGNED if isinstance(decision, Sign) else SAME_AGAIN)
        return SignedClaim(
            terms=terms, payload=cell.boc_base64(), signature=b64encode(signature).decode()
        )

    def __repr__(self) -> str:
        return f"ProtectedSigner(public_key={self.public_key.hex()})"

    def __reduce__(self) -> str:
        raise TypeError("a signer stays in its process")

    async def _decide(self, request: SigningRequest) -> Decision:
        now_s = await self._chain.time_s()
        policy = self._policy
        decision = await self._store.transact(partial(reserve, request, policy, now_s))
        if not isinstance(decision, Refused) or decision.code is not Refusal.GAP:
            return decision
        # Seqnos were used that this store knows nothing of: only the chain can say which.
        seen = await self._chain.view(request.terms.vault, request.terms.recipient)
        if seen.seqno + 1 < request.terms.seqno:
            return decision
        return await self._store.transact(partial(reserve_after, request, policy, now_s, seen))

    def _refused(self, code: Refusal) -> SignerRefused:
        self._observe(code.value)
        return SignerRefused(code.value)

    async def _note_malformed(self, code: Refusal) -> Refusal:
        """Log a refusal of terms that name no account; what they name instead isn't repeated."""
        try:
            now_s = await self._chain.time_s()
            facts = {"code": code.value}
            await self._store.transact(lambda unit: unit.note(Kind.REFUSED, now_s, facts))
        except (Unavailable, ProtectionUnavailable) as error:
            self._observe(UNAVAILABLE)
            raise SignerUnavailable(str(error)) from error
        return code


def reserve(
    request: SigningRequest, policy: SigningPolicy, now_s: int, unit: ProtectionUnit
) -> Decision:
    """Decide a request in a transaction, and store what the decision asks for, with its log."""
    terms = request.terms
    decision = decide(request, policy, unit.standing(terms, day_of(now_s)), now_s)
    facts: dict[str, object] = {
        "vault": terms.vault,
        "jetton_master": terms.jetton_master,
        "recipient": terms.recipient,
        "seqno": str(terms.seqno),
        "amount": str(terms.amount),
        "valid_until": terms.valid_until_s,
        "payload": request.payload_hash.hex(),
    }
    if isinstance(decision, Refused):
        facts |= {"code": decision.code.value}
        facts |= {"rule": decision.rule} if decision.rule else {}
        unit.note(Kind.REFUSED, now_s, facts)
    elif isinstance(decision, Sign):
        unit.protect(terms, decision.record, decision.charge)
        unit.note(Kind.SIGNED, now_s, facts)
    else:
        unit.note(Kind.SAME_AGAIN, now_s, facts)
    return decision


def reserve_after(
    request: SigningRequest,
    policy: SigningPolicy,
    now_s: int,
    seen: ChainView,
    unit: ProtectionUnit,
) -> Decision:
    """Raise a recipient's watermark to what the chain has paid, then decide.

    Whatever used those seqnos may have signed the next one too, so the recipient waits until that
    has expired; unless the key is new to its store, since then another key signed them.
    """
    terms = request.terms
    standing = unit.standing(terms, day_of(now_s))
    known = standing.mark
    if seen.seqno > (known.seqno if known else 0):
        is_explained = standing.state.new_key and known is None
        until = 0 if is_explained else quarantine_end(seen.time_s, policy.expiry_margin_s)
        mark = Mark(seqno=seen.seqno, quarantined_until_s=until)
        unit.raise_mark(terms.vault, terms.recipient, mark)
        facts = {
            "vault": terms.vault,
            "recipient": terms.recipient,
            "watermark": str(mark.seqno),
            "quarantined_until": mark.quarantined_until_s,
        }
        unit.note(Kind.RAISED, now_s, facts)
    return reserve(request, policy, now_s, unit)
