"""The ports of withdrawals: who signs, and who looks at the chain."""

from dataclasses import dataclass
from typing import Protocol

from aiba_domain.claims.claim import ChainView
from aiba_domain.claims.model import ClaimTerms


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedClaim:
    """What makes a claim payable: the signed cell's BoC and the signature, both base64."""

    terms: ClaimTerms
    payload: str
    signature: str


class SignerUnavailable(Exception):  # noqa: N818 - named for the state of the port
    """The signer can't answer now; the same terms may be sent again.

    `retry_after_ms` says when that is worth while.
    """

    def __init__(self, reason: str = "", *, retry_after_ms: int = 1_000) -> None:
        """Say why, for the log."""
        super().__init__(reason)
        self.retry_after_ms = retry_after_ms


class SignerRefused(Exception):  # noqa: N818 - a refusal, as the domain names its own
    """The signer will not sign these terms; `code` says why and holds no secret."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Signer(Protocol):
    """Signs claims with the oracle's key."""

    async def sign(self, terms: ClaimTerms) -> SignedClaim:
        """Sign a claim built from typed fields; the same terms always give the same answer.

        Never signs other terms for a (vault, recipient, seqno) whose first ones may still be paid.
        Raises SignerUnavailable or SignerRefused; then nothing that was signed has left.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Inventory:
    """What a vault holds: nanoTON for its gas, and jettons in their smallest units.

    `jetton_wallet` is the raw address of the wallet that holds the jettons.
    """

    ton_nano: int
    jetton_wallet: str
    jettons: int


class ChainReader(Protocol):
    """Reads the chain. Every method raises Unavailable rather than answer from a stale state."""

    async def view(self, vault: str, recipient: str) -> ChainView:
        """Return the last seqno paid to a recipient, with a block time not later than its block.

        So "this late and still below" is a fact, whichever server answered.
        """
        ...

    async def inventory(self, vault: str) -> Inventory:
        """Return what a vault holds."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """What was seen of a recipient, in which masterchain block, and how long ago."""

    view: ChainView
    block: int
    age_ms: int


class VaultReader(Protocol):
    """Reads a vault for whoever looks at it. Raises Unavailable as a ChainReader does."""

    async def sighting(self, vault: str, recipient: str) -> Sighting:
        """Return what a ChainReader's `view` does, with the block it was read in and its age."""
        ...

    async def inventory(self, vault: str) -> Inventory:
        """Return what a vault holds."""
        ...
