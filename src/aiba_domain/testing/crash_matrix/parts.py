"""What the matrix runs on: the parts of a site that an author can put in place of the models."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.application.handler import Handler
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.application.withdrawals import Withdrawals
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.claims.ports import Signer
from aiba_domain.decision import Command
from aiba_domain.players.ports import Identities, Sessions
from aiba_domain.ports import RateLimiter, Store
from aiba_domain.signing.interchange import Protection
from aiba_domain.signing.ports import Key, ProtectionStore, SigningChain
from aiba_domain.testing.chain import ModelReader, ModelSigner

OpenStore = Callable[[Path], Awaitable[Store]]
"""Opens the store of a folder, which is empty and of one run alone at first."""


class Need(StrEnum):
    """What a scenario needs that not every author declares."""

    REOPEN = "reopen"
    """Opening a folder again finds what was answered."""
    FRONT_DOOR = "front door"
    """Who judges proofs, issues tokens and counts requests."""
    ISOLATED = "isolated signer"
    """A signer with a key, a memory and a view of the chain of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontDoor:
    """What stands between a client and the core. `prove` makes a player's proof, dated in s."""

    identities: Identities
    prove: Callable[[str, int], str]
    sessions: Sessions
    open_limiter: Callable[[], RateLimiter]


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolated:
    """An isolated signer over its ports. It signs for the contracts of `testing.chain`.

    `open_memory` opens a folder's memory, and finds again what it held; its key has signed nothing
    before. `start` makes a signer on its ports, and starts it. `log` reads the log of a folder's
    memory, and `unlock` opens a locked memory with its log and an export.
    """

    key: Key
    open_memory: Callable[[Path], Awaitable[ProtectionStore]]
    start: Callable[[Key, ProtectionStore, SigningChain], Awaitable[Signer]]
    log: Callable[[Path], Iterable[bytes]]
    unlock: Callable[
        [ProtectionStore, SigningChain, Iterable[bytes], Protection | None], Awaitable[object]
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What beside the store is an author's own; the models and the real rules by default.

    `reopens`: opening a folder again finds what was answered. `is_in_folder`: a copy of the folder
    of a closed store is a copy of the store, which saves setting each run up anew. `make_signer`
    notes all that it signs in the list it is given. `handlers`, `pipeline` and `withdrawals` take
    the place of the rules and of what leads to them.
    """

    reopens: bool = False
    is_in_folder: bool = False
    make_signer: Callable[[list[ClaimTerms]], Signer] = ModelSigner
    reader: type[ModelReader] = ModelReader
    handlers: Mapping[type[Command[Any]], Handler[Any, Any, Any]] = field(
        default_factory=lambda: HANDLERS
    )
    pipeline: type[Pipeline] = Pipeline
    withdrawals: type[Withdrawals] = Withdrawals
    front_door: FrontDoor | None = None
    isolated: Isolated | None = None

    def lack(self, needs: Iterable[Need]) -> frozenset[Need]:
        """Return which needs of a scenario aren't met."""
        met = {
            Need.REOPEN: self.reopens,
            Need.FRONT_DOOR: self.front_door is not None,
            Need.ISOLATED: self.isolated is not None,
        }
        return frozenset(need for need in needs if not met[need])
