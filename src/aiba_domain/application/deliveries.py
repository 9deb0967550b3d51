"""Bringing what waits in the outbox to its receivers: at least once, in order for each subject."""

import asyncio
import copy
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from aiba_domain.application.pipeline import Pipeline
from aiba_domain.application.upkeep import SERVICE
from aiba_domain.leases.model import Lease
from aiba_domain.outbox.commands import Delivery, DropLetter, Fate, LendLetters, SettleLetter
from aiba_domain.outbox.model import DEAD_KEPT_MS, MAX_REASON, Backlog, Letter, Topic
from aiba_domain.outbox.ports import Notifier, NotNow, Undeliverable
from aiba_domain.ports import Reader, Store, Unavailable

LOAN_MS: Final = 120_000
"""For how long letters are lent: longer than all of them take to be brought, in ms."""

BATCH: Final = 16
"""How many letters are lent at a time."""

BRINGING_MS: Final = 30_000
"""How long it may take to bring one letter; with less than that left of its loan none is begun."""

_TRIMMED: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What came of a round: how many letters of a topic met which fate.

    `wait_ms` is how long the receiver takes nothing; `is_all`: nothing more was due.
    """

    fates: Counter[tuple[Topic, Fate]] = field(default_factory=Counter)
    wait_ms: int = 0
    is_all: bool = True


@dataclass(slots=True, kw_only=True)
class _Errand:
    """Letters under way: until when one may be begun, and how long the receiver wants none."""

    until: int
    pause_ms: int = 0


class Deliveries:
    """One worker of the outbox. Any number may work at once, each under the lease that it holds."""

    def __init__(
        self, *, pipeline: Pipeline, store: Store, notifier: Notifier, at_once: int = 1
    ) -> None:
        """Bring letters by `notifier`, up to `at_once` of different subjects at a time."""
        self._pipeline = pipeline
        self._store = store
        self._notifier = notifier
        self._at_once = at_once

    def under(self, lease: Lease) -> Self:
        """Return this worker as one that works only while the lease is its own."""
        fenced = copy.copy(self)
        fenced._pipeline = self._pipeline.under(lease)  # noqa: SLF001 - of the same class
        return fenced

    async def deliver_due(self) -> Round:
        """Bring the letters that are due, each once, and return what came of them.

        Raises Unavailable when the store is, and LeaseLost; what was lent and not settled by then
        is brought again later.
        """
        errand = _Errand(until=self._pipeline.now() + LOAN_MS - BRINGING_MS)
        lending = LendLetters(limit=BATCH, loan_ms=LOAN_MS)
        lent = (await self._pipeline.execute(SERVICE, lending)).reply()
        fates = Counter((letter.topic, Fate.DEAD) for letter in lent.dead)
        for start in range(0, len(lent.letters), self._at_once):
            some = lent.letters[start : start + self._at_once]
            ends = await asyncio.gather(
                *(self._bring(letter, errand) for letter in some), return_exceptions=True
            )
            for letter, end in zip(some, ends, strict=True):
                if isinstance(end, BaseException):
                    raise end
                fates[letter.topic, end] += 1
        is_all = len(lent.letters) + len(lent.dead) < BATCH
        return Round(fates=fates, wait_ms=errand.pause_ms, is_all=is_all)

    async def trim(self) -> int:
        """Forget dead letters that nobody has looked after for long; return how many they were."""
        dead = await self._dead()
        old = [
            letter
            for letter in dead
            if (letter.died_at or 0) + DEAD_KEPT_MS <= self._pipeline.now()
        ]
        for letter in old:
            await self._pipeline.execute(SERVICE, DropLetter(letter_id=letter.id))
        return len(old)

    async def backlog(self) -> Backlog:
        """Return what the outbox holds."""

        async def look(read: Reader) -> Backlog:
            return await read.backlog()

        return await self._store.read(look)

    async def _dead(self) -> Sequence[Letter]:
        async def look(read: Reader) -> Sequence[Letter]:
            return await read.dead_letters(after=None, limit=_TRIMMED)

        return await self._store.read(look)

    async def _bring(self, letter: Letter, errand: _Errand) -> Fate:
        """Bring a letter, unless it is too late or the receiver wants none; say what came of it.

        A worker that was paused for long finds its loan over, and leaves the letter to the next.
        """
        result, after_ms, reason = Delivery.POSTPONED, errand.pause_ms, ""
        if not errand.pause_ms and self._pipeline.now() <= errand.until:
            result, after_ms, reason = await self._try(letter)
        if result is Delivery.POSTPONED:
            errand.pause_ms = max(errand.pause_ms, after_ms)
        command = SettleLetter(
            subject=letter.subject,
            number=letter.number,
            result=result,
            after_ms=after_ms,
            reason=reason,
        )
        return (await self._pipeline.execute(SERVICE, command)).reply().fate

    async def _try(self, letter: Letter) -> tuple[Delivery, int, str]:
        try:
            await self._notifier.deliver(letter)
        except Undeliverable as refusal:
            return Delivery.REFUSED, 0, str(refusal)[:MAX_REASON]
        except NotNow as pause:
            return Delivery.POSTPONED, max(1, pause.retry_after_ms), ""
        except Unavailable as outage:
            return Delivery.FAILED, 0, str(outage)[:MAX_REASON]
        return Delivery.DELIVERED, 0, ""
