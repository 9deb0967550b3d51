"""The signers keep the contract of signers: here, and behind a connection."""

import base64
import contextlib
from collections.abc import Iterator
from pathlib import Path

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from aiba_adapters.signing.local import LocalSigner
from aiba_adapters.ton.claim_cell import payload_of
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.claims.ports import SignedClaim, SignerUnavailable
from aiba_domain.testing.chain import JETTON_MASTER, VAULT, ModelSigner, signature_of
from aiba_domain.testing.contracts import Capability, SignerContract

KEY = SigningKey(bytes.fromhex("aa" * 32))


class TestLocalSigner(SignerContract):
    """ed25519 over the payload cell's hash, as the vault checks it."""

    capabilities = frozenset({Capability.VERIFIABLE, Capability.SERIALIZABLE})
    vault, jetton_master = "0:" + "11" * 32, "0:" + "22" * 32

    async def open_signer(self, folder: Path) -> LocalSigner:  # noqa: ARG002 - it keeps no file
        """Make it."""
        return LocalSigner(KEY, vault=self.vault, jetton_master=self.jetton_master)

    def accepts(self, signed: SignedClaim) -> bool:
        """Verify by the public key over the terms' own cell."""
        key = VerifyKey(bytes(KEY.verify_key))
        try:
            key.verify(payload_of(signed.terms).hash, base64.b64decode(signed.signature))
        except BadSignatureError:
            return False
        return True


class DistantSigner(LocalSigner):
    """A signer behind a connection, which may be down."""

    is_down = False

    async def sign(self, terms: ClaimTerms) -> SignedClaim:
        """Sign, if the connection stands."""
        if self.is_down:
            raise SignerUnavailable("no connection")
        return await super().sign(terms)


class TestDistantSigner(TestLocalSigner):
    """The same signatures, from further away."""

    capabilities = frozenset({Capability.VERIFIABLE, Capability.SERIALIZABLE, Capability.FAULTS})

    async def open_signer(self, folder: Path) -> DistantSigner:  # noqa: ARG002 - it keeps no file
        """Make it."""
        return DistantSigner(KEY, vault=self.vault, jetton_master=self.jetton_master)

    @contextlib.contextmanager
    def outage(self, adapter: DistantSigner) -> Iterator[None]:
        """Cut the connection."""
        adapter.is_down = True
        yield
        adapter.is_down = False


class TestModelSigner(SignerContract):
    """The signer of simulations."""

    capabilities = frozenset({Capability.VERIFIABLE, Capability.SERIALIZABLE, Capability.FAULTS})
    vault, jetton_master = VAULT, JETTON_MASTER

    async def open_signer(self, folder: Path) -> ModelSigner:  # noqa: ARG002 - it keeps no file
        """Make it."""
        return ModelSigner()

    def accepts(self, signed: SignedClaim) -> bool:
        """Judge as the model of the vault does."""
        return signed.signature == signature_of(signed.terms)

    @contextlib.contextmanager
    def outage(self, adapter: ModelSigner) -> Iterator[None]:
        """Let it be silent."""
        adapter.is_down = True
        yield
        adapter.is_down = False
