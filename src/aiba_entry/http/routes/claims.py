"""Withdrawals: claim AIBA, list the own claims."""

from typing import Annotated, Any

from litestar import Controller, Request, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from aiba_domain.application.queries import Queries
from aiba_domain.money import MAX_AMOUNT
from aiba_entry.edge_settings import CLAIM
from aiba_entry.http.acting import acting, key_of
from aiba_entry.http.context import context_of
from aiba_entry.http.documents import ClaimedOut, ClaimPageOut
from aiba_entry.http.envelope import Reply, data_reply, documented, flat_reply
from aiba_entry.http.limits import count_player, principal_of, require_player
from aiba_entry.http.paging import Before, Limit, place_of, place_text
from aiba_entry.http.validation import Body, RequestId, whole
from aiba_entry.http.wire import claim_json, claim_record_json
from aiba_entry.vaults import Vaults


class ClaimBody(Body):
    """How much to withdraw, in whole AIBA; all there is without an amount."""

    request_id: RequestId | None = None
    amount: Annotated[int, whole(1, MAX_AMOUNT)] | None = None


class Claims(Controller):
    """The routes of withdrawals."""

    path = "/api/economy"
    tags = ("withdrawals",)
    guards = (require_player,)

    @post(
        "/claim-aiba",
        guards=[count_player(CLAIM)],
        status_code=200,
        responses=documented(ClaimedOut, 400, 401, 403, 409, 413, 429, 503, flat=True),
        operation_id="claimAiba",
    )
    async def claim(
        self,
        data: JSONBody[ClaimBody],
        request: Request[Any, Any, Any],
        vaults: NamedDependency[Vaults],
    ) -> Reply:
        """Withdraw AIBA as a claim that the vault pays to the bound wallet.

        The same key brings the same claim again, signature included; how it stands by now is in
        the list of claims.
        """
        key = key_of(request, data.request_id)
        answer = await vaults.withdrawals().claim(acting(request), data.amount, key)
        fields = {"claim": claim_json(answer.reply().claim), "requestId": answer.key}
        return flat_reply(fields, context_of(request).request_id)

    @get(
        "/claims",
        responses=documented(ClaimPageOut, 400, 401, 429, 503),
        operation_id="listMyClaims",
    )
    async def mine(
        self,
        request: Request[Any, Any, Any],
        queries: NamedDependency[Queries],
        limit: Limit = 20,
        before: Before = None,
    ) -> Reply:
        """List the caller's claims with their state, newest first."""
        page = await queries.claims(
            principal_of(request).player_id, before=place_of(before), limit=limit
        )
        fields = {
            "items": [claim_record_json(claim) for claim in page.items],
            "next": place_text(page.next),
        }
        return data_reply(fields, context_of(request).request_id)
