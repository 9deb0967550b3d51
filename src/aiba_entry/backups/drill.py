"""The drill: a backup put back in a scratch place, audited, and held against all that it may miss.

It changes nothing but the scratch place.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiba_adapters.backups import BackupRefused, Backups, LedgerHead, Manifest, Tell, check, take
from aiba_adapters.backups.manifest import LedgerDigest, print_of
from aiba_domain.application.audit import audit_store
from aiba_domain.claims.claim import ChainView
from aiba_domain.claims.ports import ChainReader
from aiba_domain.ports import Entry, Reader, Store, Unavailable
from aiba_domain.signing.interchange import Protection
from aiba_entry.backups.claims import (
    ClaimBook,
    Findings,
    Recipient,
    by_signer,
    moves_claims,
    on_chain,
    read_claims,
)
from aiba_entry.backups.report import Check, DrillReport, Loss, Times

_TELL_EVERY: Final = 20_000
NO_CHAIN: Final = "no chain is configured"
NO_SIGNER: Final = "no export of the signer is given (--signer-export)"
NO_STORE: Final = "there is no live store"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What a drill works with; `source` None takes a backup of the live store first.

    `scratch` is an empty folder. `now` is the instant in ms, `chain` None leaves the chain out.
    """

    backups: Backups
    scratch: Path
    now: Callable[[], int]
    tell: Tell
    source: Path | None = None
    chain: ChainReader | None = None
    signer: Protection | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _State:
    """What is read of a store at one moment: its ledger's end, all of it or up to a number.

    `prints` has a digest of each entry in order, where the backup's must be looked for among them;
    `found` counts how many of the backup's are there, in their order.
    """

    head: LedgerHead
    up_to: LedgerHead
    book: ClaimBook
    prints: Sequence[bytes] = ()
    found: int = 0


async def drill(ground: Ground) -> DrillReport:
    """Go through a restore and report. Raises Unavailable where there is nothing to back up."""
    source = ground.source
    if source is None:
        source = ground.scratch / "backup"
        await take(ground.backups, source, tell=ground.tell)
    place = ground.backups.scratch(ground.scratch / "restored")
    try:
        return await _drill(ground, source, place)
    finally:
        await place.discard()


async def _drill(ground: Ground, source: Path, place: Backups) -> DrillReport:
    """Put a backup back at a place, and hold what comes of it against everything else."""
    started_ns = time.perf_counter_ns()
    try:
        manifest = check(source, place, tell=ground.tell)
        await place.load(source, manifest, replace=False, tell=ground.tell)
    except BackupRefused as refused:
        return DrillReport(checks=(Check.of("backup", refused.problems),))
    restored_ns = time.perf_counter_ns()
    faults = (*await place.faults(), *_row_faults(manifest, await place.rows()))
    store = await place.open()
    try:
        report = await audit_store(store)
        await store.check()
        audited_ns = time.perf_counter_ns()
        state = await _state(store, ground, manifest)
    finally:
        await store.close()
    times = Times(restore_ms=_ms(restored_ns - started_ns), audit_ms=_ms(audited_ns - restored_ns))
    if state.head != manifest.ledger:
        faults = (*faults, "its ledger isn't the one that the manifest tells")
    live, compared = await _live(ground, manifest, state.prints)
    checks = [
        Check.of("backup", faults, (f"every hash and row is as told, schema {manifest.schema}",)),
        Check.of("ledger", report.faults, (f"{report.entries} entries, sound",)),
        Check.of("claims", state.book.faults, (f"{len(state.book.claims)} claims",)),
        compared,
    ]
    more, payments = await _outside(ground, state.book, live.book if live else None)
    loss = None
    if live is not None:
        rows = await ground.backups.rows()
        loss = Loss(
            entries=live.head.entries - state.head.entries,
            ms=max(0, live.head.at - manifest.taken_at) if live.head != state.head else 0,
            rows={name: rows[name] - manifest.rows.get(name, 0) for name in rows},
            payments=payments,
        )
    return DrillReport(
        checks=(*checks, *more),
        manifest=manifest,
        age_ms=ground.now() - manifest.taken_at,
        times=times,
        loss=loss,
    )


async def _state(
    store: Store, ground: Ground, manifest: Manifest, wanted: Sequence[bytes] | None = None
) -> _State:
    """Go through a ledger once: where it ends, where the backup's would end in it, its claims.

    `wanted` are the backup's entries to look for, where they aren't simply the first ones.
    """
    by_print = not ground.backups.is_numbered_by_commit

    async def look(read: Reader) -> _State:
        digest = LedgerDigest()
        up_to: LedgerHead | None = None
        moves: list[Entry] = []
        prints: list[bytes] = []
        found = 0
        for done, entry in enumerate(read.entries(), start=1):
            if up_to is None and entry.number > manifest.ledger.number:
                up_to = digest.head
            digest.add(entry)
            if by_print and wanted is None:
                prints.append(print_of(entry))
            elif by_print and wanted and found < len(wanted) and wanted[found] == print_of(entry):
                found += 1
            if moves_claims(entry):
                moves.append(entry)
            if done % _TELL_EVERY == 0:
                ground.tell("compare", done, max(done, manifest.ledger.entries))
        book = await read_claims(read, moves)
        return _State(
            head=digest.head, up_to=up_to or digest.head, book=book, prints=prints, found=found
        )

    return await store.read(look)


async def _live(
    ground: Ground, manifest: Manifest, prints: Sequence[bytes]
) -> tuple[_State | None, Check]:
    """Read the live store, if it is there at this build's schema, and look for the backup in it."""
    name = "live store"
    schema = await ground.backups.schema()
    if schema is None:
        return None, Check.skipped(name, NO_STORE)
    if schema != ground.backups.newest_schema:
        newest = ground.backups.newest_schema
        return None, Check.skipped(name, f"it is at schema {schema}, not {newest}: `aiba migrate`")
    store = await ground.backups.open()
    try:
        state = await _state(store, ground, manifest, prints)
    finally:
        await store.close()
    if not ground.backups.is_numbered_by_commit:
        if state.found != len(prints):
            return state, Check.of(name, ("its ledger hasn't all that the backup's has",))
        return state, Check.of(name, (), ("its ledger has all that the backup's has, in order",))
    if state.up_to != manifest.ledger:
        return state, Check.of(name, ("its ledger doesn't begin as the backup's",))
    return state, Check.of(name, (), ("its ledger begins as the backup's",))


async def _outside(
    ground: Ground, book: ClaimBook, live: ClaimBook | None
) -> tuple[list[Check], Sequence[str]]:
    """Check the claims against chain and signer; return also what was paid or signed since."""
    checks: list[Check] = []
    lost: list[str] = []
    views: dict[Recipient, ChainView] = {}

    def found(name: str, findings: Findings) -> None:
        checks.append(Check.of(name, findings.faults, findings.facts or ("nothing to look at",)))
        lost.extend(findings.lost)

    if ground.chain is None:
        checks.append(Check.skipped("chain", NO_CHAIN))
    else:
        try:
            for done, recipient in enumerate(book.recipients, start=1):
                views[recipient] = await ground.chain.view(*recipient)
                ground.tell("chain", done, len(book.recipients))
        except Unavailable as error:
            checks.append(Check.of("chain", (f"it can't be read: {error}",)))
        else:
            found("chain", on_chain(book, views, live))
    if ground.signer is None:
        checks.append(Check.skipped("signer", NO_SIGNER))
    else:
        time_s = max((view.time_s for view in views.values()), default=ground.signer.time_s)
        found("signer", by_signer(book, ground.signer, live, time_s=time_s))
    return checks, lost


def _row_faults(manifest: Manifest, rows: object) -> list[str]:
    return [] if rows == manifest.rows else ["its rows aren't as many as the manifest tells"]


def _ms(ns: int) -> int:
    return ns // 1_000_000
