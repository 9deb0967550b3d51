"""The money defects of the service that this one replaces, and what keeps each of them dead.

A defect is planted as one mutant or several, each named in `Mutant.defects`: as the same fault of
what is here now, also where it was found in a part that is gone (a lock paid twice, a claim sent
blindly). Some have no place here at all, since no command touches what they were about: those are
`ABSENT`. Once such a command is there, a test wants their mutants.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.testing.mutants.model import Mutant


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """A defect of a part that isn't there. `areas` begin the names that its commands would have."""

    why: str
    areas: tuple[str, ...]

    def commands(self) -> list[str]:
        """Return the commands that are there all the same."""
        names = (handler.name for handler in HANDLERS.values())
        return sorted(name for name in names if name.partition(".")[0] in self.areas)


_STAKING: Final = Absent(why="nothing can be staked or locked", areas=("stake", "staking", "lock"))
_MARKET: Final = Absent(why="no broker can be bought from a player", areas=("market", "listing"))
_REFERRALS: Final = Absent(why="nobody is rewarded for inviting", areas=("referral", "invite"))

ABSENT: Final[Mapping[str, Absent]] = {
    "D-23": _MARKET,
    "D-37": _MARKET,
    "D-38": _STAKING,
    "D-44": _REFERRALS,
    "D-71": _REFERRALS,
    "D-73": _MARKET,
    "D-75": Absent(why="no boost can be bought", areas=("boost",)),
}
"""The defects of parts that this build hasn't."""


def table(mutants: Iterable[Mutant]) -> dict[str, tuple[Mutant, ...]]:
    """Return the mutants of each defect, by its number."""
    found: dict[str, tuple[Mutant, ...]] = {}
    for mutant in mutants:
        for defect in mutant.defects:
            found[defect] = (*found.get(defect, ()), mutant)
    return dict(sorted(found.items()))
