"""The isolated signer of a simulation: the real one over a memory that all its replicas share."""

from typing import Final

from nacl.signing import SigningKey

from aiba_adapters.signing.keys import ProcessKey
from aiba_adapters.signing.memory_protection import MemoryProtection
from aiba_adapters.signing.protected import ProtectedSigner
from aiba_domain.claims.ports import Signer
from aiba_domain.signing.model import Network
from aiba_domain.signing.policy import SigningPolicy
from aiba_domain.signing.ports import ProtectionStore, SigningChain
from aiba_domain.testing.simulation import Isolated

_KEY: Final = ProcessKey(SigningKey(b"a key that signs for models only"))


def _open_memory() -> ProtectionStore:
    return MemoryProtection(network=Network.TESTNET)


def _start(memory: ProtectionStore, chain: SigningChain, policy: SigningPolicy) -> Signer:
    return ProtectedSigner(_KEY, store=memory, chain=chain, policy=policy)


ISOLATED: Final = Isolated(open_memory=_open_memory, start=_start)
"""What a simulated isolated signer is made of."""
