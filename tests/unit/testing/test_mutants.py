"""Every planted fault dies, by the property that is named for it, within its budget."""

from pathlib import Path

import pytest

from aiba_adapters.memory import MemoryStore
from aiba_adapters.ratelimit import MemoryRateLimiter
from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.errors import InvariantViolation
from aiba_domain.testing.contracts import SUITES
from aiba_domain.testing.machines import ArenaMachine
from aiba_domain.testing.mutants import (
    ABSENT,
    MUTANTS,
    Build,
    Executioner,
    Mutant,
    Outcome,
    kill,
    kill_all,
    table,
)
from aiba_domain.testing.mutants.properties import (
    ContractProperty,
    MachineProperty,
    RuleProperty,
)
from aiba_domain.testing.mutants.service import Service

MONEY_DEFECTS = tuple(
    f"D-{number:02}"
    for number in (
        *(1, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 21, 22, 23),
        *(30, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 48, 50),
        *(53, 54, 55, 56, 57, 66, 68, 69, 70, 71, 72, 73, 75, 76, 77, 79, 80, 81),
    )
)
"""The known defects by which money was made, lost or given to the wrong one."""


async def open_memory(_folder: Path) -> MemoryStore:
    """Open an empty store."""
    return MemoryStore()


SOUND = Build(open_store=open_memory, open_limiter=MemoryRateLimiter)


@pytest.fixture(name="executioner", scope="module")
def _executioner() -> Executioner:
    return Executioner(SOUND)


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.id for mutant in MUTANTS])
def test_a_planted_fault_dies(mutant: Mutant, executioner: Executioner) -> None:
    """By the property that is named, which passes as often on the same build without the fault."""
    verdict = executioner.kill(mutant)
    assert verdict.outcome is Outcome.KILLED, f"{mutant.killed_by.name}: {verdict.told}"
    assert 1 <= verdict.attempts <= mutant.budget
    assert verdict.told


def test_there_are_enough_of_them_and_each_is_named_once() -> None:
    """Ids are stable names; no two faults share one, and each says in words what it breaks."""
    assert len(MUTANTS) >= 30
    assert len({mutant.id for mutant in MUTANTS}) == len(MUTANTS)
    assert [mutant.id for mutant in MUTANTS if len(mutant.breaks.split()) < 4] == []


def test_every_money_defect_is_planted_or_has_nowhere_to_live() -> None:
    """A known defect has its mutant, or the part it lived in isn't there; never both."""
    planted = table(MUTANTS)
    assert {*planted} | {*ABSENT} == {*MONEY_DEFECTS}
    assert {*planted} & {*ABSENT} == set()


@pytest.mark.parametrize("defect", ABSENT)
def test_a_defect_of_an_absent_part_stays_impossible(defect: str) -> None:
    """Once there is a command in that area, its defects are planted too, or this fails."""
    assert ABSENT[defect].commands() == [], f"{defect}: {ABSENT[defect].why} is no longer so"
    assert ABSENT[defect].areas


def test_an_absent_part_that_comes_back_is_seen() -> None:
    """The guard above reads the real names of commands."""
    areas = {handler.name.partition(".")[0] for handler in HANDLERS.values()}
    assert {"battle", "claim", "broker"} <= areas


def test_what_kills_is_a_property_that_exists() -> None:
    """Its name leads to a suite's test, a rule with a docstring, or a rule of the machine."""
    suites = {kind for suite in SUITES.values() for kind in suite.__mro__}
    for mutant in MUTANTS:
        prop = mutant.killed_by
        if isinstance(prop, ContractProperty):
            assert prop.suite in suites, prop.name
            assert prop.test in prop.suite.properties(), prop.name
        elif isinstance(prop, RuleProperty):
            assert prop.rule.__doc__, prop.name
        elif isinstance(prop, MachineProperty):
            assert hasattr(ArenaMachine, prop.rule), prop.name
        assert prop.name
        assert prop.unit


def a_rule_that_holds(_service: Service) -> None:
    """Nothing is owed."""


def a_rule_that_never_holds(_service: Service) -> None:
    """Something is owed that no service does."""
    raise AssertionError("never")


def a_rule_that_breaks(service: Service) -> None:
    """Something is wrong with the rule itself, where the build is faulty."""
    if service.build is not SOUND:
        raise KeyError("a slip of the rule")


def a_rule_that_stops(service: Service) -> None:
    """The core itself stops, where the build is faulty."""
    if service.build is not SOUND:
        raise InvariantViolation("stopped")


def planted(rule: object, *, budget: int = 1) -> Mutant:
    """Return a mutant without a fault, killed by a rule or not."""

    def plant(build: Build) -> Build:
        return Build(open_store=build.open_store, open_limiter=build.open_limiter)

    return Mutant(
        id="none",
        breaks="nothing at all is broken here",
        plant=plant,
        killed_by=RuleProperty(rule=rule),  # type: ignore[arg-type] # one of those above
        budget=budget,
    )


@pytest.mark.parametrize(
    ("rule", "outcome", "attempts"),
    [
        (a_rule_that_holds, Outcome.SURVIVED, 0),
        (a_rule_that_never_holds, Outcome.UNSOUND, 1),
        (a_rule_that_breaks, Outcome.BROKEN, 1),
        (a_rule_that_stops, Outcome.KILLED, 1),
    ],
)
def test_only_a_property_that_fails_for_the_fault_kills(
    rule: object, outcome: Outcome, attempts: int
) -> None:
    """A survivor, a rule that fails anyway and a rule that breaks are told apart from a kill."""
    verdict = kill(planted(rule, budget=2), SOUND)
    assert (verdict.outcome, verdict.attempts) == (outcome, attempts)


def test_nothing_of_a_fault_is_left_behind() -> None:
    """The build it was planted in is as sound afterwards as before."""
    before = (SOUND, dict(HANDLERS))
    chosen = [
        mutant for mutant in MUTANTS if mutant.id in ("overdraft", "goods-twice", "cap-midnight")
    ]
    assert len(chosen) == 3
    for verdict in kill_all([*chosen, *chosen], SOUND):
        assert verdict.outcome is Outcome.KILLED
    assert (SOUND, dict(HANDLERS)) == before


def test_an_interrupt_is_no_verdict() -> None:
    """Ctrl-C ends the run."""

    def interrupted(_service: Service) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kill(planted(interrupted), SOUND)
