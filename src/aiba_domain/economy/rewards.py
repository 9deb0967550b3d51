"""What a battle pays: exact multipliers, rounded down to whole units after each step.

A configured 0 means 0 everywhere: a rate of 0 pays nothing and a bonus of 0 adds nothing. The
arithmetic is on integers, numerators over denominators, so no unit depends on binary fractions.
"""

from dataclasses import dataclass, fields
from fractions import Fraction
from functools import lru_cache
from typing import Final

from aiba_domain.economy.streaks import MAX_COUNTED_WINS, SECOND_STEP_DAYS, login_multiplier
from aiba_domain.errors import InvalidInput
from aiba_domain.money import BPS, MAX_AMOUNT, amount, exact

GUILD_SHARE_DIVISOR: Final = 5
"""A guild gets a fifth of what its member wins in NEUR."""
INVITES_FOR_BONUS: Final = 3
MAX_RATE: Final = 1_000_000_000
MAX_MULTIPLIER: Final = 1_000
MAX_GRANT: Final = 10**12
"""The largest single grant that no score decides: millions of them fit into one account."""
MAX_DENOMINATOR: Final = 10**18

_ONE: Final = Fraction(1)
_ONE_BP: Final = Fraction(1, BPS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardRates:
    """The settings of an economy policy that decide what a battle pays.

    Rates are whole units per point of score, multipliers factors, shares basis points. All are
    exact; ints are taken as fractions. Raises InvalidInput naming the field that is negative, too
    large or no exact number.
    """

    aiba_per_score: Fraction = Fraction(2)
    neur_per_score: Fraction = Fraction(0)
    streak_multiplier_at_7_days: Fraction = Fraction(5, 4)
    streak_multiplier_at_30_days: Fraction = Fraction(3, 2)
    streak_cap_multiplier: Fraction = Fraction(2)
    win_streak_bonus_bps: Fraction = Fraction(100)
    premium_multiplier: Fraction = Fraction(2)
    invite_bonus_bps: Fraction = Fraction(100)
    guild_creator_share_bps: Fraction = Fraction(100)
    creator_percent_bps: Fraction = Fraction(200)
    creator_tier_100_bps: Fraction = Fraction(300)
    creator_tier_1000_bps: Fraction = Fraction(500)
    creator_tier_10000_bps: Fraction = Fraction(700)
    stars_per_win: int = 1
    diamonds_first_win: int = 1

    def __post_init__(self) -> None:
        """Refuse any value outside its range."""
        for item in fields(self):
            value = getattr(self, item.name)
            if item.type is int:
                if amount(value, item.name) > MAX_GRANT:
                    raise InvalidInput(item.name, f"max:{MAX_GRANT}")
                continue
            if not isinstance(value, Fraction):
                value = exact(value, item.name)
                object.__setattr__(self, item.name, value)
            _check_range(value, item.name)

    def __hash__(self) -> int:
        """Hash a part of the values: rates key caches, and hashing every fraction is slow."""
        return hash((self.aiba_per_score.numerator, self.neur_per_score.numerator))


@dataclass(frozen=True, slots=True, kw_only=True)
class Bonuses:
    """What a player has earned towards larger rewards at the time of a battle.

    `invites` counts the uses of the player's own active code; `boost` is the factor of a running
    boost. Raises InvalidInput naming the field out of range.
    """

    login_streak_days: int = 0
    win_streak: int = 0
    premium: bool = False
    invites: int = 0
    boost: Fraction | None = None

    def __post_init__(self) -> None:
        """Refuse any value outside its range."""
        for name in ("login_streak_days", "win_streak", "invites"):
            value = getattr(self, name)
            if type(value) is not int:
                raise InvalidInput(name, "integer")
            if abs(value) > MAX_AMOUNT:
                raise InvalidInput(name, f"max:{MAX_AMOUNT}")
        if not isinstance(self.premium, bool):
            raise InvalidInput("premium", "boolean")
        if self.boost is not None:
            if not isinstance(self.boost, Fraction):
                raise InvalidInput("boost", "number")
            _check_range(self.boost, "boost")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """What a battle would pay if emission allows it, in whole units.

    `multiplier` is the exact product of the player's bonuses, without a boost.
    """

    aiba: int
    neur: int
    multiplier: Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class GuildSplit:
    """A NEUR reward divided between player, guild leader and guild vault; nothing is lost."""

    player: int
    leader: int
    vault: int


def propose(
    score: int,
    rates: RewardRates,
    multiplier_aiba: Fraction,
    multiplier_neur: Fraction,
    bonuses: Bonuses | None,
) -> Proposal:
    """Return what a score pays under a mode's multipliers and a player's bonuses, None for none.

    Rounded down after the rate, after the bonuses and after the boost. Bonuses and boosts of less
    than 1 are left out: they never lower a reward. Raises InvalidInput if a reward is no amount.
    """
    aiba = _base(score, rates.aiba_per_score, multiplier_aiba)
    neur = _base(score, rates.neur_per_score, multiplier_neur)
    multiplier = _ONE
    if bonuses is not None:
        multiplier = bonus_multiplier(rates, bonuses)
        aiba = _raised(_raised(aiba, multiplier), bonuses.boost)
        neur = _raised(_raised(neur, multiplier), bonuses.boost)
    if aiba > MAX_AMOUNT or neur > MAX_AMOUNT:
        raise InvalidInput("aiba" if aiba > MAX_AMOUNT else "neur", f"max:{MAX_AMOUNT}")
    return Proposal(aiba=aiba, neur=neur, multiplier=multiplier)


def bonus_multiplier(rates: RewardRates, bonuses: Bonuses) -> Fraction:
    """Return the exact product of login streak, win streak, premium and invites; 1 for none."""
    return _bonus_multiplier(
        rates,
        min(bonuses.login_streak_days, SECOND_STEP_DAYS),
        min(bonuses.win_streak, MAX_COUNTED_WINS),
        premium=bonuses.premium,
        inviter=bonuses.invites >= INVITES_FOR_BONUS,
    )


@lru_cache(maxsize=4096)
def _bonus_multiplier(
    rates: RewardRates, login_days: int, wins: int, *, premium: bool, inviter: bool
) -> Fraction:
    multiplier = login_multiplier(
        login_days,
        at_7_days=rates.streak_multiplier_at_7_days,
        at_30_days=rates.streak_multiplier_at_30_days,
        cap=rates.streak_cap_multiplier,
    )
    multiplier *= 1 + wins * rates.win_streak_bonus_bps * _ONE_BP
    if premium:
        multiplier *= rates.premium_multiplier
    if inviter:
        multiplier *= 1 + rates.invite_bonus_bps * _ONE_BP
    return multiplier


def split_guild_share(neur: int, rates: RewardRates, *, has_leader: bool = True) -> GuildSplit:
    """Divide a NEUR reward won for a guild: a fifth is the guild's, part of that its leader's.

    The vault takes what rounding leaves, so the parts sum to the reward.
    """
    share = neur // GUILD_SHARE_DIVISOR
    leader = _bps_of(share, rates.guild_creator_share_bps) if has_leader else 0
    return GuildSplit(player=neur - share, leader=leader, vault=share - leader)


def creator_share(reward: int, uses: int, rates: RewardRates) -> int:
    """Return what a referrer gets on top for a referee's reward, by the uses of their code."""
    tiers = (
        (10_000, rates.creator_tier_10000_bps),
        (1_000, rates.creator_tier_1000_bps),
        (100, rates.creator_tier_100_bps),
    )
    for floor, bps in tiers:
        if uses >= floor:
            return _bps_of(reward, bps)
    return _bps_of(reward, rates.creator_percent_bps)


def win_stars(score: int, rates: RewardRates) -> int:
    """Return the Stars of a battle: a win, which is any score above 0, brings them."""
    return rates.stars_per_win if score > 0 else 0


def first_win_diamonds(score: int, rates: RewardRates, *, has_won_before: bool) -> int:
    """Return the Diamonds of a battle: the first win of a player brings them, once."""
    return rates.diamonds_first_win if score > 0 and not has_won_before else 0


def _base(score: int, rate: Fraction, multiplier: Fraction) -> int:
    above = score * rate.numerator * multiplier.numerator
    return max(0, above // (rate.denominator * multiplier.denominator))


def _raised(reward: int, factor: Fraction | None) -> int:
    if factor is None or factor.numerator <= factor.denominator:
        return reward
    return reward * factor.numerator // factor.denominator


def _bps_of(total: int, bps: Fraction) -> int:
    if bps.numerator >= BPS * bps.denominator:
        return total
    return total * bps.numerator // (BPS * bps.denominator)


def _check_range(value: Fraction, field: str) -> None:
    if field.endswith("_bps"):
        highest = 100 * BPS
    else:
        highest = MAX_RATE if field.endswith("_per_score") else MAX_MULTIPLIER
    if value < 0:
        raise InvalidInput(field, "min:0")
    if value > highest:
        raise InvalidInput(field, f"max:{highest}")
    if value.denominator > MAX_DENOMINATOR:
        raise InvalidInput(field, "maxDecimals:18")
