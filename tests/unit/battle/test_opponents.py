"""Whom a guild meets."""

import random

from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.battle.opponents import GuildStrength, choose_opponent
from tests.unit.battles import ids

guilds = st.builds(GuildStrength, guild_id=ids, pooled=st.integers(0, 20))
crowds = st.lists(guilds, max_size=8, unique_by=lambda guild: guild.guild_id)


@given(guilds, crowds, st.randoms(use_true_random=False))
def test_d31_the_opponent_does_not_depend_on_the_order(
    mine: GuildStrength, others: list[GuildStrength], chance: random.Random
) -> None:
    """Who founded a guild last, or how a store lists them, changes nothing."""
    chosen = choose_opponent(mine, others)
    shuffled = list(others)
    chance.shuffle(shuffled)
    assert choose_opponent(mine, shuffled) == chosen


@given(guilds, crowds, ids)
def test_d31_founding_an_empty_guild_changes_nothing(
    mine: GuildStrength, others: list[GuildStrength], founded: str
) -> None:
    """A guild without a pooled broker is nobody's opponent."""
    empty = GuildStrength(guild_id=founded, pooled=0)
    assert choose_opponent(mine, [*others, empty]) == choose_opponent(mine, others)


@given(guilds, crowds)
def test_d31_the_nearest_other_guild_is_met(
    mine: GuildStrength, others: list[GuildStrength]
) -> None:
    """Nobody nearer was passed over, and of equally near ones the smallest id is met."""
    able = [other for other in others if other.pooled and other.guild_id != mine.guild_id]
    chosen = choose_opponent(mine, others)
    if not able:
        assert chosen is None
        return
    assert chosen in able
    distance = abs(chosen.pooled - mine.pooled)
    assert all(abs(other.pooled - mine.pooled) >= distance for other in able)
    assert chosen.guild_id == min(
        other.guild_id for other in able if abs(other.pooled - mine.pooled) == distance
    )
