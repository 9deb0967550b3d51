"""Writing an import: one unit of work for each unit of the plan, with a note that it is done.

The note is a remembered answer, kept in the same unit of work as what it stands for, so after a
death at any point the units with a note are there whole and the others aren't there at all.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from aiba_adapters.codec import encode
from aiba_domain.decision import Refused, Role
from aiba_domain.economy.ledger import Posting
from aiba_domain.errors import InvariantViolation
from aiba_domain.instants import day_key
from aiba_domain.legacy.units import Unit, UsedKey
from aiba_domain.ports import Reader, Remembered, Scope, Store, UnitOfWork

PLAN_VERSION: Final = 1
"""Which plan this build makes of a source; an import is ended by the build that began it."""

BEGIN: Final = "begin"
END: Final = "end"
_PRINCIPAL: Final = "system:legacy"
_COMMAND: Final = "legacy.import"
_CODE: Final = "requestId already used"
_USED: Final = "legacy"


class ImportRefused(Exception):  # noqa: N818 - named for what was refused
    """An import that must not be done; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What is kept of an import: its source's digest, when it began, in ms, and how it was cut.

    `state` is the hash of what was proven, None while it isn't.
    """

    source: str
    at: int
    batch: int
    state: str | None = None


async def look(store: Store, now: int) -> Begun | None:
    """Return the import that a store holds or began to hold, None for an empty store.

    Raises ImportRefused for a store that was used for anything else.
    """

    async def work(read: Reader) -> Begun | None:
        begin = await read.remembered(note_scope(BEGIN))
        if begin is None:
            await _require_empty(read, now)
            return None
        if not isinstance(begin.outcome, Refused):
            raise InvariantViolation("the note of an import is no note")
        if begin.outcome.details.get("plan") != PLAN_VERSION:
            raise ImportRefused("another build began this import; let it end it")
        end = await read.remembered(note_scope(END))
        return Begun(
            source=begin.fingerprint,
            at=begin.at,
            batch=int(begin.outcome.details["batch"]),
            state=end.fingerprint if end else None,
        )

    return await store.read(work)


async def _require_empty(read: Reader, now: int) -> None:
    totals = await read.totals(day_key(now))
    used = {
        "it has players": totals.players > 0,
        "it has battles": totals.battles > 0,
        "money was moved": bool(await read.accounts()),
        "its policy was changed": (await read.policy()).version > 1,
        "a seed epoch has ended": len(await read.epochs()) > 1,
    }
    reasons = [reason for reason, is_so in used.items() if is_so]
    if reasons:
        raise ImportRefused(f"the store has been used: {', '.join(reasons)}")


async def begin(store: Store, begun: Begun) -> None:
    """Note that an import begins."""
    details: dict[str, str | int] = {"batch": begun.batch, "plan": PLAN_VERSION}
    await _note(store, BEGIN, begun.source, Refused(code=_CODE, details=details), begun.at)


async def end(store: Store, begun: Begun, state: str) -> None:
    """Note that an import is proven."""
    await _note(store, END, state, Refused(code=_CODE), begun.at)


async def _note(store: Store, key: str, text: str, outcome: Refused, at: int) -> None:
    note = Remembered(scope=note_scope(key), fingerprint=text, outcome=outcome, at=at)

    async def work(uow: UnitOfWork) -> None:
        if await uow.remembered(note.scope) is None:
            await uow.write(at=at, remember=note)

    await store.transact(work)


async def put(store: Store, unit: Unit, at: int) -> bool:
    """Write a unit, unless it is there; return whether it wasn't.

    Raises ImportRefused if what is there under its name was made of other rows.
    """
    digest = digest_of(unit, at)
    note = Remembered(
        scope=note_scope(unit.name),
        fingerprint=digest,
        outcome=Refused(code=_CODE),
        at=at,
    )

    async def work(uow: UnitOfWork) -> bool:
        there = await uow.remembered(note.scope)
        if there is not None:
            if there.fingerprint != digest:
                raise ImportRefused(f"{unit.name} was imported from other rows")
            return False
        for instant, moves in groupby(unit.moves, key=lambda move: move[0]):
            postings = tuple(posting for _, posting in moves)
            await uow.write(at=at if instant is None else instant, postings=postings)
        await uow.write(at=at, changed=unit.records, remember=note)
        for key in unit.keys:
            await uow.write(at=at, remember=used(key, at))
        return True

    return await store.transact(work)


def used(key: UsedKey, at: int) -> Remembered:
    """Return the memory of a key that no command of a player can match any more."""
    scope = Scope(principal=f"{Role.PLAYER}:{key.player_id}", command=key.command, key=key.key)
    return Remembered(scope=scope, fingerprint=_USED, outcome=Refused(code=_CODE), at=at)


def note_scope(name: str) -> Scope:
    """Return what a unit's note is found under."""
    return Scope(principal=_PRINCIPAL, command=_COMMAND, key=name)


def entry_line(at: int, posting: Posting) -> str:
    """Write a dated posting as one line of text."""
    return f"{at} {encode(posting)}\n"


def lines_of(unit: Unit, at: int) -> Iterator[str]:
    """Yield what a unit holds, as text that differs whenever it does."""
    for instant, posting in unit.moves:
        yield entry_line(at if instant is None else instant, posting)
    for record in unit.records:
        yield record_line(record)
    for key in unit.keys:
        yield f"key {encode(key)}\n"


def record_line(record: object) -> str:
    """Write a record as one line of text."""
    return f"{type(record).__name__} {encode(record)}\n"


def digest_of(unit: Unit, at: int) -> str:
    """Return the digest of a unit."""
    digest = hashlib.sha256()
    for each in lines_of(unit, at):
        digest.update(each.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
