"""What came of planted faults, as a table and as JSON, with the table of money defects."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Final

from aiba_domain.testing.mutants.defects import ABSENT, table
from aiba_domain.testing.mutants.model import Mutant, Outcome, Verdict

FORMAT: Final = 1
"""The version of the JSON form: a reader refuses a higher one."""


def is_good(verdicts: Sequence[Verdict]) -> bool:
    """Tell whether there were any, and all of them were killed."""
    return bool(verdicts) and all(each.outcome is Outcome.KILLED for each in verdicts)


def line(verdict: Verdict) -> str:
    """Return a verdict in one line: what came of which fault, by what, at which attempt."""
    mutant = verdict.mutant
    by, budget = mutant.killed_by.name, f"of {mutant.budget} ({mutant.killed_by.unit})"
    if verdict.outcome is Outcome.KILLED:
        return f"killed    {mutant.id:28} by {by}, attempt {verdict.attempts} {budget}"
    told = f": {verdict.told}" if verdict.told else ""
    return f"{verdict.outcome.upper():9} {mutant.id:28} {mutant.breaks}; {by} {budget}{told}"


def summary(verdicts: Sequence[Verdict]) -> str:
    """Return how many came to what."""
    counted = Counter(each.outcome for each in verdicts)
    counts = ", ".join(f"{counted[outcome]} {outcome}" for outcome in Outcome)
    return f"{len(verdicts)} planted faults: {counts}"


def defect_lines(mutants: Sequence[Mutant]) -> list[str]:
    """Return a line for each money defect: the faults that it is planted as, or why it can't be."""
    planted = table(mutants)
    lines = {
        defect: ", ".join(f"{mutant.id} ({mutant.killed_by.name})" for mutant in found)
        for defect, found in planted.items()
    }
    lines |= {defect: f"not in this build: {absent.why}" for defect, absent in ABSENT.items()}
    return [f"{defect}: {text}" for defect, text in sorted(lines.items())]


def to_json(verdicts: Sequence[Verdict]) -> str:
    """Return the verdicts, the counts and the defects as one JSON document."""
    counted = Counter(each.outcome for each in verdicts)
    mutants = [each.mutant for each in verdicts]
    planted = table(mutants)
    document: dict[str, object] = {
        "format": FORMAT,
        "good": is_good(verdicts),
        **{outcome: counted[outcome] for outcome in Outcome},
        "mutants": [
            {
                "id": each.mutant.id,
                "breaks": each.mutant.breaks,
                "defects": list(each.mutant.defects),
                "property": each.mutant.killed_by.name,
                "unit": each.mutant.killed_by.unit,
                "budget": each.mutant.budget,
                "outcome": each.outcome,
                "attempts": each.attempts,
                "told": each.told,
            }
            for each in verdicts
        ],
        "defects": {defect: [mutant.id for mutant in found] for defect, found in planted.items()},
        "absent": {defect: absent.why for defect, absent in ABSENT.items()},
    }
    return json.dumps(document, indent=2)
