"""The vault on the chain: what it holds, and how claims stand. Public, limited by address."""

from typing import Annotated, Any

from litestar import Controller, Request, get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from aiba_adapters.ton.addresses import parse, parse_canonical
from aiba_domain.money import MAX_AMOUNT
from aiba_entry.edge_settings import CHAIN
from aiba_entry.http.context import context_of
from aiba_entry.http.documents import ClaimStatusOut, InventoryOut, SeqnoOut
from aiba_entry.http.envelope import Reply, data_reply, documented
from aiba_entry.http.limits import allow_anyone, count_address
from aiba_entry.http.validation import query_text
from aiba_entry.vaults import ClaimStanding, ClaimStatus, Vaults

To = Annotated[str, QueryParameter(min_length=1, max_length=200)]
Seqno = Annotated[int, QueryParameter(ge=1, le=2**63 - 1)]
ValidUntil = Annotated[int, QueryParameter(name="validUntil", ge=1, le=2**32 - 1)]
Amount = Annotated[int, QueryParameter(ge=0, le=MAX_AMOUNT)]


class Vault(Controller):
    """The routes of the vault."""

    path = "/api/vault"
    tags = ("withdrawals",)
    guards = (allow_anyone, count_address(CHAIN))

    @get(
        "/last-seqno",
        responses=documented(SeqnoOut, 400, 429, 503),
        operation_id="getLastSeqno",
    )
    async def last_seqno(
        self, to: To, request: Request[Any, Any, Any], vaults: NamedDependency[Vaults]
    ) -> Reply:
        """Return the last seqno that the vault has paid to an address.

        `blockSeqno` is the masterchain block it was read in, `ageMs` how long ago that was.
        """
        recipient = _address(to)
        seen = await vaults.last_seqno(recipient)
        out = SeqnoOut(
            vault_address=vaults.address,
            to=recipient,
            last_seqno=str(seen.view.seqno),
            next_seqno=str(seen.view.seqno + 1),
            block_seqno=seen.block,
            age_ms=seen.age_ms,
        )
        return data_reply(out, context_of(request).request_id)

    @get(
        "/inventory",
        responses=documented(InventoryOut, 400, 429, 503),
        operation_id="getVaultInventory",
    )
    async def inventory(
        self, request: Request[Any, Any, Any], vaults: NamedDependency[Vaults]
    ) -> Reply:
        """Return the TON and jettons that the vault holds."""
        held = await vaults.inventory()
        wallet = parse_canonical(held.jetton_wallet)
        fields = {
            "vaultAddress": vaults.address,
            "tonBalanceNano": str(held.ton_nano),
            "vaultJettonWallet": {"raw": wallet.raw, "userFriendly": wallet.friendly()},
            "jettonBalance": str(held.jettons),
        }
        return data_reply(fields, context_of(request).request_id)

    @get(
        "/claim-status",
        responses=documented(ClaimStatusOut, 400, 429, 503),
        operation_id="getClaimStatus",
    )
    async def claim_status(
        self,
        to: To,
        seqno: Seqno,
        valid_until: ValidUntil,
        request: Request[Any, Any, Any],
        vaults: NamedDependency[Vaults],
        amount: Amount = 0,
    ) -> Reply:
        """Return how a claim stands: the chain is asked before any clock.

        `now` is chain time; `blockSeqno` and `ageMs` say where and how long ago it was read.
        """
        recipient = _address(to)
        standing = await vaults.standing(
            recipient, seqno=seqno, valid_until_s=valid_until, amount=amount
        )
        fields = {
            "status": standing.status,
            "vaultAddress": vaults.address,
            "to": recipient,
            "seqno": str(seqno),
            "now": standing.seen.view.time_s,
            "validUntil": valid_until,
            "lastSeqno": str(standing.seen.view.seqno),
            "blockSeqno": standing.seen.block,
            "ageMs": standing.seen.age_ms,
            **_lack(standing, vaults.min_ton_nano, amount),
        }
        return data_reply(fields, context_of(request).request_id)


def _address(to: str) -> str:
    """Return the raw address that the query names, of whichever network it is marked for."""
    return parse(query_text(to, "to") or "", allow_testnet=None, field="to").raw


def _lack(standing: ClaimStanding, min_ton_nano: int, amount: int) -> dict[str, str]:
    """Return what the vault needs and has, where that is what holds a claim up."""
    held = standing.inventory
    if held is not None and standing.status is ClaimStatus.INSUFFICIENT_TON:
        return {"neededTonNano": str(min_ton_nano), "haveTonNano": str(held.ton_nano)}
    if held is not None and standing.status is ClaimStatus.INSUFFICIENT_INVENTORY:
        return {"needed": str(amount), "have": str(held.jettons)}
    return {}
