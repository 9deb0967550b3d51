"""The record of one battle: its receipt and what the winner got beside AIBA and NEUR."""

from dataclasses import dataclass

from aiba_domain.battle.receipt import Receipt


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
