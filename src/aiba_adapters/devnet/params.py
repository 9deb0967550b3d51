"""What a caller of the server gives, checked: every fault becomes one error with a text."""

import base64
from binascii import Error as BadBase64
from collections.abc import Mapping
from typing import Final

from aiba_adapters.devnet.tvm import BadCellError, Cell, SliceOf, StackValue, cell_of
from aiba_adapters.ton.addresses import Address, AddressRefused, parse

_HASH_BYTES: Final = 32
_HEX_DIGITS: Final = 64
_MOST_ARGUMENTS: Final = 255
_PAIR: Final = 2
_NUMBER_BITS: Final = 257


class BadParameterError(Exception):
    """Something in the request that can't be used; the text says what."""


Params = Mapping[str, object]


def address_from(value: object, name: str = "address") -> Address:
    """Return an address in any written form, for whatever network."""
    try:
        return parse(value, allow_testnet=True)
    except AddressRefused as error:
        raise BadParameterError(f"{name}: {error.problem}") from None


def text_from(params: Params, name: str) -> str:
    """Return a text that must be there."""
    value = params.get(name)
    if not isinstance(value, str) or not value:
        raise BadParameterError(f"{name}: a text is required")
    return value


def number_from(
    params: Params, name: str, default: int | None, *, least: int = 0, most: int = 2**64 - 1
) -> int | None:
    """Return a whole number in a range, written as one or as a text; the default if absent."""
    value = params.get(name)
    if value is None or value == "":
        return default
    try:
        number = int(value) if isinstance(value, str | int) else None
    except ValueError:
        number = None
    if number is None or isinstance(value, bool) or not least <= number <= most:
        raise BadParameterError(f"{name}: a whole number of {least}..{most} is required")
    return number


def hash_from(value: object, name: str = "hash") -> bytes:
    """Return a hash written in hex, base64 or base64url."""
    if isinstance(value, str):
        try:
            if len(value) == _HEX_DIGITS:
                return bytes.fromhex(value)
            found = base64.b64decode(
                value.replace(" ", "+").translate(str.maketrans("-_", "+/"))
                + "=" * (-len(value) % 4),
                validate=True,
            )
        except (ValueError, BadBase64):
            found = b""
        if len(found) == _HASH_BYTES:
            return found
    raise BadParameterError(f"{name}: a hash in hex or base64 is required")


def method_from(params: Params) -> str | int:
    """Return a get method by its name or its number."""
    method = params.get("method")
    if isinstance(method, bool) or not isinstance(method, str | int) or method == "":
        raise BadParameterError("method: a name or a number is required")
    return int(method) if isinstance(method, str) and method.isdecimal() else method


def stack_from(value: object) -> list[StackValue]:
    """Return the arguments of a get method, in the form of version 2 or of version 3."""
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > _MOST_ARGUMENTS:
        raise BadParameterError("stack: a list is required")
    return [_stack_value(entry) for entry in value]


def _stack_value(entry: object) -> StackValue:
    if isinstance(entry, dict):
        kind, value = entry.get("type"), entry.get("value")
    elif isinstance(entry, list) and len(entry) == _PAIR:
        kind, value = entry
    else:
        raise BadParameterError("stack: an entry is a type and a value")
    if kind in ("num", "int", "number"):
        return _stack_number(value)
    if kind in ("cell", "tvm.Cell"):
        return _cell(value)
    if kind in ("slice", "tvm.Slice"):
        return SliceOf(_cell(value))
    if kind == "null":
        return None
    raise BadParameterError(f"stack: entries of type {kind} are not taken")


def _stack_number(value: object) -> int:
    try:
        number = int(value, 0) if isinstance(value, str) else value
    except ValueError:
        number = None
    if not isinstance(number, int) or number.bit_length() >= _NUMBER_BITS:
        raise BadParameterError("stack: not a number")
    return number


def _cell(value: object) -> Cell:
    bag = value.get("bytes") if isinstance(value, dict) else value
    if not isinstance(bag, str):
        raise BadParameterError("stack: a bag of cells in base64 is required")
    try:
        return cell_of(bag)
    except BadCellError:
        raise BadParameterError("stack: not a bag of cells") from None
