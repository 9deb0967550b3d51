"""Transactions of any content, composed bit by bit as the chain's own schema says."""

import base64
from dataclasses import dataclass
from typing import Final

from pytoniq_core.boc.builder import Builder
from pytoniq_core.boc.cell import Cell
from pytoniq_core.boc.hashmap.hashmap import HashMap

from aiba_adapters.ton.addresses import Address

COMMENT_OP: Final = 0


def bag(cell: Cell) -> str:
    """Return a cell's bag of cells in base64."""
    return base64.b64encode(cell.to_boc()).decode()


def _address(address: Address | None) -> str:
    if address is None:
        return "00"
    return f"100{address.workchain & 0xFF:08b}{int.from_bytes(address.hash, 'big'):0256b}"


def snake(data: bytes, room: int = 60) -> Cell:
    """Return a text's body, over as many cells as it takes."""
    head = Builder().store_uint(COMMENT_OP, 32)
    return _tail(head, data, room)


def _tail(head: Builder, data: bytes, room: int) -> Cell:
    head.store_bytes(data[:room])
    if len(data) > room:
        head.store_ref(_tail(Builder(), data[room:], room))
    cell: Cell = head.end_cell()
    return cell


def message(
    *,
    source: Address | None,
    destination: Address,
    value: int,
    body: Cell | None = None,
    bounced: bool = False,
) -> Cell:
    """Return a message between accounts."""
    head = Builder().store_bits(f"011{int(bounced)}")
    head.store_bits(_address(source) + _address(destination)).store_coins(value).store_bits("0")
    head.store_coins(0).store_coins(0).store_uint(0, 64).store_uint(0, 32).store_bits("0")
    cell: Cell = (head.store_bits("1").store_ref(body or Cell.empty())).end_cell()
    return cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A transaction that was composed."""

    tx_hash: str
    data: str


def transaction(
    *, account: Address, incoming: Cell | None, outgoing: tuple[Cell, ...] = (), time_s: int = 1
) -> Made:
    """Return a transaction whose code did not run and which counts as aborted."""
    messages = Builder()
    messages.store_bits("0") if incoming is None else messages.store_bits("1").store_ref(incoming)
    table = HashMap(15, value_serializer=lambda one, into: into.store_ref(one))
    for number, one in enumerate(outgoing):
        table.set_int_key(number, one)
    messages.store_dict(table.serialize() if outgoing else None)
    update = Builder().store_uint(0x72, 8).store_bytes(bytes(64)).end_cell()
    # Ordinary, no storage, no credit, compute skipped for want of a state, no action, aborted.
    description = Builder().store_bits("0000" + "1" + "0" + "0" + "000" + "0" + "1" + "0" + "0")
    head = Builder().store_bits("0111").store_bytes(account.hash).store_uint(5, 64)
    head.store_bytes(bytes(32)).store_uint(0, 64).store_uint(time_s, 32)
    head.store_uint(len(outgoing), 15).store_bits("0000").store_ref(messages.end_cell())
    head.store_coins(0).store_bits("0").store_ref(update).store_ref(description.end_cell())
    root = head.end_cell()
    return Made(tx_hash=root.hash.hex(), data=bag(root))
