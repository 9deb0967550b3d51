"""The short texts that say what is wrong with a field, from msgspec's sentences."""

import re
from typing import Final

_EXPECTED: Final = re.compile(
    r"Expected `([a-z]+)[^`]*`(?: of length)?(?: (>=|<=|==|>|<) ([0-9]+))?"
)
_TYPES: Final = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "array": "array",
    "object": "object",
}
_SENTENCES: Final = {
    "missing required": "required",
    "unknown field": "unknown",
    "enum value": "enum",
    "matching regex": "pattern",
    "out of range": "integer",
}
_LENGTHS: Final = {">=": "minLength", "<=": "maxLength"}
_BOUNDS: Final = {">=": "min", "<=": "max"}
INVALID: Final = "invalid"


def text_of(message: str) -> str:
    """Return the wire's text for a sentence of msgspec about one value.

    One of required, unknown, enum, pattern, string, integer, number, boolean, array, object,
    minLength:N, maxLength:N, min:N, max:N; `invalid` for what none of them says.
    """
    for sign, word in _SENTENCES.items():
        if sign in message:
            return word
    match = _EXPECTED.match(message)
    if match is None:
        return INVALID
    kind, sign, number = match.groups()
    if number is None:
        return _TYPES.get(kind, INVALID)
    names = _BOUNDS if kind in ("int", "float") else _LENGTHS
    return f"{names[sign]}:{number}" if sign in names else INVALID
