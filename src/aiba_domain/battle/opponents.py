"""Whom a guild meets in guild wars."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GuildStrength:
    """An active guild and how many brokers it has pooled."""

    guild_id: str
    pooled: int


def choose_opponent(
    mine: GuildStrength, candidates: Iterable[GuildStrength]
) -> GuildStrength | None:
    """Return the other guild nearest in strength to `mine`, or None if there is none.

    Only guilds with at least one pooled broker count, so founding an empty guild changes nothing;
    of equally near ones the smallest id is met. The order of `candidates` has no effect.
    """
    return min(
        (rival for rival in candidates if rival.pooled > 0 and rival.guild_id != mine.guild_id),
        key=lambda rival: (abs(rival.pooled - mine.pooled), rival.guild_id),
        default=None,
    )
