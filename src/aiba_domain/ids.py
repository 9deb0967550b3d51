"""Identifiers made from what they identify, so that a repeated command names the same thing."""

from hashlib import sha256
from typing import Final

ID_LENGTH: Final = 24
_SEPARATOR: Final = "\x00"


def derive_id(kind: str, *parts: str) -> str:
    """Return the 24 hex digits that name one thing of `kind`, a function of its parts alone.

    Two different part lists give different ids: parts are joined by NUL, which no key or id holds.
    """
    text = _SEPARATOR.join((kind, *parts))
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:ID_LENGTH]


def is_id(text: str) -> bool:
    """Tell whether `text` is 24 lower-case hex digits."""
    return len(text) == ID_LENGTH and all(letter in "0123456789abcdef" for letter in text)
