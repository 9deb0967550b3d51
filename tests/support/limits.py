"""Limits that are in no test's way."""

from collections.abc import Mapping
from typing import Final

from aiba_entry.edge_settings import LIMITS, limit_variable

MANY: Final = "1000000"
UNLIMITED: Final[Mapping[str, str]] = {
    "RATE_LIMIT_PER_MINUTE": MANY,
    "BATTLE_RATE_LIMIT_PER_MINUTE": MANY,
    **{limit_variable(name): MANY for name in LIMITS},
}
"""Every limit, as high as it can be set."""

OPEN: Final[Mapping[str, str]] = {"METRICS_ALLOW": "any", "DOCS_ALLOW": "any"}
"""The metrics and the description for everybody, where the rules are production's."""
