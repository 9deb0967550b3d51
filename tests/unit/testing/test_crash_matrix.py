"""The crash matrix itself: every port call has cells that run, and every command crosses it."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from aiba_domain.administration.commands import Deny
from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.brokers.commands import Train
from aiba_domain.claims.ports import Signer, SignerUnavailable
from aiba_domain.ports import Clock, Reader, Store, UnitOfWork
from aiba_domain.testing.crash_matrix import (
    NOT_APPLICABLE,
    SCENARIOS,
    Cell,
    Depth,
    Fault,
    Matrix,
    Need,
    PortCall,
    Status,
    Way,
    calls,
    can_strike,
    cells,
    opened,
    ports,
    reason_against,
    run_matrix,
    table,
    unreached,
)
from aiba_domain.testing.crash_matrix import matrix as matrix_module
from aiba_domain.testing.crash_matrix.calls import calls_in, surface
from aiba_domain.testing.crash_matrix.stage import COMMANDS, MONEY
from aiba_domain.testing.crash_matrix.wiring import Injector, Strike, Wiring
from aiba_domain.testing.faults import Crash
from aiba_entry.cli.crash_matrix_parts import opener, parts

NO_MONEY = {
    "Reader.session": "opening a session",
    "Reader.wallet_owner": "binding a wallet",
    "Reader.flags_of": "moderation",
    "Reader.leaders": "a badge",
    "Reader.badge_holders": "as above",
    "Reader.last_checkpoint": "what of the ledger is sealed",
    "Reader.letter": "what players are told moves no money",
    "Reader.mailboxes_due": "as above",
    "Reader.lease": "who of the workers may work",
    "Reader.policies": "a change of the configuration",
    "Reader.admin_account": "who may administer the service",
    "Reader.admin_session": "an admin's logout",
    "Reader.attempts": "an admin's login",
}
"""What commands read in their unit of work that no command reads which moves money."""


@pytest.fixture(name="matrix", scope="module")
def _matrix() -> Iterator[Matrix]:
    with opened(opener("memory"), parts("memory")) as matrix:
        yield matrix


def test_every_protocol_is_a_port() -> None:
    """The ports of the core and of its areas are found, with what they take over."""
    assert {"Store", "UnitOfWork", "Signer", "PaymentReader", "Sessions", "Key"} <= set(ports())
    assert [str(call) for call in calls_in(UnitOfWork)] == ["UnitOfWork.write"]
    assert set(surface(Reader)) < set(surface(UnitOfWork))
    assert calls()["Store.transact"].lends == ("work", UnitOfWork)
    assert len(cells()) == len(calls()) * len(Fault)


def test_every_scenario_makes_the_calls_that_it_is_there_for(matrix: Matrix) -> None:
    """A scenario that doesn't come to its call would prove nothing about it."""
    lived = [each for each in SCENARIOS.values() if Need.REOPEN not in each.needs]
    assert len(lived) > 50
    assert unreached(matrix, lived) == {}


def test_every_port_call_is_made_by_a_scenario(matrix: Matrix) -> None:
    """A new call needs a scenario that makes it."""
    made = {
        call
        for each in SCENARIOS.values()
        for call in (each.reaches if Need.REOPEN in each.needs else matrix.undisturbed(each)[1])
    }
    assert made == set(calls())


def test_a_call_without_a_scenario_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither is it passed over, nor does it pass."""
    new = PortCall(port="Store", name="vanish", way=Way.AWAITED)
    with_it = {**calls(), str(new): new}
    monkeypatch.setattr(matrix_module, "calls", lambda: with_it)
    cell = Cell(call="Store.vanish", fault=Fault.CRASH_AFTER)
    report = run_matrix(opener("memory"), only={cell}, depth=Depth.SHORT)
    assert [each.failures for each in report.failed] == [("no scenario reaches Store.vanish",)]
    assert not report.is_passed


@pytest.mark.parametrize("name", calls())
def test_reasons_not_to_strike_are_needed(name: str) -> None:
    """A fault that can strike by the port's shape has no reason not to."""
    call = calls()[name]
    for fault in Fault:
        assert (reason_against(call, fault) is None) == can_strike(call, fault)


def test_reasons_are_of_ports() -> None:
    """No reason outlives its port."""
    assert set(NOT_APPLICABLE) <= set(ports())


def test_every_command_crosses_the_matrix(matrix: Matrix) -> None:
    """With a key, and without one where it needs none; each takes effect by one write or more."""
    assert set(COMMANDS) == set(HANDLERS)
    for kind, handler in HANDLERS.items():
        names = [kind.__name__] + ([] if handler.keyed else [f"{kind.__name__} without a key"])
        for name in names:
            ending, reached = matrix.undisturbed(SCENARIOS[name])
            assert reached["UnitOfWork.write"] == 1, name
            is_refused = any(isinstance(told, tuple) for told in ending.told)
            assert is_refused == (name == Deny.__name__), f"{name} is refused, or isn't"


def test_what_a_unit_of_work_does_is_struck_in_commands_that_move_money(matrix: Matrix) -> None:
    """Whatever a command reads or writes is met by one with money at stake, but what none has."""
    read, at_stake = set[str](), set[str]()
    for scenario in SCENARIOS.values():
        if scenario.is_command:
            reached = {
                call
                for call in matrix.undisturbed(scenario)[1]
                if call.partition(".")[0] in {"Reader", "UnitOfWork"}
            }
            read |= reached
            at_stake |= reached if MONEY & set(scenario.commands) else set()
    battles_by_arena = matrix.undisturbed(SCENARIOS["a battle by its arena"])[1]
    assert "Reader.modes" in battles_by_arena
    assert read - at_stake - {"Reader.modes"} == set(NO_MONEY)


def test_a_port_that_is_not_declared_is_not_passed() -> None:
    """Without the author's parts their cells are told as not declared."""
    only = [Cell(call=call, fault=Fault.CRASH_AFTER) for call in ("Key.sign", "Store.close")]
    report = run_matrix(opener("memory"), only=only, depth=Depth.SHORT)
    found = {each.cell.call: (each.status, each.reason) for each in report.verdicts}
    assert found == {
        "Store.close": (Status.NOT_DECLARED, "reopen"),
        "Key.sign": (Status.NOT_DECLARED, "isolated signer"),
    }
    assert not report.is_passed


def test_the_table_and_the_document_tell_every_cell() -> None:
    """A row for each call, a column for each fault, and the same as JSON."""
    only = [Cell(call="Clock.now", fault=fault) for fault in Fault]
    report = run_matrix(opener("memory"), only=only, depth=Depth.SHORT)
    assert report.is_passed
    lines = table(report).splitlines()
    assert lines[0].split("  ")[0] == "port call"
    assert lines[2].split() == ["Clock.now", "ok", "1", "ok", "1", "n/a", "ok", "1"]
    assert lines[-1] == "4 cells: 3 passed, 0 failed, 1 n/a, 0 not declared; 3 runs"
    document = json.loads(report.to_json())
    assert (document["runs"], document["passed"], document["n/a"]) == (3, 3, 1)
    assert [cell["fault"] for cell in document["cells"]] == list(Fault)


class Counting:
    """A signer and a clock that count what arrives."""

    def __init__(self) -> None:
        """Begin."""
        self.count = 0

    def now(self) -> int:
        """Count, and tell the number."""
        self.count += 1
        return self.count

    async def sign(self, terms: object) -> object:
        """Count, and give the terms back."""
        self.count += 1
        return terms


@pytest.mark.parametrize(
    ("fault", "arrived", "raised"),
    [
        (Fault.CRASH_BEFORE, 0, Crash),
        (Fault.CRASH_AFTER, 1, Crash),
        (Fault.TIMED_OUT, 1, SignerUnavailable),
        (Fault.DUPLICATED, 2, None),
    ],
)
def test_a_fault_does_what_it_is_called(
    fault: Fault, arrived: int, raised: type[Exception] | None
) -> None:
    """It strikes once, at its call and its time; a dead process makes no call any more."""
    injector = Injector(Strike(call="Signer.sign", fault=fault, nth=2))
    injector.is_armed = True
    wiring, inner = Wiring(injector), Counting()
    signer = wiring.connect(inner, Signer)

    def sign() -> None:
        with pytest.raises(StopIteration):
            signer.sign("terms").send(None)

    sign()
    if raised is None:
        sign()
    else:
        with pytest.raises(raised):
            signer.sign("terms").send(None)
    assert inner.count == 1 + arrived
    assert injector.has_struck
    clock = wiring.connect(inner, Clock)
    if raised is Crash:
        with pytest.raises(Crash):
            clock.now()
    else:
        assert clock.now() == 2 + arrived


def test_a_connected_port_offers_what_the_port_has() -> None:
    """The core sees no more of an adapter than its port."""
    store = Wiring(Injector()).connect(Counting(), Store)
    with pytest.raises(AttributeError, match="no vacuum"):
        store.vacuum()  # type: ignore[attr-defined]


def test_a_scenario_that_fails_undisturbed_is_told_as_that() -> None:
    """It isn't the fault's doing, and it is no pass."""
    broken = replace(HANDLERS[Train], decide=None)  # type: ignore[arg-type] # a broken rule
    mine = replace(parts("memory"), handlers={**HANDLERS, Train: broken}, pipeline=Pipeline)
    cell = Cell(call="Store.check", fault=Fault.CRASH_AFTER)
    report = run_matrix(opener("memory"), parts=mine, only={cell}, scenarios={"a check of health"})
    assert len(report.failed) == 1
    assert report.failed[0].failures[0].startswith("a check of health, without a fault: TypeError")
