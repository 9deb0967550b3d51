"""A broker: its stats, energy, cooldowns and standing."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from aiba_domain.battle.energy import Energy, regenerate
from aiba_domain.battle.engine import Fighter
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.moderation.model import Ban

MAX_STAT: Final = 100
STARTER_STAT: Final = 50
STARTER_ENERGY: Final = 10


class Stat(StrEnum):
    """The three stats, each 0 to `MAX_STAT`."""

    INTELLIGENCE = "intelligence"
    SPEED = "speed"
    RISK = "risk"


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """One broker of a player. `cooldowns` holds each mode's last use by mode key.

    `created_with_ton_tx_hash` names the payment it was bought with, `""` for one that wasn't. The
    NFT's fields are `""` and None for a broker that isn't minted.
    """

    id: str
    owner_id: str
    created_at: int
    updated_at: int
    intelligence: int = STARTER_STAT
    speed: int = STARTER_STAT
    risk: int = STARTER_STAT
    specialty: str = "crypto"
    level: int = 1
    xp: int = 0
    energy: int = STARTER_ENERGY
    energy_updated_at: int
    last_battle_at: int | None = None
    last_request_id: str = ""
    cooldowns: Mapping[str, int] = field(default_factory=dict)
    guild_id: str | None = None
    ban: Ban | None = None
    anomaly_flags: int = 0
    created_with_ton_tx_hash: str = ""
    nft_collection_address: str = ""
    nft_item_address: str = ""
    nft_item_index: int | None = None
    metadata_uri: str = ""

    def is_banned(self, now: int) -> bool:
        """Tell whether a ban binds the broker at `now`."""
        return self.ban is not None and self.ban.holds(now)

    def fighter(self) -> Fighter:
        """Return the part of the broker that decides a battle."""
        return Fighter(
            intelligence=self.intelligence, speed=self.speed, risk=self.risk, level=self.level
        )

    def rested(self, policy: EconomyPolicy, now: int) -> "Broker":
        """Return the broker with the energy it has regained by `now`."""
        before = Energy(value=self.energy, updated_at=self.energy_updated_at)
        energy = regenerate(
            before,
            now,
            max_energy=policy.battle_max_energy,
            seconds_per_energy=policy.battle_energy_regen_seconds_per_energy,
        )
        if energy == before:
            return self
        return replace(self, energy=energy.value, energy_updated_at=energy.updated_at)

    def trained(self, stat: Stat, gain: int, *, xp: int, levels: int, now: int) -> "Broker":
        """Return the broker with `gain` more of `stat`, at most `MAX_STAT`."""
        stats = {each: self.stat(each) for each in Stat}
        stats[stat] = min(MAX_STAT, stats[stat] + gain)
        return replace(
            self,
            intelligence=stats[Stat.INTELLIGENCE],
            speed=stats[Stat.SPEED],
            risk=stats[Stat.RISK],
            xp=self.xp + xp,
            level=max(1, self.level + levels),
            updated_at=now,
        )

    def stat(self, stat: Stat) -> int:
        """Return the value of one stat."""
        value: int = getattr(self, stat.value)
        return value
