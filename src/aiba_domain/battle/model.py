"""The record of one battle: its receipt and what the winner got beside AIBA and NEUR."""

from dataclasses import dataclass
from typing import Final

from aiba_domain.battle.receipt import Receipt

LEGACY_EPOCH: Final = 0
"""The seed epoch of battles that the service before fought: no epoch of this one has the number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Battle:
    """One battle that happened. The receipt holds every input of its outcome.

    `stars` and `diamonds` are what the player was granted, in whole units.
    """

    id: str
    player_id: str
    broker_id: str
    created_at: int
    receipt: Receipt
    stars: int = 0
    diamonds: int = 0

    @property
    def is_legacy(self) -> bool:
        """Whether the service before fought it: its inputs are unknown, so nobody can replay it."""
        return self.receipt.inputs.epoch == LEGACY_EPOCH
