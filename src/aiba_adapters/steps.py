"""What stores of every kind say of the numbered steps that lead to this build's schema."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Tell = Callable[[str, int, int], None]
"""Told of progress: which step, how much of it is done, and how much it is in all."""


class SchemaTooNew(Exception):  # noqa: N818 - named for the state of the store
    """The store was written by a later version of this package, which alone may open it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending:
    """A step that a store has yet to take: its number, what it does, how many rows it did."""

    number: int
    does: Sequence[str]
    done: int = 0
