"""What makes snapshot transactions serial: what a unit has read and depends on, it also writes.

MongoDB lets two transactions commit that each read what the other writes, as long as they write
different documents. So a unit that changes anything also touches the documents it has read and not
written, and for questions about many documents a lock named after the question, which whoever
changes an answer touches too. Then one of the two conflicts and runs again.

Left out is what may be older than the commit without harm, since whoever changes it reads nothing
that such a unit writes: the policy, the seed epoch, modes, the strength of guilds, battles (which
never change), and pages over all players, such as the leaders. They would be documents that
everybody writes. Who asks for a badge's holders excludes only others who ask and change something.
Nor are system accounts locked: they can't go below 0 (see `shares`), and emission caps have
`leases`.
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

from aiba_adapters.mongo.shapes.base import Shape
from aiba_adapters.mongo.shapes.money import AccountShape, ClaimDayShape
from aiba_adapters.mongo.shapes.work import LockShape
from aiba_adapters.mongo.transaction import Transaction

_NOTHING: Final[Mapping[str, Any]] = {}


class Locks:
    """What one unit of work must touch before its commit."""

    def __init__(self, transaction: Transaction) -> None:
        """Work in a transaction."""
        self._transaction = transaction
        self._read: defaultdict[type[Shape], dict[Any, Mapping[str, Any]]] = defaultdict(dict)
        self._written: set[tuple[type[Shape], Any]] = set()

    def read(self, shape: type[Shape], key: object, absent: Mapping[str, Any] = _NOTHING) -> None:
        """Note that the unit depends on a document.

        `absent` are the fields it is made with if it isn't there; without them it isn't made.
        """
        self._read[shape].setdefault(key, absent)

    def name(self, name: str) -> None:
        """Note that the unit depends on the answer to a question, or changes it."""
        self._read[LockShape].setdefault(name, _NOTHING)

    def account(self, account: str) -> None:
        """Note that the unit depends on the balances of an account that is one document."""
        self.read(AccountShape, account, {"account": account, "held": {}})

    def claim_day(self, day: str, player_id: str) -> None:
        """Note that the unit depends on what a day's claims come to."""
        fields = {"day": day, "player_id": player_id, "amount": 0}
        self.read(ClaimDayShape, claim_day_id(day, player_id), fields)

    def written(self, shape: type[Shape], key: object) -> None:
        """Note that the unit has written a document, which is a lock by itself."""
        self._written.add((shape, key))

    def touch(self) -> None:
        """Touch everything noted, in an order that all units share."""
        for shape in sorted(self._read, key=lambda each: each.collection):
            for key, absent in sorted(self._read[shape].items(), key=lambda each: each[0]):
                if (shape, key) not in self._written:
                    how = {"$inc": {"touched": 1}}
                    made = {"$setOnInsert": dict(absent)} if absent else {}
                    upsert = bool(absent) or shape is LockShape
                    self._transaction.change(shape, key, how | made, upsert=upsert)


def claim_day_id(day: str, player_id: str) -> str:
    """Name the document of a day's claims, of a player or, as `""`, of all."""
    return f"{day}/{player_id}"
