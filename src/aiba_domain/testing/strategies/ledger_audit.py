"""Strategies for the audit of the ledger: checkpoints, its own balances, where it stands."""

from dataclasses import replace

from hypothesis import strategies as st

from aiba_domain.ledger_audit.balances import Audited, AuditState, to_text
from aiba_domain.ledger_audit.chain import MARK, NO_HASH, Checkpoint, hash_of
from aiba_domain.ledger_audit.findings import Finding, FindingKind, LedgerStanding
from aiba_domain.testing.strategies.basics import SMALL, amounts, currencies, instants, maybe, texts

_WIDE = 2**70


def hashes() -> st.SearchStrategy[str]:
    """SHA-256 digests in hex."""
    return st.integers(0, 2**256 - 1).map("{:064x}".format)


@st.composite
def checkpoints(draw: st.DrawFn) -> Checkpoint:
    """Checkpoints whose hashes are right, under any number; sums may leave 64 bits."""
    currency = currencies().map(lambda each: each.value)
    roots = st.sampled_from(("player", "guild", "emission", "legacy"))
    sums = st.dictionaries(currency, st.integers(-_WIDE, _WIDE), max_size=2)
    first, count = draw(st.integers(1, 2**60)), draw(st.integers(1, 3))
    made = Checkpoint(
        number=draw(st.integers(1, 2**62)),
        first=first,
        last=first + count - 1,
        at=draw(instants()),
        moved=draw(sums),
        held=draw(st.dictionaries(roots, sums, max_size=2)),
        balances=draw(hashes()),
        entries=draw(hashes()),
        trees=tuple(draw(st.lists(hashes(), max_size=2))),
        before=draw(hashes() | st.just(NO_HASH)),
        hash="",
        marks="".join(draw(hashes())[:MARK] for _ in range(count)),
        place=draw(texts(9)),
    )
    return replace(made, hash=hash_of(made))


def findings() -> st.SearchStrategy[Finding]:
    """Findings of all kinds."""
    return st.builds(Finding, kind=st.sampled_from(FindingKind), subject=texts(), text=texts())


def audited() -> st.SearchStrategy[Audited]:
    """What accounts hold by the audit's reckoning."""
    currency = currencies().map(lambda each: each.value)
    return st.builds(
        Audited,
        account=st.sampled_from(("player:1", "player:10", "player:2", "treasury")),
        round=st.integers(1, SMALL),
        held=st.dictionaries(currency, amounts(), max_size=2),
    )


def audit_states() -> st.SearchStrategy[AuditState]:
    """How far the audit's own balances have come."""
    return st.builds(
        AuditState,
        round=st.integers(1, SMALL),
        checkpoint=st.integers(0, SMALL),
        total=st.integers(0, 2**64).map(to_text),
        faults=st.lists(findings(), max_size=2).map(tuple),
    )


def ledger_standings() -> st.SearchStrategy[LedgerStanding]:
    """Standings of the audit, sound ones and others."""
    counts = st.integers(0, SMALL)
    return st.builds(
        LedgerStanding,
        at=instants(),
        passed_at=maybe(instants()),
        entries=amounts(),
        checkpoints=counts,
        head=hashes() | st.just(""),
        rechecked=counts,
        reread=counts,
        accounts=counts,
        behind_ms=counts,
        found=counts,
        findings=st.lists(findings(), max_size=2).map(tuple),
    )
