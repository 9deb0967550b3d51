"""Room under the caps, granted in portions: never more than the cap, and nothing of it is lost."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from aiba_adapters.mongo.leases import Look, OneByOne, Portions, RoomWanted
from aiba_adapters.mongo.rooms import Wanted
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.money import Currency
from tests.support.rooms import DAY, Conflict, Died, Emission, Table, Unit, decide, emit, run

ARENAS = ("prediction", "simulation")
CAPPED = (Currency.NEUR, Currency.AIBA)

emissions = st.builds(
    Emission,
    arena=st.sampled_from(ARENAS),
    amount=st.integers(1, 30),
    currency=st.sampled_from(CAPPED),
)
caps = st.fixed_dictionaries(
    {
        "daily_cap_neur": st.integers(0, 200) | st.integers(150, 400),
        "daily_cap_aiba": st.integers(0, 60),
        "daily_cap_neur_by_arena": st.dictionaries(
            st.sampled_from(ARENAS), st.integers(0, 150), max_size=2
        ),
    }
)


def left(table: Table, currency: Currency, arena: str) -> int:
    """Return what the caps leave in an arena."""
    cap, of_arena = table.policy.daily_cap(currency), table.policy.daily_cap_by_arena(currency)
    assert cap is not None
    day = cap - table.emitted(currency)
    if arena not in of_arena:
        return day
    return min(day, of_arena[arena] - table.emitted(currency, arena))


def check_nothing_is_lost(table: Table) -> None:
    """Let a process that comes after all others are dead emit to the last unit, and no further."""
    heir = Portions()
    for currency in CAPPED:
        for arena in ARENAS:
            most = left(table, currency, arena)
            if most > 0:
                wanted = Emission(arena=arena, amount=most, currency=currency)
                assert emit(table, heir, 7, wanted)[0]
            wanted = Emission(arena=arena, amount=1, currency=currency)
            assert not emit(table, heir, 7, wanted)[0]


class CapRoom(RuleBasedStateMachine):
    """Units of three processes in any order: begun, committed, died in; caps that change."""

    def __init__(self) -> None:
        """Begin with the usual policy."""
        super().__init__()
        self.table = Table(EconomyPolicy())
        self.policies = [self.table.policy]
        self.processes = [Portions() for _ in range(3)]
        self.under_way: list[tuple[int, Unit, Portions, Emission | None]] = []
        self.wishes: list[tuple[int, int, tuple[Wanted, ...]]] = []

    @initialize(changes=caps)
    def begin(self, changes: Mapping[str, Any]) -> None:
        """Begin with caps."""
        self.table.policy = replace(self.table.policy, **changes)
        self.policies = [self.table.policy]

    @rule(
        process=st.integers(0, 2),
        place=st.integers(0, 2),
        wanted=emissions,
        look=st.sampled_from((Look.SPENDING, Look.SPENDING, Look.SPENDING, Look.GATHERING)),
    )
    def decide(self, process: int, place: int, wanted: Emission, look: Look) -> None:
        """Decide on a snapshot; the commit is for later. Two processes share some shares."""
        share = 2 * process + place
        unit = Unit(self.table, share, look)
        keeper = self.processes[process]
        try:
            if run(decide(unit, keeper, wanted)):
                self.under_way.append((process, unit, keeper, wanted))
        except RoomWanted as wish:
            self.wishes.append((process, share, wish.wanted))

    @precondition(lambda self: self.wishes)
    @rule(data=st.data())
    def grant(self, data: st.DataObject) -> None:
        """Decide on a grant; the commit is for later."""
        process, share, wanted = self.wishes.pop(
            data.draw(st.integers(0, len(self.wishes) - 1), label="wish")
        )
        unit = Unit(self.table, share)
        run(self.processes[process].grant(unit, DAY, wanted))
        self.under_way.append((process, unit, self.processes[process], None))

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def commit(self, data: st.DataObject) -> None:
        """Commit one of those under way."""
        self._commit(data.draw(st.integers(0, len(self.under_way) - 1), label="unit"))

    def _commit(self, place: int) -> None:
        _, unit, _, wanted = self.under_way.pop(place)
        try:
            unit.commit()
        except Conflict:
            return
        if wanted is not None:
            allowed = [self.table.policy] if unit.policy_seen is self.table.policy else []
            self._check_caps(allowed or self.policies, wanted)

    def _check_caps(self, policies: list[EconomyPolicy], wanted: Emission) -> None:
        """Check that what a unit knew of the caps, or knew once, is kept."""
        currency, arena = wanted.currency, wanted.arena
        assert self.table.emitted(currency) <= max(
            policy.daily_cap(currency) or 0 for policy in policies
        )
        of_arena = [policy.daily_cap_by_arena(currency).get(arena) for policy in policies]
        bounds = [each for each in of_arena if each is not None]
        if len(bounds) == len(of_arena):
            assert self.table.emitted(currency, arena) <= max(bounds)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data())
    def die(self, data: st.DataObject) -> None:
        """Let a unit die before its commit."""
        self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1), label="unit"))

    @precondition(lambda self: self.under_way)
    @rule()
    def commit_all(self) -> None:
        """Commit what is under way, in its order."""
        while self.under_way:
            self._commit(0)

    @rule(wanted=st.lists(emissions, min_size=1, max_size=6), process=st.integers(0, 2))
    def emit(self, wanted: list[Emission], process: int) -> None:
        """Emit by one process with nobody in between, up to the end of grants and gathering."""
        for number, each in enumerate(wanted):
            if emit(self.table, self.processes[process], 2 * process + number % 3, each)[0]:
                self._check_caps([self.table.policy], each)

    @rule(
        process=st.integers(0, 2),
        what=st.sampled_from(("die", "drain", "caps")),
        changes=caps,
    )
    def disturb(self, process: int, what: str, changes: Mapping[str, Any]) -> None:
        """Let a process die or end in order, or change the caps while units are under way."""
        if what == "caps":
            self.change_caps(changes)
        elif what == "drain":
            self.drain(process)
        else:
            self.kill(process)

    def kill(self, process: int) -> None:
        """Let a process die with all that it has under way, and another take its place."""
        self.processes[process] = Portions()
        self.under_way = [each for each in self.under_way if each[0] != process]
        self.wishes = [each for each in self.wishes if each[0] != process]

    def drain(self, process: int) -> None:
        """Let a process end in order."""
        self.kill(process)
        ours = {f"{2 * process + place}" for place in range(3)}
        unit = Unit(self.table, 2 * process)
        run(Portions().give_back(unit, DAY, lambda key: key.rpartition("#")[2] in ours))
        unit.commit()

    def change_caps(self, changes: Mapping[str, Any]) -> None:
        """Raise or lower the caps while units are under way."""
        self.table.policy = replace(
            self.table.policy, version=self.table.policy.version + 1, **changes
        )
        self.policies.append(self.table.policy)

    @invariant()
    def room_is_within_the_caps(self) -> None:
        """Where there is room of the newest policy, all room and emissions are within its caps."""
        policy = self.table.policy
        for share in self.table.shares.values():
            for currency in CAPPED:
                if not share.room.held(currency, policy.version):
                    continue
                cap = policy.daily_cap(currency)
                assert cap is not None
                assert self.table.emitted(currency) + self.table.room(currency) <= cap
                of_arena = policy.daily_cap_by_arena(currency).get(share.arena)
                if of_arena is not None:
                    gone = self.table.emitted(currency, share.arena)
                    assert gone + self.table.room(currency, share.arena) <= of_arena

    def teardown(self) -> None:
        """See that nothing is lost, whatever died."""
        check_nothing_is_lost(self.table)


TestCapRoom = CapRoom.TestCase
TestCapRoom.settings = settings(stateful_step_count=50, max_examples=40)


@given(changes=caps, wanted=st.lists(emissions, max_size=60))
def test_one_process_decides_as_one_by_one(
    changes: Mapping[str, Any], wanted: list[Emission]
) -> None:
    """What one process grants and refuses is what a lock for each emission would."""
    policy = replace(EconomyPolicy(), **changes)
    one, other = Table(policy), Table(policy)
    portions, one_by_one = Portions(), OneByOne()
    for number, each in enumerate(wanted):
        share = number % 3
        assert emit(one, portions, share, each)[0] == emit(other, one_by_one, share, each)[0]


@given(changes=caps, wanted=st.lists(emissions, min_size=1, max_size=12), lives=st.integers(0, 90))
def test_a_death_at_any_call_loses_nothing(
    changes: Mapping[str, Any], wanted: list[Emission], lives: int
) -> None:
    """A process that dies at any of its calls, commits included, leaves nothing out of reach."""
    table = Table(replace(EconomyPolicy(), **changes))
    keeper, other = Portions(), Portions()
    try:
        for number, each in enumerate(wanted):
            emit(table, other, 5, Emission(arena=each.arena, amount=1, currency=each.currency))
            lives = emit(table, keeper, number % 3, each, lives=lives)[1]
    except Died:
        pass
    for currency in CAPPED:
        cap = table.policy.daily_cap(currency)
        assert cap is not None
        assert table.emitted(currency) + table.room(currency) <= cap
    check_nothing_is_lost(table)


@pytest.mark.parametrize("processes", [1, 4])
def test_a_hundred_emissions_share_one_write_at_the_most(processes: int) -> None:
    """Emissions of 1 to 40 on all shares of all processes, once each share has had its first."""
    table = Table(replace(EconomyPolicy(), daily_cap_neur=100_000_000))
    keepers = [Portions() for _ in range(processes)]

    def turn(rounds: int) -> int:
        before = sum(each.shared_writes for each in keepers)
        for number in range(rounds):
            for place, keeper in enumerate(keepers):
                for share in range(64):
                    amount = 1 + (number * 7 + share) % 40
                    wanted = Emission(arena=ARENAS[0], amount=amount)
                    assert emit(table, keeper, 64 * place + share, wanted)[0]
        return sum(each.shared_writes for each in keepers) - before

    assert turn(1) <= 64 * processes
    rounds = 1_200 // processes // 4
    assert turn(rounds) <= rounds * 64 * processes / 100


def test_a_lowered_cap_lets_nothing_more_out() -> None:
    """Room that was granted under a higher cap can't be spent once a lower one is known."""
    table, keeper = Table(replace(EconomyPolicy(), daily_cap_neur=1_000)), Portions()
    wanted = Emission(arena=ARENAS[0], amount=10)
    assert emit(table, keeper, 0, wanted)[0]
    assert table.room(Currency.NEUR) > 0
    table.policy = replace(table.policy, version=2, daily_cap_neur=15)
    assert not emit(table, keeper, 0, wanted)[0]
    assert emit(table, keeper, 0, replace(wanted, amount=5))[0]
    assert not emit(table, keeper, 0, replace(wanted, amount=1))[0]
    table.policy = replace(table.policy, version=3, daily_cap_neur=16)
    assert emit(table, keeper, 0, replace(wanted, amount=1))[0]
    assert table.emitted(Currency.NEUR) == 16
