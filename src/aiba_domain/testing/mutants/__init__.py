"""Planted faults: what an adapter or a rule can get wrong, each with the property that finds it.

`kill` plants one in a sound build and says which property killed it, after how many attempts;
`MUTANTS` are all of them. A harness that lets one live would let a real fault live too.
"""

from typing import Final

from aiba_domain.testing.mutants.adapters import ADAPTER_MUTANTS
from aiba_domain.testing.mutants.build import Build, Plant
from aiba_domain.testing.mutants.claims import CLAIM_MUTANTS
from aiba_domain.testing.mutants.defects import ABSENT, Absent, table
from aiba_domain.testing.mutants.economy import ECONOMY_MUTANTS
from aiba_domain.testing.mutants.model import (
    Executioner,
    Mutant,
    Outcome,
    Property,
    Verdict,
    kill,
    kill_all,
)
from aiba_domain.testing.mutants.operators import OPERATOR_MUTANTS
from aiba_domain.testing.mutants.play import PLAY_MUTANTS
from aiba_domain.testing.mutants.requests import REQUEST_MUTANTS
from aiba_domain.testing.mutants.store_reads import READ_MUTANTS
from aiba_domain.testing.mutants.store_writes import WRITE_MUTANTS

MUTANTS: Final = (
    *WRITE_MUTANTS,
    *READ_MUTANTS,
    *REQUEST_MUTANTS,
    *ECONOMY_MUTANTS,
    *PLAY_MUTANTS,
    *OPERATOR_MUTANTS,
    *CLAIM_MUTANTS,
    *ADAPTER_MUTANTS,
)
"""All planted faults."""

__all__ = [
    "ABSENT",
    "MUTANTS",
    "Absent",
    "Build",
    "Executioner",
    "Mutant",
    "Outcome",
    "Plant",
    "Property",
    "Verdict",
    "kill",
    "kill_all",
    "table",
]
