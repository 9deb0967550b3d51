"""The model of the chain keeps the contracts of its readers, also where its server lags."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from aiba_adapters.signing.chain import ReaderChain
from aiba_domain.claims.claim import VALIDITY_S
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.testing.chain import (
    JETTON_MASTER,
    VAULT,
    Cheque,
    ModelChain,
    ModelReader,
    signature_of,
)
from aiba_domain.testing.contracts import (
    Capability,
    ChainReaderContract,
    SigningChainContract,
    VaultReaderContract,
)
from aiba_domain.testing.strategies import wallet_of


class ModelStage:
    """The chain in memory, with one server."""

    vault = VAULT
    recipients = (wallet_of("1"), wallet_of("2"))

    def __init__(self) -> None:
        """Make the first block."""
        self.chain = ModelChain()
        self.reader = ModelReader(self.chain)
        self._is_late = False

    async def pay(self, recipient: str) -> None:
        """Hand a cheque in and make a block."""
        terms = ClaimTerms(
            vault=VAULT,
            jetton_master=JETTON_MASTER,
            recipient=recipient,
            amount=1,
            seqno=self.chain.vault.last_seqno(recipient) + 1,
            valid_until_s=self.chain.now_s + VALIDITY_S,
        )
        self.chain.send(Cheque(sender=recipient, terms=terms, signature=signature_of(terms)))
        self._block(5)

    async def wait(self, seconds: int) -> None:
        """Make a block so much later."""
        self._block(seconds)

    async def time_s(self) -> int:
        """Return the newest block's time."""
        return self.chain.now_s

    async def jettons(self) -> int:
        """Return what the vault holds."""
        return self.chain.vault.jettons

    async def hold(self, *, on: bool) -> None:
        """Keep the server where it is, or tell it all."""
        self._is_late = on
        if not on:
            self.chain.sync()

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        """Take the server down."""
        self.reader.down.add(0)
        yield
        self.reader.down.clear()

    def _block(self, later_s: int) -> None:
        self.chain.block(later_s)
        if not self._is_late:
            self.chain.sync()


class TestModelReader(ChainReaderContract):
    """The reader of simulations."""

    capabilities = frozenset({Capability.LATE_BLOCKS, Capability.FAULTS})

    async def open_stage(self, folder: Path) -> ModelStage:  # noqa: ARG002 - it keeps no file
        """Make it."""
        return ModelStage()

    def outage(self, adapter: ModelStage) -> contextlib.AbstractContextManager[None]:
        """Take the server down."""
        return adapter.outage()


class TestModelVault(VaultReaderContract):
    """The same reader, for whoever looks at the vault."""

    capabilities = TestModelReader.capabilities

    async def open_stage(self, folder: Path) -> ModelStage:  # noqa: ARG002 - it keeps no file
        """Make it."""
        return ModelStage()

    def outage(self, adapter: ModelStage) -> contextlib.AbstractContextManager[None]:
        """Take the server down."""
        return adapter.outage()


class SigningStage(ModelStage):
    """The chain in memory as a signer sees it, by a clock that goes as the chain's time does."""

    def __init__(self) -> None:
        """Make the first block."""
        super().__init__()
        self.adapter = ReaderChain(self.reader, vault=VAULT, now=lambda: float(self.chain.now_s))


class TestReaderChain(SigningChainContract):
    """The signer's view, which keeps a block's time for some seconds."""

    capabilities = TestModelReader.capabilities

    async def open_stage(self, folder: Path) -> SigningStage:  # noqa: ARG002 - it keeps no file
        """Make it."""
        return SigningStage()

    def outage(self, adapter: SigningStage) -> contextlib.AbstractContextManager[None]:
        """Take the server down."""
        return adapter.outage()
