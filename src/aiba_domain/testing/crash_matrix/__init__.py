"""The crash matrix: every call of every port, struck by every kind of fault there is.

A cell is one port call and one of {crash before, crash after, applied but timed out, duplicated}.
The calls are read off the ports themselves. In each cell a scenario that really makes the call is
lived through with the fault exactly there; then the process starts again, clients ask again under
their keys, the settlement runs, and the end is judged: by the independent auditors after every
attempt, and against the same scenario without a fault. Allowed to differ are the order of entries
in the ledger, events that a crash has lost, and what a scenario names in `may_differ`.

`run_matrix(open_store)` runs it on a store; `CrashMatrixContract` does so as pytest tests.
"""

from aiba_domain.testing.crash_matrix.calls import (
    NOT_APPLICABLE,
    Fault,
    PortCall,
    Way,
    calls,
    can_strike,
    ports,
    reason_against,
)
from aiba_domain.testing.crash_matrix.matrix import (
    Cell,
    Depth,
    Matrix,
    MatrixReport,
    Status,
    Verdict,
    cells,
    opened,
    run_matrix,
    unreached,
)
from aiba_domain.testing.crash_matrix.parts import FrontDoor, Isolated, Need, OpenStore, Parts
from aiba_domain.testing.crash_matrix.scenarios import SCENARIOS, Scenario
from aiba_domain.testing.crash_matrix.table import table
from aiba_domain.testing.crash_matrix.wiring import Strike

__all__ = [
    "NOT_APPLICABLE",
    "SCENARIOS",
    "Cell",
    "Depth",
    "Fault",
    "FrontDoor",
    "Isolated",
    "Matrix",
    "MatrixReport",
    "Need",
    "OpenStore",
    "Parts",
    "PortCall",
    "Scenario",
    "Status",
    "Strike",
    "Verdict",
    "Way",
    "calls",
    "can_strike",
    "cells",
    "opened",
    "ports",
    "reason_against",
    "run_matrix",
    "table",
    "unreached",
]
