"""The chance of a simulation: each step has its own, so that leaving one out changes no other."""

from collections.abc import Sequence
from typing import Final, TypeVar

T = TypeVar("T")

_MASK: Final = (1 << 64) - 1
_GOLDEN: Final = 0x9E3779B97F4A7C15
_ONE: Final = 1 << 53


class Dice:
    """A SplitMix64 generator: a seed and a step give the same throws on any Python and machine."""

    __slots__ = ("_state",)

    def __init__(self, seed: int, step: int) -> None:
        """Start the throws of one step of one seed; both are at least 0."""
        self._state = seed & _MASK
        self._state = self._next() ^ (step * _GOLDEN & _MASK)

    def _next(self) -> int:
        self._state = word = (self._state + _GOLDEN) & _MASK
        word = (word ^ (word >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
        word = (word ^ (word >> 27)) * 0x94D049BB133111EB & _MASK
        return word ^ (word >> 31)

    def below(self, end: int) -> int:
        """Return one of 0 to `end` - 1; `end` is far below 2^32."""
        return self._next() * end >> 64

    def between(self, low: int, high: int) -> int:
        """Return one of `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def chance(self, of_a_thousand: int) -> bool:
        """Tell whether something happens that does so in that many of 1,000 cases."""
        return self.below(1_000) < of_a_thousand

    def pick(self, choices: Sequence[T]) -> T:
        """Return one of the choices."""
        return choices[self.below(len(choices))]

    def weighted(self, table: "Table[T]") -> T:
        """Return one entry of a table, each as often as its weight says."""
        left = self.below(table.total)
        for entry, weight in table.entries:
            left -= weight
            if left < 0:
                return entry
        raise AssertionError(table)  # the weights sum to the total


class Table(Sequence[T]):
    """Entries with their weights, which are ints."""

    def __init__(self, *entries: tuple[T, int]) -> None:
        """Sum the weights once."""
        self.entries = entries
        self.total = sum(weight for _, weight in entries)

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, place: int) -> T:  # type: ignore[override]
        return self.entries[place][0]
