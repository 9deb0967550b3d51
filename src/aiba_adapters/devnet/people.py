"""Wallets for people who try the game by hand: real contracts, whose keys are made of a name.

They do what a wallet application does: prove an address to the service, and send its claims.
"""

import time
from base64 import b64decode, b64encode
from binascii import Error as BadBase64
from collections.abc import Callable, Mapping
from typing import Final

from aiba_adapters.devnet.arena import TON, Arena, SignedClaim
from aiba_adapters.devnet.cells import bag_text
from aiba_adapters.devnet.forms import Json, b64
from aiba_adapters.devnet.params import (
    BadParameterError,
    Params,
    address_from,
    number_from,
    text_from,
)
from aiba_adapters.devnet.wallets import Wallet
from aiba_adapters.ton.proof import digest

DOMAIN: Final = "localhost"
"""The domain that these wallets sign for."""

_POOR: Final = TON // 5
_SIGNATURE_BYTES: Final = 64


class People:
    """The wallets of an arena's people, known by names. Whoever names one may use it."""

    def __init__(self, arena: Arena, *, now: Callable[[], float] = time.time) -> None:
        """Sign proofs at the time of `now`, in seconds: it is the service's clock they go by."""
        self._arena = arena
        self._now = now

    def proof(self, name: str, given: Params) -> Json:
        """Return what connects the wallet: the body of the service's `POST /api/wallet/connect`.

        `given` has the payload to sign, or is the service's answer that has it.
        """
        payload = text_from(_inside(given, "data"), "payload")
        wallet, now_s = self._wallet(name), int(self._now())
        signed = digest(wallet.address, domain=DOMAIN, timestamp=now_s, payload=payload)
        return {
            "address": wallet.address.raw,
            "network": str(self._arena.chain.network_id),
            "publicKey": wallet.public_key.hex(),
            "proof": {
                "timestamp": now_s,
                "domain": {"value": DOMAIN, "lengthBytes": len(DOMAIN)},
                "payload": payload,
                "signature": b64encode(wallet.key.sign(signed).signature).decode(),
                "state_init": bag_text(wallet.state.cell),
            },
        }

    def claim(self, name: str, given: Params) -> Json:
        """Let the wallet send a claim to the vault; it gets TON for the fees where it has none.

        `given` is the claim as the service answers it, or the answer that has it. `exitCode` is how
        the vault's code ended, 0 if it paid, None where it didn't run: while blocks are late, say.
        """
        claim = _claim_from(_inside(_inside(given, "data"), "claim"))
        wallet = self._wallet(name)
        if self._arena.chain.account(wallet.address).balance < _POOR:
            self._arena.chain.fund(wallet.address, TON)
        trace = self._arena.claim(wallet, claim)
        at_vault = trace.of(self._arena.vault)
        return {
            "address": wallet.address.raw,
            "exitCode": at_vault[0].exit_code if at_vault else None,
            "jettons": str(self._arena.jettons(wallet.address)),
            "transactions": [b64(one.hash) for one in trace.transactions],
        }

    def _wallet(self, name: str) -> Wallet:
        return self._arena.wallet(f"person {name}", nanotons=0)


def _inside(given: Params, name: str) -> Params:
    """Return the object under a name if there is one, else what was given."""
    found = given.get(name)
    return found if isinstance(found, Mapping) else given


def _claim_from(fields: Params) -> SignedClaim:
    numbers = {
        name: number_from(fields, name, None, least=1, most=most)
        for name, most in (("amount", 2**63 - 1), ("seqno", 2**64 - 1), ("validUntil", 2**32 - 1))
    }
    for name, number in numbers.items():
        if number is None:
            raise BadParameterError(f"{name}: is required")
    try:
        signature = b64decode(text_from(fields, "signatureBase64"), validate=True)
    except (BadBase64, ValueError):
        signature = b""
    if len(signature) != _SIGNATURE_BYTES:
        raise BadParameterError("signatureBase64: the base64 of 64 bytes is required")
    return SignedClaim(
        recipient=address_from(fields.get("toAddress"), "toAddress"),
        amount=numbers["amount"] or 0,
        seqno=numbers["seqno"] or 0,
        valid_until_s=numbers["validUntil"] or 0,
        signature=signature,
    )
