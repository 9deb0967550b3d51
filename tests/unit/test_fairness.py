"""Seed epochs: promised before, revealed after, and independent of each other."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.errors import InvalidInput, InvariantViolation
from aiba_domain.fairness import epochs as fairness
from tests.unit.battles import COMMITMENT, EPOCH, ROOT, SECRET

OPENED, CLOSED = 1_000, 2_000


def test_d21_there_is_no_default_root() -> None:
    """A short or empty root is refused, so no epoch's draws can be guessed from a constant."""
    for root in ("", "secret", "x" * 31):
        with pytest.raises(InvalidInput, match="root"):
            fairness.epoch_secret(root, 1)


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_epochs_have_secrets_of_their_own(one: int, other: int) -> None:
    """Each number gives its own 256-bit secret and commitment, the same every time."""
    first, second = fairness.epoch_secret(ROOT, one), fairness.epoch_secret(ROOT, other)
    assert len(first) == 64
    assert (first == second) is (one == other)
    assert (fairness.commitment(one, first) == fairness.commitment(other, second)) is (one == other)


def test_a_commitment_names_its_epoch() -> None:
    """The same secret promised for two epochs gives two commitments."""
    assert fairness.commitment(EPOCH, SECRET) != fairness.commitment(EPOCH + 1, SECRET)


@pytest.mark.parametrize("number", [0, -1, True, 1.0, "1", None])
def test_epochs_are_numbered_from_one(number: int) -> None:
    """Anything else is refused."""
    with pytest.raises(InvalidInput, match="number"):
        fairness.epoch_secret(ROOT, number)


def test_an_epoch_opens_with_a_promise_and_without_its_secret() -> None:
    """What is published before the first battle is the commitment alone."""
    epoch = fairness.open_epoch(EPOCH, SECRET, OPENED)
    assert epoch == fairness.SeedEpoch(number=EPOCH, commitment=COMMITMENT, opened_at=OPENED)
    assert SECRET not in str(epoch)


def test_a_closed_epoch_is_revealed_to_keep_the_promise() -> None:
    """The revealed secret is the promised one."""
    closed = fairness.close_epoch(fairness.open_epoch(EPOCH, SECRET, OPENED), CLOSED)
    revealed = fairness.reveal_epoch(closed, SECRET)
    assert revealed == dataclasses.replace(closed, revealed_secret=SECRET)
    assert fairness.keeps_promise(EPOCH, revealed.commitment, SECRET)


def test_closing_twice_keeps_the_first_time() -> None:
    """A repeated rotation doesn't rewrite history."""
    closed = fairness.close_epoch(fairness.open_epoch(EPOCH, SECRET, OPENED), CLOSED)
    assert fairness.close_epoch(closed, CLOSED + 1) is closed


def test_an_open_epoch_is_never_revealed() -> None:
    """Its draws could be foreseen."""
    with pytest.raises(InvariantViolation, match="open"):
        fairness.reveal_epoch(fairness.open_epoch(EPOCH, SECRET, OPENED), SECRET)


def test_another_secret_is_never_revealed() -> None:
    """A broken promise stops everything instead of being published."""
    closed = fairness.close_epoch(fairness.open_epoch(EPOCH, SECRET, OPENED), CLOSED)
    with pytest.raises(InvariantViolation, match="another secret"):
        fairness.reveal_epoch(closed, fairness.epoch_secret(ROOT, EPOCH + 1))


def test_an_impossible_epoch_is_no_value() -> None:
    """Revealed while open, or closed before it opened: neither can be loaded."""
    with pytest.raises(InvariantViolation, match="revealed"):
        fairness.SeedEpoch(
            number=1, commitment=COMMITMENT, opened_at=OPENED, revealed_secret=SECRET
        )
    with pytest.raises(InvariantViolation, match="closed"):
        fairness.SeedEpoch(number=1, commitment=COMMITMENT, opened_at=CLOSED, closed_at=OPENED)
