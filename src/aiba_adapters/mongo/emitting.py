"""What a unit of work offers to whoever keeps the emission caps, and what units have in common."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from aiba_adapters.mongo.kept import Kept, KeptReads
from aiba_adapters.mongo.leases import CapLeases, Look
from aiba_adapters.mongo.ledger import Ledger, Recent
from aiba_adapters.mongo.reads import MongoReads
from aiba_adapters.mongo.rooms import DayRooms, Room
from aiba_adapters.mongo.shares import document_id
from aiba_adapters.mongo.transaction import Transaction
from aiba_domain.economy.emission import EmissionUse
from aiba_domain.economy.ledger import Posting, emission_prefix
from aiba_domain.money import Currency


@dataclass(slots=True, kw_only=True)
class Common:
    """What all units of one store know."""

    caps: CapLeases
    kept: Kept = field(default_factory=Kept)
    recent: Recent = field(default_factory=Recent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How one run of a unit differs from another.

    It posts to share number `share`, `only_reads` or not, has the whole history at hand or not, and
    gathers the room of some days.
    """

    share: int
    only_reads: bool = False
    with_history: bool = False
    gathers: frozenset[str] = frozenset()


class Emitting(MongoReads):
    """Implements `Touching`, the side of a unit of work that keepers of caps see."""

    def __init__(
        self,
        transaction: Transaction,
        ledger: Ledger,
        kept: KeptReads,
        terms: Terms,
        caps: CapLeases,
    ) -> None:
        """Read in a transaction."""
        super().__init__(transaction, ledger, kept)
        self._terms = terms
        self._caps = caps
        self._days: set[str] = set()
        self._calls: list[Callable[[], None]] = []
        self._has_changed = False
        self._has_written = False

    async def emitted(self, day: str) -> Mapping[Currency, EmissionUse]:  # noqa: D102 - the port's
        self._days.add(day)
        return await self._caps.use(self, day)

    async def emitted_in_all(self, day: str) -> Mapping[Currency, EmissionUse]:
        """Return what a UTC day has emitted, by this unit's snapshot and its own postings."""
        return await self._ledger.emitted(day)

    def emitted_here(self, day: str) -> Mapping[tuple[str, Currency], int]:
        """Return what this unit has emitted so far, by arena and currency."""
        return _emissions(day, (posting for _at, posting in self._ledger.posted))

    def looks(self, day: str) -> Look:
        """Tell for what this unit looks at a day."""
        if self._terms.only_reads:
            return Look.READING
        return Look.GATHERING if day in self._terms.gathers else Look.SPENDING

    def lock(self, name: str) -> None:
        """Let no two units that lock `name` be committed at once."""
        self._locks.name(name)

    async def day_rooms(self, day: str) -> DayRooms:
        """Return what a day has emitted and the room of its shares, by this unit's snapshot."""
        return await self._ledger.day(day)

    async def fetch(self, accounts: Sequence[str]) -> None:
        """Read accounts that will be asked for one by one."""
        await self._ledger.fetch(accounts)

    def share_of(self, account: str) -> str:
        """Name the document of an account that this unit posts to."""
        return document_id(account, self._terms.share)

    async def room(self, account: str) -> Room:
        """Return the room of the share of an emission account that this unit posts to."""
        return await self._ledger.room(account)

    def spend_room(self, account: str, left: Room) -> None:
        """Leave so much room there, together with the posting that follows."""
        self._ledger.spend(account, left)

    def put_room(self, key: str, account: str, room: Room) -> None:
        """Write the room of a share, which is a change of this unit."""
        self._ledger.put_room(key, account, room)
        self._has_changed = self._has_written = True

    async def merge(self, account: str) -> None:
        """Put the shares of an account together in one."""
        if await self._ledger.merge(account):
            self._has_changed = self._has_written = True

    def when_committed(self, call: Callable[[], None]) -> None:
        """Call this once the unit is committed."""
        self._calls.append(call)

    def committed(self) -> None:
        """Make the calls that waited for the commit."""
        for call in self._calls:
            call()

    async def _spend(self, postings: Sequence[Posting]) -> None:
        """Account for what is emitted on days that the unit has looked at."""
        for day in sorted(self._days):
            await self._caps.spend(self, day, _emissions(day, postings))


def _emissions(day: str, postings: Iterable[Posting]) -> dict[tuple[str, Currency], int]:
    """Return what postings emit on a day, by arena and currency."""
    prefix = emission_prefix(day)
    amounts: dict[tuple[str, Currency], int] = {}
    for posting in postings:
        if posting.debit.startswith(prefix):
            place = (posting.debit.removeprefix(prefix), posting.currency)
            amounts[place] = amounts.get(place, 0) + posting.amount
    return amounts
