"""Wallets: a text to sign, and the wallet that signed it bound to the player."""

from typing import Annotated, Any

import msgspec
from litestar import Controller, Request, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from aiba_adapters.ton.proof import Proof
from aiba_entry.edge_settings import WALLET
from aiba_entry.http.acting import acting
from aiba_entry.http.context import context_of
from aiba_entry.http.documents import ConnectedOut, ProofPayloadOut
from aiba_entry.http.envelope import Reply, data_reply, documented
from aiba_entry.http.limits import count_player, principal_of, require_player
from aiba_entry.http.validation import Body, text
from aiba_entry.wallets import WalletDesk


class DomainPart(msgspec.Struct, frozen=True, rename={"length_bytes": "lengthBytes"}):
    """The domain a wallet was shown, and its length in UTF-8 bytes."""

    value: Annotated[str, text(128)]
    length_bytes: int


class ProofPart(msgspec.Struct, frozen=True):
    """A ton_proof as wallets answer it."""

    timestamp: int
    domain: DomainPart
    payload: Annotated[str, text(512)]
    signature: Annotated[str, text(128)]
    state_init: Annotated[str, text(8192)]


class ConnectBody(Body):
    """A wallet and the proof that its owner is here.

    `network` is the chain's number as the wallet gives it, `-239` for the main network.
    """

    address: Annotated[str, text(200)]
    network: Annotated[str, text(8)] = "-239"
    public_key: Annotated[str, text(64)] | None = None
    proof: ProofPart | None = None


class Wallets(Controller):
    """The routes of wallets."""

    path = "/api/wallet"
    tags = ("withdrawals",)
    guards = (require_player, count_player(WALLET))

    @get(
        "/proof-payload",
        responses=documented(ProofPayloadOut, 401, 429),
        operation_id="getProofPayload",
    )
    async def payload(
        self, request: Request[Any, Any, Any], wallets: NamedDependency[WalletDesk]
    ) -> Reply:
        """Return a text for the wallet to sign, good once and for a short while."""
        payload, expires_at = wallets.payload(principal_of(request).player_id)
        out = ProofPayloadOut(payload=payload, expires_at=expires_at)
        return data_reply(out, context_of(request).request_id)

    @post(
        "/connect",
        status_code=200,
        responses=documented(ConnectedOut, 400, 401, 403, 409, 413, 429, 503),
        operation_id="connectWallet",
    )
    async def connect(
        self,
        data: JSONBody[ConnectBody],
        request: Request[Any, Any, Any],
        wallets: NamedDependency[WalletDesk],
    ) -> Reply:
        """Bind the wallet that made the proof to the caller; a wallet belongs to one player."""
        principal = acting(request)
        address = await wallets.connect(principal, data.address, _proof(data))
        out = ConnectedOut(status="connected", telegram_id=principal.id, wallet=address)
        return data_reply(out, context_of(request).request_id)


def _proof(data: ConnectBody) -> Proof | None:
    part = data.proof
    if part is None:
        return None
    return Proof(
        address=data.address,
        network=data.network,
        public_key=data.public_key,
        state_init=part.state_init,
        timestamp=part.timestamp,
        domain=part.domain.value,
        domain_length=part.domain.length_bytes,
        payload=part.payload,
        signature=part.signature,
    )
