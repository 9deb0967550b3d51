"""The outbox of the stage: what waits in it, what its commands do there, and whom letters reach."""

from typing import Any, Final

from aiba_domain.application.deliveries import LOAN_MS, Deliveries
from aiba_domain.decision import Command, Principal, Record
from aiba_domain.instants import MINUTE
from aiba_domain.outbox.commands import (
    Delivery,
    DropLetter,
    LendLetters,
    RetryLetter,
    SettleLetter,
)
from aiba_domain.outbox.model import Letter, Mailbox, Topic
from aiba_domain.ports import Reader
from aiba_domain.testing.doubles import NOON
from aiba_domain.testing.playground import OPERATOR

_DEAD: Final = "player:6"
_WAITING: Final = "player:7"
_ALL: Final = 1_000


class Postman:
    """Brings every letter, and notes which."""

    def __init__(self) -> None:
        """Have brought none."""
        self.brought: list[Letter] = []

    async def deliver(self, letter: Letter) -> None:
        """Bring a letter."""
        self.brought.append(letter)


def _letter(subject: str, died_at: int | None = None) -> Letter:
    return Letter(
        subject=subject,
        number=1,
        topic=Topic.CLAIM_PAID,
        facts={"claim": "c", "aiba": 5},
        at=NOON,
        first=1,
        died_at=died_at,
        reason="" if died_at is None else "a reason",
    )


LETTER_RECORDS: Final[tuple[Record, ...]] = (
    Mailbox(subject=_DEAD, written=1, settled=1),
    _letter(_DEAD, NOON),
    Mailbox(subject=_WAITING, written=1, due_at=NOON),
    _letter(_WAITING),
)
"""A dead letter, and one that waits."""

LETTER_COMMANDS: Final[tuple[tuple[Principal, Command[Any]], ...]] = (
    (OPERATOR, LendLetters(limit=9, loan_ms=MINUTE)),
    (OPERATOR, SettleLetter(subject=_WAITING, number=1, result=Delivery.DELIVERED)),
    (OPERATOR, RetryLetter(letter_id=f"{_DEAD}/1")),
    (OPERATOR, DropLetter(letter_id=f"{_DEAD}/1")),
)
"""One call of each command of the outbox, which takes effect on the stage."""


async def letters_of(read: Reader, postman: Postman) -> object:
    """Return what the outbox holds, and what was brought: how often is a crash's business."""
    letters = await read.mailboxes_due(2**53, limit=_ALL)
    return [
        [await read.mailbox(f"player:{number}") for number in range(1, 8)],
        [await read.letter(box.next_id) for box in letters],
        list(await read.dead_letters(after=None, limit=_ALL)),
        await read.backlog(),
        sorted({letter.delivery_id for letter in postman.brought}),
    ]


async def bring_all(deliveries: Deliveries, postman: Postman, advance: Any) -> None:  # noqa: ANN401
    """Bring all letters; `advance` moves the clock by so many ms where one was lent to the dead."""
    while (await deliveries.backlog()).pending:
        if not (await deliveries.deliver_due()).fates:
            advance(LOAN_MS)
    await deliveries.trim()
    firsts: dict[str, list[int]] = {}
    for letter in postman.brought:
        seen = firsts.setdefault(letter.subject, [])
        if letter.number not in seen:
            assert not seen or letter.number > seen[-1], f"{letter.id} came after a later one"
            seen.append(letter.number)
