"""Judging a history: an order for each account, or the fewest operations that no order explains."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiba_domain.testing.history.account import Account, Kind
from aiba_domain.testing.history.search import LIMIT, Found, Operation, search

_EFFORT: Final = 10_000
"""How many states are looked at in all to name fewer operations of an account."""
_TRIAL: Final = 1_000
"""How many of them to leave one operation out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What was recorded: operations of any accounts, and the state each account began in.

    `faults` are broken invariants that concern more than one account.
    """

    operations: Sequence[Operation]
    starts: Mapping[str, Account]
    faults: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Offence:
    """An account whose answers no order explains.

    `culprit` is the first operation whose answer could not be explained any more when it came;
    `core` are operations whose answers contradict each other whatever the others were told, none of
    which can be left out, as far as a bounded search shows; the culprit is among them as a rule.
    """

    account: str
    culprit: Operation
    core: tuple[Operation, ...]

    def __str__(self) -> str:
        lines = [f"no order explains what account {self.account} was told:"]
        return "\n  ".join([*lines, *map(str, self.core)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What came of a history. `undecided` names the accounts whose search reached its limit."""

    operations: int
    states: int
    offences: tuple[Offence, ...]
    undecided: tuple[str, ...]
    faults: tuple[str, ...]

    @property
    def is_sound(self) -> bool:
        """Whether something was recorded, every account has its order, and nothing is at fault."""
        is_clear = not (self.offences or self.undecided or self.faults)
        return self.operations > 0 and is_clear

    def text(self) -> str:
        """Return the judgement for a reader."""
        if self.is_sound:
            return f"{self.operations} operations have an order in each account"
        lines = [str(offence) for offence in self.offences]
        lines += [f"account {name}: undecided, the limit was reached" for name in self.undecided]
        lines += self.faults
        return "\n".join(lines or ["nothing was recorded"])


def judge(history: History, *, limit: int = LIMIT) -> Judgement:
    """Look for an order of each account's operations, through at most `limit` states each."""
    offences: list[Offence] = []
    undecided: list[str] = []
    states = 0
    for account, start in history.starts.items():
        mine = [one for one in history.operations if one.account == account]
        result = search(mine, start, limit=limit)
        states += result.states
        if result.found is Found.UNDECIDED:
            undecided.append(account)
        elif result.found is Found.NONE:
            offences.append(_offence(account, mine, start, limit))
    return Judgement(
        operations=len(history.operations),
        states=states,
        offences=tuple(offences),
        undecided=tuple(undecided),
        faults=tuple(history.faults),
    )


def _offence(account: str, operations: Sequence[Operation], start: Account, limit: int) -> Offence:
    """Find the shortest beginning without an order, then forget every answer that isn't needed.

    A beginning of a history with an order has one too, with what hadn't ended yet unanswered; and
    so has a history in which an answer is forgotten. So both steps keep what is wrong.
    """
    ended = sorted(one.ended for one in operations if one.ended is not None)
    low, high = 0, len(ended) - 1
    while low < high:
        middle = (low + high) // 2
        if _is_refuted(_until(operations, ended[middle]), start, limit):
            high = middle
        else:
            low = middle + 1
    beginning = _until(operations, ended[high])
    culprit = next(one for one in beginning if one.ended == ended[high])
    left = _EFFORT
    for one in sorted(beginning, key=_by_cost):
        if one.said is None or left <= 0:
            continue
        without = [each.forgotten() if each.number == one.number else each for each in beginning]
        result = search(without, start, limit=min(limit, left, _TRIAL))
        left -= result.states
        if result.found is Found.NONE:
            beginning = without
    core = tuple(one for one in beginning if one.said is not None)
    return Offence(account=account, culprit=culprit, core=core)


def _by_cost(operation: Operation) -> tuple[bool, int]:
    """Forget first what makes no search longer, and then the earliest."""
    return operation.ask.kind is not Kind.LOOK, operation.began


def _until(operations: Sequence[Operation], end: int) -> list[Operation]:
    """Return what had begun by an end, with what ended later unanswered."""
    begun = [one for one in operations if one.began <= end]
    return [one if one.ended is not None and one.ended <= end else one.forgotten() for one in begun]


def _is_refuted(operations: Sequence[Operation], start: Account, limit: int) -> bool:
    return search(operations, start, limit=limit).found is Found.NONE
