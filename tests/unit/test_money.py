"""Amounts and exact multipliers: what is read, what is refused, and that nothing is rounded."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.errors import InvalidInput
from aiba_domain.money import BPS, MAX_AMOUNT, amount, exact, exact_text, share

fractions = st.fractions(max_denominator=10**9).filter(
    lambda value: len(exact_text(value)) <= 40,
)


@given(fractions)
def test_an_exact_multiplier_is_read_back_as_written(value: Fraction) -> None:
    """Writing and reading is the identity, for endless decimals too."""
    assert exact(exact_text(value)) == value


@given(
    st.decimals(allow_nan=False, allow_infinity=False, places=6, min_value=-1000, max_value=1000)
)
def test_a_decimal_is_taken_as_it_is(value: Decimal) -> None:
    """No binary fraction comes between."""
    assert exact(value) == Fraction(value)
    assert exact(f"{value:f}") == Fraction(value)


@given(st.text(max_size=12))
def test_any_other_text_is_refused_and_never_crashes(text: str) -> None:
    """Only plain decimals and fractions are numbers."""
    try:
        value = exact(text)
    except InvalidInput:
        return
    assert Fraction(text) == value


@pytest.mark.parametrize(
    "text", ["1/0", "1/²", " 1", "1_0", "\u0661", "1e3", "+1", "", ".5", "1.", "1/-2", "nan", "inf"]
)
def test_what_only_looks_like_a_number_is_refused(text: str) -> None:
    """Each of these is a number somewhere else."""
    with pytest.raises(InvalidInput, match="factor: number"):
        exact(text, "factor")


@pytest.mark.parametrize("value", [1.5, True, None, "9" * 41, Decimal("nan"), Decimal("1e99")])
def test_what_has_lost_its_text_or_size_is_refused(value: object) -> None:
    """A float's decimal text is gone already; a huge one is a mistake."""
    with pytest.raises(InvalidInput, match="factor"):
        exact(value, "factor")  # type: ignore[arg-type]


@given(st.one_of(st.integers(), st.floats(), st.booleans(), st.text(), st.none()))
def test_an_amount_is_a_whole_number_that_a_store_can_hold(value: object) -> None:
    """Anything else is refused with the field named."""
    valid = type(value) is int and 0 <= value <= MAX_AMOUNT
    if valid:
        assert amount(value, "fee") == value
    else:
        with pytest.raises(InvalidInput, match="fee"):
            amount(value, "fee")


@given(st.integers(0, MAX_AMOUNT), st.integers(0, BPS))
def test_a_share_and_its_rest_are_the_whole(total: int, bps: int) -> None:
    """Rounded down, never by more than a unit."""
    part = share(total, bps)
    assert 0 <= part <= total
    assert part * BPS <= total * bps < (part + 1) * BPS
