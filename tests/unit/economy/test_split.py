"""Token splits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.economy.split import split_tokens
from aiba_domain.errors import InvalidInput
from aiba_domain.money import MAX_AMOUNT

amounts = st.integers(0, MAX_AMOUNT)
bps = st.integers(0, 20_000)
USUAL = {"burn_bps": 1_500, "treasury_bps": 2_500, "rewards_bps": 5_000, "staking_bps": 1_000}


@given(amounts, bps, bps, bps, bps)
def test_the_parts_are_the_amount(
    total: int, burn: int, treasury: int, rewards: int, staking: int
) -> None:
    """Nothing is lost or made, no part is negative, and each is within a unit of its share."""
    parts = split_tokens(
        total, burn_bps=burn, treasury_bps=treasury, rewards_bps=rewards, staking_bps=staking
    )
    assert parts.burn + parts.treasury + parts.rewards + parts.staking == total
    whole = burn + treasury + rewards + staking or 1
    for part, weight in ((parts.burn, burn), (parts.treasury, treasury), (parts.rewards, rewards)):
        assert 0 <= total * weight - part * whole < whole
    assert 0 <= parts.staking * whole - total * staking < 3 * whole or whole == 1


def test_weights_of_zero_leave_all_to_staking() -> None:
    """The remainder of nothing shared out is everything."""
    parts = split_tokens(101, burn_bps=0, treasury_bps=0, rewards_bps=0, staking_bps=0)
    assert (parts.burn, parts.treasury, parts.rewards, parts.staking) == (0, 0, 0, 101)


@pytest.mark.parametrize("total", [-1, 1.5, True, "5", None, MAX_AMOUNT + 1])
def test_only_amounts_are_split(total: int) -> None:
    """Negative and fractional amounts are refused: their parts could not sum to them."""
    with pytest.raises(InvalidInput) as refusal:
        split_tokens(total, **USUAL)
    assert refusal.value.field == "amount"


@pytest.mark.parametrize("field", sorted(USUAL))
@pytest.mark.parametrize("weight", [-1, 36.5, True, "1", None])
def test_weights_are_whole_and_not_negative(field: str, weight: int) -> None:
    """A negative weight would take from one part to give to another."""
    with pytest.raises(InvalidInput) as refusal:
        split_tokens(100, **{**USUAL, field: weight})
    assert refusal.value.field == field
