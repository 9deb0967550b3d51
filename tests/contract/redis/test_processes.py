"""Eight processes that share what is shared: a limit, and the one use of a proof's payload."""

import asyncio
import time
from pathlib import Path

from aiba_adapters.ton.proof import Proof
from aiba_entry.service import open_container
from aiba_entry.settings import load
from tests.contract.game import ton
from tests.contract.process.support import environment, rows
from tests.contract.redis.workers import PROCESSES, bind, hammer, in_processes
from tests.support.redis import RedisServer
from tests.support.wallets import Wallet

PLAYER = "42"


def test_eight_processes_exceed_a_limit_by_nothing(server: RedisServer) -> None:
    """Of 400 hits on one key the limit is allowed, and each of them left one less."""
    limit = 150
    now_ms = int(time.time() * 1_000)
    ruled = in_processes(hammer, [(server.url, 50, limit, now_ms)] * PROCESSES)
    hits = [hit for each in ruled for hit in each]
    assert len(hits) == 50 * PROCESSES
    left = sorted((remaining for allowed, remaining in hits if allowed), reverse=True)
    assert left == list(range(limit - 1, -1, -1))


def test_a_payload_is_used_once_by_eight_processes(tmp_path: Path) -> None:
    """Two wallets sign one payload; whoever comes first is bound, wherever the others ask."""
    environ = environment(tmp_path / "data", **ton.ENVIRON)
    payload = asyncio.run(_given_out(environ))
    wallets = [Wallet(1), Wallet(2)]
    proofs = [_proof(wallet, payload) for wallet in wallets]
    calls = [
        (environ, PLAYER, wallets[number % 2].address, proofs[number % 2])
        for number in range(PROCESSES)
    ]
    ended = in_processes(bind, calls)
    bound = {each for each in ended if each.startswith("0:")}
    (address,) = bound
    own = [wallet.address for wallet in wallets].index(address)
    assert ended[own::2] == [address] * (PROCESSES // 2)
    assert ended[1 - own :: 2] == ["requestId already used"] * (PROCESSES // 2)
    assert rows(tmp_path / "data" / "aiba.db", "SELECT id, wallet FROM players") == [
        (PLAYER, address)
    ]


async def _given_out(environ: dict[str, str]) -> str:
    """Return a payload for the player."""
    async with open_container(load(environ)) as container:
        return container.wallet_desk().payload(PLAYER)[0]


def _proof(wallet: Wallet, payload: str) -> Proof:
    """Return a wallet's proof, made now."""
    body = wallet.proof(payload, int(time.time()))
    proof = body["proof"]
    return Proof(
        address=wallet.address,
        network=body["network"],
        public_key=body["publicKey"],
        state_init=proof["state_init"],
        timestamp=proof["timestamp"],
        domain=proof["domain"]["value"],
        domain_length=proof["domain"]["lengthBytes"],
        payload=proof["payload"],
        signature=proof["signature"],
    )
