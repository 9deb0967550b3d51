"""The signer's service for tests: its application over a store, on a real socket or without one."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import uvicorn

from aiba_adapters.signing.memory_protection import MemoryProtection
from aiba_adapters.signing.oracle_keys import NamedKeys
from aiba_adapters.signing.remote import Patience, RemoteSigner, SignerPlace
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.signing.model import Network
from aiba_domain.signing.policy import SigningPolicy
from aiba_domain.signing.ports import ProtectionStore
from aiba_entry.http.protocol import BoundedProtocol
from aiba_entry.http.server import Server
from aiba_entry.signer.app import SIGN, SignerApp
from aiba_entry.signer.desk import Desk
from aiba_entry.signer.metrics import SignerMetrics
from aiba_entry.signer.policy import LoadedPolicy
from aiba_entry.signer.tokens import read_tokens
from tests.support.signers import KEY, SetChain, policy

TOKEN: Final = "canary-token-of-the-api-0123456789abcdef"
OTHER: Final = "canary-token-of-another-0123456789abcdef"
TOKENS: Final = f"# who may ask\napi {TOKEN}\n\nother {OTHER}\n"


class Service:
    """A signer's application, with what it counts and a client that needs no socket."""

    def __init__(
        self,
        store: ProtectionStore | None = None,
        chain: SetChain | None = None,
        rules: SigningPolicy | None = None,
        *,
        rate_per_s: int = 1_000_000,
    ) -> None:
        """Make it; `start` makes it sign."""
        self.store = store or MemoryProtection(network=Network.TESTNET)
        self.chain = chain or SetChain()
        self.metrics = SignerMetrics()
        self.desk = Desk(
            KEY,
            store=self.store,
            chain=self.chain,
            network=Network.TESTNET,
            policy=LoadedPolicy(policy=rules or policy(), digest="0" * 64),
            observe=self.metrics.result,
        )
        self.app = SignerApp(
            self.desk, tokens=read_tokens(TOKENS), metrics=self.metrics, rate_per_s=rate_per_s
        )
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=self.app), base_url="http://signer"
        )

    async def start(self) -> "Service":
        """Write the start into the log."""
        await self.desk.start()
        return self

    async def post(
        self, body: bytes | Mapping[str, Any], token: str | None = TOKEN, **headers: str
    ) -> httpx.Response:
        """Ask for a signature."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        given = {} if token is None else {"authorization": f"Bearer {token}"}
        return await self.http.post(SIGN, content=content, headers=given | headers)

    def counted(self) -> dict[str, int]:
        """Return how often each result came, without those that didn't."""
        lines = self.metrics.render(None).decode().splitlines()
        start = 'aiba_signer_requests_total{result="'
        found = (line.removeprefix(start).split('"} ') for line in lines if line.startswith(start))
        return {name: int(float(count)) for name, count in found if float(count)}


def wire(terms: ClaimTerms, **changes: Any) -> dict[str, Any]:
    """Return terms as they are asked for on the wire."""
    return {
        "vaultAddress": terms.vault,
        "jettonMaster": terms.jetton_master,
        "to": terms.recipient,
        "amount": str(terms.amount),
        "seqno": str(terms.seqno),
        "validUntil": terms.valid_until_s,
    } | changes


@asynccontextmanager
async def listening(app: Any, path: Path) -> AsyncIterator[None]:  # noqa: ANN401 - any ASGI application
    """Serve an application on a Unix socket by the project's own server, in this loop."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(128)
    ready = asyncio.Event()
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    server = Server(config, lambda _host, _port: ready.set())
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        await asyncio.wait(
            (serving, waiting := asyncio.create_task(ready.wait())),
            return_when=asyncio.FIRST_COMPLETED,
        )
        waiting.cancel()
        yield
    finally:
        server.should_exit = True
        await serving
        _forget(path)


def _forget(path: Path) -> None:
    path.unlink()


def remote(path: Path, *, token: str = TOKEN, attempts: int = 1) -> RemoteSigner:
    """Return a client of a signer behind a Unix socket, which believes the tests' key."""
    place = SignerPlace(url=f"unix:{path}", token=token)
    keys = NamedKeys({KEY.public_key})
    return RemoteSigner(place, keys=keys, patience=Patience(attempts=attempts, failures=1_000))
