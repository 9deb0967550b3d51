"""What changes rarely and every command asks for, kept between units: policy, epoch and modes.

A unit that changes one of them puts a new mark, drawn at random, into a document of its own. Other
units read that mark by their snapshot, and what is kept under the same mark is what they would
read. Nothing is taken for current because it is young. The mark is among the answers, so that a
unit that looks for its answer, as nearly all do, reads it by the same command.
"""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from aiba_adapters.mongo.shapes.work import AnswerShape
from aiba_adapters.mongo.transaction import Transaction
from aiba_domain.battle.modes import GameMode
from aiba_domain.decision import Record
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.fairness.epochs import SeedEpoch

MARK: Final = "rarely changed"
"""The id of the document with the mark; no answer has it, as theirs are JSON lists."""

_MOST: Final = 256


class Kept:
    """What a store's units have read under one mark."""

    def __init__(self) -> None:
        """Keep nothing yet."""
        self._mark = ""
        self._found: dict[str, Any] = {}

    def under(self, mark: str) -> dict[str, Any]:
        """Return what is kept under a mark, to be added to; what was under another is dropped."""
        if mark != self._mark or len(self._found) > _MOST:
            self._mark, self._found = mark, {}
        return self._found


class KeptReads:
    """The reads of one unit that may be spared."""

    def __init__(self, transaction: Transaction, kept: Kept) -> None:
        """Read the mark in a transaction when it is first needed."""
        self._transaction = transaction
        self._kept = kept
        self._mark: str | None = None
        self._is_known = False
        self._has_changed = False

    async def get(self, name: str, read: Callable[[], Awaitable[Any]]) -> Any:  # noqa: ANN401 - any
        """Return what is kept under a name, or what `read` returns.

        Nothing is kept while there is no mark, or what was read by a unit that changes it.
        """
        if self._has_changed:
            return await read()
        if not self._is_known:
            self.see(await self._transaction.one(AnswerShape, {"_id": MARK}))
        if self._mark is None:
            return await read()
        found = self._kept.under(self._mark)
        if name not in found:
            found[name] = await read()
        return found[name]

    def see(self, stored: Mapping[str, Any] | None) -> None:
        """Take the document with the mark as the transaction has read it."""
        self._mark = stored["mark"] if stored else None
        self._is_known = True

    def change(self, record: Record) -> None:
        """Change the mark if a record is one of those that are kept."""
        if isinstance(record, EconomyPolicy | SeedEpoch | GameMode) and not self._has_changed:
            self._has_changed = True
            self._transaction.put(AnswerShape, {"_id": MARK, "mark": secrets.token_hex(16)})
