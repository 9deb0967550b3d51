"""A transaction of the local chain: kept as the cell that the TVM made, read when somebody asks."""

from base64 import b64decode
from functools import cached_property
from typing import Any

from pytoniq_core.tlb.transaction import Transaction as Fields

from aiba_adapters.devnet.bits import Bits
from aiba_adapters.devnet.cells import cell_from
from aiba_adapters.devnet.tvm import Cell, bits_of, cell_of, hash_of, refs_of
from aiba_adapters.ton.addresses import Address

_COUNT_AT = 4 + 256 + 64 + 256 + 64 + 32  # tag, account, lt, hash and lt before, time
_KEY_BITS = 15


class Transaction:
    """One transaction: where, when (`lt`, and `now` in seconds), in which block, and its cell."""

    def __init__(
        self, *, account: Address, lt: int, now: int, block: int, cell: Cell | str
    ) -> None:
        """Take the cell, or its bag of cells as base64, which is opened when somebody asks."""
        self.account = account
        self.lt = lt
        self.now = now
        self.block = block
        self._kept = cell

    @cached_property
    def cell(self) -> Cell:
        """Return the cell. Raises BadCellError where a text was given that holds none."""
        return cell_of(self._kept) if isinstance(self._kept, str) else self._kept

    @property
    def boc_text(self) -> str:
        """Return the transaction as a bag of cells in base64."""
        return self._kept if isinstance(self._kept, str) else self._kept.to_boc()

    @cached_property
    def hash(self) -> bytes:
        """Return the hash of the transaction: that of its cell."""
        return hash_of(self.cell)

    @property
    def boc(self) -> bytes:
        """Return the transaction as a bag of cells."""
        return b64decode(self.boc_text)

    @cached_property
    def fields(self) -> Any:  # noqa: ANN401 - what pytoniq-core says of its types helps nobody
        """Return the transaction taken apart, by pytoniq-core."""
        return Fields.deserialize(cell_from(self.boc).begin_parse())

    @property
    def compute(self) -> Any:  # noqa: ANN401 - as above
        """Return the phase in which the contract's code ran."""
        return self.fields.description.compute_ph

    @property
    def in_message(self) -> Cell:
        """Return the message that caused it."""
        return refs_of(refs_of(self.cell)[0])[0]

    @property
    def messages_out(self) -> list[Cell]:
        """Return the messages that it sends, in order."""
        return messages_out(self.cell)

    @property
    def exit_code(self) -> int | None:
        """Return how the contract's code ended (0 is well); None if it did not run."""
        return int(self.compute.exit_code) if self.compute.type_ == "vm" else None

    @property
    def gas_used(self) -> int:
        """Return the gas that the contract's code took."""
        return int(self.compute.gas_used) if self.compute.type_ == "vm" else 0

    @property
    def aborted(self) -> bool:
        """Tell whether its effects on code and data were undone."""
        return bool(self.fields.description.aborted)

    def __repr__(self) -> str:
        return f"<Transaction {self.account} lt={self.lt} exit_code={self.exit_code}>"


def messages_out(transaction: Cell) -> list[Cell]:
    """Return the messages that a transaction sends, in order."""
    count = int(bits_of(transaction)[_COUNT_AT : _COUNT_AT + _KEY_BITS], 2)
    if not count:
        return []
    # The first bit says that there is a message in, the second that there are messages out.
    root = refs_of(refs_of(transaction)[0])[-1]
    found: list[Cell] = []
    _walk(root, _KEY_BITS, found)
    return found


def _walk(node: Cell, key_bits: int, found: list[Cell]) -> None:
    """Collect the leaves of a dictionary whose values are references."""
    left = key_bits - _label_length(Bits(bits_of(node)), key_bits)
    refs = refs_of(node)
    if not left:
        found.append(refs[0])
        return
    for branch in refs:
        _walk(branch, left - 1, found)


def _label_length(read: Bits, most: int) -> int:
    if read.take(1) == "0":  # short: the length in ones, ended by a zero
        length = 0
        while read.take(1) == "1":
            length += 1
        return length
    repeated = read.take(1) == "1"
    if repeated:
        read.take(1)
    return read.uint(most.bit_length())
