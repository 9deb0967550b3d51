"""Wallets by name: they prove themselves to the service and send its claims, as wallets do."""

import asyncio
import time
from base64 import b64encode
from typing import Any

import httpx
import pytest

from aiba_adapters.devnet.arena import Arena
from aiba_adapters.devnet.people import DOMAIN, People
from aiba_adapters.devnet.server import Devnet
from aiba_adapters.ton.addresses import Address, parse_canonical
from aiba_adapters.ton.proof import Network, Proof, ProofPolicy, verify
from tests.contract.devnet.support import client_of

NOW_S = 1_800_000_000


def answered(arena: Arena, recipient: Address, **other: object) -> dict[str, Any]:
    """Return a claim as the service answers it."""
    claim = arena.sign(recipient, 5)
    fields = {
        "vaultAddress": arena.vault.raw,
        "toAddress": recipient.raw,
        "amount": str(claim.amount),
        "seqno": claim.seqno,
        "validUntil": claim.valid_until_s,
        "payloadBocBase64": "",
        "signatureBase64": b64encode(claim.signature).decode(),
    }
    return {"ok": True, "claim": fields | other, "requestId": "r"}


def post(devnet: Devnet, path: str, body: object) -> httpx.Response:
    """Use a control of the server."""

    async def call() -> httpx.Response:
        async with client_of(devnet) as client:
            return await client.post(f"/control/{path}", json=body)

    return asyncio.run(call())


@pytest.mark.parametrize("wrap", [lambda body: body, lambda body: {"ok": True, "data": body}])
def test_a_proof_is_one_that_the_service_believes(arena: Arena, wrap: Any) -> None:  # noqa: ANN401
    """It is over the payload, for this machine, at the time of the service's clock."""
    people = People(arena, now=lambda: NOW_S + 0.9)
    body: Any = people.proof("me", wrap({"payload": "nonce"}))
    part = body["proof"]
    proof = Proof(
        address=body["address"],
        network=body["network"],
        public_key=body["publicKey"],
        state_init=part["state_init"],
        timestamp=part["timestamp"],
        domain=part["domain"]["value"],
        domain_length=part["domain"]["lengthBytes"],
        payload=part["payload"],
        signature=part["signature"],
    )
    policy = ProofPolicy(domains=frozenset({DOMAIN}), network=Network.TESTNET)
    found = verify(proof, policy=policy, payload="nonce", now_s=NOW_S)
    assert found.raw == body["address"]
    others: Any = People(arena, now=time.time).proof("you", {"payload": "nonce"})
    assert others["address"] != body["address"]


def test_a_claim_is_sent_by_a_wallet_that_needs_nothing(devnet: Devnet) -> None:
    """The faucet gives it TON once; each claim is paid once."""
    arena = devnet.arena
    address = parse_canonical(post(devnet, "wallet/me/proof", {"payload": "p"}).json()["address"])
    first = answered(arena, address)
    paid = post(devnet, "wallet/me/claim", first).json()
    assert (paid["ok"], paid["exitCode"], paid["jettons"]) == (True, 0, "5")
    assert len(paid["transactions"]) == 5
    again = post(devnet, "wallet/me/claim", first).json()
    assert (again["exitCode"], again["jettons"]) == (17654, "5")
    second = post(devnet, "wallet/me/claim", answered(arena, address)["claim"]).json()
    assert (second["exitCode"], second["jettons"]) == (0, "10")
    funded = [
        one
        for one in arena.chain.transactions(address)
        if one.fields.in_msg.is_internal and one.fields.in_msg.info.src.wc == -1
    ]
    assert len(funded) == 1
    assert arena.last_seqno(address) == 2


def test_a_claim_of_somebody_else_is_not_paid(devnet: Devnet) -> None:
    """The vault believes the sender only."""
    claim = answered(devnet.arena, devnet.arena.wallet("somebody else").address)
    refused = post(devnet, "wallet/me/claim", claim).json()
    assert (refused["exitCode"], refused["jettons"]) == (51532, "0")


def test_late_blocks_make_a_claim_wait(devnet: Devnet) -> None:
    """There is no exit code yet; it is paid with the next block."""
    address = parse_canonical(post(devnet, "wallet/me/proof", {"payload": "p"}).json()["address"])
    devnet.arena.chain.fund(address, 10**9)
    devnet.arena.chain.hold()
    waiting = post(devnet, "wallet/me/claim", answered(devnet.arena, address)).json()
    assert (waiting["exitCode"], waiting["jettons"], waiting["transactions"]) == (None, "0", [])
    devnet.arena.chain.release()
    assert devnet.arena.jettons(address) == 5


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"amount": None}, "amount: is required"),
        ({"seqno": "x"}, "seqno: a whole number"),
        ({"validUntil": 2**32}, "validUntil: a whole number"),
        ({"toAddress": "x"}, "toAddress: "),
        ({"signatureBase64": "AA=="}, "signatureBase64: the base64 of 64 bytes"),
        ({"signatureBase64": "!"}, "signatureBase64: the base64 of 64 bytes"),
    ],
)
def test_what_is_no_claim_is_refused_by_its_field(
    devnet: Devnet, other: dict[str, object], says: str
) -> None:
    """The error names what is wrong."""
    claim = answered(devnet.arena, devnet.arena.vault, **other)
    refused = post(devnet, "wallet/me/claim", claim)
    assert refused.status_code == 400
    assert refused.json()["error"].startswith(says)


def test_a_proof_needs_a_payload_and_a_wallet_a_name(devnet: Devnet) -> None:
    """Neither is made up."""
    assert post(devnet, "wallet/me/proof", {}).status_code == 400
    assert [
        post(devnet, path, {}).status_code for path in ("wallet//proof", "wallet/me/dance")
    ] == [
        404,
        404,
    ]
