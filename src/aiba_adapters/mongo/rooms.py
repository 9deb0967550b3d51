"""The room under a day's emission caps that a share of an emission account holds.

Room is what may still be emitted in an arena. It is granted to a share in portions, and each
emission takes what it emits from the share that it posts to anyway, in the same document. So it is
spent without a document that others write to, and yet never twice: whoever grants, gathers or gives
back room writes to the share too, and of two who do so at once the later one runs again.

At every moment, with nothing kept beside the ledger:

    emitted + room of all shares <= cap      for the day's cap, and in each arena for its own

A grant keeps it, as it reads both from one snapshot under the day's lock; an emission leaves the
sum as it is. Room is of the policy version that it was granted under, and can't be spent under
another. So a cap that is lowered binds from the first unit that knows it: room of the version
before counts as taken until it is gathered. Room belongs to no process: what was granted to a share
of a dead one is spent by whoever posts there next, or gathered when it is needed elsewhere.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final, Self

from aiba_domain.economy.emission import NOTHING_EMITTED, EmissionUse
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.money import MAX_AMOUNT, Currency

EMISSIONS: Final = 256
"""How many emissions as large as the largest seen a portion is for."""

PART: Final = 4
"""The shares of an account together hold one in so many of what is left, if portions are equal."""

Use = Mapping[Currency, EmissionUse]

_NOTHING: Final[Mapping[str, int]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How much of each currency may be emitted from a share under version `under` of the policy."""

    under: int = 0
    left: Mapping[str, int] = field(default_factory=lambda: _NOTHING)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """Read the room from a share's document."""
        room = stored.get("room")
        if room is None:
            return cls()
        return cls(under=int(room["under"]), left=room["left"])

    def change(self) -> dict[str, dict[str, Any]]:
        """Return the change that writes this room to a share's document."""
        return {"$set": {"room": {"under": self.under, "left": dict(self.left)}}}

    def held(self, currency: Currency, version: int) -> int:
        """Return how much may be emitted of a currency under a version of the policy."""
        return self.left.get(currency.value, 0) if self.under == version else 0

    def with_left(self, currency: Currency, amount: int, version: int) -> "Room":
        """Return the room with another amount of one currency, and none of other versions."""
        kept = self.left if self.under == version else _NOTHING
        return Room(under=version, left={**kept, currency.value: amount})


@dataclass(frozen=True, slots=True, kw_only=True)
class DayRooms:
    """What one snapshot says of a day: what was emitted, and by document arena and room."""

    day: str
    use: Use
    rooms: Mapping[str, tuple[str, Room]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Room that a unit lacks on the share `key`: `amount` at least, better `portion`."""

    key: str
    arena: str
    currency: Currency
    amount: int
    portion: int


class Outcome(Enum):
    """What came of a wish for room."""

    GRANTED = auto()
    HELD = auto()
    """It is there, but held by other shares."""
    NONE = auto()
    """Whatever is gathered, the cap has no room for it."""


class Grants:
    """Decides what is granted from one snapshot; pure."""

    def __init__(self, policy: EconomyPolicy, day: DayRooms) -> None:
        """Grant under a policy what a snapshot of the day leaves."""
        self._policy = policy
        self._use = day.use
        self._rooms = dict(day.rooms)
        self.changed: dict[str, tuple[str, Room]] = {}

    def ask(self, wanted: Wanted) -> Outcome:
        """Grant room to a share if it can be, or say why not."""
        version = self._policy.version
        _, room = self._rooms.get(wanted.key, (wanted.arena, Room()))
        if room.under != version:
            room = Room(under=version)
            self._rooms[wanted.key] = (wanted.arena, room)  # what it held of another comes back
        held = room.held(wanted.currency, version)
        lacking = wanted.amount - held
        if lacking <= 0:
            return Outcome.GRANTED
        free = self._free(wanted, held_counts=True)
        if free < lacking:
            could = self._free(wanted, held_counts=False)
            return Outcome.HELD if could >= wanted.amount else Outcome.NONE
        shares = sum(1 for arena, _ in self._rooms.values() if arena == wanted.arena)
        portion = min(wanted.portion, free // (PART * shares))
        room = room.with_left(wanted.currency, held + max(lacking, portion), version)
        self._rooms[wanted.key] = self.changed[wanted.key] = (wanted.arena, room)
        return Outcome.GRANTED

    def _free(self, wanted: Wanted, *, held_counts: bool) -> int:
        """Return what the caps leave for the arena; room that shares hold counts as emitted."""
        currency = wanted.currency
        use = self._use.get(currency, NOTHING_EMITTED)
        bounds = [
            (self._policy.daily_cap(currency), None),
            (self._policy.daily_cap_by_arena(currency).get(wanted.arena), wanted.arena),
        ]
        free = MAX_AMOUNT
        for cap, arena in bounds:
            if cap is not None:
                gone = use.total if arena is None else use.by_arena.get(arena, 0)
                held = self._held(currency, arena) if held_counts else 0
                free = min(free, cap - gone - held)
        return min(free, MAX_AMOUNT // 2)

    def _held(self, currency: Currency, arena: str | None) -> int:
        """Return the room that shares hold, of any version, in an arena or in all."""
        return sum(
            room.left.get(currency.value, 0)
            for of, room in self._rooms.values()
            if arena is None or of == arena
        )
