"""What became of the demo's withdrawals, for people and for machines."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console
from rich.table import Table

from aiba_entry.cli.demo_chain import EXPIRED, PAID

CONFIRMED: Final = "confirmed"
REFUNDED: Final = "refunded"

_STATUS: Final = {CONFIRMED: "confirmed", REFUNDED: "expired"}
_EXIT_CODE: Final = {CONFIRMED: PAID, REFUNDED: EXPIRED}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedClaim:
    """One claim to a wallet of its own, as the service and the chain tell of it at the end.

    `expected` is the state it should have come to. `status` is what the vault's route says;
    `transaction` is the vault's last one for this claim, its hash in base64, and `exit_code` how it
    ended; `jettons` and `last_seqno` are the wallet's on the chain. They are None where the claim
    didn't get that far. `noted` is what was wrong on the way.
    """

    player_id: str
    player: str
    wallet: str
    version: str
    amount: int
    seqno: int
    valid_until_s: int
    expected: str
    state: str
    status: str | None
    transaction: str | None
    exit_code: int | None
    jettons: int | None
    last_seqno: int | None
    noted: tuple[str, ...]

    @property
    def problems(self) -> tuple[str, ...]:
        """Everything that doesn't hold of the claim, in words."""
        return (*self.noted, *self._mismatches())

    def _mismatches(self) -> Iterator[str]:
        is_paid = self.expected == CONFIRMED
        if self.state != self.expected:
            yield f"it is {self.state}, should be {self.expected}"
            return
        facts = (
            ("its status", self.status, _STATUS[self.expected]),
            ("the vault's exit code", self.exit_code, _EXIT_CODE[self.expected]),
            ("the wallet's jettons", self.jettons, self.amount if is_paid else 0),
            ("the wallet's last seqno", self.last_seqno, self.seqno if is_paid else self.seqno - 1),
        )
        for name, found, wanted in facts:
            if found != wanted:
                yield f"{name}: {found}, should be {wanted}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainReport:
    """The contracts as raw addresses, the claims, and how the chain's process ended."""

    vault: str
    jetton_master: str
    claims: tuple[CheckedClaim, ...]
    exit_code: int = 0

    def total(self, state: str) -> int:
        """Return the AIBA of the claims in a state."""
        return sum(claim.amount for claim in self.claims if claim.state == state)


def failures_on_chain(report: ChainReport) -> Iterator[str]:
    """Yield everything that didn't hold, in words."""
    if not report.claims:
        yield "nobody had AIBA to withdraw"
    for claim in report.claims:
        if claim.problems:
            what = f"the claim of {claim.amount} AIBA to {claim.player}'s {claim.version}"
            yield f"{what}: {'; '.join(claim.problems)}"
    if report.exit_code:
        yield f"the chain stopped with exit code {report.exit_code}"


def chain_document(report: ChainReport) -> dict[str, object]:
    """Return the withdrawals as a part of the JSON document."""
    return {
        "vault": report.vault,
        "jettonMaster": report.jetton_master,
        "withdrawn": report.total(CONFIRMED),
        "refunded": report.total(REFUNDED),
        "claims": [_claim_document(claim) for claim in report.claims],
        "exitCode": report.exit_code,
    }


def _claim_document(claim: CheckedClaim) -> dict[str, object]:
    return {
        "telegramId": claim.player_id,
        "player": claim.player,
        "wallet": claim.wallet,
        "walletVersion": claim.version,
        "amount": claim.amount,
        "seqno": claim.seqno,
        "validUntil": claim.valid_until_s,
        "state": claim.state,
        "status": claim.status,
        "transactionHash": claim.transaction,
        "vaultExitCode": claim.exit_code,
        "jettonBalance": claim.jettons,
        "lastSeqno": claim.last_seqno,
        "holds": not claim.problems,
        "problems": list(claim.problems),
    }


def show_chain(claims: Sequence[CheckedClaim], console: Console) -> None:
    """Print the withdrawals as a table, and below it the transactions, whose hashes are long."""
    table = Table(title="Withdrawals to the chain")
    for heading in ("Player", "Wallet"):
        table.add_column(heading)
    for heading in ("AIBA", "Seqno"):
        table.add_column(heading, justify="right")
    table.add_column("State")
    for heading in ("Exit", "Jettons"):
        table.add_column(heading, justify="right")
    table.add_column("Holds")
    for claim in claims:
        table.add_row(
            claim.player,
            claim.version,
            str(claim.amount),
            str(claim.seqno),
            claim.state,
            _shown(claim.exit_code),
            _shown(claim.jettons),
            "[bold red]NO[/]" if claim.problems else "[green]yes[/]",
        )
    console.print(table)
    for claim in claims:
        if claim.transaction is not None:
            did = "paid" if claim.exit_code == PAID else "refused"
            console.print(f"The vault {did} {claim.player}'s {claim.version}: {claim.transaction}")


def _shown(value: int | None) -> str:
    return "-" if value is None else str(value)
