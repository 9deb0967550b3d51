"""What changed on the local chain, as a value that can be written down and read back.

It holds what became of a change, not what was asked for: reading it back runs no code, so a chain
goes on as it was even where another version of the TVM would decide otherwise.
"""

import msgspec


class TransactionForm(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A transaction: the raw address of its account, its logical time, and its bag of cells."""

    account: str
    lt: int
    boc: str


class BlockForm(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A block: its time in seconds, the logical times it spans, and its transactions."""

    now: int
    start_lt: int
    end_lt: int
    transactions: tuple[TransactionForm, ...] = ()


class Change(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """What is different now.

    Of blocks and waiting messages the first `kept_...` are as they were, and those given follow
    them. `accounts` has the bag of cells of each that differs, None for one that is gone. The rest
    is as it is now: the last logical time, how many seconds the chain runs ahead of its clock, and
    the time at which it is held.
    """

    lt: int
    kept_blocks: int
    kept_waiting: int = 0
    offset: int = 0
    held_at: int | None = None
    blocks: tuple[BlockForm, ...] = ()
    waiting: tuple[str, ...] = ()
    accounts: dict[str, str | None] = {}


class Impossible(ValueError):  # noqa: N818 - a verdict on a change
    """A change that can't follow on what is there."""
