"""What a planted fault is, and how it dies: by the property that is named for it, within a budget.

A property is tried as often as the budget says: on the sound build, which must pass each time, and
then on the build with the fault in it, which must fail.
"""

import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol

import pytest

from aiba_domain.errors import DomainError, InvariantViolation
from aiba_domain.testing.mutants.build import Build, Plant

_VERDICTS: Final = (AssertionError, pytest.fail.Exception, InvariantViolation, DomainError)
"""What a property raises at a fault; InvariantViolation is how the core itself stops."""
_LONGEST: Final = 300


class Property(Protocol):
    """Something that a sound build does. Its name is stable, and says where it is written.

    `unit` says what one attempt is: a run, or a drawn example of it.
    """

    @property
    def name(self) -> str:
        """Return the name."""
        ...

    @property
    def unit(self) -> str:
        """Return what an attempt is."""
        ...

    @property
    def basis(self) -> str:
        """Return what names the attempt of a sound build, where several properties share one."""
        ...

    def attempt(self, build: Build, number: int) -> None:
        """Try a build, with what belongs to attempt `number` (from 1). Raises at a fault."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A fault, in words, and what kills it.

    `budget` is how many attempts of `killed_by` are enough. `defects` are the numbers of the known
    defects whose fault it is.
    """

    id: str
    breaks: str
    plant: Plant
    killed_by: Property
    budget: int = 1
    defects: tuple[str, ...] = ()


class Outcome(StrEnum):
    """What came of a mutant. Only `KILLED` is good."""

    KILLED = "killed"
    SURVIVED = "survived"
    UNSOUND = "unsound"
    """The property fails without the fault too, so its failing proves nothing."""
    BROKEN = "broken"
    """The attempt ended in an error that is nobody's verdict, or another property failed first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of a mutant: how, and at which attempt, 0 if at none."""

    mutant: Mutant
    outcome: Outcome
    attempts: int = 0
    told: str = ""


class Executioner:
    """Kills mutants of one sound build. What the build itself passed isn't tried again."""

    def __init__(self, build: Build) -> None:
        """Start with a build that is taken to be sound, until a property says otherwise."""
        self._build = build
        self._passed: dict[str, int] = {}

    def kill(self, mutant: Mutant) -> Verdict:
        """Try the sound build, then the one with the fault; say what came of it."""
        prop = mutant.killed_by
        for number in range(self._passed.get(prop.basis, 0) + 1, mutant.budget + 1):
            try:
                prop.attempt(self._build, number)
            except BaseException as failure:  # noqa: BLE001 - pytest's own is no Exception
                _let_pass(failure)
                told = _told(failure)
                return Verdict(mutant=mutant, outcome=Outcome.UNSOUND, attempts=number, told=told)
            self._passed[prop.basis] = number
        mutated = mutant.plant(self._build)
        for number in range(1, mutant.budget + 1):
            try:
                prop.attempt(mutated, number)
            except _VERDICTS as failure:
                told = _told(failure)
                return Verdict(mutant=mutant, outcome=Outcome.KILLED, attempts=number, told=told)
            except BaseException as failure:  # noqa: BLE001 - as above
                _let_pass(failure)
                told = _told(failure)
                return Verdict(mutant=mutant, outcome=Outcome.BROKEN, attempts=number, told=told)
        return Verdict(mutant=mutant, outcome=Outcome.SURVIVED)


def kill(mutant: Mutant, build: Build) -> Verdict:
    """Kill one mutant of a sound build, and say what came of it."""
    return Executioner(build).kill(mutant)


def kill_all(mutants: Iterable[Mutant], build: Build) -> list[Verdict]:
    """Kill many mutants of one sound build."""
    executioner = Executioner(build)
    return [executioner.kill(mutant) for mutant in mutants]


def _let_pass(failure: BaseException) -> None:
    """Raise on what is meant for the whole process."""
    if isinstance(failure, KeyboardInterrupt | SystemExit | GeneratorExit):
        raise failure


def _told(failure: BaseException) -> str:
    """Return what a failure says, in one line."""
    places = traceback.extract_tb(failure.__traceback__)
    text = " ".join(str(failure).split()) or (places[-1].line if places else "") or "no word"
    if not isinstance(failure, AssertionError | pytest.fail.Exception):
        text = f"{type(failure).__name__}: {text}"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
