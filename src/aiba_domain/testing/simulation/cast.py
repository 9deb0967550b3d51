"""Who and what a simulation begins with: players, brokers, guilds, wallets, modes and a policy."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final

from aiba_domain.battle.engine import ModeRules
from aiba_domain.battle.modes import GameMode, mode_id
from aiba_domain.brokers.model import Broker
from aiba_domain.economy.ledger import CHAIN, Posting, player_account
from aiba_domain.economy.rewards import RewardRates
from aiba_domain.economy.windows import EmissionWindow, EmissionWindows
from aiba_domain.guilds.model import Guild
from aiba_domain.ids import derive_id
from aiba_domain.money import MAX_AMOUNT, Currency

START: Final = 1_767_268_800_000
"""When a simulation begins: 2026-01-01T12:00:00Z, in ms since the Unix epoch."""

FUNDS: Final[Mapping[str, int]] = {"AIBA": 250, "NEUR": 60}
"""What each player has at first."""

SPARES: Final = 2
"""How many brokers each player has beside the starter."""

WALLETS: Final = tuple(f"0:{number:064x}" for number in range(1, 8))
"""The wallets there are; each player has one at first."""

TIGHT: Final[Mapping[str, object]] = {
    "daily_cap_aiba": 3_000,
    "daily_cap_neur": 900,
    "daily_cap_neur_by_arena": {"guildWars": 120, "prediction": 500},
    "daily_reward_neur": 20,
    "daily_combo_requirement_aiba": 30,
    "daily_combo_bonus_aiba": 90,
    "battle_energy_regen_seconds_per_energy": 900,
    "rewards": RewardRates(neur_per_score=Fraction(1, 3)),
}
"""The policy at first: one whose caps are soon reached."""

CHANGES: Final[tuple[Mapping[str, object], ...]] = (
    {"daily_cap_aiba": 3_000, "daily_cap_neur": 900},
    {"daily_cap_aiba": 500},
    {"daily_cap_neur": 250, "daily_cap_aiba_by_arena": {"simulation": 200}},
    {"daily_cap_aiba": 50_000, "daily_cap_aiba_by_arena": {}},
    {"emission_windows": EmissionWindows(usual=EmissionWindow(start_hour=6, end_hour=22))},
    {
        "emission_windows": EmissionWindows(
            overrides={
                "*": EmissionWindow(start_hour=22, end_hour=4),
                "prediction": EmissionWindow(),
                "guildWars:rookie": EmissionWindow(start_hour=12, end_hour=12),
            }
        )
    },
    {"emission_windows": EmissionWindows()},
    {"battle_max_energy": 40, "battle_energy_regen_seconds_per_energy": 600},
    {"battle_max_energy": 100, "battle_energy_regen_seconds_per_energy": 60},
    {"train_neur_cost": 7, "repair_neur_cost": 30, "upgrade_aiba_cost": 20},
    {"train_neur_cost": 25, "repair_neur_cost": 15, "upgrade_aiba_cost": 50},
    {"daily_reward_neur": 35, "daily_combo_bonus_aiba": 40},
    {"rewards": RewardRates(aiba_per_score=Fraction(7, 3), neur_per_score=Fraction(1, 2))},
    {"claims_paused": True},
    {"claim_reissues": 2},
    {"claim_reissues": 0},
    {"claims_paused": False, "claim_max_aiba": 120, "claim_player_day_max_aiba": 400},
    {"claims_paused": False, "claim_max_aiba": MAX_AMOUNT, "claim_day_max_aiba": 900},
    {"claim_player_day_max_aiba": MAX_AMOUNT, "claim_day_max_aiba": MAX_AMOUNT},
)
"""What operators set, one at a time."""

OPEN_CLAIMS: Final[Mapping[str, object]] = {
    "claims_paused": False,
    "claim_reissues": 0,
    "claim_max_aiba": MAX_AMOUNT,
    "claim_player_day_max_aiba": MAX_AMOUNT,
    "claim_day_max_aiba": MAX_AMOUNT,
}
"""What lets everybody withdraw."""


def _mode(key: str, arena: str, **terms: Any) -> GameMode:
    return GameMode(
        id=mode_id(key), key=key, name=key, arena=arena, created_at=0, updated_at=0, **terms
    )


MODES: Final = (
    _mode("free", "prediction", energy_cost=3, cooldown_seconds=0),
    _mode(
        "dear",
        "simulation",
        energy_cost=1,
        cooldown_seconds=5,
        entry_neur=20,
        entry_aiba=30,
        reward_multiplier_aiba=Fraction(3, 2),
    ),
    _mode(
        "wild",
        "strategyWars",
        energy_cost=7,
        cooldown_seconds=90,
        rules=ModeRules(variance_base=95, risk_weight=0.4, league_multiplier=1.15),
    ),
)
"""The modes beside the usual ones."""

PLAYED: Final = ("free", "free", "dear", "wild", "prediction", "guildWars", "arbitrage-pro")
"""The modes that players ask for; the last one asks for a level that few reach."""


def spares_of(player: str) -> tuple[Broker, ...]:
    """Return the brokers a player has beside the starter."""
    return tuple(
        Broker(
            id=derive_id("spare", player, str(number)),
            owner_id=player,
            created_at=START,
            updated_at=START,
            energy_updated_at=START,
            energy=30,
            intelligence=40 + 20 * number,
            speed=97 + number,
            level=1 + 4 * number,
        )
        for number in range(SPARES)
    )


def guilds_of(players: tuple[str, ...]) -> tuple[Guild, ...]:
    """Return two guilds whose leaders are the first and the last player; one is in neither."""
    first, *between, last = players
    members = ((first, *between[1:]), (last, *between[2:]))
    return tuple(
        Guild(
            id=f"{number:024x}",
            name=f"guild {number}",
            owner_id=mine[0],
            member_ids=mine,
            created_at=START,
            pooled=2 * number,
        )
        for number, mine in enumerate(members, start=1)
    )


def deposit(player: str, currency: str, amount: int, source: str) -> Posting:
    """Return the posting by which a player gets money from the chain."""
    return Posting(
        currency=Currency(currency),
        amount=amount,
        debit=CHAIN,
        credit=player_account(player),
        reason="deposit",
        arena="chain",
        league="global",
        source_type="deposit",
        source_id=source,
    )
