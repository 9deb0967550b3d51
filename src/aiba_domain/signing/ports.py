"""The ports of an isolated signer: its key, its memory, and what it sees of the chain."""

from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeVar

from aiba_domain.claims.claim import ChainView
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.signing.interchange import Protection
from aiba_domain.signing.model import Charge, Lock, Mark, Protected, Standing, StoreState
from aiba_domain.signing.trail import Kind

T = TypeVar("T")


class KeyUnavailable(Exception):  # noqa: N818 - named for the state of the key
    """The key can't sign now; nothing was signed. The text holds no secret."""


class ProtectionUnavailable(Exception):  # noqa: N818 - named for the state of the store
    """The store can't answer now; what was asked may or may not be in it, and nothing may leave."""


class Key(Protocol):
    """An ed25519 key that may live elsewhere: in this process, a token, or a remote service."""

    @property
    def public_key(self) -> bytes:
        """The 32 bytes by which the vault knows it."""
        ...

    async def sign(self, payload_hash: bytes) -> bytes:
        """Return the 64 bytes of the signature over a cell's hash of 32 bytes.

        The same hash gives the same signature. Raises KeyUnavailable.
        """
        ...


class SigningChain(Protocol):
    """What a signer sees of the chain. Both raise Unavailable rather than guess."""

    async def time_s(self) -> int:
        """Return the time of a block that exists, in seconds since the Unix epoch.

        It may be a while old, never ahead: an old one only makes the signer stricter.
        """
        ...

    async def view(self, vault: str, recipient: str) -> ChainView:
        """Return the last seqno paid to a recipient, with a block time not later than its block."""
        ...


class ProtectionUnit(Protocol):
    """One transaction on a protection store. Never kept beyond the call it was given to."""

    def state(self) -> StoreState:
        """Return what the store says of itself."""
        ...

    def standing(self, terms: ClaimTerms, day: str) -> Standing:
        """Return what a decision about these terms in a UTC day needs."""
        ...

    def protect(self, terms: ClaimTerms, record: Protected, charge: Charge) -> None:
        """Store the payload that is signed for the terms' seqno, raise the watermark, charge.

        The day that is charged is the record's. An earlier payload is replaced only by one that is
        valid longer; a store refuses anything else by itself.
        """
        ...

    def raise_mark(self, vault: str, recipient: str, mark: Mark) -> None:
        """Raise a recipient's watermark and quarantine; neither ever falls."""
        ...

    def lock(self, reason: Lock) -> None:
        """Sign nothing more until the store is unlocked."""
        ...

    def learned(self, *, is_complete: bool, quarantined_until_s: int) -> None:
        """Say that the memory holds all that the log tells, or that the log can't tell it all.

        A quarantine that the log tells of is kept.
        """
        ...

    def unlock(self, *, quarantined_until_s: int, new_key: bool = False) -> None:
        """Open the store; nothing new is signed until chain time is past the end of quarantine."""
        ...

    def dump(self) -> Protection:
        """Return everything that protects: for an export, or a merge."""
        ...

    def restore(self, protection: Protection) -> None:
        """Take over a protection that was merged from this store's own and another."""
        ...

    def recipients(self) -> Iterable[tuple[str, str]]:
        """Return every (vault, recipient) that is known."""
        ...

    def note(self, kind: Kind, time_s: int, facts: Mapping[str, object]) -> None:
        """Add an entry to the log; chain time in seconds, 0 where it isn't known."""
        ...


class ProtectionStore(Protocol):
    """The memory of what was signed, and its log."""

    async def transact(self, work: Callable[[ProtectionUnit], T]) -> T:
        """Run `work` alone, and return its result once all it did is durable, the log included.

        `work` may be run more than once; only its last run has an effect. Raises what `work`
        raises, and then it has had none, or ProtectionUnavailable.
        """
        ...

    async def close(self) -> None:
        """Let everything accepted end, then close. Closing again is harmless."""
        ...
