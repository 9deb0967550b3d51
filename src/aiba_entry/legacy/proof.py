"""The proof of an import: everything is read back from the store and compared with the source.

Nothing that was counted while writing is believed. Records are read one by one, balances and
history as the store tells them, and the source is added up anew from its rows.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from aiba_adapters.legacy.staging import Staging
from aiba_domain.application.audit import audit
from aiba_domain.battle.model import Battle
from aiba_domain.battle.modes import GameMode
from aiba_domain.brokers.listing import Listing
from aiba_domain.brokers.minting import MintJob
from aiba_domain.brokers.model import Broker
from aiba_domain.claims.claim import Claim
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.guilds.model import Guild
from aiba_domain.legacy.findings import Book, Code
from aiba_domain.legacy.totals import MONEY_IN, Totals, add_history, books_of, money_of
from aiba_domain.legacy.units import Imported, Unit
from aiba_domain.legacy.values import decimal_text
from aiba_domain.payments.model import UsedPayment
from aiba_domain.players.model import Player
from aiba_domain.ports import Entry, Reader, Store
from aiba_entry.legacy.writing import entry_line, note_scope, record_line, used

_MOST_FAULTS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of the balance: a book's total in the source, what the rules took off, and here."""

    book: Book
    currency: str
    source: Fraction
    corrections: Fraction
    here: Fraction

    @property
    def agrees(self) -> bool:
        """Whether the totals agree exactly."""
        return self.source - self.corrections == self.here


@dataclass(slots=True, kw_only=True)
class Proof:
    """What was proven. `state` is the hash of all that was read back; without faults it holds.

    `unreadable` counts guilds that no question to the store reaches: without a member, or each
    member's first guild is another. The note in their unit of work stands for them.
    """

    faults: list[str] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    entries: int = 0
    unreadable: int = 0
    state: str = ""

    def fault(self, text: str) -> None:
        """Note a fault; after some the rest is only more of the same."""
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append(text)


def source_totals(staging: Staging) -> Totals:
    """Add up the source's money, row by row."""
    totals: Totals = {}
    for name in MONEY_IN:
        for row in staging.each(name):
            for book, currency, amount in money_of(name, row.document):
                place = (book, currency)
                totals[place] = totals.get(place, Fraction(0)) + amount
    return totals


async def prove(
    store: Store,
    units: Iterable[Unit],
    at: int,
    source: Totals,
    corrections: dict[tuple[Book, str, Code], Fraction],
) -> Proof:
    """Read back what `units` should have left, and balance the books."""
    proof, digest, expected = Proof(), hashlib.sha256(), hashlib.sha256()
    moves = 0
    for unit in units:
        for instant, posting in unit.moves:
            moves += 1
            expected.update(_bytes(entry_line(at if instant is None else instant, posting)))
        await _read_back(store, unit, at, proof, digest)

    async def ledger(read: Reader) -> tuple[_Told, Totals, tuple[str, ...]]:
        told, balances = _Told(), await read.accounts()
        faults = audit(told.each(read.entries()), balances).faults
        return told, books_of(balances) | told.history, faults

    told, here, faults = await store.read(ledger)
    for fault in faults:
        proof.fault(fault)
    proof.entries = told.count
    if told.digest.digest() != expected.digest():
        proof.fault(f"the ledger's {told.count} entries aren't the {moves} imported")
    digest.update(told.digest.digest())
    _balance(proof, source, corrections, here)
    proof.state = digest.hexdigest()
    return proof


class _Told:
    """What a ledger tells, taken down while somebody else goes through it."""

    def __init__(self) -> None:
        self.count = 0
        self.digest = hashlib.sha256()
        self.history: Totals = {}

    def each(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        for entry in entries:
            self.count += 1
            self.digest.update(_bytes(entry_line(entry.at, entry.posting)))
            add_history(entry.posting, self.history)
            yield entry


def _balance(
    proof: Proof,
    source: Totals,
    corrections: dict[tuple[Book, str, Code], Fraction],
    here: Totals,
) -> None:
    taken: Totals = {}
    for (book, currency, _), amount in corrections.items():
        taken[book, currency] = taken.get((book, currency), Fraction(0)) + amount
    nought = Fraction(0)
    for place in sorted(source.keys() | taken.keys() | here.keys()):
        line = Line(
            book=place[0],
            currency=str(place[1]),
            source=source.get(place, nought),
            corrections=taken.get(place, nought),
            here=here.get(place, nought),
        )
        proof.lines.append(line)
        if not line.agrees:
            proof.fault(
                f"{line.book} {line.currency}: the source has {decimal_text(line.source)}, rules"
                f" took off {decimal_text(line.corrections)}, here are {decimal_text(line.here)}"
            )


async def _read_back(
    store: Store, unit: Unit, at: int, proof: Proof, digest: "hashlib._Hash"
) -> None:
    memories = [used(key, at) for key in unit.keys]

    async def work(read: Reader) -> tuple[bool, list[Imported | None], list[bool]]:
        return (
            await read.remembered(note_scope(unit.name)) is not None,
            [await _stored(read, record) for record in unit.records],
            [await read.remembered(memory.scope) == memory for memory in memories],
        )

    # Only what is returned counts: a store may run the work again.
    is_noted, stored, kept = await store.read(work)
    if not is_noted:
        proof.fault(f"{unit.name} has no note")
    for record, there in zip(unit.records, stored, strict=True):
        kind = type(record).__name__
        if there is None and isinstance(record, Guild):
            proof.unreadable += 1
        elif there != record:
            proof.fault(f"a {kind} of {unit.name} is not as imported")
        else:
            proof.counts[kind] += 1
            digest.update(_bytes(record_line(there)))
    for memory, is_kept in zip(memories, kept, strict=True):
        if is_kept:
            proof.counts["UsedKey"] += 1
            digest.update(_bytes(repr(memory.scope)))
        else:
            proof.fault(f"a key of {unit.name} is not used up")


async def _stored(read: Reader, record: Imported) -> Imported | None:  # noqa: C901, PLR0911 - a kind a line
    """Return the record that the store has in place of one."""
    match record:
        case Player():
            return await read.player(record.id)
        case Broker():
            return await read.broker(record.id)
        case Battle():
            return await read.battle(record.id)
        case GameMode():
            return await read.mode(record.key)
        case EconomyPolicy():
            return await read.policy()
        case Claim():
            return await read.claim(record.id)
        case Listing():
            return await read.listing(record.id)
        case MintJob():
            return await read.mint_job(record.id)
        case UsedPayment():
            return await read.payment_use(record.hash)
        case Guild():
            return await _guild(read, record)


async def _guild(read: Reader, wanted: Guild) -> Guild | None:
    for member in wanted.member_ids:
        found = await read.guild_of(member)
        if found is not None and found.id == wanted.id:
            return found
    return None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
