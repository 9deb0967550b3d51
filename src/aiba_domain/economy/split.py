"""Dividing a token amount without losing a unit."""

from dataclasses import dataclass

from aiba_domain.errors import InvalidInput
from aiba_domain.money import amount


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenParts:
    """The parts of one amount in whole units; together they are the amount."""

    burn: int
    treasury: int
    rewards: int
    staking: int


def split_tokens(
    total: int, *, burn_bps: int, treasury_bps: int, rewards_bps: int, staking_bps: int
) -> TokenParts:
    """Divide `total` whole units by weights in basis points.

    Burn, treasury and rewards are rounded down and staking takes the remainder, so the parts always
    sum to the amount. Weights that are all 0 leave everything to staking. Raises InvalidInput
    naming what is no whole number from 0 on.
    """
    weights = (
        _weight(burn_bps, "burn_bps"),
        _weight(treasury_bps, "treasury_bps"),
        _weight(rewards_bps, "rewards_bps"),
    )
    whole = sum(weights) + _weight(staking_bps, "staking_bps") or 1
    units = amount(total, "amount")
    burn, treasury, rewards = (units * weight // whole for weight in weights)
    return TokenParts(
        burn=burn, treasury=treasury, rewards=rewards, staking=units - burn - treasury - rewards
    )


def _weight(value: object, field: str) -> int:
    if type(value) is not int:
        raise InvalidInput(field, "integer")
    if value < 0:
        raise InvalidInput(field, "min:0")
    return value
