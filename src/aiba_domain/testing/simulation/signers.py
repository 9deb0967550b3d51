"""An isolated signer in a simulation: replicas over one memory, each a process that may die.

A request goes from a process of the service to some replica. There is a gate before and after each
write of its memory, and before and after each look at the chain, so it may die at any of them.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from aiba_domain.claims.claim import ChainView
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.claims.ports import (
    ChainReader,
    SignedClaim,
    Signer,
    SignerRefused,
    SignerUnavailable,
)
from aiba_domain.money import MAX_AMOUNT
from aiba_domain.signing.model import Network, Sign
from aiba_domain.signing.policy import Allowed, Limits, SigningPolicy
from aiba_domain.signing.ports import ProtectionStore, ProtectionUnit, SigningChain
from aiba_domain.testing.chain import JETTON_MASTER, VAULT, signature_of
from aiba_domain.testing.signing_auditor import SigningAuditor
from aiba_domain.testing.simulation.dice import Dice
from aiba_domain.testing.simulation.scheduler import Gate, Life

T = TypeVar("T")

TIGHT: Final = Limits(claim=200, recipient_day=220, day=260, lifetime=1_200)
"""The limits of a simulated signer: reached now and then."""

BOUNDLESS: Final = Limits(
    claim=MAX_AMOUNT, recipient_day=MAX_AMOUNT, day=MAX_AMOUNT, lifetime=MAX_AMOUNT
)

REPLICAS: Final = (2, 4)
"""The fewest and the most replicas there are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolated:
    """What a simulation's isolated signer is made of.

    `open_memory` opens a memory of the testnet, for a key that has signed nothing; it outlives the
    replicas, and all of them share it. `start` makes a signer over a memory and a view of the
    chain, under a policy, with nothing in its own memory.
    """

    open_memory: Callable[[], ProtectionStore]
    start: Callable[[ProtectionStore, SigningChain, SigningPolicy], Signer]


class GatedMemory:
    """A replica's memory for one request, with a gate before and after each write.

    `signs` is called once the request was found to be signed for the first time, by a write whose
    answer may be lost.
    """

    def __init__(
        self, inner: ProtectionStore, gate: Gate, life: Life, signs: Callable[[], None]
    ) -> None:
        """Stand in front of `inner` for one life of a replica."""
        self._inner = inner
        self._gate = gate
        self._life = life
        self._signs = signs

    async def transact(self, work: Callable[[ProtectionUnit], T]) -> T:
        """Run `work` on the memory behind; what was written may never be told of."""
        await self._gate.reach("signer.write", self._life)
        result = await self._inner.transact(work)
        if isinstance(result, Sign):
            self._signs()
        await self._gate.reach("signer.written", self._life)
        return result

    async def close(self) -> None:
        """Leave the memory behind open: it outlives the replica."""


class GatedView:
    """One request's view of the chain. `time` is the chain time that it was decided by."""

    def __init__(self, inner: ChainReader, gate: Gate, life: Life) -> None:
        """Look by `inner` for one life of a replica."""
        self._inner = inner
        self._gate = gate
        self._life = life
        self.time = 0

    async def time_s(self) -> int:
        """Return the time of a block that a server knows."""
        self.time = (await self.view(VAULT, VAULT)).time_s
        return self.time

    async def view(self, vault: str, recipient: str) -> ChainView:
        """Look; what was seen may be old by the time it arrives."""
        await self._gate.reach("signer.view", self._life)
        seen = await self._inner.view(vault, recipient)
        await self._gate.reach("signer.viewed", self._life)
        return seen


class SignerPool:
    """The replicas, their memory and policy, and the auditor of all that leaves them.

    The terms of each signature are added to `released`, and what becomes of requests is counted in
    `counts`. `dice` gives those of the step under way.
    """

    def __init__(
        self,
        isolated: Isolated,
        gate: Gate,
        reader: ChainReader,
        released: list[ClaimTerms],
        counts: Counter[str],
        dice: Callable[[], Dice],
    ) -> None:
        """Start the replicas over an empty memory."""
        self._isolated = isolated
        self._gate = gate
        self._reader = reader
        self._released = released
        self._counts = counts
        self._dice = dice
        self._memory = isolated.open_memory()
        self.auditor = SigningAuditor(TIGHT)
        self.policy = _policy(TIGHT)
        self.asked: list[ClaimTerms] = []
        self._signed_at: dict[ClaimTerms, int] = {}
        self.lives = [Life(f"signer {number + 1}") for number in range(dice().between(*REPLICAS))]

    def open_up(self) -> None:
        """Let an operator take all limits away."""
        self.policy = _policy(BOUNDLESS)
        self.auditor.limits = BOUNDLESS

    async def sign(self, terms: ClaimTerms) -> SignedClaim:
        """Let some replica sign; SignerUnavailable if it dies over it."""
        self.asked.append(terms)
        life = self._dice().pick(self.lives)
        view = GatedView(self._reader, self._gate, life)

        def signs() -> None:
            self._signed_at.setdefault(terms, view.time)

        memory = GatedMemory(self._memory, self._gate, life, signs)
        signer = self._isolated.start(memory, view, self.policy)
        try:
            signed = await signer.sign(terms)
        except SignerRefused as refused:
            self._counts[f"signer refused {refused.code}"] += 1
            raise
        except asyncio.CancelledError as death:
            if self._gate.is_closed or not life.is_dead:
                raise
            self._counts[f"signer died at {str(death) or 'work'}"] += 1
            raise SignerUnavailable("the signer's connection broke") from None
        # The key isn't the one of the vault's model: what it signed is as good as signed there.
        signed = replace(signed, signature=signature_of(terms))
        # What leaves now may have been decided, and counted, by a replica that has died since.
        at_s = self._signed_at.setdefault(terms, view.time)
        self.auditor.enter(terms, signed.signature, at_s)
        self._released.append(terms)
        self._gate.touched = True
        return signed

    async def hear_again(self, terms: ClaimTerms) -> None:
        """Let a request come once more, whose answer nobody waits for."""
        with contextlib.suppress(SignerRefused, SignerUnavailable, asyncio.CancelledError):
            await self.sign(terms)

    async def be_lied_to(self, terms: ClaimTerms) -> None:
        """Let somebody who has the service's token ask for more under a seqno that was signed.

        Whatever became of the first claim, the end of its validity lets no other take its place.
        """
        await self.hear_again(replace(terms, amount=terms.amount + 1))

    async def restart(self, place: int) -> int:
        """End a replica with all it was doing, and start it anew; return how much that was."""
        old = self.lives[place]
        old.is_dead = True
        lost = 0
        while inside := [each for each in self._gate.waiting if each.life is old]:
            await self._gate.open(self._gate.waiting.index(inside[0]), asyncio.CancelledError())
            lost += 1
        self.lives[place] = Life(old.name)
        return lost


def _policy(limits: Limits) -> SigningPolicy:
    arena = Allowed(
        name="arena",
        network=Network.TESTNET,
        vault=VAULT,
        jetton_master=JETTON_MASTER,
        limits=limits,
    )
    return SigningPolicy(allow=(arena,))
