"""The ledger's audit as a service has it: the worker, its metrics, and what admins are told."""

import contextlib
import sqlite3
from typing import Any

import pytest
import structlog

from aiba_domain.application.ledger_auditor import LedgerAuditor
from aiba_domain.leases.model import Lease
from aiba_entry.auditing import Inspector, auditing
from aiba_entry.duty import Duty
from tests.contract.admin.conftest import MakeGame
from tests.contract.game.support import Game, data_of
from tests.support.admins import Panel

PATH = "/api/admin/audit/ledger"


def inspector(game: Game, holder: str = "this") -> Inspector:
    """Return a worker, as one process of several has it."""
    container = game.container
    return Inspector(
        auditor=LedgerAuditor(store=game.store, clock=game.clock, seal_after_ms=0),
        duty=Duty(container.leases(), "ledger.audit", holder=holder, ttl_ms=30_000),
        pipeline=container.pipeline(),
        metrics=container.metrics().audit,
    )


def shown(game: Game) -> dict[str, float]:
    """Return the audit's metrics as they are scraped."""
    lines = game.get("/metrics").text.splitlines()
    found = [line.rsplit(" ", 1) for line in lines if line.startswith("aiba_ledger_audit_")]
    return {name: float(value) for name, value in found}


def test_before_the_first_round_nothing_is_said(root: Panel) -> None:
    """Neither that all is well nor that it isn't."""
    told = data_of(root.get(PATH))
    assert (told["ok"], told["at"], told["entries"], told["findings"]) == (None, None, 0, [])


def test_a_round_is_told_to_admins_and_metrics(game: Game, root: Panel) -> None:
    """What was audited and sealed, and that nothing is wrong."""
    player = game.newcomer()
    game.fund(player, NEUR=5, AIBA=7)
    game.run(inspector(game).go_round())
    told = data_of(root.get(PATH))
    assert told["ok"] is True
    assert (told["entries"], told["checkpoints"], told["behindMs"]) == (2, 1, 0)
    assert told["head"] == game.sound().head
    assert told["passedAt"] == told["at"]
    metrics = shown(game)
    assert metrics["aiba_ledger_audit_ok"] == 1
    assert metrics["aiba_ledger_audit_entries"] == 2
    assert metrics["aiba_ledger_audit_lag_seconds"] == 0
    at = metrics["aiba_ledger_audit_last_success_timestamp_seconds"]
    assert at == game.clock.now() / 1_000
    assert metrics['aiba_ledger_audit_runs_total{result="ok"}'] == 1
    assert {value for name, value in metrics.items() if "findings{" in name} == {0}


def test_what_is_wrong_is_told_in_detail(game: Game, root: Panel) -> None:
    """A balance that was changed behind the store's back: to admins, to metrics, and to the log."""
    player = game.newcomer()
    game.fund(player, NEUR=5)
    worker = inspector(game)
    game.run(worker.go_round())
    assert game._database is not None
    with contextlib.closing(sqlite3.connect(game._database)) as connection, connection:
        connection.execute("UPDATE accounts SET balance = 6 WHERE name = ?", (f"player:{player}",))
    game.clock.advance(1_000)
    with structlog.testing.capture_logs() as logs:
        game.run(worker.go_round())
        game.run(worker.go_round())
    told = data_of(root.get(PATH))
    text = f"player:{player} stores 6 NEUR, its history says 5"
    assert told["ok"] is False
    assert told["found"] == 2
    assert told["findings"] == [
        {"kind": "balance", "subject": f"player:{player} NEUR", "text": text},
        {"kind": "imbalance", "subject": "NEUR", "text": "NEUR sums to 1"},
    ]
    assert told["passedAt"] < told["at"]
    metrics = shown(game)
    assert metrics["aiba_ledger_audit_ok"] == 0
    assert metrics['aiba_ledger_audit_findings{kind="balance"}'] == 1
    assert metrics['aiba_ledger_audit_runs_total{result="findings"}'] == 2
    errors = [each["finding"] for each in logs if each["log_level"] == "error"]
    assert errors == [text, "NEUR sums to 1"]


def test_one_of_two_processes_works(game: Game) -> None:
    """The other has no gauges; it goes on with the same chain when its time comes."""
    game.fund("1", NEUR=1)
    first, second = inspector(game, "first"), inspector(game, "second")
    game.run(first.go_round())
    game.run(second.go_round())
    assert shown(game)['aiba_ledger_audit_runs_total{result="elsewhere"}'] == 1
    assert "aiba_ledger_audit_ok" not in shown(game)
    game.clock.advance(30_001)
    game.fund("1", NEUR=2)
    game.run(second.go_round())
    game.fund("1", NEUR=3)
    game.run(first.go_round())
    report = game.sound()
    assert (report.checkpoints, report.sealed) == (2, 2)
    game.clock.advance(30_001)
    game.run(first.go_round())
    assert (game.sound().checkpoints, game.sound().sealed) == (3, 3)


def test_a_worker_that_was_overtaken_seals_nothing(game: Game) -> None:
    """What it sends under a lease that it has lost is refused, and the chain is the other's."""
    game.fund("1", NEUR=1)
    leases = game.container.leases()
    lease: Lease | None = game.run(leases.acquire("ledger.audit", "slow", 1))
    assert lease is not None
    game.clock.advance(2)
    game.run(inspector(game, "quick").go_round())
    slow = LedgerAuditor(store=game.store, clock=game.clock, seal_after_ms=0)
    game.fund("1", NEUR=1)

    async def breathe() -> None:
        return

    with pytest.raises(Exception, match="lease lost"):
        game.run(slow.go_round(game.container.pipeline().under(lease), breathe))
    assert game.sound().checkpoints == 1


@pytest.mark.parametrize(("seconds", "works"), [("0", False), ("1", True)])
def test_it_can_be_switched_off(make_game: MakeGame, seconds: str, works: bool) -> None:  # noqa: FBT001
    """With 0 no worker is started, and there are no metrics of it."""
    game = make_game(LEDGER_AUDIT_SECONDS=seconds)

    async def live() -> None:
        async with auditing(game.container):
            pass

    game.run(live())
    metrics: dict[str, Any] = vars(game.container.metrics())
    assert ("audit" in metrics) == works
