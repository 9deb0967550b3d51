"""Battles of the service before: kept with what is known of them, and marked as its own."""

import re
from fractions import Fraction
from typing import Final

from aiba_domain.battle.engine import Fighter
from aiba_domain.battle.model import LEGACY_EPOCH, Battle
from aiba_domain.battle.modes import ModeTerms
from aiba_domain.battle.prng import first_draw
from aiba_domain.battle.receipt import (
    BattleInputs,
    BattleOutcome,
    Emission,
    Grant,
    GuildMatch,
    Receipt,
)
from aiba_domain.battle.seed import seed_of
from aiba_domain.economy.rewards import RewardRates
from aiba_domain.legacy.fields import Fields
from aiba_domain.legacy.findings import Code
from aiba_domain.legacy.values import born

BATTLES: Final = "battles"

_SEED: Final = re.compile(r"[0-9a-f]{64}")
_UNKNOWN: Final = Fighter(intelligence=0.0, speed=0.0, risk=0.0, level=0.0)
"""The fighter of a battle that kept no stats."""
_MAX_SCORE: Final = 10**9


def battle(row: Fields, owner: str, own_id: str, broker_id: str) -> Battle:
    """Return a battle as it is shown. Its stats, rates and bonuses were not kept and are unknown.

    What it paid is in the ledger of its time; here it is only told again.
    """
    made = born(row.document)
    inputs = BattleInputs(
        battle_id=own_id,
        player_id=owner,
        broker_id=broker_id,
        request_id=row.text("requestId", required=True),
        at=made,
        epoch=LEGACY_EPOCH,
        commitment="",
        fighter=_UNKNOWN,
        mode=ModeTerms(
            key=row.text("modeKey"),
            arena=row.text("arena", required=True),
            league=row.text("league", "rookie"),
        ),
        guild=_guild(row),
        policy_version=0,
        rates=RewardRates(),
        bonuses=None,
        anomaly_limit=0,
    )
    outcome = _outcome(row)
    grant = _grant(row, outcome)
    return Battle(
        id=own_id,
        player_id=owner,
        broker_id=broker_id,
        created_at=made,
        receipt=Receipt(inputs=inputs, outcome=outcome, grant=grant),
    )


def _guild(row: Fields) -> GuildMatch | None:
    mine, theirs = row.reference("guildId"), row.reference("opponentGuildId")
    return GuildMatch(my_id=mine, my_count=0, their_id=theirs or "") if mine else None


def _outcome(row: Fields) -> BattleOutcome:
    seed = row.text("seedHex", required=True).lower()
    if seed and not _SEED.fullmatch(seed):
        row.note(Code.WRONG_TYPE, "seedHex")
        seed = ""
    score = row.whole("score", high=_MAX_SCORE)
    return BattleOutcome(
        seed_hex=seed,
        draw=first_draw(seed_of(seed)) if seed else 0,
        guild_bonus=0,
        score=score,
        score_limit=0,
        is_anomaly=row.flag("anomaly"),
        proposed_aiba=row.whole("rewardAiba"),
        proposed_neur=row.whole("rewardNeur"),
        multiplier=Fraction(1),
    )


def _grant(row: Fields, outcome: BattleOutcome) -> Grant:
    aiba, neur = outcome.proposed_aiba, outcome.proposed_neur
    shared = row.whole("guildShareNeur", high=neur)
    return Grant(
        aiba=aiba,
        neur=neur,
        aiba_emission=Emission.GRANTED if aiba else Emission.NOTHING,
        neur_emission=Emission.GRANTED if neur else Emission.NOTHING,
        player_neur=neur - shared,
        leader_neur=0,
        vault_neur=shared,
    )
