"""The history check accepts what an order explains, and names what contradicts it."""

import asyncio
from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from aiba_adapters.memory import MemoryStore
from aiba_domain.economy.ledger import Posting
from aiba_domain.money import Currency
from aiba_domain.testing.doubles import NOON
from aiba_domain.testing.history import (
    Account,
    Ask,
    Found,
    History,
    Kind,
    Operation,
    Said,
    Workload,
    judge,
    said,
    search,
)
from aiba_domain.testing.history.account import CAPPED, REUSED, TRAIN
from aiba_domain.testing.history.recording import Recorder
from aiba_domain.testing.history.stage import faults_of, set_up

START = Account(neur=100, aiba=200, points=150)

ASKS = st.builds(
    Ask,
    kind=st.sampled_from(Kind),
    what=st.sampled_from((0, 1, 2)),
    key=st.sampled_from(("a", "b", "c")),
)


def operation(number: int, ask: Ask, answer: Said | None, began: int, ended: int) -> Operation:
    """Return an operation of the one account."""
    return Operation(
        number=number,
        client=f"client {number}",
        account="1",
        ask=ask,
        began=began,
        ended=None if answer is None else ended,
        said=answer,
    )


def train(key: str) -> Ask:
    """Return a request that costs 25 NEUR."""
    return Ask(kind=Kind.TRAIN, key=key)


def trained(neur: int, points: int) -> Said:
    """Return its answer."""
    return said(neur=neur, points=points, energy=3)


def seen(neur: int, points: int = 150) -> Said:
    """Return what a look shows."""
    return said(neur=neur, aiba=200, points=points, energy=3)


LOOK = Ask(kind=Kind.LOOK)


@st.composite
def histories(draw: st.DrawFn, *, at_once: bool = True, losses: bool = True) -> list[Operation]:
    """Draw histories that have an order: each request takes effect at a moment of its interval."""
    asks = draw(st.lists(ASKS, min_size=1, max_size=8))
    state, made = START, []
    for moment, ask in enumerate(asks):
        answer, after = draw(st.sampled_from([*state.outcomes(ask)]))
        before, behind = (draw(st.integers(0, 30)) for _ in range(2)) if at_once else (1, 1)
        is_lost = losses and draw(st.integers(0, 4)) == 0
        if is_lost and draw(st.booleans()):
            after = state
        middle = moment * 10
        made.append(
            operation(moment, ask, None if is_lost else answer, middle - before, middle + behind)
        )
        state = after
    return draw(st.permutations(made))


def has_order(operations: list[Operation]) -> bool:
    """Try every order of every part that holds what was answered: slow, and plainly right."""
    known = [one for one in operations if one.said is not None]
    lost = [one for one in operations if one.said is None]
    for bits in range(1 << len(lost)):
        part = [*known, *(one for place, one in enumerate(lost) if bits >> place & 1)]
        for order in permutations(part):
            if _is_in_time(order) and _explains(order):
                return True
    return False


def _is_in_time(order: tuple[Operation, ...]) -> bool:
    return not any(
        later.ended is not None and later.ended < one.began
        for place, one in enumerate(order)
        for later in order[place + 1 :]
    )


def _explains(order: tuple[Operation, ...]) -> bool:
    states = [START]
    for one in order:
        states = [
            after
            for state in states
            for answer, after in state.outcomes(one.ask)
            if one.said in (None, answer)
        ]
    return bool(states)


def judged(operations: list[Operation], **options: int) -> tuple[bool, list[int]]:
    """Return whether a history is sound, and which operations are named."""
    judgement = judge(History(operations=operations, starts={"1": START}), **options)
    named = [one.number for offence in judgement.offences for one in offence.core]
    return judgement.is_sound, named


@given(histories())
def test_a_history_with_an_order_is_accepted(operations: list[Operation]) -> None:
    """Whatever overlaps, whatever was lost."""
    result = search(operations, START)
    assert result.found is Found.ORDER
    done = {one.number for one in result.order}
    assert done >= {one.number for one in operations if one.said is not None}
    assert _is_in_time(result.order)
    assert _explains(result.order)


@given(histories(), st.data())
def test_the_search_agrees_with_trying_every_order(
    operations: list[Operation], data: st.DataObject
) -> None:
    """For small histories with an answer put in another's place, and any intervals."""
    operations = operations[:5]
    answered = [place for place, one in enumerate(operations) if one.said is not None]
    assume(answered)
    place, source = data.draw(st.sampled_from(answered)), data.draw(st.sampled_from(answered))
    operations[place] = replace(operations[place], said=operations[source].said)
    expected = Found.ORDER if has_order(operations) else Found.NONE
    assert search(operations, START).found is expected


@given(histories(at_once=False, losses=False), st.data())
def test_a_wrong_answer_is_refused_and_the_fewest_that_show_it_are_named(
    operations: list[Operation], data: st.DataObject
) -> None:
    """In a history of one client any other answer is wrong; each named answer is needed for it."""
    place = data.draw(st.integers(0, len(operations) - 1))
    one = operations[place]
    assert one.said is not None
    wrong = replace(one.said, facts=(*one.said.facts, ("wrong", 1)))
    operations[place] = replace(one, said=wrong)
    is_sound, named = judged(operations)
    assert not is_sound
    assert named == [one.number]


def test_a_stale_read_is_named_with_what_it_missed() -> None:
    """A look that began after a payment had been answered shows the balance before it."""
    operations = [
        operation(1, LOOK, seen(100), 0, 1),
        operation(2, train("a"), trained(75, 151), 2, 3),
        operation(3, LOOK, seen(100), 4, 5),
        operation(4, LOOK, seen(75, 151), 6, 7),
    ]
    assert judged(operations) == (False, [2, 3])
    operations[2] = replace(operations[2], began=3)  # at once with the payment it may come first
    assert judged(operations) == (True, [])


def test_a_lost_update_is_named_with_both_writers() -> None:
    """Two payments that both start from 100."""
    operations = [
        operation(1, train("a"), trained(75, 151), 0, 9),
        operation(2, train("b"), trained(75, 151), 1, 8),
        operation(3, LOOK, seen(75, 151), 10, 11),
    ]
    assert judged(operations) == (False, [1, 2])


def test_a_lost_write_is_named_by_the_last_look() -> None:
    """An answered payment of which nothing is there at the end."""
    operations = [
        operation(1, train("a"), trained(75, 151), 0, 1),
        operation(2, LOOK, seen(100), 2, 3),
    ]
    assert judged(operations) == (False, [1, 2])


def test_a_double_apply_is_named() -> None:
    """A payment that was answered once and taken twice; and one under a repeated key."""
    twice = [
        operation(1, train("a"), trained(75, 151), 0, 1),
        operation(2, train("a"), trained(50, 152), 2, 3),
    ]
    assert judged(twice) == (False, [2])  # one request can't have cost that much
    hidden = [
        operation(1, train("a"), trained(75, 151), 0, 1),
        operation(2, LOOK, seen(50, 152), 2, 3),
    ]
    assert judged(hidden) == (False, [2])  # no order of what was asked leads there at all


def test_a_lost_answer_may_have_had_its_effect_once() -> None:
    """Once at the most, at any later moment, and not before it was asked for."""
    lost = operation(1, train("a"), None, 5, 6)
    for neur, points in ((100, 150), (75, 151)):
        late = operation(2, LOOK, seen(neur, points), 90, 91)
        assert judged([lost, late]) == (True, [])
    assert judged([lost, operation(2, LOOK, seen(50, 152), 90, 91)]) == (False, [2])
    assert judged([lost, operation(2, LOOK, seen(75, 151), 0, 1)]) == (False, [2])
    back = [operation(2, LOOK, seen(75, 151), 10, 11), operation(3, LOOK, seen(100), 12, 13)]
    assert judged([lost, *back]) == (False, [2, 3])


def test_reordered_answers_are_named() -> None:
    """Two payments one after the other, each told what the other should have been."""
    operations = [
        operation(1, train("a"), trained(50, 152), 0, 1),
        operation(2, train("b"), trained(75, 151), 2, 3),
    ]
    is_sound, named = judged(operations)
    assert not is_sound
    assert named == [1]  # nobody had paid yet
    operations[0] = replace(operations[0], ended=9)
    assert judged(operations) == (True, [])


def test_another_request_under_a_used_key_is_refused_in_the_model() -> None:
    """And a refusal under a key is the answer for ever."""
    poor = replace(START, neur=TRAIN - 1)
    [(refused, after)] = poor.outcomes(train("a"))
    assert refused == said("insufficient NEUR", need=TRAIN, have=TRAIN - 1)
    rich = replace(after, neur=1_000)
    assert [*rich.outcomes(train("a"))] == [(refused, rich)]
    other = replace(train("a"), what=1)
    assert [*rich.outcomes(other)] == [(said(REUSED), rich)]


def test_a_search_without_an_end_is_no_pass() -> None:
    """What isn't decided within the limit fails, and so does a history of nothing."""
    operations = [operation(n, train(f"{n}"), None, 0, 1) for n in range(6)]
    operations.append(operation(9, LOOK, seen(1), 2, 3))
    judgement = judge(History(operations=operations, starts={"1": START}), limit=3)
    assert not judgement.is_sound
    assert judgement.undecided == ("1",)
    assert "undecided" in judgement.text()
    nothing = judge(History(operations=[], starts={"1": START}))
    assert not nothing.is_sound
    assert nothing.text() == "nothing was recorded"
    faulty = judge(History(operations=operations[:1], starts={"1": START}, faults=("a sum",)))
    assert not faulty.is_sound
    assert "a sum" in faulty.text()


def test_operations_of_two_accounts_are_not_searched_together() -> None:
    """They are independent, and searching them together would take for ever."""
    one = operation(1, LOOK, seen(100), 0, 1)
    with pytest.raises(ValueError, match="operations"):
        search([one, replace(one, account="2")], START)


def test_a_workload_stays_within_the_model() -> None:
    """The same seed asks for the same, and too much is refused by name."""
    workload = Workload(seed=5)
    orders = [workload.orders(client) for client in range(workload.clients)]
    assert orders == [Workload(seed=5).orders(client) for client in range(workload.clients)]
    assert orders != [Workload(seed=6).orders(client) for client in range(workload.clients)]
    per_account = [
        sum(order.account == player for mine in orders for order in mine)
        for player in workload.players
    ]
    assert per_account == [16, 16, 16]
    for fields in ({"clients": 0}, {"requests": 1_000}, {"losses": 101}):
        with pytest.raises(ValueError, match=next(iter(fields))):
            Workload(seed=1, **fields)


def faults_after(*postings: Posting, told: tuple[Operation, ...] = ()) -> list[str]:
    """Return what is wrong, beyond any one account, with a store after some postings."""

    async def found() -> list[str]:
        store = MemoryStore()
        await set_up(store, ("1", "2"))
        await store.transact(lambda unit: unit.write(at=NOON, postings=postings))
        return await faults_of(store, told)

    return asyncio.run(found())


def paid(player: str, key: str) -> Posting:
    """Return the price of a training."""
    return Posting(
        currency=Currency.NEUR,
        amount=TRAIN,
        debit=f"player:{player}",
        credit="sink:2026-01-01:train:training",
        reason="train",
        arena="training",
        league="global",
        source_type="broker_train",
        source_id=key,
    )


def test_a_key_that_moved_money_twice_is_told() -> None:
    """A player's key; two players may use the same one."""
    assert faults_after(paid("1", "a"), paid("1", "b"), paid("2", "a")) == []
    [fault] = faults_after(paid("1", "a"), paid("2", "a"), paid("1", "a"))
    assert "player:1" in fault
    assert "2 times" in fault


def test_a_cap_that_was_reached_for_nobody_is_told() -> None:
    """Whoever is refused for a cap was refused because others had used it up."""
    refused = operation(1, Ask(kind=Kind.DAILY), said(CAPPED), 0, 1)
    [fault] = faults_after(told=(refused,))
    assert CAPPED in fault


def test_broken_books_are_told() -> None:
    """The auditor's word is passed on."""
    foreign = replace(paid("1", "a"), debit="emission:2020-01-01:daily_login", credit="player:1")
    [fault] = faults_after(foreign)
    assert fault.startswith("the books: ")


def test_a_cancelled_request_is_noted_as_lost() -> None:
    """Whoever goes away doesn't know what came of it."""
    recorder = Recorder()

    async def gone() -> Said:
        raise asyncio.CancelledError

    assert asyncio.run(recorder.note("c", "1", LOOK, gone)) is None
    [noted] = recorder.operations
    assert noted.said is None
    assert noted.ended is None
