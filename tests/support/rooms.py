"""A table in memory with snapshots and conflicts as MongoDB has them, to keep caps on.

Units read one snapshot and write at their commit, which fails if a document that they write was
written since. So every order of reads and commits can be lived through, in microseconds.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, TypeVar

from aiba_adapters.mongo.leases import CapLeases, Look, RoomWanted
from aiba_adapters.mongo.rooms import DayRooms, Room, Use
from aiba_domain.economy.emission import NOTHING_EMITTED, EmissionResult, EmissionUse, judge
from aiba_domain.economy.ledger import emission_prefix
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.money import Currency

T = TypeVar("T")

DAY: Final = "2026-01-01"
NOW: Final = 1_767_268_800_000
WAITS: Final = 3


class Conflict(Exception):  # noqa: N818 - as the store's Again
    """Another unit was first."""


class Died(Exception):  # noqa: N818 - no error
    """The process died at this call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """A share of an emission account."""

    arena: str
    emitted: Mapping[Currency, int] = field(default_factory=dict)
    room: Room = field(default_factory=Room)


class Table:
    """The shares of one day, the policy, and when each document was written last."""

    def __init__(self, policy: EconomyPolicy) -> None:
        """Begin with a policy and nothing emitted."""
        self.policy = policy
        self.shares: dict[str, Share] = {}
        self.written: dict[str, int] = {}
        self.now = 0

    def emitted(self, currency: Currency, arena: str | None = None) -> int:
        """Return what was emitted, in an arena or in all."""
        return sum(
            share.emitted.get(currency, 0)
            for share in self.shares.values()
            if arena in (None, share.arena)
        )

    def room(self, currency: Currency, arena: str | None = None) -> int:
        """Return the room that shares hold, of any version of the policy."""
        return sum(
            share.room.left.get(currency.value, 0)
            for share in self.shares.values()
            if arena in (None, share.arena)
        )


class Unit:
    """A unit of work on a table; implements what a keeper of caps may use."""

    def __init__(
        self, table: Table, share: int, look: Look = Look.SPENDING, dies_at: int = -1
    ) -> None:
        """Take a snapshot. The process dies at call number `dies_at`."""
        self.policy_seen = table.policy
        self._table = table
        self._share = share
        self._look = look
        self._at = table.now
        self._shares = dict(table.shares)
        self._changed: set[str] = set()
        self._locks: set[str] = set()
        self._calls: list[Callable[[], None]] = []
        self._here: dict[tuple[str, Currency], int] = {}
        self.left_to_live = dies_at

    def looks(self, day: str) -> Look:
        """Tell for what this unit looks at a day."""
        assert day == DAY
        return self._look

    async def emitted_in_all(self, day: str) -> Use:
        """Return what the snapshot says."""
        return (await self.day_rooms(day)).use

    def emitted_here(self, day: str) -> Mapping[tuple[str, Currency], int]:
        """Return what this unit has emitted."""
        assert day == DAY
        return self._here

    def lock(self, name: str) -> None:
        """Note a lock; it is written with whatever is."""
        self._live()
        self._locks.add(name)

    async def policy(self) -> EconomyPolicy:
        """Return the snapshot's policy."""
        self._live()
        return self.policy_seen

    async def day_rooms(self, day: str) -> DayRooms:
        """Return what the snapshot says of the day."""
        self._live()
        use: dict[Currency, dict[str, int]] = {}
        for share in self._shares.values():
            for currency, amount in share.emitted.items():
                arenas = use.setdefault(currency, {})
                arenas[share.arena] = arenas.get(share.arena, 0) + amount
        return DayRooms(
            day=day,
            use={currency: EmissionUse(by_arena=arenas) for currency, arenas in use.items()},
            rooms={key: (share.arena, share.room) for key, share in self._shares.items()},
        )

    async def fetch(self, accounts: Sequence[str]) -> None:
        """Have everything at hand."""
        self._live()
        assert accounts

    def share_of(self, account: str) -> str:
        """Name this unit's share."""
        return f"{account}#{self._share}"

    async def room(self, account: str) -> Room:
        """Return the room of this unit's share."""
        self._live()
        return self._of(self.share_of(account), account).room

    def spend_room(self, account: str, left: Room) -> None:
        """Write the room of this unit's share."""
        self.put_room(self.share_of(account), account, left)

    def put_room(self, key: str, account: str, room: Room) -> None:
        """Write the room of a share."""
        self._live()
        self._shares[key] = replace(self._of(key, account), room=room)
        self._changed.add(key)

    def when_committed(self, call: Callable[[], None]) -> None:
        """Make a call after the commit."""
        self._calls.append(call)

    def post(self, arena: str, currency: Currency, amount: int) -> None:
        """Emit, whatever the caps say."""
        self._live()
        account = emission_prefix(DAY) + arena
        key = self.share_of(account)
        share = self._of(key, account)
        total = share.emitted.get(currency, 0) + amount
        self._shares[key] = replace(share, emitted={**share.emitted, currency: total})
        self._changed.add(key)
        self._here[arena, currency] = self._here.get((arena, currency), 0) + amount

    def commit(self) -> None:
        """Write everything, or raise Conflict; then make the calls that waited for it."""
        self._live()
        table = self._table
        if self._changed:
            documents = self._changed | self._locks
            if any(table.written.get(each, -1) >= self._at for each in documents):
                raise Conflict
            for key in self._changed:
                table.shares[key] = self._shares[key]
            table.written |= dict.fromkeys(documents, table.now)
            table.now += 1
        self._live()
        for call in self._calls:
            call()

    def _of(self, key: str, account: str) -> Share:
        return self._shares.get(key, Share(arena=account.removeprefix(emission_prefix(DAY))))

    def _live(self) -> None:
        """Die, if it is time to."""
        self.left_to_live -= 1
        if self.left_to_live == -1:
            raise Died


@dataclass(frozen=True, slots=True, kw_only=True)
class Emission:
    """What a unit wants to emit."""

    arena: str
    amount: int
    currency: Currency = Currency.NEUR


async def decide(unit: Unit, caps: CapLeases, wanted: Emission) -> bool:
    """Run the rule within a unit, and post what it grants. Raises RoomWanted."""
    used = await caps.use(unit, DAY)
    granted = judge(
        await unit.policy(),
        wanted.currency,
        wanted.amount,
        arena=wanted.arena,
        league="rookie",
        now=NOW,
        used=used.get(wanted.currency, NOTHING_EMITTED),
    )
    if granted is not EmissionResult.OK:
        return False
    await caps.spend(unit, DAY, {(wanted.arena, wanted.currency): wanted.amount})
    unit.post(wanted.arena, wanted.currency, wanted.amount)
    return True


def emit(
    table: Table, caps: CapLeases, share: int, wanted: Emission, *, lives: int = -1
) -> tuple[bool, int]:
    """Emit as the store does it, alone; return whether the rule granted it, and the lives left.

    The process dies at its call number `lives`.
    """

    async def to_the_end() -> tuple[bool, int]:
        look, left, waits = Look.SPENDING, lives, 0
        while True:
            unit = Unit(table, share, look, left)
            try:
                granted = await decide(unit, caps, wanted)
            except RoomWanted as wish:
                left, waits = unit.left_to_live, waits + 1
                unit = Unit(table, share, Look.SPENDING, left)
                outcomes = await caps.grant(unit, DAY, wish.wanted)
                unit.commit()
                left = unit.left_to_live
                if waits > WAITS or any(each.name == "HELD" for each in outcomes.values()):
                    look = Look.GATHERING
                continue
            unit.commit()
            return granted, unit.left_to_live

    return run(to_the_end())


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("it waited")
