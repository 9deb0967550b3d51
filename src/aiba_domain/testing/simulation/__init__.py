"""The whole world in one process under one seeded scheduler, with an auditor that trusts nobody."""

from aiba_domain.testing.simulation.pipeline_site import PipelineSite
from aiba_domain.testing.simulation.running import (
    MOST_STEPS,
    PLAYERS,
    Outcome,
    Plan,
    shrink,
    simulate,
)
from aiba_domain.testing.simulation.signers import Isolated
from aiba_domain.testing.simulation.site import Ask, Parts, Process, Site, Told

__all__ = [
    "MOST_STEPS",
    "PLAYERS",
    "Ask",
    "Isolated",
    "Outcome",
    "Parts",
    "PipelineSite",
    "Plan",
    "Process",
    "Site",
    "Told",
    "shrink",
    "simulate",
]
