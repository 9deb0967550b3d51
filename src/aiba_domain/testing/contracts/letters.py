"""What a store owes of the outbox: mailboxes in the order they are due, letters dead and alive."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.outbox.model import Backlog, Letter, Mailbox, Topic
from aiba_domain.ports import Reader, UnitOfWork
from aiba_domain.testing import strategies
from aiba_domain.testing.contracts.desk import Desk
from aiba_domain.testing.contracts.expect import same
from aiba_domain.testing.contracts.samples import AT
from aiba_domain.testing.contracts.store_suite import StoreSuite
from aiba_domain.testing.contracts.suite import Capability, broad, needs

_LATEST = 2**62


class LettersContract(StoreSuite):
    """The meaning of mailboxes and letters."""

    @broad()
    @given(box=strategies.mailboxes(), letter=strategies.letters())
    def test_mailboxes_and_letters_come_back_equal(
        self, desk: Desk, box: Mailbox, letter: Letter
    ) -> None:
        """Every field survives; the next one takes a mailbox's place; a removed letter is gone."""
        subject = desk.fresh()
        box, letter = replace(box, subject=subject), replace(letter, subject=subject)
        for kept in (box, replace(box, written=box.written + 1, due_at=AT)):
            desk.write(changed=(kept, letter))
            same(desk.read(lambda read: read.mailbox(subject)), kept)
            same(desk.read(lambda read: read.letter(letter.id)), letter)
        alive = replace(letter, died_at=None, reason="")
        desk.write(changed=(alive,))
        same(desk.read(lambda read: read.letter(letter.id)), alive)
        desk.write(changed=(Mailbox(subject=subject),), removed=(alive,))
        same(desk.read(lambda read: read.letter(letter.id)), None)

    @broad()
    @given(
        boxes=st.lists(st.tuples(st.booleans(), st.integers(-2, 2)), max_size=6),
        limit=st.integers(1, 4),
    )
    def test_mailboxes_that_are_due_come_in_time(
        self, desk: Desk, boxes: list[tuple[bool, int]], limit: int
    ) -> None:
        """Those in which something waits that is due by now, the longest due first."""
        made = [
            Mailbox(subject=desk.fresh(), written=int(waits), due_at=AT + due)
            for waits, due in boxes
        ]
        desk.write(changed=made)
        due = [box for box in made if box.is_pending and box.due_at <= AT]
        due.sort(key=lambda box: (box.due_at, box.subject))
        same(list(desk.read(lambda read: read.mailboxes_due(AT, limit=limit))), due[:limit])
        emptied = [replace(box, settled=box.written) for box in made]
        desk.write(changed=emptied)
        same(list(desk.read(lambda read: read.mailboxes_due(_LATEST, limit=limit))), [])

    @broad()
    @given(deaths=st.lists(st.none() | st.integers(-2, 2), max_size=6), size=st.integers(1, 3))
    def test_dead_letters_come_in_pages_and_others_wait(
        self, desk: Desk, deaths: list[int | None], size: int
    ) -> None:
        """Pages of any size are all dead letters, the first to die first; the backlog agrees."""
        subject = desk.fresh()
        made = [_letter(subject, number, died) for number, died in enumerate(deaths, start=1)]
        desk.write(changed=made)
        dead = [letter for letter in made if letter.died_at is not None]
        dead.sort(key=lambda letter: (letter.died_at, letter.id))
        found: list[Letter] = []
        while page := _page(desk, found, size):
            found += page
        same(found, dead)
        waiting = [letter.at for letter in made if not letter.is_dead]
        owed = Backlog(pending=len(waiting), oldest_at=min(waiting, default=None), dead=len(dead))
        same(desk.read(lambda read: read.backlog()), owed)
        desk.write(removed=made)
        same(desk.read(lambda read: read.backlog()), Backlog(pending=0, oldest_at=None, dead=0))

    @needs(Capability.SERIALIZABLE)
    def test_two_units_never_give_out_one_number(self, desk: Desk) -> None:
        """Units at once that put a letter in one mailbox put them one behind the other."""
        subject = desk.fresh()

        async def put(unit: UnitOfWork) -> None:
            before = await unit.mailbox(subject) or Mailbox(subject=subject)
            number = before.written + 1
            letter = _letter(subject, number, None)
            await unit.write(at=AT, changed=(replace(before, written=number), letter))

        async def both() -> None:
            for _ in range(3):
                await desk.store.transact(put)

        async def at_once() -> None:
            await asyncio.gather(both(), both())

        desk.run(at_once())
        box = desk.read(lambda read: read.mailbox(subject))
        same(box, Mailbox(subject=subject, written=6))

        async def letters(read: Reader) -> list[Letter | None]:
            return [await read.letter(f"{subject}/{number}") for number in range(1, 8)]

        owed = [_letter(subject, number, None) for number in range(1, 7)]
        same(desk.read(letters), [*owed, None])


def _letter(subject: str, number: int, died: int | None) -> Letter:
    return Letter(
        subject=subject,
        number=number,
        topic=Topic.BATTLE_WON,
        facts={"score": number},
        at=AT - number,
        first=number,
        died_at=None if died is None else AT + died,
    )


def _page(desk: Desk, found: Sequence[Letter], size: int) -> Sequence[Letter]:
    after = (found[-1].died_at or 0, found[-1].id) if found else None

    async def look(read: Reader) -> Sequence[Letter]:
        return await read.dead_letters(after=after, limit=size)

    return desk.read(look)
