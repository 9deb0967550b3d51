"""What a decoded JSON value must be like to be kept as it is."""

import math
import re
from collections.abc import Iterable
from typing import Final

MAX_DEPTH: Final = 32
"""How many lists and objects may stand inside of one another in a field."""

CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""A character that no text may hold: a control character or a lone surrogate."""


def fault_in(value: object) -> str | None:
    """Return the fault of a value, or that of something inside it; None if there is none.

    It goes level by level, so that no depth a client can send is too much for the stack.
    """
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        for part in level:
            if fault := _own_fault(part):
                return fault
        level = [inner for part in level for inner in _inside(part)]
        if not level:
            return None
    return f"maxDepth:{MAX_DEPTH}"


def _own_fault(value: object) -> str | None:
    if isinstance(value, str):
        return "pattern" if CONTROL.search(value) else None
    return "number" if isinstance(value, float) and not math.isfinite(value) else None


def _inside(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return (*value, *value.values())
    return value if isinstance(value, list) else ()
