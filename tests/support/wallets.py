"""Wallets as players have them: a key, the state that holds it, and proofs made with it."""

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

from nacl.signing import SigningKey
from pytoniq_core.boc.address import Address
from pytoniq_core.boc.builder import Builder
from pytoniq_core.boc.cell import Cell

DOMAIN: Final = "game.example"
"""The domain that the tests' service lets wallets sign for."""

MAINNET: Final = "-239"

_CODES: Final = Path(__file__).parents[1] / "unit" / "ton" / "wallet_proofs.json"
_HEADS: Final[Mapping[str, str]] = {"v4r2": "", "v5r1": "1"}
_WALLET_ID: Final = 698_983_191


class Wallet:
    """A wallet of a kind that apps make, as it is before its first transaction."""

    def __init__(self, number: int, kind: str = "v4r2") -> None:
        """Make the wallet of a key that `number` gives."""
        self.key = SigningKey(hashlib.sha256(f"wallet {number}".encode()).digest())
        data = Builder()
        data.store_bits(_HEADS[kind])
        data.store_uint(0, 32)
        data.store_uint(_WALLET_ID, 32)
        data.store_bytes(bytes(self.key.verify_key))
        data.store_bit(0)
        state = Builder()
        state.store_bits("00110")
        state.store_ref(_codes()[kind])
        state.store_ref(data.end_cell())
        self.state: Cell = state.end_cell()
        self.address = f"0:{self.state.hash.hex()}"

    def friendly(self, *, bounceable: bool = False, testnet: bool = False) -> str:
        """Return the address as wallets show it."""
        text: str = Address(self.address).to_str(
            is_user_friendly=True, is_bounceable=bounceable, is_test_only=testnet
        )
        return text

    def proof(
        self, payload: str, now_s: int, *, domain: str = DOMAIN, key: SigningKey | None = None
    ) -> dict[str, Any]:
        """Return the body that connects this wallet, signed with its own or another key."""
        return proof_of(self.state, self.key, payload, now_s, domain=domain, signer=key)


def proof_of(
    state: Cell,
    key: SigningKey,
    payload: str,
    now_s: int,
    *,
    domain: str = DOMAIN,
    signer: SigningKey | None = None,
) -> dict[str, Any]:
    """Return the body that connects the wallet of a state, which holds `key`'s public part."""
    message = b"".join(
        (
            b"ton-proof-item-v2/",
            (0).to_bytes(4, "big"),
            state.hash,
            len(domain.encode()).to_bytes(4, "little"),
            domain.encode(),
            now_s.to_bytes(8, "little"),
            payload.encode(),
        )
    )
    digest = hashlib.sha256(b"\xff\xffton-connect" + hashlib.sha256(message).digest()).digest()
    signature = (signer or key).sign(digest).signature
    return {
        "address": f"0:{state.hash.hex()}",
        "network": MAINNET,
        "publicKey": bytes(key.verify_key).hex(),
        "proof": {
            "timestamp": now_s,
            "domain": {"value": domain, "lengthBytes": len(domain.encode())},
            "payload": payload,
            "signature": base64.b64encode(signature).decode(),
            "state_init": base64.b64encode(state.to_boc()).decode(),
        },
    }


@cache
def _codes() -> Mapping[str, Cell]:
    recorded = json.loads(_CODES.read_text(encoding="utf-8"))["wallets"]
    return {
        each["wallet"]: Cell.one_from_boc(base64.b64decode(each["codeBase64"])) for each in recorded
    }
