"""The port of the oracle: what turns the terms of a claim into a signature the vault accepts."""

from dataclasses import dataclass
from typing import Protocol

from aiba_domain.claims.model import ClaimTerms


class SignerUnavailable(Exception):  # noqa: N818 - named for the state of the port
    """The signer can't answer now; whether it signed is unknown, and asking again is safe."""


class SignerRefused(Exception):  # noqa: N818 - a refusal, named for what was refused
    """The signer will not sign these terms, now or later. The text says why and holds no secret."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedClaim:
    """A claim that the vault pays: its terms and the oracle's word for them.

    `signature` is the base64 of the 64 Ed25519 bytes over the payload cell's hash, `payload` the
    base64 of that cell's BoC with CRC32C.
    """

    terms: ClaimTerms
    signature: str
    payload: str


class Signer(Protocol):
    """Signs claims with the oracle's key, wherever that lives."""

    async def sign(self, terms: ClaimTerms) -> SignedClaim:
        """Return the terms with their signature.

        The signer composes what it signs from the typed terms, and never signs bytes it is given.
        The same terms always have the same signature, so a lost answer is had again by asking
        again. The caller has set the money aside and stored the terms before: once this was
        called, a valid signature may exist, whatever it returns or raises.

        Raises SignerRefused for terms the signer is not meant for, such as another vault, and
        SignerUnavailable if it can't be reached or can't answer in time.
        """
        ...
