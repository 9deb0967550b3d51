"""Deciding a battle: from its inputs and the epoch's secret to its score and reward.

The live command and every replay call the same `resolve`, so what was played is what is verified.
"""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache

from aiba_domain.battle.engine import (
    Fighter,
    Formula,
    anomaly_limit,
    formula,
    guild_bonus,
    highest_at,
    prospects,
    score_at,
    with_guild_bonus,
)
from aiba_domain.battle.modes import ModeTerms
from aiba_domain.battle.prng import first_draw
from aiba_domain.battle.seed import SeedKey, seed_key, seed_message, seed_of, utf8
from aiba_domain.economy.rewards import (
    Bonuses,
    GuildSplit,
    RewardRates,
    propose,
    split_guild_share,
)


class Emission(StrEnum):
    """What became of a proposed reward: paid in full, or not at all and why."""

    GRANTED = "granted"
    OUTSIDE_WINDOW = "outside_window"
    CAP_EXCEEDED = "cap_exceeded"
    NOTHING = "nothing"
    """There was nothing to pay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GuildMatch:
    """The guilds of a guild battle and how many brokers each had pooled when it was fought.

    `their_id` is `""` and `their_count` 0 if no other guild had a broker; then there is no bonus.
    """

    my_id: str
    my_count: int
    their_id: str = ""
    their_count: int = 0
    has_leader: bool = True

    @property
    def bonus(self) -> int:
        """What the match adds to the score, -15 to 15."""
        return guild_bonus(self.my_count, self.their_count) if self.their_id else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BattleInputs:
    """Everything that decides a battle except the epoch's secret, as it was at that moment.

    `at` is in ms, UTC. `epoch` and `commitment` name the secret. `guild` is None outside guild
    battles; `bonuses` is None for a battle without a player's bonuses. `anomaly_limit` is the
    configured score limit.
    """

    battle_id: str
    player_id: str
    broker_id: str
    request_id: str
    at: int
    epoch: int
    commitment: str
    fighter: Fighter
    mode: ModeTerms
    guild: GuildMatch | None
    policy_version: int
    rates: RewardRates
    bonuses: Bonuses | None
    anomaly_limit: int

    def seed_message(self) -> str:
        """Return the text the seed is made of: the message of the battle's `SeedFields`."""
        mode = self.mode
        return seed_message(
            self.player_id,
            self.broker_id,
            mode.key,
            mode.arena,
            mode.league,
            self.request_id,
            self.guild.their_id if self.guild else "",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BattleOutcome:
    """What the inputs and the secret give; nothing here depends on emission or on other players.

    `score` holds the guild bonus. `score_limit` is the greater of the configured limit and what
    this fighter can reach, and `is_anomaly` tells whether the score is above it. Proposed rewards
    are whole units; `multiplier` is the exact product of the player's bonuses.
    """

    seed_hex: str
    draw: int
    guild_bonus: int
    score: int
    score_limit: int
    is_anomaly: bool
    proposed_aiba: int
    proposed_neur: int
    multiplier: Fraction

    @property
    def is_win(self) -> bool:
        """Whether the battle was won: any score above 0."""
        return self.score > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a battle really paid, in whole units, after emission caps and windows.

    `neur` is the whole NEUR reward: `player_neur`, `leader_neur` and `vault_neur` sum to it.
    Outside guild battles it is all the player's.
    """

    aiba: int
    neur: int
    aiba_emission: Emission
    neur_emission: Emission
    player_neur: int
    leader_neur: int
    vault_neur: int


def resolve(inputs: BattleInputs, secret: str) -> BattleOutcome:
    """Decide a battle.

    Raises InvalidInput if no finite score or no amount comes out, which the ranges of saved modes
    and policies exclude.
    """
    mode = inputs.mode
    seed_hex = seed_key(secret).hexdigest(utf8(inputs.seed_message()))
    draw = first_draw(seed_of(seed_hex))
    base, variance = prospects(numbers_of(mode), inputs.fighter)
    bonus = inputs.guild.bonus if inputs.guild else 0
    score = with_guild_bonus(score_at(base, variance, draw), bonus)
    maximum = with_guild_bonus(highest_at(base, variance), bonus)
    limit = anomaly_limit(inputs.anomaly_limit, maximum)
    proposal = propose(
        score,
        inputs.rates,
        mode.reward_multiplier_aiba,
        mode.reward_multiplier_neur,
        inputs.bonuses,
    )
    return BattleOutcome(
        seed_hex=seed_hex,
        draw=draw,
        guild_bonus=bonus,
        score=score,
        score_limit=limit,
        is_anomaly=score > limit,
        proposed_aiba=proposal.aiba,
        proposed_neur=proposal.neur,
        multiplier=proposal.multiplier,
    )


def settle(
    inputs: BattleInputs, outcome: BattleOutcome, *, aiba: Emission, neur: Emission
) -> Grant:
    """Return what is paid once emission has judged each proposed reward: all of it or nothing.

    A judgement of a reward of 0 is recorded as `Emission.NOTHING`.
    """
    aiba_paid, aiba_emission = _paid(outcome.proposed_aiba, aiba)
    neur_paid, neur_emission = _paid(outcome.proposed_neur, neur)
    if inputs.guild is None:
        split = GuildSplit(player=neur_paid, leader=0, vault=0)
    else:
        split = split_guild_share(neur_paid, inputs.rates, has_leader=inputs.guild.has_leader)
    return Grant(
        aiba=aiba_paid,
        neur=neur_paid,
        aiba_emission=aiba_emission,
        neur_emission=neur_emission,
        player_neur=split.player,
        leader_neur=split.leader,
        vault_neur=split.vault,
    )


def replay_score(inputs: BattleInputs, key: SeedKey) -> int:
    """Return only the score of a battle, for checking many: the same number as `resolve` gives."""
    seed_hex = key.hexdigest(utf8(inputs.seed_message()))
    base, variance = prospects(numbers_of(inputs.mode), inputs.fighter)
    score = score_at(base, variance, first_draw(seed_of(seed_hex)))
    return with_guild_bonus(score, inputs.guild.bonus) if inputs.guild else score


@lru_cache(maxsize=256)
def numbers_of(mode: ModeTerms) -> Formula:
    """Return the numbers a mode puts into every score; the modes in use are worked out once."""
    return formula(mode.rules, mode.arena, mode.league)


def _paid(proposed: int, judgement: Emission) -> tuple[int, Emission]:
    if not proposed:
        return 0, Emission.NOTHING
    return (proposed if judgement is Emission.GRANTED else 0), judgement
