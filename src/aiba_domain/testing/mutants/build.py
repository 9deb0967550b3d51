"""A build of the service: every part that a planted fault may take the place of."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.application.handler import Handler
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.application.withdrawals import Withdrawals
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.claims.ports import Signer
from aiba_domain.decision import Command
from aiba_domain.ports import Clock, RateLimiter, SeedSecrets, Store
from aiba_domain.testing.chain import ModelReader, ModelSigner
from aiba_domain.testing.doubles import FixedSeeds, SettableClock

OpenStore = Callable[[Path], Awaitable[Store]]
Handlers = Mapping[type[Command[Any]], Handler[Any, Any, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """The parts of a service. A sound one is made of sound adapters and of these defaults.

    `open_store` opens the store of a folder that is empty and of one run alone; `open_limiter`
    makes a limiter that counts nothing yet. `make_signer` notes what it signs in the list it is
    given.
    """

    open_store: OpenStore
    open_limiter: Callable[[], RateLimiter]
    make_clock: Callable[[], Clock] = SettableClock
    make_seeds: Callable[[str], SeedSecrets] = FixedSeeds
    make_signer: Callable[[list[ClaimTerms]], Signer] = ModelSigner
    reader: type[ModelReader] = ModelReader
    handlers: Handlers = field(default_factory=lambda: HANDLERS)
    pipeline: type[Pipeline] = Pipeline
    withdrawals: type[Withdrawals] = Withdrawals


Plant = Callable[[Build], Build]
"""Puts a fault into a build, and leaves the one that it was given as it is."""
