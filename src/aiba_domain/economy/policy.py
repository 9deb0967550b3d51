"""The economy policy: every number an operator may set, versioned, with its valid range.

A policy is a value. Changing one makes the next version; battles record the version that judged
them. An explicit 0 means 0: no field reads 0 as "use the default".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from types import MappingProxyType
from typing import Any, Final

from aiba_domain.economy.rewards import MAX_DENOMINATOR, MAX_GRANT, RewardRates
from aiba_domain.economy.windows import EmissionWindows
from aiba_domain.errors import InvalidInput
from aiba_domain.instants import LAST_WRITTEN
from aiba_domain.money import BPS, MAX_AMOUNT, Currency, amount

_TON: Final = 1_000_000_000
_MAX_DAYS: Final = 365
_NO_CAPS: Final[Mapping[str, int]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSplit:
    """Basis points by which a token amount is divided; the staking part takes the remainder."""

    burn_bps: int = 1_500
    treasury_bps: int = 2_500
    rewards_bps: int = 5_000
    staking_bps: int = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class EconomyPolicy:
    """One version of the economy's settings.

    Amounts are whole units of their currency, TON prices nanoTON, times as their names say. The
    oracle's rates are whole AIBA for a TON and NEUR for an AIBA, 0 for none; it was last updated at
    an instant, 0 for never. Raises InvalidInput naming the first field outside its range.
    """

    version: int = 1
    effective_at: int = 0

    daily_cap_aiba: int = 1_000_000
    daily_cap_neur: int = 10_000_000
    daily_cap_aiba_by_arena: Mapping[str, int] = field(default_factory=lambda: _NO_CAPS)
    daily_cap_neur_by_arena: Mapping[str, int] = field(default_factory=lambda: _NO_CAPS)
    emission_windows: EmissionWindows = field(default_factory=EmissionWindows)

    rewards: RewardRates = field(default_factory=RewardRates)
    daily_reward_neur: int = 50
    daily_combo_requirement_aiba: int = 100
    daily_combo_bonus_aiba: int = 500

    train_neur_cost: int = 25
    repair_neur_cost: int = 15
    upgrade_aiba_cost: int = 50
    combine_neur_cost: int = 50
    mint_aiba_cost: int = 100
    token_split: TokenSplit = field(default_factory=TokenSplit)

    claims_paused: bool = False
    claim_max_aiba: int = MAX_AMOUNT
    claim_player_day_max_aiba: int = MAX_AMOUNT
    claim_day_max_aiba: int = MAX_AMOUNT
    claim_reissues: int = 0

    battle_max_energy: int = 100
    battle_energy_regen_seconds_per_energy: int = 60
    battle_anomaly_score_max: int = 220
    battle_auto_ban_broker_anomaly_flags: int = 5
    battle_auto_ban_user_anomaly_flags: int = 25
    battle_auto_ban_user_minutes: int = 1_440

    create_broker_cost_ton_nano: int = _TON
    marketplace_default_new_broker_price_aiba: int = 10
    boost_profile_cost_ton_nano: int = _TON
    boost_profile_duration_days: int = 7
    gift_cost_ton_nano: int = _TON
    create_group_cost_ton_nano: int = _TON
    boost_group_cost_ton_nano: int = _TON
    leaderboard_top_free_create: int = 50
    top_leader_badge_top_n: int = 10
    course_completion_badge_mint_cost_ton_nano: int = 10 * _TON
    full_course_completion_certificate_mint_cost_ton_nano: int = 15 * _TON

    oracle_aiba_per_ton: int = 0
    oracle_neur_per_aiba: int = 0
    oracle_auto_update_enabled: bool = False
    oracle_update_interval_minutes: int = 15
    oracle_max_age_minutes: int = 1_440
    oracle_aiba_usd: Fraction = Fraction(0)
    oracle_min_aiba_per_ton: int = 0
    oracle_max_aiba_per_ton: int = 0
    oracle_fallback_aiba_per_ton: int = 0
    oracle_last_updated_at: int = 0
    oracle_ton_usd_at_update: Fraction = Fraction(0)

    automation_enabled: bool = False
    automation_target_emission_percent_per_year: Fraction = Fraction(10)
    automation_min_cap_aiba: int = 500_000
    automation_max_cap_aiba: int = 5_000_000

    def __post_init__(self) -> None:
        """Refuse any value outside its range."""
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if type(value) is not int:
                raise InvalidInput(name, "integer")
            if value < low:
                raise InvalidInput(name, f"min:{low}")
            if value > high:
                raise InvalidInput(name, f"max:{high}")
        self._check_parts()
        self._check_exact()

    def _check_parts(self) -> None:
        for name, kind in _PARTS.items():
            if not isinstance(getattr(self, name), kind):
                raise InvalidInput(name, "boolean" if kind is bool else "object")
        for name in ("daily_cap_aiba_by_arena", "daily_cap_neur_by_arena"):
            for arena, cap in getattr(self, name).items():
                if not isinstance(arena, str):
                    raise InvalidInput(name, "text keys")
                amount(cap, f"{name}.{arena}")
        for part in fields(TokenSplit):
            bps = getattr(self.token_split, part.name)
            if type(bps) is not int or not 0 <= bps <= BPS:
                raise InvalidInput(f"token_split.{part.name}", f"integer of 0..{BPS}")

    def _check_exact(self) -> None:
        for name, highest in EXACT_RANGES.items():
            value = getattr(self, name)
            if not isinstance(value, Fraction):
                raise InvalidInput(name, "number")
            if value < 0:
                raise InvalidInput(name, "min:0")
            if value > highest:
                raise InvalidInput(name, f"max:{highest}")
            if value.denominator > MAX_DENOMINATOR:
                raise InvalidInput(name, "maxDecimals:18")

    def daily_cap(self, currency: Currency) -> int | None:
        """Return the most a UTC day may emit of `currency`, or None where it isn't capped."""
        if currency is Currency.AIBA:
            return self.daily_cap_aiba
        return self.daily_cap_neur if currency is Currency.NEUR else None

    def daily_cap_by_arena(self, currency: Currency) -> Mapping[str, int]:
        """Return the caps of single arenas for `currency`; an absent arena has only the day's."""
        if currency is Currency.AIBA:
            return self.daily_cap_aiba_by_arena
        return self.daily_cap_neur_by_arena if currency is Currency.NEUR else _NO_CAPS


_PARTS: Final[Mapping[str, type]] = MappingProxyType(
    {
        "daily_cap_aiba_by_arena": Mapping,
        "daily_cap_neur_by_arena": Mapping,
        "oracle_auto_update_enabled": bool,
        "automation_enabled": bool,
        "claims_paused": bool,
        "emission_windows": EmissionWindows,
        "rewards": RewardRates,
        "token_split": TokenSplit,
    }
)
_AMOUNT: Final = (0, MAX_AMOUNT)
_GRANT: Final = (0, MAX_GRANT)
_INSTANT: Final = (0, LAST_WRITTEN)
_TON_PRICE: Final = (_TON, 10 * _TON)

RANGES: Final[Mapping[str, tuple[int, int]]] = MappingProxyType(
    {
        "version": (1, MAX_AMOUNT),
        "effective_at": _INSTANT,
        "daily_cap_aiba": _AMOUNT,
        "daily_cap_neur": _AMOUNT,
        "daily_reward_neur": _GRANT,
        "daily_combo_requirement_aiba": _AMOUNT,
        "daily_combo_bonus_aiba": _GRANT,
        "train_neur_cost": _AMOUNT,
        "repair_neur_cost": _AMOUNT,
        "upgrade_aiba_cost": _AMOUNT,
        "combine_neur_cost": _AMOUNT,
        "mint_aiba_cost": _AMOUNT,
        "claim_max_aiba": _AMOUNT,
        "claim_player_day_max_aiba": _AMOUNT,
        "claim_day_max_aiba": _AMOUNT,
        "claim_reissues": (0, 100),
        "battle_max_energy": (1, 1_000),
        "battle_energy_regen_seconds_per_energy": (1, 86_400),
        "battle_anomaly_score_max": (1, 1_000_000),
        "battle_auto_ban_broker_anomaly_flags": (1, 1_000_000),
        "battle_auto_ban_user_anomaly_flags": (1, 1_000_000),
        "battle_auto_ban_user_minutes": (1, 525_600),
        "create_broker_cost_ton_nano": _TON_PRICE,
        "marketplace_default_new_broker_price_aiba": _AMOUNT,
        "boost_profile_cost_ton_nano": _TON_PRICE,
        "boost_profile_duration_days": (1, _MAX_DAYS),
        "gift_cost_ton_nano": _TON_PRICE,
        "create_group_cost_ton_nano": _TON_PRICE,
        "boost_group_cost_ton_nano": _TON_PRICE,
        "leaderboard_top_free_create": (0, 1_000_000),
        "top_leader_badge_top_n": (0, 1_000),
        "oracle_aiba_per_ton": _AMOUNT,
        "oracle_neur_per_aiba": _AMOUNT,
        "oracle_update_interval_minutes": (1, 1_440),
        "oracle_max_age_minutes": (1, 525_600),
        "oracle_min_aiba_per_ton": _AMOUNT,
        "oracle_max_aiba_per_ton": _AMOUNT,
        "oracle_fallback_aiba_per_ton": _AMOUNT,
        "oracle_last_updated_at": _INSTANT,
        "automation_min_cap_aiba": _AMOUNT,
        "automation_max_cap_aiba": _AMOUNT,
        "course_completion_badge_mint_cost_ton_nano": _AMOUNT,
        "full_course_completion_certificate_mint_cost_ton_nano": _AMOUNT,
    }
)
"""The inclusive range of every integer field."""

EXACT_RANGES: Final[Mapping[str, int]] = MappingProxyType(
    {
        "oracle_aiba_usd": 10**9,
        "oracle_ton_usd_at_update": 10**9,
        "automation_target_emission_percent_per_year": 1_000,
    }
)
"""The highest value of every exact number, whose lowest is 0."""


def next_version(current: EconomyPolicy, changes: Mapping[str, object], now: int) -> EconomyPolicy:
    """Return the policy after `current` with `changes` by field name, in force from `now`.

    Raises InvalidInput for an unknown field or a value outside its range.
    """
    known = {item.name for item in fields(EconomyPolicy)} - {"version", "effective_at"}
    for name in changes:
        if name not in known:
            raise InvalidInput(name, "unknown")
    stamped: dict[str, Any] = {**changes, "version": current.version + 1, "effective_at": now}
    return replace(current, **stamped)
