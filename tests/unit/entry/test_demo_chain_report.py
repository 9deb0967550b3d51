"""What the demo says of withdrawals: every fact that isn't as it should be, each in words."""

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from aiba_entry.cli.demo_chain_report import (
    ChainReport,
    CheckedClaim,
    chain_document,
    failures_on_chain,
    show_chain,
)

PAID = CheckedClaim(
    player_id="700000001",
    player="trader-1",
    wallet=f"0:{'11' * 32}",
    version="v5r1",
    amount=905,
    seqno=1,
    valid_until_s=1_800_000_600,
    expected="confirmed",
    state="confirmed",
    status="confirmed",
    transaction="ZxOZCJjztz24GwcxO+jtyLQk6exJuu7kZDORLkc+OAA=",
    exit_code=0,
    jettons=905,
    last_seqno=1,
    noted=(),
)
KEPT = replace(
    PAID,
    version="v4r2",
    amount=452,
    expected="refunded",
    state="refunded",
    status="expired",
    transaction="6o8tbCvnoo8IylCrieNKNHt+PwhkBraPXL5s27bgUjY=",
    exit_code=24383,
    jettons=0,
    last_seqno=0,
)


def report(*claims: CheckedClaim, exit_code: int = 0) -> ChainReport:
    """Return the report of these claims."""
    return ChainReport(
        vault=f"0:{'aa' * 32}", jetton_master=f"0:{'bb' * 32}", claims=claims, exit_code=exit_code
    )


def shown(*claims: CheckedClaim) -> str:
    """Return what people are shown."""
    console = Console(file=io.StringIO(), width=100)
    show_chain(claims, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_claims_that_hold_fail_nothing() -> None:
    """What was paid and what came back is counted apart."""
    whole = report(PAID, KEPT)
    assert [*failures_on_chain(whole)] == []
    told = chain_document(whole)
    assert (told["withdrawn"], told["refunded"]) == (905, 452)


@pytest.mark.parametrize(
    ("claim", "change", "problem"),
    [
        (PAID, {"state": "signed"}, "it is signed, should be confirmed"),
        (PAID, {"state": "refunded"}, "it is refunded, should be confirmed"),
        (PAID, {"status": "pending"}, "its status: pending, should be confirmed"),
        (PAID, {"exit_code": 48401}, "the vault's exit code: 48401, should be 0"),
        (PAID, {"jettons": 904}, "the wallet's jettons: 904, should be 905"),
        (PAID, {"last_seqno": 0}, "the wallet's last seqno: 0, should be 1"),
        (KEPT, {"state": "confirmed"}, "it is confirmed, should be refunded"),
        (KEPT, {"status": "confirmed"}, "its status: confirmed, should be expired"),
        (KEPT, {"exit_code": 0}, "the vault's exit code: 0, should be 24383"),
        (KEPT, {"exit_code": None}, "the vault's exit code: None, should be 24383"),
        (KEPT, {"jettons": 452}, "the wallet's jettons: 452, should be 0"),
        (KEPT, {"last_seqno": 1}, "the wallet's last seqno: 1, should be 0"),
        (KEPT, {"noted": ("seqno: 2, should be 1",)}, "seqno: 2, should be 1"),
    ],
)
def test_each_fact_that_is_otherwise_is_a_failure(
    claim: CheckedClaim, change: dict[str, Any], problem: str
) -> None:
    """One wrong fact is one failure that names the claim, for people and machines alike."""
    wrong = replace(claim, **change)
    assert wrong.problems == (problem,)
    (failure,) = failures_on_chain(report(wrong))
    who = f"the claim of {claim.amount} AIBA to trader-1's {claim.version}"
    assert failure == f"{who}: {problem}"
    assert "NO" in shown(wrong)


def test_no_claim_at_all_is_a_failure() -> None:
    """A run in which nothing was withdrawn shows nothing of withdrawals."""
    assert [*failures_on_chain(report())] == ["nobody had AIBA to withdraw"]


def test_a_chain_that_breaks_down_is_a_failure() -> None:
    """The chain has to end as it is told to."""
    (failure,) = failures_on_chain(report(PAID, exit_code=1))
    assert failure == "the chain stopped with exit code 1"


def test_people_see_states_amounts_and_transactions() -> None:
    """The table has a line for each claim, and what the vault did with it stands below."""
    text = shown(PAID, KEPT)
    for word in ("confirmed", "refunded", "905", "452", "24383", "yes"):
        assert word in text
    assert f"The vault paid trader-1's v5r1: {PAID.transaction}" in text
    assert f"The vault refused trader-1's v4r2: {KEPT.transaction}" in text
    assert "NO" not in text
    unsent = replace(KEPT, state="signed", transaction=None, exit_code=None)
    assert "The vault" not in shown(unsent)
