"""Letters to somebody outside, and the mailboxes that they wait in.

A subject's letters are numbered and wait in its mailbox. Only the first of those that wait is ever
under way, so they arrive in order, and one that can't be delivered holds up no other subject.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from aiba_domain.errors import InvariantViolation
from aiba_domain.instants import DAY, HOUR

MAX_ATTEMPTS: Final = 20
"""After how many attempts a letter is dead: about nine hours of an outage."""

FIRST_PAUSE_MS: Final = 1_000
LONGEST_PAUSE_MS: Final = HOUR

DEAD_KEPT_MS: Final = 30 * DAY
"""How long a dead letter is kept, in ms."""

MAX_REASON: Final = 200
"""How much is kept of why a letter couldn't be delivered, in characters."""


class Topic(StrEnum):
    """What a letter tells of."""

    BATTLE_WON = "battle.won"
    CLAIM_PAID = "claim.paid"
    CLAIM_REFUNDED = "claim.refunded"
    PLAYER_BANNED = "player.banned"


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """Something to tell a subject, `player:<id>`, with what there is to say about it."""

    subject: str
    topic: Topic
    facts: Mapping[str, str | int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """News on their way: the `number`-th letter to a subject, written at `at` (ms, UTC).

    `first` is the number that it was first sent under. A letter that was given up has a `died_at`
    and a `reason`, and waits for nobody but an operator.
    """

    subject: str
    number: int
    topic: Topic
    facts: Mapping[str, str | int]
    at: int
    first: int
    died_at: int | None = None
    reason: str = ""

    @property
    def id(self) -> str:
        """The letter's key."""
        return letter_id(self.subject, self.number)

    @property
    def delivery_id(self) -> str:
        """What a receiver tells deliveries of the same letter by, however often it is sent."""
        return letter_id(self.subject, self.first)

    @property
    def is_dead(self) -> bool:
        """Whether it was given up."""
        return self.died_at is not None

    def died(self, reason: str, now: int) -> "Letter":
        """Return the letter as it was given up."""
        return replace(self, died_at=now, reason=reason[:MAX_REASON])


@dataclass(frozen=True, slots=True, kw_only=True)
class Mailbox:
    """A subject's letters: how many were `written`, and how many of those are `settled`.

    The next one was tried `attempts` times, and isn't tried before `due_at` (ms, UTC), which is 0
    where none waits. Raises InvariantViolation for more letters settled than written.
    """

    subject: str
    written: int = 0
    settled: int = 0
    attempts: int = 0
    due_at: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 0 <= self.settled <= self.written or self.attempts < 0:
            raise InvariantViolation(f"the mailbox of {self.subject} holds less than nothing")

    @property
    def is_pending(self) -> bool:
        """Whether a letter waits."""
        return self.settled < self.written

    @property
    def next_id(self) -> str:
        """The key of the letter that is next."""
        return letter_id(self.subject, self.settled + 1)

    def put(self, news: Sequence[News], at: int) -> tuple["Mailbox", tuple[Letter, ...]]:
        """Return the mailbox with news at its end, and the letters that hold them."""
        letters = tuple(
            Letter(
                subject=self.subject,
                number=number,
                topic=each.topic,
                facts=each.facts,
                at=at,
                first=number,
            )
            for number, each in enumerate(news, start=self.written + 1)
        )
        return self._longer(len(letters), at), letters

    def put_again(self, letter: Letter, now: int) -> tuple["Mailbox", Letter]:
        """Return the mailbox with a dead letter at its end, and that letter alive."""
        again = replace(letter, number=self.written + 1, died_at=None, reason="")
        return self._longer(1, now), again

    def _longer(self, by: int, at: int) -> "Mailbox":
        due_at = self.due_at if self.is_pending else at
        return replace(self, written=self.written + by, due_at=due_at)

    def lent(self, until: int) -> "Mailbox":
        """Return the mailbox while its next letter is under way, at the longest `until`."""
        return replace(self, attempts=self.attempts + 1, due_at=until)

    def postponed(self, until: int, *, counts: bool) -> "Mailbox":
        """Return the mailbox when its letter didn't arrive; `counts`: as an attempt of its own."""
        return replace(self, attempts=max(0, self.attempts - (not counts)), due_at=until)

    def advanced(self, now: int) -> "Mailbox":
        """Return the mailbox when its next letter was settled, delivered or not."""
        after = replace(self, settled=self.settled + 1, attempts=0)
        return replace(after, due_at=now if after.is_pending else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What the outbox holds: letters that wait and since when the oldest does, and dead ones."""

    pending: int
    oldest_at: int | None
    dead: int


def letter_id(subject: str, number: int) -> str:
    """Return the key of a subject's letter."""
    return f"{subject}/{number}"


def pause_ms(attempts: int) -> int:
    """Return how long to wait after so many attempts: twice as long each time, up to an hour."""
    return int(min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS << min(attempts - 1, MAX_ATTEMPTS)))
