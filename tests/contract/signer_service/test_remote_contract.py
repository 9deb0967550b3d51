"""The signer behind a socket keeps the contract of signers, as the one in the process does."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from aiba_adapters.signing.protection import SqliteProtection
from aiba_adapters.signing.remote import RemoteSigner
from aiba_domain.claims.ports import Signer
from tests.contract.signer import test_signer_contract as core
from tests.contract.signer_service.support import Service, listening, remote
from tests.support.signers import Files, SetChain


class FollowingRemote(core.FollowingSigner):
    """A remote signer on a chain that is as far as each claim's maker says it is."""

    def __init__(self, store: SqliteProtection, folder: Path) -> None:
        """Sign over a store, behind a socket in a folder."""
        self.chain, self.store = SetChain(now_s=0), store
        self._service = Service(store, self.chain, core.BOUNDLESS)
        self._socket = folder / f"{id(self)}.sock"
        self._open = AsyncExitStack()
        self._signer: Any = remote(self._socket)

    async def start(self) -> "FollowingRemote":
        """Listen."""
        await self._service.start()
        await self._open.enter_async_context(listening(self._service.app, self._socket))
        self._open.push_async_callback(self._signer.close)
        return self

    async def stop(self) -> None:
        """Stop listening."""
        await self._open.aclose()


class TestRemoteSigner(core.TestProtectedSigner):
    """The same store and the same promises, over a real socket, by the project's own server."""

    async def open_signer(self, folder: Path) -> FollowingRemote:
        """Open the folder's store, and a service over it."""
        files = Files(folder, fresh=not (folder / "store").exists())
        return await FollowingRemote(files.open(), folder).start()

    async def release(self, adapter: Any) -> None:  # noqa: ANN401 - the suite's own
        """Close client, service and store."""
        await adapter.stop()
        await super().release(adapter)


def shape(adapter: RemoteSigner) -> Signer:
    """The adapter has the shape of its port, proven by the type checker; this need not run."""
    return adapter
