"""What proves a throw-away player: launch data signed with the bot's token, and a wallet."""

import json
from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import quote

from nacl.signing import SigningKey

from aiba_adapters.devnet.cells import bag_text
from aiba_adapters.devnet.wallets import WalletVersion, make_wallet
from aiba_adapters.telegram import sign
from aiba_adapters.ton.proof import Network, digest


def launch(player_id: int, *, at_s: int, bot_token: str, nonce: str) -> str:
    """Return launch data of an instant, genuine for whoever holds the token's other copy.

    `at_s` is in seconds since the Unix epoch; another `nonce` is another launch.
    """
    return sign(_fields(player_id, at_s, nonce), bot_token)


def launch_with_two_users(
    player_id: int, other_id: int, *, at_s: int, bot_token: str, nonce: str
) -> list[str]:
    """Return launches that name two players, each genuine for a reader who keeps one of them.

    A reader that takes the first of two equal keys checks another text than one that takes the
    last; whoever can make the two differ plays as somebody else.
    """
    kept = launch(player_id, at_s=at_s, bot_token=bot_token, nonce=nonce)
    other = f"user={quote(_user(other_id))}"
    return [f"{other}&{kept}", f"{kept}&{other}"]


def _fields(player_id: int, at_s: int, nonce: str) -> dict[str, str]:
    return {"auth_date": str(at_s), "query_id": nonce, "user": _user(player_id)}


def _user(player_id: int) -> str:
    return json.dumps({"id": player_id, "first_name": "Conformance", "username": "conformance"})


class TestWallet:
    """A wallet whose key was made just now and that is on no chain."""

    __test__ = False

    def __init__(self, network: Network) -> None:
        """Make the key."""
        self._network = network
        self._wallet = make_wallet(
            WalletVersion.V4R2, SigningKey.generate(), network_id=int(network)
        )
        self.address = self._wallet.address.raw

    def proof(
        self, payload: str, *, domain: str, now_s: int, key: SigningKey | None = None
    ) -> Mapping[str, object]:
        """Return the body that connects the wallet: a ton_proof over `payload`.

        It is signed with `key` where one is given, so that it proves nothing.
        """
        signed = digest(self._wallet.address, domain=domain, timestamp=now_s, payload=payload)
        signature = (key or self._wallet.key).sign(signed).signature
        return {
            "address": self.address,
            "network": self._network.value,
            "publicKey": self._wallet.public_key.hex(),
            "proof": {
                "timestamp": now_s,
                "domain": {"value": domain, "lengthBytes": len(domain.encode())},
                "payload": payload,
                "signature": b64encode(signature).decode(),
                "state_init": bag_text(self._wallet.state.cell),
            },
        }
