"""Idempotency keys: which texts are keys, and which of several candidates counts."""

import re
from typing import Final

from aiba_domain.errors import InvalidInput

MAX_KEY_LENGTH: Final = 128
"""The longest key, in characters, after trimming."""

# ECMAScript white space and line ends, which is what the clients' `trim()` removes. Unlike
# `str.strip()` it takes U+FEFF and leaves U+0085 and U+001C..U+001F.
_BLANKS: Final = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
_KEY: Final = re.compile(r"[a-zA-Z0-9._:-]{1,128}")


def parse_key(candidate: object, field: str = "requestId") -> str | None:
    """Return the trimmed key in `candidate`, or None if it is absent or no valid key.

    A key has 1 to 128 of the characters `a-z A-Z 0-9 . _ : -`. Raises InvalidInput naming `field`
    for anything but a text or None: a number is never read as a key.
    """
    if candidate is None:
        return None
    if not isinstance(candidate, str):
        raise InvalidInput(field, "string")
    key = candidate.strip(_BLANKS)
    return key if _KEY.fullmatch(key) else None


def select_key(*candidates: object) -> str | None:
    """Return the first valid key of `candidates` in order of precedence, or None.

    No key is ever made up: a command that needs one is refused without it.
    """
    for candidate in candidates:
        key = parse_key(candidate)
        if key is not None:
            return key
    return None
