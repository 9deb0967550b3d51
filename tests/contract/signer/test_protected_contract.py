"""The protected signer keeps its policy and memory: here over each store, and behind a socket."""

import contextlib
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from aiba_adapters.signing.memory_protection import MemoryProtection
from aiba_domain.claims.ports import Signer
from aiba_domain.signing.model import Network
from aiba_domain.signing.policy import SigningPolicy
from aiba_domain.signing.ports import ProtectionStore
from aiba_domain.testing.contracts import Capability, ProtectedSignerContract
from tests.contract.signer_service.support import Service, listening, remote
from tests.support.signers import Files, SetChain
from tests.support.signers import signer as signer_over


class Stage:
    """A signer over a store, on a chain that is set by hand."""

    def __init__(self, store: ProtectionStore, policy: SigningPolicy) -> None:
        """Sign under a policy."""
        self.store = store
        self.view = SetChain()
        self.signer: Signer = signer_over(store, self.view, policy)

    async def move(self, now_s: int) -> None:
        """Set the time."""
        self.view.now_s = now_s

    async def pay(self, recipient: str, seqno: int) -> None:
        """Set what was paid."""
        self.view.paid[recipient] = seqno

    async def close(self) -> None:
        """Close the store."""
        await self.store.close()


class TestMemory(ProtectedSignerContract):
    """Over the store of simulations."""

    capabilities = frozenset({Capability.FAULTS})

    async def open_stage(self, folder: Path, policy: SigningPolicy) -> Stage:  # noqa: ARG002 - it keeps no file
        """Make it."""
        return Stage(MemoryProtection(network=Network.TESTNET), policy)

    async def release(self, adapter: Stage) -> None:
        """Close it."""
        await adapter.close()

    @contextlib.contextmanager
    def outage(self, adapter: Stage) -> Iterator[None]:
        """Take the chain away."""
        adapter.view.down = True
        yield
        adapter.view.down = False


class TestSqlite(TestMemory):
    """Over the store of the service."""

    capabilities = frozenset({Capability.FAULTS, Capability.REOPEN, Capability.SHARED})

    async def open_stage(self, folder: Path, policy: SigningPolicy) -> Stage:
        """Open the files, made in an empty folder."""
        files = Files(folder, fresh=not (folder / "store").exists())
        return Stage(files.open(), policy)


class RemoteStage(Stage):
    """A signer's service over a store, asked through its socket."""

    def __init__(self, store: ProtectionStore, policy: SigningPolicy, socket: Path) -> None:
        """Sign under a policy, behind a socket."""
        super().__init__(store, policy)
        self._service = Service(store, self.view, policy)
        self._socket = socket
        self._open = AsyncExitStack()

    async def start(self) -> "RemoteStage":
        """Listen, and ask through the socket from now on."""
        await self._service.start()
        await self._open.enter_async_context(listening(self._service.app, self._socket))
        client: Any = remote(self._socket)
        self._open.push_async_callback(client.close)
        self.signer = client
        return self

    async def close(self) -> None:
        """Stop listening, and close the store."""
        await self._open.aclose()
        await super().close()


class TestRemote(TestMemory):
    """The service and its client, over a real socket."""

    capabilities = frozenset({Capability.FAULTS, Capability.REOPEN})

    async def open_stage(self, folder: Path, policy: SigningPolicy) -> Stage:
        """Open the files, and a service over them."""
        files = Files(folder, fresh=not (folder / "store").exists())
        return await RemoteStage(files.open(), policy, folder / "signer.sock").start()
