"""How a record is written as a document's body, and read back as the same value.

A body is the record as its JSON would be, with what BSON can't hold as it is:
- an integer outside 64 bits is a Decimal128, which is exact to 34 digits;
- in the names of a mapping's fields `%`, `.`, `$` and NUL are `%` and two hex digits.
"""

import re
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from bson import Decimal128, Int64

from aiba_adapters.codec import from_builtins, to_builtins
from aiba_domain.errors import InvariantViolation

T = TypeVar("T")

_LEAST: Final = -(2**63)
_MOST: Final = 2**63 - 1
_EXACT: Final = 10**34
_UNSAFE: Final = re.compile(r"[%.$\x00]")
_ESCAPED: Final = re.compile(r"%([0-9A-F]{2})")


def to_body(record: object) -> dict[str, Any]:
    """Write a record as the body of a document."""
    body: dict[str, Any] = _pack(to_builtins(record))
    return body


def from_body(kind: type[T], body: Mapping[str, Any]) -> T:
    """Read a record of `kind` back. Raises msgspec.ValidationError if the body isn't one."""
    return from_builtins(kind, _unpack(body))


def pack_int(number: int) -> int | Decimal128:
    """Write an integer so that every digit is kept.

    Raises InvariantViolation for one of more than 34 digits, which no value of the game reaches.
    """
    if _LEAST <= number <= _MOST:
        return number
    if not -_EXACT < number < _EXACT:
        msg = f"an integer of {len(str(abs(number)))} digits can't be kept"
        raise InvariantViolation(msg)
    return Decimal128(str(number))


def unpack_int(stored: int | Decimal128) -> int:
    """Read an integer back."""
    return int(stored.to_decimal()) if isinstance(stored, Decimal128) else int(stored)


def _pack(value: Any) -> Any:  # noqa: ANN401 - any plain value
    kind = type(value)
    if kind is str or value is None or kind is bool or kind is float:
        return value
    if kind is int:
        return pack_int(value)
    if kind is dict:
        return {_escape(name): _pack(each) for name, each in value.items()}
    return [_pack(each) for each in value]


def _unpack(value: Any) -> Any:  # noqa: ANN401 - any stored value
    if type(value) is str or value is None:
        return value
    if isinstance(value, Decimal128):
        return unpack_int(value)
    if isinstance(value, Mapping):
        return {_unescape(name): _unpack(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_unpack(each) for each in value]
    if type(value) is Int64:
        return int(value)  # the driver's own type for what doesn't fit into 32 bits
    return value


def _escape(name: str) -> str:
    return _UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", name)


def _unescape(name: str) -> str:
    if "%" not in name:
        return name
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), name)
