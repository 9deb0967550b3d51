"""Withdrawals from reservation to settlement: what talks to signer and chain between commands.

Every step can be repeated. A crash between two of them leaves a claim that the next request under
its key, or the settlement, takes up again.
"""

import copy
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from aiba_domain.application.pipeline import Answer, Pipeline
from aiba_domain.application.upkeep import SERVICE
from aiba_domain.claims.claim import ChainView, Claim, ClaimState
from aiba_domain.claims.commands import (
    BY_BATTLE,
    BY_REQUEST,
    ClaimReply,
    RecordSignature,
    ReserveBattleClaim,
    ReserveClaim,
    SettleClaim,
    claim_id,
)
from aiba_domain.claims.ports import ChainReader, Signer, SignerRefused, SignerUnavailable
from aiba_domain.decision import Accepted, Principal
from aiba_domain.errors import DomainError, InvariantViolation
from aiba_domain.idempotency import parse_key
from aiba_domain.leases.model import Lease
from aiba_domain.ports import Reader, Scope, Store, Unavailable

_RESERVATIONS: Mapping[str, type[ReserveClaim]] = {
    BY_REQUEST: ReserveClaim,
    BY_BATTLE: ReserveBattleClaim,
}
_UNSEEN = ChainView(seqno=0, time_s=0)
_PAGE = 100
_MOST_OUTAGES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlight:
    """The claims in flight by state, and when the oldest was made (ms, UTC), None without any."""

    count: Mapping[ClaimState, int]
    oldest_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Contracts:
    """The contracts that withdrawals go through, as raw addresses."""

    vault: str
    jetton_master: str


class Withdrawals:
    """Issues and settles claims."""

    def __init__(
        self,
        *,
        pipeline: Pipeline,
        store: Store,
        signer: Signer,
        chain: ChainReader,
        contracts: Contracts,
    ) -> None:
        """Wire the ports together."""
        self._pipeline = pipeline
        self._store = store
        self._signer = signer
        self._chain = chain
        self._contracts = contracts

    def under(self, lease: Lease) -> Self:
        """Return these withdrawals as the worker who holds `lease` handles them.

        Once the lease is somebody else's, nothing changes any more by them: they raise LeaseLost.
        """
        fenced = copy.copy(self)
        fenced._pipeline = self._pipeline.under(lease)  # noqa: SLF001 - of the same class
        return fenced

    async def claim(
        self, principal: Principal, amount: int | None, key: object, *, by: str = BY_REQUEST
    ) -> Answer[ClaimReply]:
        """Withdraw `amount` AIBA, or all there is, and return the signed claim.

        The same key gives the same claim again, signature included, also where an earlier answer
        was lost half-way, and while the chain is down. Raises DomainError as the pipeline does and
        `claim not signed` with the signer's reason, and Unavailable while chain or signer can't
        answer. A claim that was reserved and isn't signed is taken up by the next request, or
        refunded once it has expired: then there is nothing to send, and the key answers `claim
        refunded`.
        """
        valid_key = parse_key(key)
        known = claim_id(principal.id, by, valid_key or "")
        scope = self._pipeline.scope_of(principal, _RESERVATIONS[by], valid_key or "")
        recipient, is_known = await self._standing(principal.id, known, scope)
        if not recipient:
            raise DomainError("wallet_required")
        # What is known is answered from memory, whatever the chain does; so is a bad key refused.
        is_asked = valid_key is not None and not is_known
        seen = await self._view(recipient) if is_asked else _UNSEEN
        command = _RESERVATIONS[by](
            amount=amount,
            vault=self._contracts.vault,
            jetton_master=self._contracts.jetton_master,
            recipient=recipient,
            seen=seen,
        )
        answer = await self._pipeline.execute(principal, command, key)
        claim = await self._signed(answer.reply().claim)
        if claim.state is ClaimState.REFUNDED and claim.signature is None:
            raise DomainError("claim refunded", claimId=claim.id)
        return Answer(
            outcome=Accepted(reply=ClaimReply(claim=claim)),
            key=answer.key,
            replayed=answer.replayed,
        )

    async def claim_battle(self, principal: Principal, amount: int, key: str) -> Claim | None:
        """Withdraw a battle's reward under the battle's key; None where that can't be done now.

        A refusal leaves the reward in the balance and never fails the battle.
        """
        try:
            return (await self.claim(principal, amount, key, by=BY_BATTLE)).reply().claim
        except (DomainError, Unavailable):
            return None

    async def settle_all(self) -> int:
        """Settle every claim in flight that the chain has decided; return how many ended.

        An expired claim that is issued again is signed again. A claim that can't be settled or
        signed now holds up no other: what it failed with is raised when the others have had their
        turn. After several outages of the chain in a row the rest waits for the next run.
        """
        ended, outages, after = 0, 0, None
        failure: Exception | None = None
        unsigned: list[Claim] = []
        while claims := await self._page(after):
            for claim in claims:
                try:
                    settled = await self._settle(claim)
                except InvariantViolation as error:
                    failure = error
                except Unavailable as error:
                    failure, outages = failure or error, outages + 1
                    if outages == _MOST_OUTAGES:
                        raise
                else:
                    outages = 0
                    ended += not settled.is_open
                    if settled.reissues and settled.state is ClaimState.RESERVED:
                        unsigned.append(settled)
            after = (claims[-1].created_at, claims[-1].id)
        unmade = await self._sign_all(unsigned)
        failure = failure or unmade
        if failure is not None:
            raise failure
        return ended

    async def _sign_all(self, claims: Iterable[Claim]) -> Exception | None:
        """Sign what was issued again, as far as the signer goes; return what went wrong last.

        A refusal of terms that another worker has ended meanwhile is none.
        """
        failure: Exception | None = None
        for claim in claims:
            try:
                await self._signed(claim)
            except DomainError as refused:
                if await self._is_as_it_was(claim):
                    failure = refused
            except Unavailable as outage:
                return outage
        return failure

    async def in_flight(self) -> InFlight:
        """Count the claims in flight. Reads each of them: as many as recipients wait, no more."""
        count: Counter[ClaimState] = Counter()
        oldest, after = None, None
        while claims := await self._page(after):
            count.update(claim.state for claim in claims)
            oldest = claims[0].created_at if oldest is None else oldest
            after = (claims[-1].created_at, claims[-1].id)
        return InFlight(count=count, oldest_at=oldest)

    async def _settle(self, claim: Claim) -> Claim:
        """Look at the chain, then settle the claim, issue it again or leave it."""
        seen = await self._chain.view(claim.terms.vault, claim.terms.recipient)
        command = SettleClaim(claim_id=claim.id, seen=seen)
        return (await self._pipeline.execute(SERVICE, command)).reply().claim

    async def _signed(self, claim: Claim) -> Claim:
        """Return the claim with its signature, made now if it was only reserved.

        Raises Unavailable where the claim was issued again while its last issue was signed.
        """
        if claim.state is not ClaimState.RESERVED:
            return claim
        try:
            signed = await self._signer.sign(claim.terms)
        except SignerUnavailable as error:
            self._pipeline.missed(ReserveClaim)
            raise Unavailable(str(error), retry_after_ms=error.retry_after_ms) from error
        except SignerRefused as refused:
            self._pipeline.missed(ReserveClaim)
            raise DomainError("claim not signed", reason=refused.code) from None
        command = RecordSignature(
            claim_id=claim.id,
            issue=claim.reissues,
            signature=signed.signature,
            payload=signed.payload,
        )
        kept = (await self._pipeline.execute(SERVICE, command)).reply().claim
        if kept.state is ClaimState.RESERVED:
            raise Unavailable("the claim was issued again meanwhile")
        return kept

    async def _view(self, recipient: str) -> ChainView:
        """Look at the chain for a reservation."""
        try:
            return await self._chain.view(self._contracts.vault, recipient)
        except Unavailable:
            self._pipeline.missed(ReserveClaim)
            raise

    async def _is_as_it_was(self, claim: Claim) -> bool:
        async def look(read: Reader) -> bool:
            return await read.claim(claim.id) == claim

        return await self._store.read(look)

    async def _standing(self, player_id: str, claim_id: str, scope: Scope) -> tuple[str, bool]:
        """Return the player's wallet, blank without one, and whether the key is answered already.

        It is where the answer is remembered, a refusal too, and where the claim is there.
        """

        async def look(read: Reader) -> tuple[str, bool]:
            player = await read.player(player_id)
            known = await read.claim(claim_id) or await read.remembered(scope)
            return player.wallet if player else "", known is not None

        return await self._store.read(look)

    async def _page(self, after: tuple[int, str] | None) -> list[Claim]:
        async def look(read: Reader) -> list[Claim]:
            return [*await read.open_claims(after=after, limit=_PAGE)]

        return await self._store.read(look)
