"""The seam at which daily emission caps are kept under units that run at once.

A rule reads what a day has emitted, decides, and posts. Two units that do so at once could pass a
cap together, since they share no document. Whoever implements `CapLeases` prevents that: `Portions`
by room that shares are granted (see `rooms`), `OneByOne` by a lock for the day.
"""

from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from typing import Final, Protocol

from aiba_adapters.mongo.rooms import (
    EMISSIONS,
    DayRooms,
    Grants,
    Outcome,
    Room,
    Use,
    Wanted,
)
from aiba_domain.economy.emission import EmissionUse
from aiba_domain.economy.ledger import emission_account
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.money import Currency

_DAYS: Final = 3


class Look(Enum):
    """For what a unit looks at what a day has emitted."""

    READING = auto()
    """It changes nothing, and shows it."""
    SPENDING = auto()
    """It may emit what its share has room for."""
    GATHERING = auto()
    """It may emit whatever the cap leaves: it has taken all room away from all shares."""


class RoomWanted(BaseException):
    """A unit emits more than its share has room for; it is run again when that is granted.

    No error, and not an Exception so that no work takes it for one.
    """

    def __init__(self, day: str, wanted: Sequence[Wanted]) -> None:
        super().__init__(day)
        self.day = day
        self.wanted = tuple(wanted)


class Touching(Protocol):
    """The part of a unit of work that a keeper of caps may use."""

    def looks(self, day: str) -> Look:
        """Tell for what this unit looks at a day."""
        ...

    async def emitted_in_all(self, day: str) -> Use:
        """Return what a UTC day has emitted, by this unit's snapshot and its own postings."""
        ...

    def emitted_here(self, day: str) -> Mapping[tuple[str, Currency], int]:
        """Return what this unit has emitted so far, by arena and currency."""
        ...

    def lock(self, name: str) -> None:
        """Let no two units that lock `name` be committed at once; the later one runs again."""
        ...

    async def policy(self) -> EconomyPolicy:
        """Return the newest policy, by this unit's snapshot."""
        ...

    async def day_rooms(self, day: str) -> DayRooms:
        """Return what a day has emitted and the room of its shares, by this unit's snapshot."""
        ...

    async def fetch(self, accounts: Sequence[str]) -> None:
        """Read accounts that will be asked for one by one."""
        ...

    def share_of(self, account: str) -> str:
        """Name the document of an account that this unit posts to."""
        ...

    async def room(self, account: str) -> Room:
        """Return the room of the share of an emission account that this unit posts to."""
        ...

    def spend_room(self, account: str, left: Room) -> None:
        """Leave so much room there, together with the posting that follows."""
        ...

    def put_room(self, key: str, account: str, room: Room) -> None:
        """Write the room of any share."""
        ...

    def when_committed(self, call: Callable[[], None]) -> None:
        """Call this once the unit is committed."""
        ...


class CapLeases(Protocol):
    """Keeps the daily caps: what is emitted under all units is never above them."""

    async def use(self, unit: Touching, day: str) -> Use:
        """Return what a rule must take as emitted so far when it decides within `unit`.

        It may be less than was emitted, for a unit that spends; never more.
        """
        ...

    async def spend(
        self, unit: Touching, day: str, amounts: Mapping[tuple[str, Currency], int]
    ) -> None:
        """Account for what a unit, which has asked for `use`, is about to post.

        Amounts are by arena and currency. What the unit doesn't keep isn't spent. Raises RoomWanted
        if the unit must be run again, after a `grant` or as one that gathers.
        """
        ...

    async def grant(
        self, unit: Touching, day: str, wanted: Sequence[Wanted]
    ) -> Mapping[Wanted, Outcome]:
        """Grant room to shares, in a unit for that alone."""
        ...

    async def give_back(self, unit: Touching, day: str, is_ours: Callable[[str], bool]) -> None:
        """Take all room from the shares that a closing store leaves, in a unit for that alone."""
        ...

    def days(self) -> Sequence[str]:
        """Return the days of which there may be something to give back."""
        ...

    @property
    def shared_writes(self) -> int:
        """How many units were committed that wrote to a document which all emissions share."""
        ...


class OneByOne:
    """Lets the units that emit on one day be committed one after another.

    Exact, and the day's lock is a document that every emission writes. Not to be used beside
    `Portions` on one database, whose room it would not heed.
    """

    def __init__(self) -> None:
        """Have written nothing."""
        self.shared_writes = 0

    async def use(self, unit: Touching, day: str) -> Use:
        """Return what the day has emitted in all."""
        return await unit.emitted_in_all(day)

    async def spend(
        self, unit: Touching, day: str, amounts: Mapping[tuple[str, Currency], int]
    ) -> None:
        """Lock the day."""
        if amounts:
            unit.lock(lock_of(day))
            unit.when_committed(self._count)

    async def grant(
        self, unit: Touching, day: str, wanted: Sequence[Wanted]
    ) -> Mapping[Wanted, Outcome]:
        """Grant nothing, for nobody asks."""
        del unit, day
        return dict.fromkeys(wanted, Outcome.HELD)

    async def give_back(self, unit: Touching, day: str, is_ours: Callable[[str], bool]) -> None:
        """Have nothing to give back."""

    def days(self) -> Sequence[str]:
        """Return no day."""
        return ()

    def _count(self) -> None:
        self.shared_writes += 1


class Portions:
    """Grants room in portions, so that emissions share no document but once in a portion.

    What a rule is told to be emitted is what this process learned last, which may be less than the
    truth. So a refusal is right, as nothing emitted is ever taken back; and what is granted is
    checked when it is spent: where a share lacks room, more is granted from what is left, or all is
    gathered from all shares, and the unit decides again on the exact sum. The result is the same as
    with units one after another, to the last unit of the cap.
    """

    def __init__(self) -> None:
        """Know of no day yet."""
        self.shared_writes = 0
        self._known: dict[str, Use] = {}
        self._largest: dict[tuple[str, Currency], int] = {}

    async def use(self, unit: Touching, day: str) -> Use:
        """Return the day's sum: exact for who reads or gathers, else as known and not above it."""
        look = unit.looks(day)
        if look is Look.READING:
            return await unit.emitted_in_all(day)
        if look is Look.SPENDING:
            return _sum(self._known.get(day, {}), unit.emitted_here(day))
        unit.lock(lock_of(day))
        found = await unit.day_rooms(day)
        for key, (arena, room) in found.rooms.items():
            if any(room.left.values()):
                unit.put_room(key, emission_account(day, arena), Room())
        unit.when_committed(lambda: self._learn(day, found.use, wrote=True))
        return found.use

    async def spend(
        self, unit: Touching, day: str, amounts: Mapping[tuple[str, Currency], int]
    ) -> None:
        """Take what is emitted from the room of the unit's shares. Raises RoomWanted."""
        if not amounts or unit.looks(day) is not Look.SPENDING:
            return
        version = (await unit.policy()).version
        accounts = {arena: emission_account(day, arena) for arena, _ in amounts}
        await unit.fetch(list(accounts.values()))
        lacking = []
        for (arena, currency), amount in amounts.items():
            room = await unit.room(accounts[arena])
            left = room.held(currency, version) - amount
            if left >= 0:
                unit.spend_room(accounts[arena], room.with_left(currency, left, version))
                continue
            largest = max(amount, self._largest.get((arena, currency), 0))
            self._largest[arena, currency] = largest
            lacking.append(
                Wanted(
                    key=unit.share_of(accounts[arena]),
                    arena=arena,
                    currency=currency,
                    amount=amount,
                    portion=EMISSIONS * largest,
                )
            )
        if lacking:
            raise RoomWanted(day, lacking)

    async def grant(
        self, unit: Touching, day: str, wanted: Sequence[Wanted]
    ) -> Mapping[Wanted, Outcome]:
        """Grant what the caps leave."""
        unit.lock(lock_of(day))
        found = await unit.day_rooms(day)
        grants = Grants(await unit.policy(), found)
        outcomes = {each: grants.ask(each) for each in wanted}
        for key, (arena, room) in grants.changed.items():
            unit.put_room(key, emission_account(day, arena), room)
        wrote = bool(grants.changed)
        unit.when_committed(lambda: self._learn(day, found.use, wrote=wrote))
        return outcomes

    async def give_back(self, unit: Touching, day: str, is_ours: Callable[[str], bool]) -> None:
        """Take the room away; whoever grants at the same time counts it as held, at the worst."""
        for key, (arena, room) in (await unit.day_rooms(day)).rooms.items():
            if is_ours(key) and any(room.left.values()):
                unit.put_room(key, emission_account(day, arena), Room())

    def days(self) -> Sequence[str]:
        """Return the days that are known."""
        return tuple(self._known)

    def _learn(self, day: str, use: Use, *, wrote: bool) -> None:
        """Know what a day has emitted at least."""
        self.shared_writes += wrote
        self._known[day] = use
        while len(self._known) > _DAYS:
            del self._known[min(self._known)]


def lock_of(day: str) -> str:
    """Name the lock under which a day's room is granted."""
    return f"emission:{day}"


def _sum(use: Use, more: Mapping[tuple[str, Currency], int]) -> Use:
    """Return a use with some amounts more."""
    if not more:
        return use
    found = {currency: dict(each.by_arena) for currency, each in use.items()}
    for (arena, currency), amount in more.items():
        arenas = found.setdefault(currency, {})
        arenas[arena] = arenas.get(arena, 0) + amount
    return {currency: EmissionUse(by_arena=arenas) for currency, arenas in found.items()}
