"""The part of a plan that makes players, with their opening balances."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from fractions import Fraction
from typing import Final

from aiba_adapters.legacy.staging import Row, Staging
from aiba_domain.legacy import people
from aiba_domain.legacy.battles import BATTLES
from aiba_domain.legacy.fields import Fields
from aiba_domain.legacy.findings import Code, Findings
from aiba_domain.legacy.history import CREDIT, LEDGER, exact_amount
from aiba_domain.legacy.people import BALANCES, BROKERS, USERS
from aiba_domain.legacy.units import Draft
from aiba_domain.legacy.values import Document, number
from aiba_domain.legacy.world import LOCKS, STAKES

Watched = Callable[[Row], AbstractContextManager[Fields]]

_STRANGERS: Final = {
    BROKERS: Code.BROKER_NO_USER,
    BATTLES: Code.BATTLE_NO_USER,
    LEDGER: Code.LEDGER_NO_USER,
    STAKES: Code.MONEY_NO_USER,
    LOCKS: Code.MONEY_NO_USER,
}


class PlayerPlan:
    """Makes a player of whoever has a user row, or rows elsewhere."""

    def __init__(
        self, staging: Staging, found: Findings, watched: Watched, *, judges: bool
    ) -> None:
        """Work on staged rows; what is found goes to `found`."""
        self._judges = judges
        self._staging = staging
        self._found = found
        self._watched = watched

    def drafts(self) -> Iterator[Draft]:
        """Yield each player with the opening balances."""
        for owner in self._staging.owners():
            rows = self._staging.of_owner(USERS, owner)
            users = [row.document for row in rows]
            first = self._staging.first_of_owner(BROKERS, owner)
            starter = first.id if first else None
            with ExitStack() as watching:
                for row in rows:
                    watching.enter_context(self._watched(row))
                draft = people.opened(owner, users, self._found) if users else Draft()
                if users:
                    player = people.player(owner, users, starter, self._found)
                else:
                    player = people.stranger(owner, self._seen(owner), starter)
                if self._judges:
                    self._compare(owner, users)
                draft.records.append(player)
            yield draft

    def nobodies(self) -> Iterator[Draft]:
        """Yield what user rows without a Telegram id hold."""
        for row in self._staging.of_owner(USERS, ""):
            with self._watched(row):
                yield people.opened_for_nobody(row.document, self._found)

    def _seen(self, owner: str) -> list[Document]:
        """Return the oldest row of each kind that names somebody without a user row."""
        seen = []
        for collection, code in _STRANGERS.items():
            row = self._staging.oldest_of_owner(collection, owner)
            if row is not None:
                self._found.note(code, f"{collection} {owner}")
                seen.append(row.document)
        return seen

    def _compare(self, owner: str, users: list[Document]) -> None:
        """Compare a player's balances with the sums of the ledger's rows."""
        sums = dict.fromkeys(map(str, BALANCES.values()), Fraction(0))
        for row in self._staging.each_of_owner(LEDGER, owner):
            amount = exact_amount(Fields(LEDGER, row.document, Findings()))
            if amount is not None:
                sign = 1 if row.document["direction"] == CREDIT else -1
                sums[str(row.document["currency"])] += sign * amount
        for name, currency in BALANCES.items():
            held = sum((number(user.get(name)) or Fraction(0) for user in users), Fraction(0))
            if held != sums[currency]:
                self._found.note(Code.LEDGER_SUM, f"{USERS} {owner} {currency}")
