"""A chain in memory, with one vault, servers that lag behind it, and an oracle that signs for it.

The vault decides by the deployed vault's rules in its order, and its exit codes are the same. The
signature is a keyed digest: whoever has the oracle's key makes it, and nobody else does.
"""

import hmac
from base64 import b64encode
from collections.abc import Callable
from dataclasses import astuple, dataclass
from enum import IntEnum
from hashlib import sha512
from typing import Final

from aiba_domain.claims.claim import VALIDITY_S, ChainView
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.claims.ports import (
    Inventory,
    Sighting,
    SignedClaim,
    SignerRefused,
    SignerUnavailable,
)
from aiba_domain.ports import Unavailable

VAULT: Final = f"0:{'11' * 32}"
JETTON_MASTER: Final = f"0:{'22' * 32}"
GENESIS_S: Final = 1_767_268_800
"""When the first block was made: 2026-01-01T12:00:00Z in seconds since the Unix epoch."""

_ORACLE: Final = b"an oracle's key that is only good for tests"
_NANO: Final = 1_000_000_000


class Exit(IntEnum):
    """What the vault ends a message with; everything but PAID is a refusal."""

    PAID = 0
    AMOUNT = 6_243
    SEQNO = 17_654
    EXPIRED = 24_383
    SIGNATURE = 48_401
    SENDER = 51_532


@dataclass(frozen=True, slots=True, kw_only=True)
class Cheque:
    """A message that asks the vault to pay: who sends it, what it says, and the signature."""

    sender: str
    terms: ClaimTerms
    signature: str


def signature_of(terms: ClaimTerms, key: bytes = _ORACLE) -> str:
    """Return the base64 of the 64 bytes by which a key signs all of the terms."""
    return b64encode(hmac.digest(key, repr(astuple(terms)).encode(), sha512)).decode()


class ModelVault:
    """Pays whom the oracle says, once a seqno. `paid` lists the terms of all that was paid."""

    def __init__(self, *, jettons: int = 2**100) -> None:
        """Start with that many jettons and nothing paid."""
        self.jettons = jettons
        self.paid: list[ClaimTerms] = []
        self._seqnos: dict[str, int] = {}

    def last_seqno(self, recipient: str) -> int:
        """Return the last seqno paid to a recipient, 0 before the first."""
        return self._seqnos.get(recipient, 0)

    def receive(self, cheque: Cheque, now_s: int) -> Exit:
        """Decide a message in a block of that time, and pay if nothing is wrong with it."""
        terms = cheque.terms
        if now_s > terms.valid_until_s:
            return Exit.EXPIRED
        if terms.amount <= 0:
            return Exit.AMOUNT
        if cheque.sender != terms.recipient:
            return Exit.SENDER
        if terms.seqno != self.last_seqno(terms.recipient) + 1:
            return Exit.SEQNO
        mine = (terms.vault, terms.jetton_master) == (VAULT, JETTON_MASTER)
        if not mine or cheque.signature != signature_of(terms):
            return Exit.SIGNATURE
        self._seqnos[terms.recipient] = terms.seqno
        self.jettons -= terms.amount
        self.paid.append(terms)
        return Exit.PAID


class ModelChain:
    """Blocks of one vault's life, and servers that each know them up to some height.

    `pending` are messages that no block has taken yet. Time never goes back from block to block.
    """

    def __init__(self, *, servers: int = 1, now_s: int = GENESIS_S) -> None:
        """Make the first block, which every server knows."""
        self.vault = ModelVault()
        self.pending: list[Cheque] = []
        self.heights = [0] * servers
        self._times = [now_s]
        self._seqnos: list[dict[str, int]] = [{}]

    @property
    def now_s(self) -> int:
        """The time of the newest block, in seconds since the Unix epoch."""
        return self._times[-1]

    @property
    def height(self) -> int:
        """The height of the newest block."""
        return len(self._times) - 1

    def send(self, cheque: Cheque) -> None:
        """Hand in a message for one of the next blocks."""
        self.pending.append(cheque)

    def block(self, later_s: int = 5, *, taken: int | None = None) -> list[Exit]:
        """Make a block with the first `taken` pending messages, by default all of them.

        No server knows it yet; `sync` tells them.
        """
        if later_s < 0:
            raise ValueError("a block is never earlier than the one before")
        now_s = self.now_s + later_s
        count = len(self.pending) if taken is None else max(0, taken)
        messages, self.pending = self.pending[:count], self.pending[count:]
        before = len(self.vault.paid)
        exits = [self.vault.receive(message, now_s) for message in messages]
        self._times.append(now_s)
        news = {terms.recipient: terms.seqno for terms in self.vault.paid[before:]}
        self._seqnos.append(self._seqnos[-1] | news if news else self._seqnos[-1])
        return exits

    def sync(self, server: int | None = None, *, blocks: int | None = None) -> None:
        """Let a server, or all of them, learn that many more blocks, by default all."""
        for each in range(len(self.heights)) if server is None else (server,):
            known = self.height if blocks is None else self.heights[each] + blocks
            self.heights[each] = min(self.height, known)

    def view(self, recipient: str, *, server: int = 0) -> ChainView:
        """Return what a server knows: the seqno in its newest block, and that block's time."""
        height = self.heights[server]
        return ChainView(seqno=self._seqnos[height].get(recipient, 0), time_s=self._times[height])


class ModelReader:
    """Reads a chain through servers; `down` are those that don't answer.

    `pick` says which server is asked next: the first one by default.
    """

    def __init__(self, chain: ModelChain, pick: Callable[[], int] = lambda: 0) -> None:
        """Read `chain`."""
        self.chain = chain
        self.down: set[int] = set()
        self._pick = pick

    async def view(self, vault: str, recipient: str) -> ChainView:
        """Return what one server knows of a recipient."""
        return self._look(vault, recipient).view

    async def sighting(self, vault: str, recipient: str) -> Sighting:
        """Return the same with the server's newest block, just read."""
        return self._look(vault, recipient)

    async def inventory(self, vault: str) -> Inventory:
        """Return what the vault holds now."""
        self._server()
        held = self.chain.vault.jettons if vault == VAULT else 0
        return Inventory(ton_nano=_NANO, jetton_wallet=JETTON_MASTER, jettons=held)

    def _look(self, vault: str, recipient: str) -> Sighting:
        server = self._server()
        view = self.chain.view(recipient, server=server)
        if vault != VAULT:
            view = ChainView(seqno=0, time_s=view.time_s)
        return Sighting(view=view, block=self.chain.heights[server], age_ms=0)

    def _server(self) -> int:
        server = self._pick()
        if server in self.down:
            raise Unavailable(f"server {server} doesn't answer")
        return server


class ModelSigner:
    """Signs for the vault. `released` lists the terms of every signature that was made.

    Remembers the last terms of each seqno of a recipient, and signs no others for it while those
    may still be paid; terms are made `VALIDITY_S` before they expire, so no clock is asked.
    """

    def __init__(self, released: list[ClaimTerms] | None = None) -> None:
        """Start with nothing remembered; add to `released` if it is given."""
        self.released = [] if released is None else released
        self.is_down = False
        self._last: dict[tuple[str, int], ClaimTerms] = {}

    async def sign(self, terms: ClaimTerms) -> SignedClaim:
        """Sign, or raise SignerUnavailable while down, or SignerRefused."""
        if self.is_down:
            raise SignerUnavailable("the signer doesn't answer")
        if (terms.vault, terms.jetton_master) != (VAULT, JETTON_MASTER):
            raise SignerRefused("contract_not_allowed")
        place = (terms.recipient, terms.seqno)
        last = self._last.get(place)
        if last is not None and _may_both_be_paid(last, terms):
            raise SignerRefused("seqno_already_signed")
        self._last[place] = terms
        self.released.append(terms)
        payload = b64encode(repr(astuple(terms)).encode()).decode()
        return SignedClaim(terms=terms, payload=payload, signature=signature_of(terms))


def _may_both_be_paid(first: ClaimTerms, other: ClaimTerms) -> bool:
    """Tell whether other terms for a seqno were made while the first could still be paid."""
    if first == other:
        return False
    return other.valid_until_s - VALIDITY_S <= first.valid_until_s
