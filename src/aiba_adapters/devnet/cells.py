"""Cells that the local chain writes: addresses, messages, states. Built with pytoniq-core."""

from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from pytoniq_core.boc.builder import Builder
from pytoniq_core.boc.cell import Cell
from pytoniq_core.boc.hashmap.hashmap import HashMap
from pytoniq_core.tlb.transaction import MessageAny

from aiba_adapters.ton.addresses import BASECHAIN, Address

NO_ADDRESS: Final = "00"
"""The bits of an address that names nobody."""

COMMENT_OP: Final = 0
"""The op of a message that is a text for people."""

_MOST_BITS: Final = 1023
_BYTES_IN_CELL: Final = 120


@dataclass(frozen=True, slots=True)
class StateInit:
    """What an account starts from; its hash is the account's address."""

    code: Cell
    data: Cell

    @property
    def cell(self) -> Cell:
        """Return the cell: neither split depth nor special, code and data, no library."""
        head = Builder().store_bits("00110").store_ref(self.code).store_ref(self.data)
        cell: Cell = head.end_cell()
        return cell

    @property
    def address(self) -> Address:
        """Return the address in the basechain."""
        return Address(BASECHAIN, self.cell.hash)


def cell_from(bag: str | bytes) -> Cell:
    """Return the root of a bag of cells that is known to be good."""
    return Cell.one_from_boc(bag)


def bag(cell: Cell) -> bytes:
    """Return the bag of cells with CRC32C, as clients expect it."""
    return bytes(cell.to_boc(hash_crc32=True))


def bag_text(cell: Cell) -> str:
    """Return the bag of cells as base64."""
    return b64encode(bag(cell)).decode()


def address_bits(address: Address | None) -> str:
    """Return the bits of an address; None names nobody."""
    if address is None:
        return NO_ADDRESS
    return f"100{address.workchain & 0xFF:08b}{int.from_bytes(address.hash, 'big'):0256b}"


def address_cell(address: Address | None) -> Cell:
    """Return a cell of an address alone, as get methods take it."""
    cell: Cell = Builder().store_bits(address_bits(address)).end_cell()
    return cell


def comment(text: str) -> Cell:
    """Return the body of a message that is a text, over as many cells as it needs."""
    return _snake(Builder().store_uint(COMMENT_OP, 32), text.encode(), _BYTES_IN_CELL - 4)


def internal_message(
    *,
    source: Address | None,
    destination: Address,
    value: int,
    body: Cell | None = None,
    state: StateInit | None = None,
    bounce: bool = True,
    created_lt: int = 0,
    created_at: int = 0,
) -> Cell:
    """Return a message between accounts; `value` in nanotons.

    A wallet sends one without a source; the chain fills in source, fees, and when it was made.
    """
    head = (
        Builder()
        .store_bits("01" + ("1" if bounce else "0") + "0")  # no instant routing, not bounced
        .store_bits(address_bits(source) + address_bits(destination))
        .store_coins(value)
        .store_bits("0")  # no other currencies
        .store_coins(0)
        .store_coins(0)
        .store_uint(created_lt, 64)
        .store_uint(created_at, 32)
    )
    return _with_state_and_body(head, state, body)


def external_message(*, destination: Address, body: Cell, state: StateInit | None = None) -> Cell:
    """Return a message from outside, as a wallet's owner sends it."""
    head = Builder().store_bits("10" + NO_ADDRESS + address_bits(destination)).store_coins(0)
    return _with_state_and_body(head, state, body)


def normalised_hash(message: Cell) -> bytes:
    """Return the hash of a message from outside as indexers know it (TEP-467).

    The same message may be written with or without a state, with its body in place or by reference;
    this hash is of the one form with no source, no fee, no state, and the body by reference.
    """
    read = MessageAny.deserialize(message.begin_parse())
    head = Builder().store_bits("10" + NO_ADDRESS).store_address(read.info.dest).store_coins(0)
    cell: Cell = head.store_bits("01").store_ref(read.body).end_cell()
    return bytes(cell.hash)


def onchain_content(texts: dict[str, str]) -> Cell:
    """Return jetton content that lies in the contract (TEP-64), such as name and decimals."""
    table = HashMap(256, value_serializer=lambda cell, into: into.store_ref(cell))
    for key, text in texts.items():
        entry = _snake(Builder().store_uint(0, 8), text.encode(), _BYTES_IN_CELL - 1)
        table.set_int_key(int.from_bytes(sha256(key.encode()).digest(), "big"), entry)
    content: Cell = Builder().store_uint(0, 8).store_dict(table.serialize()).end_cell()
    return content


def _snake(head: Builder, data: bytes, room: int) -> Cell:
    """Append bytes to a cell, and what has no room to a cell that it refers to."""
    head.store_bytes(data[:room])
    if len(data) > room:
        head.store_ref(_snake(Builder(), data[room:], _BYTES_IN_CELL))
    cell: Cell = head.end_cell()
    return cell


def _with_state_and_body(head: Builder, state: StateInit | None, body: Cell | None) -> Cell:
    if state is None:
        head.store_bits("0")
    else:
        head.store_bits("11").store_ref(state.cell)
    if body is None:
        head.store_bits("0")
    elif len(head.bits) + len(body.bits) >= _MOST_BITS or body.refs:
        head.store_bits("1").store_ref(body)
    else:
        head.store_bits("0").store_cell(body)
    cell: Cell = head.end_cell()
    return cell
