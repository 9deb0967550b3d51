"""What the clients of a simulation talk to: a site that starts processes, whatever it is made of.

A simulation knows requests and answers in the words of the wire. `PipelineSite` answers them from
the core alone; an entry puts its real application in its place.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from aiba_domain.application.withdrawals import Contracts
from aiba_domain.claims.ports import ChainReader, Signer
from aiba_domain.ports import Clock, SeedSecrets, Store

OK: Final = "ok"
"""The code of an answer that is no refusal."""

EPOCH_HOURS: Final = 24
"""How long a seed epoch lasts."""

SESSION_MS: Final = 86_400_000
"""How long a session lives."""

ASKS_A_MINUTE: Final = 40
"""How many requests a site with limits lets a player make in a minute."""

BATTLES_A_MINUTE: Final = 12
"""How many battles a site with limits lets a player ask for in a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request: who proves to be calling, what is asked for, and under which key.

    `kind` names a route; `body` has its fields as the wire spells them, the key not among them.
    `proof` is a session's token, or launch data for the kind `session`; "" is nobody.
    """

    player: str
    kind: str
    body: Mapping[str, object] = field(default_factory=dict)
    key: str | None = None
    proof: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One answer: `ok` or the code of a refusal, and the body without its trace id."""

    code: str
    body: Mapping[str, object] = field(default_factory=dict)

    @property
    def is_ok(self) -> bool:
        """Whether it is no refusal."""
        return self.code == OK


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a process is started with: its ports, which the simulation may break at any time.

    `name` stays the same when a process starts again. `is_dead` tells whether the process has
    died; nobody hears an answer from one that has.
    """

    name: str
    store: Store
    clock: Clock
    seeds: SeedSecrets
    signer: Signer
    chain: ChainReader
    contracts: Contracts
    is_dead: Callable[[], bool]


class Process(Protocol):
    """One running process of the service."""

    async def call(self, ask: Ask) -> Told:
        """Answer a request. Raises Crash if the process died meanwhile."""
        ...

    async def settle(self) -> int:
        """Settle the claims in flight, as the settlement worker does; return how many ended."""
        ...

    async def upkeep(self) -> bool:
        """Turn the seed epoch over if it is due; return whether it was."""
        ...


class Site(Protocol):
    """Starts processes, and makes the proofs by which their clients say who they are."""

    name: str

    def start(self, parts: Parts) -> Process:
        """Start a process with nothing in its memory."""
        ...

    def launch_data(self, player: str, at_s: int, *, genuine: bool = True) -> str:
        """Return what proves a player to be there at an instant in s; forged, it proves nothing."""
        ...
