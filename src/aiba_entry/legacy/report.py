"""What an import says: a JSON document for machines and files, and a summary for whoever waits."""

from collections.abc import Iterator

from aiba_domain.instants import iso
from aiba_domain.legacy.findings import RULES, Findings
from aiba_domain.legacy.values import decimal_text
from aiba_entry.legacy.importing import Result
from aiba_entry.legacy.proof import Line, Proof

_MOST_LINES = 20

Json = dict[str, object]


def document(result: Result) -> Json:
    """Return the report of an import as JSON-able values."""
    return {
        "outcome": outcome(result),
        "source": {
            "digest": result.source,
            "snapshot": result.snapshot,
            "changedWhileRead": result.changed,
            "rows": result.rows,
        },
        "importedAt": iso(result.began_at),
        "findings": _findings(result.found),
        "undecided": list(result.undecided),
        "corrections": [
            {
                "book": book,
                "currency": currency,
                "code": code,
                "amount": decimal_text(amount),
                "rule": RULES[code].done,
            }
            for (book, currency, code), amount in sorted(result.found.corrections.items())
        ],
        "planned": dict(sorted(result.planned.items())),
        "units": {"all": result.units, "writtenNow": result.written},
        "aside": {"rows": dict(sorted(result.aside.items())), "sha256": result.archive},
        "proof": _proof(result.proof) if result.proof else None,
        "earlierProof": result.earlier,
    }


def outcome(result: Result) -> str:
    """Name what came of an import in one word."""
    if result.earlier:
        return "nothing to do"
    if result.changed:
        return "the source changes"
    if result.undecided:
        return "undecided"
    if result.dry_run:
        return "dry run"
    return "proven" if result.proof and not result.proof.faults else "not proven"


def lines(result: Result) -> Iterator[str]:
    """Yield the lines of a summary."""
    if result.earlier:
        yield f"nothing to do: imported at {iso(result.began_at)} and proven"
        yield f"state {result.earlier}"
        return
    view = "one moment, by a snapshot" if result.snapshot else "row after row"
    yield f"source: {sum(result.rows.values())} rows, read as {view}; digest {result.source}"
    if result.changed:
        yield "THE SOURCE CHANGED while it was read: stop what writes to it"
    yield from _finding_lines(result)
    yield (
        f"plan: {result.units} units, "
        + ", ".join(f"{count} {name}" for name, count in sorted(result.planned.items()) if count)
    )
    yield f"kept aside: {sum(result.aside.values())} lines; SHA-256 {result.archive}"
    if result.proof:
        yield f"written now: {result.written} of {result.units} units"
        yield from _proof_lines(result.proof)
    yield outcome(result)


def _finding_lines(result: Result) -> Iterator[str]:
    for code, tally in sorted(result.found.tallies.items()):
        rule = RULES[code]
        mark = " - NEEDS A DECISION" if code in result.undecided else ""
        yield f"{code}: {tally.count} x {rule.means}: {rule.done}{mark}"
        yield f"    {'; '.join(tally.examples)}"


def _proof_lines(proof: Proof) -> Iterator[str]:
    for line in proof.lines:
        if not (line.source or line.here or line.corrections):
            continue
        sign = "=" if line.agrees else "IS NOT"
        yield (
            f"{line.book} {line.currency}: {decimal_text(line.source)}"
            f" - {decimal_text(line.corrections)} {sign} {decimal_text(line.here)}"
        )
    for fault in proof.faults[:_MOST_LINES]:
        yield f"FAULT {fault}"
    yield f"state {proof.state}"


def _findings(found: Findings) -> list[Json]:
    return [
        {
            "code": code,
            "count": tally.count,
            "means": RULES[code].means,
            "done": RULES[code].done,
            "decision": RULES[code].decision,
            "examples": list(tally.examples),
        }
        for code, tally in sorted(found.tallies.items())
    ]


def _proof(proof: Proof) -> Json:
    return {
        "holds": not proof.faults,
        "faults": list(proof.faults),
        "state": proof.state,
        "ledgerEntries": proof.entries,
        "readBack": dict(sorted(proof.counts.items())),
        "guildsOutOfReach": proof.unreadable,
        "books": [_line(line) for line in proof.lines],
    }


def _line(line: Line) -> Json:
    return {
        "book": line.book,
        "currency": line.currency,
        "source": decimal_text(line.source),
        "corrections": decimal_text(line.corrections),
        "here": decimal_text(line.here),
        "agrees": line.agrees,
    }
