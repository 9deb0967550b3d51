"""Is there an order of operations that explains their answers? The search of Wing, Gong and Lowe.

An operation takes effect at one moment between its invocation and its completion. One without a
known end may take effect at any later moment, or never. The search goes through the orders that
this allows, and never twice through one set of operations that left the same state.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from aiba_domain.testing.history.account import Account, Ask, Said

LIMIT: Final = 200_000
"""How many states a search looks at before it gives up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One request of a client to an account, and what is known of its answer.

    `began` and `ended` are readings of one clock that never goes back; an operation comes before
    another for certain if it ended at a smaller reading than the other began at. `said` and `ended`
    are None where the answer was lost: the operation may have taken effect or not.
    """

    number: int
    client: str
    account: str
    ask: Ask
    began: int
    ended: int | None = None
    said: Said | None = None

    def __str__(self) -> str:
        answer = "lost its answer" if self.said is None else f"was told {self.said}"
        return f"{self.number}: {self.client} asked {self.ask} and {answer}"

    def forgotten(self) -> "Operation":
        """Return the operation as if its answer were not known."""
        return replace(self, ended=None, said=None)


class Found(StrEnum):
    """What a search found."""

    ORDER = "an order"
    NONE = "no order"
    UNDECIDED = "undecided"
    """The limit was reached first, which proves nothing and counts as a failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The result of a search: an order if there is one, and how many states were looked at."""

    found: Found
    states: int
    order: tuple[Operation, ...] = ()


@dataclass(frozen=True, slots=True)
class _Step:
    """An operation put in order after those before it."""

    operation: Operation
    before: "_Step | None"


_Point = tuple[int, Account, _Step | None]
"""Which operations are done, as bits, what they left, and in which order they came."""


def search(operations: Iterable[Operation], start: Account, *, limit: int = LIMIT) -> Search:
    """Look for an order of one account's operations from a state, through at most `limit` states.

    Raises ValueError for operations of more than one account.
    """
    ordered = sorted(operations, key=lambda one: (one.began, one.number))
    if len({one.account for one in ordered}) > 1:
        raise ValueError("operations: of one account each time")
    known = sum(1 << place for place, one in enumerate(ordered) if one.said is not None)
    stack: list[_Point] = [(0, start, None)]
    met = {(0, start)}
    looked = 0
    while stack:
        done, state, last = stack.pop()
        looked += 1
        if not known & ~done:
            return Search(found=Found.ORDER, states=looked, order=_order(last))
        if looked > limit:
            return Search(found=Found.UNDECIDED, states=looked)
        for point in _next(ordered, done, state, last):
            if point[:2] not in met:
                met.add(point[:2])
                stack.append(point)
    return Search(found=Found.NONE, states=looked)


def _next(
    ordered: Sequence[Operation], done: int, state: Account, last: _Step | None
) -> list[_Point]:
    """Return where each operation leads that may be the next, the most promising one at the end."""
    points: list[_Point] = []
    for place, one in _candidates(ordered, done):
        for answer, after in state.outcomes(one.ask):
            if one.said is None:
                if after != state:  # without an effect it needs no place in the order
                    points.append((done | 1 << place, after, _Step(one, last)))
            elif answer == one.said:
                point = (done | 1 << place, after, _Step(one, last))
                if after == state:
                    # It changes nothing, so whatever order there is, there is one with it here.
                    return [point]
                points.append(point)
    # What is popped first: an answered operation before one whose answer was lost.
    return sorted(
        points,
        key=lambda point: point[2] is not None and point[2].operation.said is not None,
    )


def _candidates(ordered: Sequence[Operation], done: int) -> list[tuple[int, Operation]]:
    """Return the operations that no other one comes before for certain."""
    waiting = [(place, one) for place, one in enumerate(ordered) if not done >> place & 1]
    ends = [one.ended for _, one in waiting if one.ended is not None]
    first_end = min(ends, default=None)
    return [(place, one) for place, one in waiting if first_end is None or one.began <= first_end]


def _order(last: _Step | None) -> tuple[Operation, ...]:
    steps: list[Operation] = []
    while last is not None:
        steps.append(last.operation)
        last = last.before
    return tuple(reversed(steps))
