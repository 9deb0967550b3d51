"""The commands of the outbox: letters are lent to a worker, and settled; operators see to the dead.

A letter is lent for a while in a unit of work of its own before it is brought anywhere. So of two
workers only one ever has it, one that died holds it up no longer than that while, and an attempt
counts though nobody has lived to tell of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aiba_domain.application.handler import OPERATORS, Handler
from aiba_domain.decision import Accepted, Command, Context, Record, Refused
from aiba_domain.outbox.model import MAX_ATTEMPTS, Letter, Mailbox, pause_ms
from aiba_domain.ports import Reader

MAX_LENT: Final = 100
"""How many letters are lent at once at the most."""

MAX_LOAN_MS: Final = 600_000

NOT_FOUND: Final = "letter not found"

NEVER_ANSWERED: Final = "no attempt came to an end"
"""Why a letter is dead whose every worker has died."""


class Delivery(StrEnum):
    """What came of a letter that was lent."""

    DELIVERED = "delivered"
    FAILED = "failed"
    """It may have arrived or not; it is brought again."""
    REFUSED = "refused"
    """It will never be taken."""
    POSTPONED = "postponed"
    """It was not even tried."""


class Fate(StrEnum):
    """What becomes of a letter that was settled."""

    DELIVERED = "delivered"
    WAITS = "waits"
    DEAD = "dead"
    SETTLED_BEFORE = "settled before"


@dataclass(frozen=True, slots=True, kw_only=True)
class LentReply:
    """The letters that were lent, and those that are dead instead."""

    letters: tuple[Letter, ...]
    dead: tuple[Letter, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LendLetters(Command[LentReply]):
    """Lend up to `limit` letters that are due, one of a mailbox, for `loan_ms`."""

    limit: int
    loan_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SettledReply:
    """What becomes of the letter."""

    fate: Fate


@dataclass(frozen=True, slots=True, kw_only=True)
class SettleLetter(Command[SettledReply]):
    """Say what came of a letter; `after_ms` is when the receiver asks to be tried again, 0 if ever.

    Whoever says so of a letter that is settled already changes nothing.
    """

    subject: str
    number: int
    result: Delivery
    after_ms: int = 0
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterReply:
    """A letter as it stands, or stood."""

    letter: Letter


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryLetter(Command[LetterReply]):
    """Put a dead letter at the end of its mailbox, to be brought again."""

    letter_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DropLetter(Command[LetterReply]):
    """Forget a dead letter."""

    letter_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Post:
    """A mailbox, and the one of its letters that a command is about."""

    mailbox: Mailbox
    letter: Letter


async def load_due(command: LendLetters, context: Context, read: Reader) -> Sequence[Post]:
    """Load the mailboxes that are due, each with its next letter."""
    if not _is_loan(command):
        return ()
    return [
        post
        for mailbox in await read.mailboxes_due(context.now, limit=command.limit)
        if (post := await _post(mailbox, mailbox.next_id, read)) is not None
    ]


def decide_lending(
    state: Sequence[Post], command: LendLetters, context: Context
) -> Accepted[LentReply] | Refused:
    """Lend what is due; a letter that was lent too often without an end is dead."""
    if not _is_loan(command):
        ranges = {"limit": f"range:1..{MAX_LENT}", "loanMs": f"range:1..{MAX_LOAN_MS}"}
        return Refused(code="validation_error", details=ranges)
    until = context.now + command.loan_ms
    lent, dead, changed = list[Letter](), list[Letter](), list[Record]()
    for post in state:
        if post.mailbox.attempts < MAX_ATTEMPTS:
            lent.append(post.letter)
            changed.append(post.mailbox.lent(until))
        else:
            dead.append(post.letter.died(NEVER_ANSWERED, context.now))
            changed += [dead[-1], post.mailbox.advanced(context.now)]
    reply = LentReply(letters=tuple(lent), dead=tuple(dead))
    return Accepted(reply=reply, changed=tuple(changed))


async def load_lent(command: SettleLetter, _context: Context, read: Reader) -> Post | None:
    """Load the letter if it is the next one of its mailbox."""
    mailbox = await read.mailbox(command.subject)
    if mailbox is None or mailbox.settled + 1 != command.number:
        return None
    return await _post(mailbox, mailbox.next_id, read)


def decide_settling(
    state: Post | None, command: SettleLetter, context: Context
) -> Accepted[SettledReply]:
    """Remove the letter if it was delivered, let it wait, or bury it."""
    if state is None:
        return Accepted(reply=SettledReply(fate=Fate.SETTLED_BEFORE))
    mailbox, letter, now = state.mailbox, state.letter, context.now
    if command.result is Delivery.DELIVERED:
        reply = SettledReply(fate=Fate.DELIVERED)
        return Accepted(reply=reply, changed=(mailbox.advanced(now),), removed=(letter,))
    is_over = command.result is Delivery.FAILED and mailbox.attempts >= MAX_ATTEMPTS
    if command.result is Delivery.REFUSED or is_over:
        buried = (letter.died(command.reason, now), mailbox.advanced(now))
        return Accepted(reply=SettledReply(fate=Fate.DEAD), changed=buried)
    counts = command.result is Delivery.FAILED
    pause = max(command.after_ms, pause_ms(max(1, mailbox.attempts)) if counts else 0)
    waiting = mailbox.postponed(now + pause, counts=counts)
    return Accepted(reply=SettledReply(fate=Fate.WAITS), changed=(waiting,))


async def load_dead(
    command: RetryLetter | DropLetter, _context: Context, read: Reader
) -> Post | None:
    """Load a dead letter and its mailbox."""
    letter = await read.letter(command.letter_id)
    if letter is None or not letter.is_dead:
        return None
    mailbox = await read.mailbox(letter.subject)
    return None if mailbox is None else Post(mailbox=mailbox, letter=letter)


def decide_retry(
    state: Post | None, command: RetryLetter, context: Context
) -> Accepted[LetterReply] | Refused:
    """Let the letter wait again, behind those that came since."""
    if state is None:
        return Refused(code=NOT_FOUND, details={"letter": command.letter_id})
    mailbox, again = state.mailbox.put_again(state.letter, context.now)
    return Accepted(
        reply=LetterReply(letter=again), changed=(mailbox, again), removed=(state.letter,)
    )


def decide_drop(
    state: Post | None, command: DropLetter, _context: Context
) -> Accepted[LetterReply] | Refused:
    """Remove the letter."""
    if state is None:
        return Refused(code=NOT_FOUND, details={"letter": command.letter_id})
    return Accepted(reply=LetterReply(letter=state.letter), removed=(state.letter,))


def _is_loan(command: LendLetters) -> bool:
    return 1 <= command.limit <= MAX_LENT and 1 <= command.loan_ms <= MAX_LOAN_MS


async def _post(mailbox: Mailbox, letter_id: str, read: Reader) -> Post | None:
    letter = await read.letter(letter_id)
    return None if letter is None else Post(mailbox=mailbox, letter=letter)


HANDLERS = (
    Handler(
        name="outbox.lend",
        command=LendLetters,
        reply=LentReply,
        load=load_due,
        decide=decide_lending,
        roles=OPERATORS,
        keyed=False,
    ),
    Handler(
        name="outbox.settle",
        command=SettleLetter,
        reply=SettledReply,
        load=load_lent,
        decide=decide_settling,
        roles=OPERATORS,
        keyed=False,
    ),
    Handler(
        name="outbox.retry",
        command=RetryLetter,
        reply=LetterReply,
        load=load_dead,
        decide=decide_retry,
        roles=OPERATORS,
        keyed=False,
    ),
    Handler(
        name="outbox.drop",
        command=DropLetter,
        reply=LetterReply,
        load=load_dead,
        decide=decide_drop,
        roles=OPERATORS,
        keyed=False,
    ),
)
"""The handlers of this area's commands."""
