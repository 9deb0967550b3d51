"""The matrix as text: a row for each port call, a column for each kind of fault."""

from collections.abc import Mapping, Sequence
from typing import Final

from aiba_domain.testing.crash_matrix.calls import Fault
from aiba_domain.testing.crash_matrix.matrix import Cell, MatrixReport, Status, Verdict

_MOST_FAILURES: Final = 3
_HEAD: Final = "port call"


def table(report: MatrixReport) -> str:
    """Return the table, what failed, why cells didn't run, and the counts in the last line."""
    found = {each.cell: each for each in report.verdicts}
    calls = list(dict.fromkeys(each.cell.call for each in report.verdicts))
    rows = [
        (call, *(_text(found.get(Cell(call=call, fault=fault))) for fault in Fault))
        for call in calls
    ]
    return "\n".join((*_grid(rows), "", *_failures(report), *_reasons(found), _counts(report)))


def _text(verdict: Verdict | None) -> str:
    """Return what stands in one cell: how many runs it took, or why it had none."""
    if verdict is None:
        return ""
    if verdict.status is Status.PASSED:
        return f"ok {verdict.runs}"
    if verdict.status is Status.FAILED:
        return f"FAILED {len(verdict.failures)} of {verdict.runs}"
    return verdict.status


def _grid(rows: Sequence[Sequence[str]]) -> list[str]:
    head = (_HEAD, *Fault)
    widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]
    return [lines[0], "-" * len(lines[0]), *lines[1:]]


def _failures(report: MatrixReport) -> list[str]:
    lines = []
    for verdict in report.failed:
        lines.append(f"FAILED {verdict.cell}")
        lines += [f"  {failure}" for failure in verdict.failures[:_MOST_FAILURES]]
        more = len(verdict.failures) - _MOST_FAILURES
        lines += [f"  and {more} more"] if more > 0 else []
    return lines


def _reasons(found: Mapping[Cell, Verdict]) -> list[str]:
    """Say once why cells weren't run: of a port, or for what isn't declared."""
    lines = []
    for cell, verdict in found.items():
        if verdict.status is Status.NOT_APPLICABLE:
            port = cell.call.partition(".")[0]
            lines.append(f"n/a {port}, {cell.fault}: {verdict.reason}")
        elif verdict.status is Status.NOT_DECLARED:
            lines.append(f"not declared: {verdict.reason}")
    return list(dict.fromkeys(lines))


def _counts(report: MatrixReport) -> str:
    counts = ", ".join(f"{report.count(status)} {status}" for status in Status)
    return f"{len(report.verdicts)} cells: {counts}; {report.runs} runs"
