"""What the chain stores of an account, read from its cell."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from aiba_adapters.devnet.bits import Bits
from aiba_adapters.devnet.tvm import Cell, bits_of, cell_of, refs_of

_NO_ACCOUNT: Final = (
    "te6cckEBAgEALgABUAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABAAFAAVi1MQ=="
)

_ADDRESS_BITS: Final = 267


class Status(StrEnum):
    """What an account is."""

    NONEXIST = "nonexist"
    UNINIT = "uninit"
    ACTIVE = "active"
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """An account at one moment. `balance` in nanotons; code and data only if active."""

    shard_account: Cell
    status: Status = Status.NONEXIST
    balance: int = 0
    code: Cell | None = None
    data: Cell | None = None
    last_lt: int = 0
    last_hash: bytes = bytes(32)


def no_account() -> Account:
    """Return what the chain stores of an address that nothing ever reached."""
    return Account(shard_account=cell_of(_NO_ACCOUNT))


def account_of(shard_account: Cell) -> Account:
    """Read `account_descr#_ account:^Account last_trans_hash:bits256 last_trans_lt:uint64`."""
    outer = Bits(bits_of(shard_account))
    last_hash = outer.uint(256).to_bytes(32, "big")
    last_lt = outer.uint(64)
    cell = refs_of(shard_account)[0]
    read = Bits(bits_of(cell))
    if read.take(1) == "0":
        return Account(shard_account=shard_account, last_lt=last_lt, last_hash=last_hash)
    read.take(_ADDRESS_BITS)
    balance = _past_storage(read)
    other_currencies = read.take(1) == "1"
    status, code, data = _state(read, refs_of(cell)[1 if other_currencies else 0 :])
    return Account(
        shard_account=shard_account,
        status=status,
        balance=balance,
        code=code,
        data=data,
        last_lt=last_lt,
        last_hash=last_hash,
    )


def _past_storage(read: Bits) -> int:
    """Skip what storage is counted by, and return the balance that follows."""
    read.var_uint(3)  # cells
    read.var_uint(3)  # bits
    if read.uint(3):  # a hash of the dictionary of cells
        read.take(256)
    read.take(32)  # when storage was last paid
    if read.take(1) == "1":
        read.var_uint(4)  # what is due
    read.take(64)  # logical time after the last transaction
    return read.var_uint(4)


def _state(read: Bits, refs: tuple[Cell, ...]) -> tuple[Status, Cell | None, Cell | None]:
    if read.take(1) == "0":
        return (Status.FROZEN if read.take(1) == "1" else Status.UNINIT), None, None
    if read.take(1) == "1":  # split depth
        read.take(5)
    if read.take(1) == "1":  # tick and tock
        read.take(2)
    left = list(refs)
    code = left.pop(0) if read.take(1) == "1" else None
    data = left.pop(0) if read.take(1) == "1" else None
    return Status.ACTIVE, code, data
