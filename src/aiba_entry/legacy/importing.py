"""An import from begin to proof: stage, look, decide, write, prove."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aiba_adapters.legacy.rows import RowSource, SnapshotLost, digest_now
from aiba_adapters.legacy.staging import Staging
from aiba_adapters.steps import Tell
from aiba_adapters.ton.addresses import parse
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.legacy.claims import Canonical
from aiba_domain.legacy.findings import Code, Findings
from aiba_domain.legacy.units import Unit, fits
from aiba_domain.ports import Reader, Store
from aiba_domain.signing import interchange_json
from aiba_domain.signing.model import Network
from aiba_entry.legacy.archive import Archive
from aiba_entry.legacy.plan import Plan, Terms
from aiba_entry.legacy.proof import Proof, prove, source_totals
from aiba_entry.legacy.signer_memory import memory_of
from aiba_entry.legacy.writing import Begun, ImportRefused, begin, end, look, put

BATCH: Final = 200
"""How many writes a unit of work has, about."""

_NO_MASTER: Final = "0:" + "0" * 64
_ONE_OWNER: Final = ("player:", "guild:", "held:", "legacy:player:", "legacy:debt:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What an operator asks for. `accepted` are the kinds of findings whose rules are accepted.

    `signer_memory` is where to write what a signer on `network` must remember, None for nowhere.
    """

    archive: Path
    staging: Path
    jetton_master: str = ""
    accepted: frozenset[Code] = frozenset()
    dry_run: bool = False
    batch: int = BATCH
    signer_memory: Path | None = None
    network: Network = Network.MAINNET


@dataclass(slots=True, kw_only=True)
class Result:
    """What came of it. `undecided` stops an import before anything is written.

    `changed` is whether the source changed while it was read; `written` counts the units of this
    run, of `units` in all. `earlier` is the hash of an import that was there already.
    """

    source: str = ""
    snapshot: bool = False
    changed: bool = False
    began_at: int = 0
    rows: dict[str, int] = field(default_factory=dict)
    found: Findings = field(default_factory=Findings)
    undecided: tuple[Code, ...] = ()
    planned: Counter[str] = field(default_factory=Counter)
    units: int = 0
    written: int = 0
    aside: Counter[str] = field(default_factory=Counter)
    archive: str = ""
    proof: Proof | None = None
    earlier: str | None = None
    dry_run: bool = False


async def run_import(
    source: RowSource,
    store: Store | None,
    wish: Wish,
    *,
    now: int,
    tell: Tell,
    canonical: Canonical | None = None,
) -> Result:
    """Import a source into a store; without a store it is only looked at.

    Raises ImportRefused for a store that was used otherwise or began with another source, and
    Unavailable. After a death at any point the same call goes on.
    """
    begun = await look(store, now) if store else None
    if begun is not None and begun.state is not None:
        return Result(source=begun.source, began_at=begun.at, earlier=begun.state)
    with Staging(wish.staging) as staging:
        result = _stage(source, staging, tell)
        result.dry_run = wish.dry_run or store is None
        if begun is not None and begun.source != staging.digest:
            raise ImportRefused("the source isn't as it was when this import began")
        at, batch = (begun.at, begun.batch) if begun else (now, wish.batch)
        result.began_at = at
        terms = Terms(
            canonical=canonical or _canonical,
            jetton_master=wish.jetton_master or _NO_MASTER,
            policy=await _policy_before(store),
            at=at,
            batch=batch,
        )
        _survey(staging, terms, wish, result, tell)
        _require_master(result, wish)
        if result.undecided or result.changed or result.dry_run or store is None:
            return result
        await begin(store, Begun(source=staging.digest, at=at, batch=batch))
        await _write(store, staging, terms, result, tell)
        await _prove(store, staging, terms, result, tell)
        if wish.signer_memory is not None:
            memory = memory_of(Plan(staging, terms).units(), wish.network)
            wish.signer_memory.write_text(interchange_json.write(memory), encoding="utf-8")
        if result.proof and not result.proof.faults:
            await end(store, Begun(source=staging.digest, at=at, batch=batch), result.proof.state)
        return result


def _stage(source: RowSource, staging: Staging, tell: Tell) -> Result:
    source.begin()
    snapshot = source.is_snapshot
    try:
        staging.fill(source, tell)
    except SnapshotLost:
        # More than the server keeps a moment for: the second reading tells if it was one.
        source.release()
        snapshot = False
        staging.fill(source, tell)
    tell("read it again", 0, 1)
    changed = digest_now(source) != staging.digest
    tell("read it again", 1, 1)
    return Result(
        source=staging.digest, snapshot=snapshot, changed=changed, rows=dict(staging.counts)
    )


def _survey(staging: Staging, terms: Terms, wish: Wish, result: Result, tell: Tell) -> None:
    """Go through the plan, keep aside what has no place, and judge what was found."""
    with Archive(wish.archive) as archive:
        plan = Plan(staging, terms, archive.keep, judges=True)
        sums: dict[tuple[str, str], int] = {}
        for unit in _told(plan.units, "look at it", result, tell):
            result.units += 1
            for _, posting in unit.moves:
                result.planned["Posting"] += 1
                for account in (posting.debit, posting.credit):
                    if not account.startswith(_ONE_OWNER):
                        place = (account, posting.currency)
                        sums[place] = sums.get(place, 0) + posting.amount
            result.planned.update(type(record).__name__ for record in unit.records)
            result.planned["UsedKey"] += len(unit.keys)
        for (account, currency), total in sums.items():
            if not fits(total):
                plan.found.note(Code.TOTAL_TOO_LARGE, f"{account} {currency}")
        result.found = plan.found
        result.undecided = tuple(plan.found.undecided(wish.accepted))
        result.aside = archive.counts
        result.archive = archive.seal()


def _require_master(result: Result, wish: Wish) -> None:
    if result.planned["Claim"] and not wish.jetton_master and not result.dry_run:
        raise ImportRefused(
            f"the source has {result.planned['Claim']} withdrawals; set AIBA_JETTON_MASTER or give"
            " --jetton-master, which they were signed for"
        )


async def _write(store: Store, staging: Staging, terms: Terms, result: Result, tell: Tell) -> None:
    for unit in _told(Plan(staging, terms).units, "write", result, tell):
        result.written += await put(store, unit, terms.at)


async def _prove(store: Store, staging: Staging, terms: Terms, result: Result, tell: Tell) -> None:
    units = _told(Plan(staging, terms).units, "prove", result, tell)
    totals = source_totals(staging)
    result.proof = await prove(store, units, terms.at, totals, result.found.corrections)


def _told(
    units: Callable[[], Iterator[Unit]], stage: str, result: Result, tell: Tell
) -> Iterator[Unit]:
    """Yield units and tell how far it is; how many there are is known after the first time."""
    for done, unit in enumerate(units(), start=1):
        tell(stage, done, max(result.units, done))
        yield unit


async def _policy_before(store: Store | None) -> EconomyPolicy:
    """Return the first policy of a store, which an import that began has followed by its own."""

    async def work(read: Reader) -> EconomyPolicy:
        policies = await read.policies(before=2, limit=1)
        return policies[0] if policies else await read.policy()

    return await store.read(work) if store else EconomyPolicy()


def _canonical(text: str) -> str:
    return parse(text, allow_testnet=None).raw
