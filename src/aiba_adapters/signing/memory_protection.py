"""The protection store in memory: for tests and simulations, lost with its process."""

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from dataclasses import replace
from typing import TypeVar

from aiba_domain.claims.model import ClaimTerms
from aiba_domain.signing.interchange import ClaimKey, Protection, UsageKey, higher, usage_keys
from aiba_domain.signing.model import (
    EXPIRY_MARGIN_S,
    Charge,
    Lock,
    Mark,
    Network,
    Protected,
    Standing,
    StoreState,
    Usage,
)
from aiba_domain.signing.ports import ProtectionUnavailable, ProtectionUnit
from aiba_domain.signing.trail import Entry, Kind

T = TypeVar("T")


class MemoryProtection:
    """A store whose units run one after another; one that fails leaves nothing behind.

    `lines` are those of its log.
    """

    def __init__(self, *, network: Network, store: str = "memory", new_key: bool = True) -> None:
        """Start empty, and locked unless the key is new."""
        locked = None if new_key else Lock.NEW
        state = StoreState(network=network, store=store, new_key=new_key, locked=locked)
        self._unit = _MemoryUnit(state)

    @property
    def lines(self) -> list[bytes]:
        """The log's lines, without their ends."""
        return list(self._unit.lines)

    async def transact(self, work: Callable[[ProtectionUnit], T]) -> T:
        """Run `work` alone."""
        return self.run(work)

    def run(self, work: Callable[[ProtectionUnit], T]) -> T:
        """Run `work` alone, without waiting."""
        unit = self._unit.copy()
        result = work(unit)
        self._unit = unit
        return result

    async def close(self) -> None:
        """Nothing is open."""


class _MemoryUnit:
    def __init__(self, state: StoreState) -> None:
        self._state = state
        self._time_s = 0
        self._claims: dict[ClaimKey, Protected] = {}
        self._marks: dict[tuple[str, str], Mark] = {}
        self._usage: dict[UsageKey, int] = {}
        self.lines: list[bytes] = []

    def copy(self) -> "_MemoryUnit":
        twin = copy(self)
        twin.part()
        return twin

    def part(self) -> None:
        """Let go of the tables that are shared with the one this is a copy of."""
        self._claims, self._marks = dict(self._claims), dict(self._marks)
        self._usage, self.lines = dict(self._usage), list(self.lines)

    def state(self) -> StoreState:
        return self._state

    def standing(self, terms: ClaimTerms, day: str) -> Standing:
        keys = usage_keys(terms.vault, terms.recipient, day)
        recipient_day, per_day, lifetime = (self._usage.get(key, 0) for key in keys)
        return Standing(
            state=self._state,
            protected=self._claims.get((terms.vault, terms.recipient, terms.seqno)),
            mark=self._marks.get((terms.vault, terms.recipient)),
            usage=Usage(recipient_day=recipient_day, day=per_day, lifetime=lifetime),
        )

    def protect(self, terms: ClaimTerms, record: Protected, charge: Charge) -> None:
        place = (terms.vault, terms.recipient, terms.seqno)
        known = self._claims.get(place)
        if known is not None and not _may_follow(known, record):
            raise ProtectionUnavailable("a payload is replaced only after it has expired")
        self._claims[place] = record
        self.raise_mark(terms.vault, terms.recipient, Mark(seqno=terms.seqno))
        keys = usage_keys(terms.vault, terms.recipient, record.day)
        for key, more in zip(keys, (charge.day, charge.day, charge.lifetime), strict=True):
            if more:
                self._usage[key] = self._usage.get(key, 0) + more

    def raise_mark(self, vault: str, recipient: str, mark: Mark) -> None:
        self._marks[vault, recipient] = higher(self._marks.get((vault, recipient)), mark)

    def lock(self, reason: Lock) -> None:
        self._state = replace(self._state, locked=reason, new_key=False)

    def learned(self, *, is_complete: bool, quarantined_until_s: int) -> None:
        self._state = self._state.learned(
            is_complete=is_complete, quarantined_until_s=quarantined_until_s
        )

    def unlock(self, *, quarantined_until_s: int, new_key: bool = False) -> None:
        until = max(quarantined_until_s, self._state.quarantined_until_s)
        self._state = self._state.unlocked(until, new_key=new_key)

    def dump(self) -> Protection:
        return Protection(
            network=self._state.network,
            store=self._state.store,
            sequence=self._state.sequence,
            time_s=self._time_s,
            claims=dict(self._claims),
            marks=dict(self._marks),
            usage=dict(self._usage),
        )

    def restore(self, protection: Protection) -> None:
        self._claims |= protection.claims
        self._usage |= {key: amount for key, amount in protection.usage.items() if amount}
        for who, mark in protection.marks.items():
            self.raise_mark(*who, mark)

    def recipients(self) -> Iterable[tuple[str, str]]:
        return list(self._marks)

    def note(self, kind: Kind, time_s: int, facts: Mapping[str, object]) -> None:
        entry = Entry(
            number=self._state.sequence + 1,
            previous=self._state.head,
            kind=kind,
            time_s=time_s,
            facts=facts,
        )
        line, head = entry.line()
        self.lines.append(line)
        self._state = self._state.noted(entry.number, head)
        self._time_s = max(self._time_s, time_s)


def _may_follow(known: Protected, record: Protected) -> bool:
    """Tell whether a record may take the place of one that is known, whatever asks for it."""
    least = known.valid_until_s
    if record.payload_hash != known.payload_hash:
        least += EXPIRY_MARGIN_S + 1
    return record.valid_until_s >= least and record.most >= known.most
