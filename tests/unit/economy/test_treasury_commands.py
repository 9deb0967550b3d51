"""What operators move: bounded, whole, and never below 0, whoever asks."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_adapters.memory import MemoryStore
from aiba_domain.decision import Accepted, Refused
from aiba_domain.economy.treasury_commands import MAX_DELTA, CreditUser, Fund, Pot
from aiba_domain.money import MAX_AMOUNT, Currency
from aiba_domain.testing.playground import OPERATOR, Playground


@pytest.fixture(name="play")
def _play() -> Iterator[Playground]:
    async def opened() -> MemoryStore:
        return MemoryStore()

    play = Playground(opened)
    yield play
    assert play.audit().faults == ()
    play.close()


@pytest.mark.parametrize("currency", ["aiba", "neur"])
@pytest.mark.parametrize("sign", [1, -1])
def test_d57_a_delta_has_a_bound_whoever_issues_it(
    play: Playground, currency: str, sign: int
) -> None:
    """The rule holds without the wire's own check; the bound itself is allowed."""
    over: dict[str, Any] = {f"{currency}_delta": sign * (MAX_DELTA + 1)}
    for refused in (CreditUser(player_id="7", **over), Fund(pot=Pot.RESERVE, **over)):
        outcome = play.issue(OPERATOR, refused, "over").outcome
        assert isinstance(outcome, Refused)
        bound = f"max:{MAX_DELTA}" if sign > 0 else f"min:{-MAX_DELTA}"
        assert (outcome.code, outcome.details) == (
            "validation_error",
            {f"{currency}Delta": bound},
        )
    play.fund("7", **{currency.upper(): MAX_DELTA})
    most: dict[str, Any] = {f"{currency}_delta": sign * MAX_DELTA}
    command = CreditUser(player_id="7", **most)
    assert isinstance(play.issue(OPERATOR, command, "most").outcome, Accepted)


def test_d57_nobody_is_given_more_than_an_account_holds(play: Playground) -> None:
    """What would pass the highest amount is refused by the room that is left."""
    play.fund("7", AIBA=MAX_AMOUNT - 5)
    outcome = play.issue(OPERATOR, CreditUser(player_id="7", aiba_delta=6), "k").outcome
    assert isinstance(outcome, Refused)
    assert outcome.details == {"aibaDelta": "max:5"}


@given(aiba=st.integers(-60, 60), neur=st.integers(-60, 60))
def test_d48_both_deltas_move_or_none_and_nothing_goes_below_0(aiba: int, neur: int) -> None:
    """Refused by the currency that falls short, with what is needed and what is there."""

    async def opened() -> MemoryStore:
        return MemoryStore()

    play = Playground(opened)
    play.fund("7", AIBA=30, NEUR=30)
    command = CreditUser(player_id="7", aiba_delta=aiba, neur_delta=neur)
    answers = [play.issue(OPERATOR, command, "k") for _ in range(2)]
    moved = aiba >= -30 and neur >= -30
    assert isinstance(answers[0].outcome, Accepted if moved else Refused)
    assert [answer.replayed for answer in answers] == [False, True]
    expected = {Currency.AIBA: 30 + aiba * moved, Currency.NEUR: 30 + neur * moved}
    assert play.balances("7") == {name: amount for name, amount in expected.items() if amount}
    assert play.audit().faults == ()
    play.close()
