"""The generator battles draw from: mulberry32, exact on 32-bit integers.

A draw is kept as the integer 0..2^32-1 that the reference divides by 2^32, so it is exact in any
language.
"""

import math
from collections.abc import Iterator
from typing import Final

from aiba_domain.errors import InvalidInput

DRAW_RANGE: Final = 2**32
"""How many draws there are; a draw divided by this is a number in [0, 1)."""

_MASK: Final = DRAW_RANGE - 1
_STEP: Final = 0x6D2B79F5


def draws(seed: float) -> Iterator[int]:
    """Return the endless draws of a seed, each in 0..2^32-1.

    A seed outside 32 bits is taken modulo 2^32 after dropping its fraction. Raises InvalidInput
    for one that is not finite.
    """
    return _draws(to_uint32(seed))


def first_draw(seed: int) -> int:
    """Return the first draw of a 32-bit seed, the only one a battle uses."""
    state = (seed + _STEP) & _MASK
    mixed = ((state ^ state >> 15) * (state | 1)) & _MASK
    mixed ^= (mixed + (mixed ^ mixed >> 7) * (mixed | 61)) & _MASK
    return mixed ^ mixed >> 14


def to_uint32(number: float) -> int:
    """Reduce a finite number to 32 bits as ECMAScript's ToUint32 does."""
    if type(number) is int:
        return number & _MASK
    if type(number) is not float:
        raise InvalidInput("seed", "number")
    if not math.isfinite(number):
        raise InvalidInput("seed", "finite")
    return int(number) & _MASK


def _draws(state: int) -> Iterator[int]:
    while True:
        yield first_draw(state)
        state = (state + _STEP) & _MASK
