"""What an audit has come to itself: every account's balance as of a checkpoint, and their seal.

The seal is a sum over all balances, so that it follows a change at the cost of that change. A
balance's part is 256 bytes of SHAKE256 as a number, and the sum is taken modulo 2^2048: to find
other balances with the same sum takes some 2^90 steps and as much memory (Wagner's algorithm).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256, shake_256
from typing import Final

from aiba_domain.ledger_audit.findings import Finding
from aiba_domain.ledger_audit.rows import encoded

AUDIT_STATE: Final = "ledger"
"""The key of the one state that there is."""

NOTHING_HELD: Final = 0
"""The sum over no balances."""

_BYTES: Final = 256
_MODULUS: Final = 1 << (8 * _BYTES)

Holding = Mapping[str, int]
"""Balances by currency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """What an account held after the last checkpoint that it is in, by the audit's own reckoning.

    `round` is that of the state which it belongs to: one of another round says nothing, nor does
    one that a store can't read, which is of round 0.
    """

    account: str
    round: int
    held: Holding


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditState:
    """How far the audit's own balances have come, for whoever goes on from there.

    They are as of `checkpoint` (0: before the first), and `total` in hex is the sum over them.
    `round` is the instant (ms) at which they were begun. `faults` are what was found wrong with
    entries.
    """

    name: str = AUDIT_STATE
    round: int
    checkpoint: int
    total: str
    faults: tuple[Finding, ...]


UNREADABLE: Final = AuditState(round=0, checkpoint=1, total="", faults=())
"""What stands for a state that a store can't read: nobody goes on from it."""


def part_of(account: str, held: Holding) -> int:
    """Return what an account adds to the sum; what is 0 adds nothing."""
    part = 0
    for currency, balance in held.items():
        if balance:
            bits = shake_256(encoded((account, currency, balance))).digest(_BYTES)
            part += int.from_bytes(bits, "big")
    return part


def modulo(total: int) -> int:
    """Return a sum as it is taken."""
    return total % _MODULUS


def seal_of(total: int) -> str:
    """Return what a checkpoint says of a sum: the SHA-256 of its 256 bytes."""
    return sha256(total.to_bytes(_BYTES, "big")).hexdigest()


def to_text(total: int) -> str:
    """Write a sum in hex."""
    return f"{total:0{2 * _BYTES}x}"


def from_text(text: str) -> int | None:
    """Read a sum in hex; None if it is none."""
    try:
        total = int(text, 16)
    except ValueError:
        return None
    return total if text == to_text(total) else None
