"""Battles counted again from the published formulas, once the secret of their epoch is revealed.

Nothing here calls a rule of the game: of a receipt only the stated numbers are read.
"""

import hashlib
import hmac
import math
from fractions import Fraction
from typing import Final

from aiba_domain.battle.receipt import BattleInputs, Receipt

_U32: Final = 1 << 32
_WEIGHTS: Final = {
    "prediction": (0.7, 0.2, 0.1),
    "simulation": (0.5, 0.3, 0.2),
    "strategyWars": (0.6, 0.1, 0.3),
    "guildWars": (0.4, 0.3, 0.3),
}
_LEAGUES: Final = {"pro": 1.1, "elite": 1.2}


def check_promise(number: int, commitment: str, secret: str) -> None:
    """Check that a revealed secret is the one an epoch was committed to."""
    text = f"aiba-arena seed commitment v1:{number}:{secret}"
    made = hashlib.sha256(text.encode()).hexdigest()
    assert made == commitment, f"epoch {number} was committed to another secret"


def check_battle(receipt: Receipt, secret: str) -> None:
    """Check that a battle went as its inputs and the secret say: draw, score, rewards, shares."""
    inputs, outcome, grant = receipt.inputs, receipt.outcome, receipt.grant
    name = f"battle {inputs.battle_id}"
    seed = hmac.new(secret.encode(), _message(inputs).encode(), hashlib.sha256).hexdigest()
    assert outcome.seed_hex == seed, f"{name} was drawn from another seed"
    draw = _draw(int(seed[:8], 16))
    assert outcome.draw == draw, f"{name} drew {outcome.draw}, not {draw}"
    bonus = _guild_bonus(inputs)
    score = max(0, _score(inputs, draw) + bonus)
    assert outcome.score == score, f"{name} scored {outcome.score}, not {score}"
    assert not outcome.is_anomaly, f"{name} is honest and flagged"
    proposed = _rewards(inputs, score)
    for currency, amount, paid, emission in (
        ("AIBA", proposed[0], grant.aiba, grant.aiba_emission),
        ("NEUR", proposed[1], grant.neur, grant.neur_emission),
    ):
        due = amount if emission == "granted" else 0
        assert paid == due, f"{name} paid {paid} {currency}, not {due}"
        assert amount or emission == "nothing", f"{name} judged nothing of {currency}"
    guild = grant.neur // 5 if inputs.guild else 0
    leader = leader_share(receipt)
    shares = (grant.player_neur, grant.leader_neur, grant.vault_neur)
    due_shares = (grant.neur - guild, leader, guild - leader)
    assert shares == due_shares, f"{name} was shared {shares}, not {due_shares}"


def leader_share(receipt: Receipt) -> int:
    """Return what a guild's leader is due of a battle's NEUR, in whole units."""
    inputs = receipt.inputs
    if inputs.guild is None or not inputs.guild.has_leader:
        return 0
    part = min(Fraction(10_000), Fraction(inputs.rates.guild_creator_share_bps)) / 10_000
    return math.floor(receipt.grant.neur // 5 * part)


def _message(inputs: BattleInputs) -> str:
    mode = inputs.mode
    rival = inputs.guild.their_id if inputs.guild else ""
    who = (inputs.player_id, inputs.broker_id)
    return ":".join((*who, mode.key, mode.arena, mode.league, inputs.request_id, rival))


def _draw(seed: int) -> int:
    """Return the first number of mulberry32."""
    a = (seed + 0x6D2B79F5) % _U32
    t = (a ^ a >> 15) * (a | 1) % _U32
    t = (t ^ (t + (t ^ t >> 7) * (t | 61))) % _U32
    return t ^ t >> 14


def _score(inputs: BattleInputs, draw: int) -> int:
    """Return the score in doubles, in the written order of operations."""
    mode, fighter = inputs.mode, inputs.fighter
    rules, usual = mode.rules, _WEIGHTS.get(mode.arena, (0.5, 0.3, 0.2))
    given = (rules.intelligence_weight, rules.speed_weight, rules.risk_weight)
    weights = [each if own is None else own for own, each in zip(given, usual, strict=True)]
    league = rules.league_multiplier or _LEAGUES.get(mode.league, 1.0)
    spread = 30.0 if rules.variance_base is None else float(rules.variance_base)
    stats = [min(1.0, max(0.0, each / 100)) for each in _stats(inputs)]
    growth = 1 + min(0.5, max(0, math.floor(fighter.level) - 1) * 0.02)
    strength = weights[0] * stats[0] + weights[1] * stats[1] + weights[2] * stats[2]
    base = 100 * league * growth * strength
    noise = (draw / _U32 - 0.5) * 2 * (spread * league * (0.2 + stats[2]))
    total = base + noise
    return max(0, math.floor(total) + (total - math.floor(total) >= 0.5))


def _stats(inputs: BattleInputs) -> tuple[float, float, float]:
    fighter = inputs.fighter
    return fighter.intelligence, fighter.speed, fighter.risk


def _guild_bonus(inputs: BattleInputs) -> int:
    guild = inputs.guild
    if guild is None or not guild.their_id:
        return 0
    return max(-15, min(15, 3 * (guild.my_count - guild.their_count)))


def _rewards(inputs: BattleInputs, score: int) -> tuple[int, int]:
    """Return the AIBA and NEUR that a score is worth with all bonuses, each step rounded down."""
    rates, bonuses, mode = inputs.rates, inputs.bonuses, inputs.mode
    factor = Fraction(1)
    if bonuses is not None:
        factor = _streak(bonuses.login_streak_days, inputs)
        wins = min(5, bonuses.win_streak)
        factor *= 1 + wins * Fraction(rates.win_streak_bonus_bps) / 10_000
        if bonuses.premium:
            factor *= rates.premium_multiplier
    found = []
    for per_score, multiplier in (
        (rates.aiba_per_score, mode.reward_multiplier_aiba),
        (rates.neur_per_score, mode.reward_multiplier_neur),
    ):
        units = math.floor(score * Fraction(per_score) * Fraction(multiplier))
        found.append(math.floor(units * factor) if factor > 1 else units)
    return found[0], found[1]


def _streak(days: int, inputs: BattleInputs) -> Fraction:
    week = Fraction(inputs.rates.streak_multiplier_at_7_days)
    month = Fraction(inputs.rates.streak_multiplier_at_30_days)
    if days <= 0:
        return Fraction(1)
    if days < 7:
        return 1 + (week - 1) * (days - 1) / 6
    cap = Fraction(inputs.rates.streak_cap_multiplier)
    return week if days < 30 else min(cap, month)
