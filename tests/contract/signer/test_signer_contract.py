"""The protected signer keeps the contract that every signer keeps, over files that others share."""

import contextlib
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aiba_adapters.signing.hsm import TokenKey
from aiba_adapters.signing.keys import ProcessKey, verifier
from aiba_adapters.signing.memory_protection import MemoryProtection
from aiba_adapters.signing.protected import ProtectedSigner
from aiba_adapters.signing.protection import SqliteProtection
from aiba_adapters.ton.claim_cell import payload_of
from aiba_domain.claims.claim import VALIDITY_S
from aiba_domain.claims.model import MAX_SEQNO, ClaimTerms
from aiba_domain.claims.ports import SignedClaim, Signer
from aiba_domain.money import MAX_AMOUNT
from aiba_domain.signing.ports import Key, ProtectionStore
from aiba_domain.testing.contracts import Capability, SignerContract
from aiba_domain.testing.contracts.signer import Desk
from aiba_domain.testing.contracts.suite import broad, needs
from tests.support.signers import KEY, MASTER, VAULT, Files, SetChain, policy
from tests.support.signers import signer as signer_over

AMOUNTS = st.integers(1, 10**6)
SEQNOS = st.integers(1, MAX_SEQNO)
BOUNDLESS = policy(**dict.fromkeys(("claim", "recipient_day", "day", "lifetime"), MAX_AMOUNT))


class FollowingSigner:
    """A protected signer on a chain that is as far as each claim's maker says it is."""

    def __init__(self, store: SqliteProtection) -> None:
        """Sign over a store."""
        self.chain = SetChain(now_s=0)
        self.store = store
        self._signer = signer_over(store, self.chain, BOUNDLESS)

    async def sign(self, terms: ClaimTerms) -> SignedClaim:
        """Sign `VALIDITY_S` before the terms expire, or later."""
        self.chain.now_s = max(self.chain.now_s, terms.valid_until_s - VALIDITY_S)
        self.chain.paid.setdefault(terms.recipient, terms.seqno - 1)
        return await self._signer.sign(terms)


class TestProtectedSigner(SignerContract):
    """Each signer of a test opens the same store; what the limits forbid is asked less of."""

    capabilities = frozenset(
        {
            Capability.VERIFIABLE,
            Capability.SERIALIZABLE,
            Capability.REOPEN,
            Capability.SHARED,
            Capability.FAULTS,
        }
    )
    vault, jetton_master = VAULT, MASTER

    async def open_signer(self, folder: Path) -> FollowingSigner:
        """Open the folder's store, and make it where there is none."""
        files = Files(folder, fresh=not (folder / "store").exists())
        return FollowingSigner(files.open())

    async def release(self, adapter: Any) -> None:  # noqa: ANN401 - the suite's own
        """Close its store."""
        await adapter.store.close()

    @contextlib.contextmanager
    def outage(self, adapter: FollowingSigner) -> Iterator[None]:
        """Take the chain away."""
        adapter.chain.down = True
        yield
        adapter.chain.down = False

    def accepts(self, signed: SignedClaim) -> bool:
        """Verify by the public key over the terms' own cell."""
        return verifier(KEY.public_key)(payload_of(signed.terms).hash, b64decode(signed.signature))

    @broad()
    @given(amount=AMOUNTS, seqno=SEQNOS)
    def test_the_same_terms_give_the_same_answer(
        self, signer: Desk, amount: int, seqno: int
    ) -> None:
        """As the suite has it, with amounts that keep a lifetime's limit together."""
        inner: Any = SignerContract.test_the_same_terms_give_the_same_answer
        inner.hypothesis.inner_test(self, signer, amount=amount, seqno=seqno)

    @needs(Capability.VERIFIABLE)
    @broad()
    @given(amount=AMOUNTS, seqno=SEQNOS, more=st.booleans())
    def test_the_vault_accepts_what_is_signed_and_nothing_else(
        self, signer: Desk, amount: int, seqno: int, *, more: bool
    ) -> None:
        """As the suite has it, with amounts that keep a lifetime's limit together."""
        inner: Any = SignerContract.test_the_vault_accepts_what_is_signed_and_nothing_else
        inner.hypothesis.inner_test(self, signer, amount=amount, seqno=seqno, more=more)


def shapes(
    protected: ProtectedSigner,
    sqlite: SqliteProtection,
    memory: MemoryProtection,
    here: ProcessKey,
    token: TokenKey,
) -> tuple[Signer, tuple[ProtectionStore, ...], tuple[Key, ...]]:
    """Every adapter has the shape of its port, proven by the type checker; this need not run."""
    return protected, (sqlite, memory), (here, token)
