"""The parts of a provider's answer, each checked as it is taken. What isn't as promised is refused.

Numbers are read from numbers and from texts, decimal or hexadecimal, since providers write both.
"""

import base64
import re
from binascii import Error as BadBase64
from collections.abc import Mapping, Sequence
from typing import Final

from pytoniq_core.boc.cell import Cell

from aiba_adapters.ton.addresses import Address, AddressRefused
from aiba_adapters.toncenter.client import BadAnswer

_NUMBER: Final = re.compile(r"(-?)(?:0x([0-9A-Fa-f]{1,64})|([0-9]{1,78}))")
_MOST_BYTES: Final = 1024 * 1024
_ADDRESS_BITS: Final = 267
_STANDARD: Final = "100"
_NOBODY: Final = "00"
_NUMBERS: Final = ("num", "int", "tvm.Number")
_CELLS: Final = ("cell", "slice", "tvm.Cell", "tvm.Slice")


def mapping(value: object, what: str) -> Mapping[str, object]:
    """Return a JSON object."""
    if not isinstance(value, dict):
        raise BadAnswer(f"{what} is no object")
    return value


def items(value: object, what: str) -> Sequence[object]:
    """Return a JSON array."""
    if not isinstance(value, list):
        raise BadAnswer(f"{what} is no list")
    return value


def text(value: object, what: str) -> str:
    """Return a text."""
    if not isinstance(value, str):
        raise BadAnswer(f"{what} is no text")
    return value


def whole(value: object, what: str) -> int:
    """Return a whole number, given as one or as a text."""
    if type(value) is int:
        return value
    match = _NUMBER.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise BadAnswer(f"{what} is no whole number")
    size = int(match[2], 16) if match[2] else int(match[3])
    return -size if match[1] else size


def natural(value: object, what: str) -> int:
    """Return a whole number of 0 or more."""
    number = whole(value, what)
    if number < 0:
        raise BadAnswer(f"{what} is below 0")
    return number


def cell(value: object, what: str) -> Cell:
    """Return the root of a bag of cells in base64."""
    try:
        bag = base64.b64decode(text(value, what), validate=True)
    except (BadBase64, ValueError):
        raise BadAnswer(f"{what} is no base64") from None
    if len(bag) > _MOST_BYTES:
        raise BadAnswer(f"{what} is too large")
    try:
        root = Cell.one_from_boc(bag)
    except Exception:  # noqa: BLE001 - it fails in as many ways as there are wrong bags
        raise BadAnswer(f"{what} is no bag of cells") from None
    return root


def stack_entry(entry: object) -> tuple[str, object]:
    """Return type and value of an entry of a stack, in the form of version 2 or of version 3."""
    if isinstance(entry, dict):
        return text(entry.get("type"), "type of a stack entry"), entry.get("value")
    parts = items(entry, "stack entry")
    if len(parts) != 2:  # noqa: PLR2004 - type and value
        raise BadAnswer("stack entry of another length")
    return text(parts[0], "type of a stack entry"), parts[1]


def stack_number(entry: object) -> int:
    """Return the number that an entry of a stack holds."""
    kind, value = stack_entry(entry)
    if kind not in _NUMBERS:
        raise BadAnswer("a stack entry that should be a number")
    return whole(value, "number on the stack")


def stack_address(entry: object) -> Address | None:
    """Return the address that an entry of a stack holds, as cell or as slice; None for nobody's.

    Nothing may follow the address.
    """
    kind, value = stack_entry(entry)
    if kind not in _CELLS:
        raise BadAnswer("a stack entry that should be an address")
    bag = value.get("bytes") if isinstance(value, dict) else value
    root = cell(bag, "address on the stack")
    bits = root.bits.to01()
    if root.refs or root.is_exotic or bits not in (_NOBODY, bits[:_ADDRESS_BITS]):
        raise BadAnswer("more than an address on the stack")
    if bits == _NOBODY:
        return None
    return _address(bits)


def _address(bits: str) -> Address:
    if len(bits) != _ADDRESS_BITS or not bits.startswith(_STANDARD):
        raise BadAnswer("no standard address on the stack")
    workchain, account = int(bits[3:11], 2), int(bits[11:], 2)
    workchain -= (workchain & 0x80) << 1
    try:
        return Address(workchain, account.to_bytes(32, "big"))
    except AddressRefused:
        raise BadAnswer("an address of no workchain on the stack") from None


def address_bag(address: Address) -> str:
    """Return the bag of cells, in base64, that a get method takes an address from."""
    value = 0b100 << 264 | (address.workchain & 0xFF) << 256 | int.from_bytes(address.hash, "big")
    # 267 bits are five short of 34 bytes: a one and zeros fill them up.
    data = (value << 5 | 0b10000).to_bytes(34, "big")
    header = b"\xb5\xee\x9c\x72\x01\x01\x01\x01\x00"
    return base64.b64encode(header + bytes((len(data) + 2, 0, 0, 2 * 34 - 1)) + data).decode()
