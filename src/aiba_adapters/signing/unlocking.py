"""Opening a locked store: its log replayed, an export merged, the chain asked, then a quarantine.

The log was durable before anything was signed, so a store that was put back from a backup learns
from it what it had forgotten. Where the log can't tell (it was lost too, or another memory was
merged in meanwhile) the store stays in quarantine until everything that may have been signed has
expired by chain time.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiba_domain.claims.claim import ChainView
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.signing.interchange import Protection, merge
from aiba_domain.signing.model import EXPIRY_MARGIN_S, Lock, Mark, SigningRequest, StoreState
from aiba_domain.signing.ports import ProtectionStore, ProtectionUnit, SigningChain
from aiba_domain.signing.rules import charge_of, day_of, quarantine_end, record_of
from aiba_domain.signing.trail import Entry, Kind, TrailBroken, read_line

_SEES_ALL = (None, Lock.RESTORED, Lock.OPERATOR)
"""The locks under which a log that goes on from the memory tells all that it lacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unlocked:
    """How a store was opened: what it learned, and until when it signs nothing new, in chain s."""

    replayed: int
    raised: int
    quarantined_until_s: int


async def unlock(
    store: ProtectionStore,
    chain: SigningChain,
    *,
    log: Iterable[bytes],
    export: Protection | None = None,
    margin_s: int = EXPIRY_MARGIN_S,
) -> Unlocked:
    """Open a store, having checked it against its log, an export if there is one, and the chain.

    `log` are the lines of its log. Raises MergeRefused for an export that contradicts the store,
    TrailBroken for a damaged log, Unavailable while the chain can't be read, and
    ProtectionUnavailable; the store stays locked then.
    """
    learned = await store.transact(partial(_learn, list(log)))
    if export is not None:
        await store.transact(importing(export))
    seen: dict[tuple[str, str], ChainView] = {}
    for vault, recipient in await store.transact(lambda unit: sorted(unit.recipients())):
        seen[vault, recipient] = await chain.view(vault, recipient)
    now_s = max([await chain.time_s(), *(view.time_s for view in seen.values())])
    return await store.transact(partial(_open, learned, seen, now_s, margin_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Learned:
    replayed: int
    is_complete: bool


def _learn(log: list[bytes], unit: ProtectionUnit) -> _Learned:
    """Replay the log; the store stays locked.

    It adds no entry of its own: a log that was read before would lack that one, and whoever does
    this again with the same lines would find that the log can't tell what it tells.
    """
    state = unit.state()
    entries = _missed(log, state)
    for entry in entries or ():
        _replay(entry, unit)
    is_complete = entries is not None and all(entry.kind is not Kind.IMPORTED for entry in entries)
    # Whoever tries again must not take the log in twice, nor think better of it.
    quarantines = [
        int(str(entry.facts["quarantined_until"]))
        for entry in entries or ()
        if entry.kind is Kind.UNLOCKED
    ]
    unit.learned(is_complete=is_complete, quarantined_until_s=max(quarantines, default=0))
    is_complete = is_complete and state.locked in _SEES_ALL
    return _Learned(replayed=len(entries or ()), is_complete=is_complete)


def importing(document: Protection) -> Callable[[ProtectionUnit], None]:
    """Return what merges a protection into a store, to the stricter of both; MergeRefused."""

    def work(unit: ProtectionUnit) -> None:
        unit.restore(merge(unit.dump(), document))
        facts = {
            "store": document.store,
            "sequence": document.sequence,
            "claims": len(document.claims),
        }
        unit.note(Kind.IMPORTED, 0, facts)

    return work


def _missed(log: list[bytes], state: StoreState) -> list[Entry] | None:
    """Return the entries after the last that the store knows; None if the log can't tell them."""
    previous: tuple[int, bytes] | None = None
    is_found = state.known_to == 0
    missed: list[Entry] = []
    for position, line in enumerate(log, start=1):
        try:
            entry, digest = read_line(line.rstrip(b"\n"))
        except TrailBroken as broken:
            raise TrailBroken(f"line {position} of the log: {broken}") from None
        if previous is None:
            is_found = is_found and entry.number == 1
        elif (entry.number, entry.previous) != (previous[0] + 1, previous[1]):
            return None
        if is_found:
            missed.append(entry)
        is_found = is_found or (entry.number, digest) == (state.known_to, state.known_head)
        previous = (entry.number, digest)
    return missed if is_found else None


def _replay(entry: Entry, unit: ProtectionUnit) -> None:
    """Take a decision of the log into the memory."""
    facts: Mapping[str, Any] = entry.facts
    if entry.kind is Kind.RAISED:
        mark = Mark(
            seqno=int(facts["watermark"]), quarantined_until_s=int(facts["quarantined_until"])
        )
        unit.raise_mark(facts["vault"], facts["recipient"], mark)
    if entry.kind is not Kind.SIGNED:
        return
    terms = ClaimTerms(
        vault=facts["vault"],
        jetton_master=facts["jetton_master"],
        recipient=facts["recipient"],
        amount=int(facts["amount"]),
        seqno=int(facts["seqno"]),
        valid_until_s=facts["valid_until"],
    )
    request = SigningRequest(terms=terms, payload_hash=bytes.fromhex(facts["payload"]))
    day = day_of(entry.time_s)
    first = unit.standing(terms, day).protected
    unit.protect(terms, record_of(request, first, day), charge_of(terms, first, day))


def _open(
    learned: _Learned,
    seen: Mapping[tuple[str, str], ChainView],
    now_s: int,
    margin_s: int,
    unit: ProtectionUnit,
) -> Unlocked:
    """Raise the watermarks to what the chain has paid, and open the store."""
    known = unit.dump().marks
    raised = 0
    for (vault, recipient), view in seen.items():
        if view.seqno > known[vault, recipient].seqno:
            unit.raise_mark(vault, recipient, Mark(seqno=view.seqno))
            raised += 1
    until = 0 if learned.is_complete and not raised else quarantine_end(now_s, margin_s)
    unit.unlock(quarantined_until_s=until)
    until = unit.state().quarantined_until_s
    facts = {"replayed": learned.replayed, "raised": raised, "quarantined_until": until}
    unit.note(Kind.UNLOCKED, now_s, facts)
    return Unlocked(replayed=learned.replayed, raised=raised, quarantined_until_s=until)
