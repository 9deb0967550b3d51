"""The same over real sockets: a server process killed with SIGKILL, and a provider beside it."""

import asyncio
import contextlib
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from aiba_adapters.devnet.arena import TON, Arena
from aiba_adapters.devnet.chain import LocalChain
from aiba_adapters.devnet.server import Devnet
from aiba_adapters.devnet.wallets import Order, Wallet, WalletVersion
from tests.contract.devnet.support import served
from tests.contract.process.support import (
    Json,
    Player,
    Server,
    data_of,
    environment,
    mode,
    new_player,
    save_modes,
    until,
)
from tests.contract.withdrawals.world import SHOP, body_of
from tests.support.wallets import DOMAIN, proof_of


class Provider:
    """A local chain behind a socket, on a thread of its own; `asked` is set by each request."""

    def __init__(self) -> None:
        """Deploy the contracts; the chain's time is the machine's."""
        self.chain = LocalChain(clock=time.time, network_id=-239)
        self.arena = Arena(self.chain)
        self.devnet = Devnet(self.arena)
        self.asked = threading.Event()
        self.url = ""
        self._ready, self._over = threading.Event(), threading.Event()
        self._watch()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    def _watch(self) -> None:
        app: Any = self.devnet.app

        async def watched(scope: Json, receive: Json, send: Json) -> None:
            if scope["type"] == "http" and scope["path"].startswith("/api/"):
                self.asked.set()
            await app(scope, receive, send)

        self.devnet.app = watched  # type: ignore[assignment]

    async def _serve(self) -> None:
        async with served(self.devnet) as self.url:
            self._ready.set()
            await asyncio.to_thread(self._over.wait)

    @contextlib.contextmanager
    def running(self) -> Iterator["Provider"]:
        """Serve as long as the context lasts."""
        self._thread.start()
        self._ready.wait()
        try:
            yield self
        finally:
            self._over.set()
            self._thread.join()

    def control(self, name: str, **body: object) -> None:
        """Make the chain's day better or worse."""
        httpx.post(f"{self.url}/control/{name}", json=body, trust_env=False).raise_for_status()

    def send(self, wallet: Wallet, claim: Json) -> int:
        """Let a wallet hand its message in over HTTP, and return the status it is told."""
        order = Order(destination=self.arena.vault, value=TON // 10, body=body_of(claim))
        boc = b64encode(self.arena.message(wallet, order).to_boc(hash_crc32=True)).decode()
        body = {"boc": boc}
        return httpx.post(f"{self.url}/api/v2/sendBoc", json=body, trust_env=False).status_code

    def settings(self) -> dict[str, str]:
        """Return what a server is told of this chain."""
        return {
            "ARENA_VAULT_ADDRESS": self.arena.vault.raw,
            "AIBA_JETTON_MASTER": self.arena.jetton_master.raw,
            "ORACLE_PRIVATE_KEY_HEX": bytes(self.arena.oracle).hex(),
            "TON_PROVIDER_URL": f"{self.url}/api/v2/jsonRPC",
            "TON_REQUESTS_PER_SECOND": "1000",
            "TON_PROOF_DOMAINS": DOMAIN,
            "CREATED_BROKERS_WALLET": SHOP.raw,
        }


@pytest.fixture(name="provider")
def _provider() -> Iterator[Provider]:
    with Provider().running() as provider:
        yield provider


def bind(http: httpx.Client, player: Player, wallet: Wallet) -> None:
    """Prove a wallet and bind it."""
    asked = http.get("/api/wallet/proof-payload", headers=player.headers)
    proof = proof_of(wallet.state.cell, wallet.key, data_of(asked)["payload"], int(time.time()))
    data_of(http.post("/api/wallet/connect", json=proof, headers=player.headers))


def battle(player: Player, key: str) -> Json:
    """Return the body of a battle that is claimed at once."""
    return {
        "requestId": key,
        "brokerId": player.broker_id,
        "modeKey": "plain",
        "autoClaim": True,
    }


def states(http: httpx.Client, player: Player) -> list[str]:
    """Return the states of a player's claims."""
    page = data_of(http.get("/api/economy/claims", headers=player.headers))
    return [claim["state"] for claim in page["items"]]


def test_a_process_that_is_killed_loses_no_claim_and_pays_none_twice(
    provider: Provider, tmp_path: Path
) -> None:
    """Killed between a battle and its claim, and again between a payment and its confirmation."""
    folder = tmp_path / "data"
    environ = environment(folder, **provider.settings())
    save_modes(environ, mode("plain"))
    payer = provider.arena.wallet("payer", version=WalletVersion.V5R1)
    idler = provider.arena.wallet("idler")
    with contextlib.ExitStack() as stack:

        def start() -> httpx.Client:
            server = Server(folder, environ)
            stack.callback(server.kill)
            client = stack.enter_context(server.wait_until_ready().client())
            servers.append(server)
            return client

        servers: list[Server] = []
        first = start()
        players = [new_player(first, number) for number in (1, 2)]
        for player, wallet in zip(players, (payer, idler), strict=True):
            bind(first, player, wallet)
        body, headers = battle(players[0], "b"), players[0].headers

        # Killed with the battle on the disk and the provider silent about the claim's seqno.
        provider.control("outage", mode="silence")
        provider.asked.clear()
        fighting = threading.Thread(target=_lost, args=(first, body, headers))
        fighting.start()
        assert provider.asked.wait(60)
        servers[0].kill()
        fighting.join()
        provider.control("outage")

        second = start()
        claim = data_of(second.post("/api/battle/run", json=body, headers=headers))["claim"]
        assert (claim["seqno"], claim["signatureBase64"] != "") == (1, True)
        unsent = battle(players[1], "b")
        data_of(second.post("/api/battle/run", json=unsent, headers=players[1].headers))
        # The vault is paid by a message whose answer is lost; the sender doesn't know.
        provider.control("outage", mode="lost-answers")
        assert provider.send(payer, claim) == 502
        servers[1].kill()
        provider.control("outage")
        provider.control("time", advance=700)

        third = start()
        until(lambda: states(third, players[0]) == ["confirmed"])
        until(lambda: states(third, players[1]) == ["refunded"])
        again = data_of(third.post("/api/battle/run", json=body, headers=headers))["claim"]
        assert again == claim
        assert provider.arena.jettons(payer.address) == int(claim["amount"])
        assert provider.arena.jettons(idler.address) == 0
        me = data_of(third.get("/api/economy/me", headers=players[0].headers))
        assert me["aibaBalance"] == 0
        assert servers[2].stop() == 0


def _lost(http: httpx.Client, body: Json, headers: dict[str, str]) -> None:
    """Ask for a battle whose answer never comes."""
    with contextlib.suppress(httpx.TransportError):
        http.post("/api/battle/run", json=body, headers=headers)
