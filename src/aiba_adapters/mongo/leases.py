"""The seam at which daily emission caps are kept under units that run at once.

A rule reads what a day has emitted, decides, and posts. Two units that do so at once could pass a
cap together, since they share no document. Whoever implements `CapLeases` prevents that.
"""

from collections.abc import Mapping
from typing import Protocol

from aiba_domain.economy.emission import EmissionUse
from aiba_domain.money import Currency

Use = Mapping[Currency, EmissionUse]


class Touching(Protocol):
    """The part of a unit of work that a keeper of caps may use."""

    async def emitted_in_all(self, day: str) -> Use:
        """Return what a UTC day has emitted, by this unit's snapshot and its own postings."""
        ...

    def lock(self, name: str) -> None:
        """Let no two units that lock `name` be committed at once; the later one runs again."""
        ...


class CapLeases(Protocol):
    """Keeps the daily caps: what is emitted under all units is never above them."""

    async def use(self, unit: Touching, day: str) -> Use:
        """Return what a rule must take as emitted so far when it decides within `unit`."""
        ...

    async def spend(
        self, unit: Touching, day: str, amounts: Mapping[tuple[str, Currency], int]
    ) -> None:
        """Account for what a unit, which has asked for `use`, emits: amounts by arena and currency.

        Called before the commit, in the unit's transaction; what the unit doesn't keep isn't spent.
        """
        ...


class OneByOne:
    """Lets the units that emit on one day be committed one after another.

    Exact, and the day's lock is a document that every emission writes.
    """

    async def use(self, unit: Touching, day: str) -> Use:
        """Return what the day has emitted in all."""
        return await unit.emitted_in_all(day)

    async def spend(
        self, unit: Touching, day: str, amounts: Mapping[tuple[str, Currency], int]
    ) -> None:
        """Lock the day."""
        if amounts:
            unit.lock(f"emission:{day}")
