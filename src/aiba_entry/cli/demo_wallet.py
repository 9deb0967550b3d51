"""A player's wallet on the demo's chain: proves that it is theirs, and sends claims."""

from base64 import b64decode, b64encode
from collections.abc import Mapping
from typing import Any, Final

from nacl.signing import SigningKey

from aiba_adapters.devnet.cells import bag_text, cell_from
from aiba_adapters.devnet.wallets import Order, WalletVersion, make_wallet
from aiba_adapters.ton.addresses import parse_canonical
from aiba_adapters.ton.claim_cell import reward_claim
from aiba_adapters.ton.proof import Network, digest
from aiba_entry.cli.demo_chain import DemoChain, Taken

Json = Mapping[str, Any]

_CLAIM_NANOTONS: Final = 70_000_000
_PURSE_NANOTONS: Final = 10**9


class DemoWallet:
    """A wallet whose key was made just now, with TON for fees once `fund` is done."""

    def __init__(self, chain: DemoChain, version: WalletVersion) -> None:
        """Make the key; on the chain there is nothing yet."""
        self.version = version
        self._chain = chain
        self._network = Network[chain.settings["TON_NETWORK"].upper()]
        self._domain = chain.settings["TON_PROOF_DOMAINS"].partition(",")[0]
        self._wallet = make_wallet(version, SigningKey.generate(), network_id=int(self._network))
        self.address = self._wallet.address

    async def fund(self) -> None:
        """Take TON from the faucet. Raises DemoFailed."""
        await self._chain.give(self.address, _PURSE_NANOTONS)

    def proof(self, payload: str, now_s: int) -> dict[str, object]:
        """Return the body that connects the wallet: a ton_proof over `payload`."""
        domain = self._domain
        signed = digest(self.address, domain=domain, timestamp=now_s, payload=payload)
        return {
            "address": self.address.raw,
            "network": self._network.value,
            "publicKey": self._wallet.public_key.hex(),
            "proof": {
                "timestamp": now_s,
                "domain": {"value": domain, "lengthBytes": len(domain.encode())},
                "payload": payload,
                "signature": b64encode(self._wallet.key.sign(signed).signature).decode(),
                "state_init": bag_text(self._wallet.state.cell),
            },
        }

    async def send(self, claim: Json) -> Taken:
        """Send a claim, as the service answered it, to its vault; return what the vault did.

        Raises DemoFailed.
        """
        body = reward_claim(
            recipient=parse_canonical(claim["toAddress"], field="toAddress"),
            amount=int(claim["amount"]),
            seqno=claim["seqno"],
            valid_until_s=claim["validUntil"],
            signature=b64decode(claim["signatureBase64"]),
        )
        order = Order(
            destination=parse_canonical(claim["vaultAddress"], field="vaultAddress"),
            value=_CLAIM_NANOTONS,
            body=cell_from(body.boc()),
        )
        seqno = await self._chain.wallet_seqno(self.address)
        message = self._wallet.signed((order,), seqno=seqno or 0, deploy=seqno is None)
        await self._chain.send(bag_text(message))
        return await self._chain.taken(message.hash)
