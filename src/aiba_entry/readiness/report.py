"""What the gate says: lines for people, and one JSON object for machines. Neither has a secret."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from aiba_entry.readiness.advice import CODES
from aiba_entry.readiness.findings import Finding, Readiness


def lines(finding: Finding) -> Iterator[str]:
    """Yield what is wrong, and its mend."""
    advice = CODES[finding.code]
    yield f"- {', '.join(finding.variables)}: {finding.text} [{finding.code}]"
    yield f"    mend: {advice.mend}"
    if advice.command is not None:
        yield f"    run:  {advice.command}"
    yield f"    see:  {advice.doc}"


def text_of(title: str, findings: Sequence[Finding]) -> str:
    """Return a title and all findings with their mends."""
    return "\n".join([title, *(line for each in findings for line in lines(each))])


def record(finding: Finding) -> dict[str, Any]:
    """Return a finding with its mend as what JSON can say."""
    advice = CODES[finding.code]
    return {
        "code": finding.code,
        "variables": list(finding.variables),
        "text": finding.text,
        "mend": advice.mend,
        "command": advice.command,
        "doc": advice.doc,
    }


def refusal(code: str, errors: Sequence[Finding], warnings: Sequence[Finding] = ()) -> str:
    """Return what a process that refuses to start says on standard error.

    Lines for people come first; the last line is one JSON object with all of it.
    """
    title = f"{code}: refused to start, {len(errors)} problem(s)"
    machine = {
        "event": "refused to start",
        "level": "critical",
        "code": code,
        "errors": [record(each) for each in errors],
        "warnings": [record(each) for each in warnings],
    }
    return f"{text_of(title, errors)}\n{json.dumps(machine)}"


def refusal_of(readiness: Readiness) -> str:
    """Return the refusal of an environment that isn't ready."""
    return refusal(readiness.code, readiness.errors, readiness.warnings)


def document(readiness: Readiness, app_env: str, live: Sequence[Finding] | None) -> str:
    """Return a whole judgment as JSON; `live` None says that nothing was asked."""
    asked = [] if live is None else list(live)
    found = {
        "errors": [*readiness.errors, *(each for each in asked if not each.warning)],
        "warnings": [*readiness.warnings, *(each for each in asked if each.warning)],
    }
    body: Mapping[str, Any] = {
        "ready": not found["errors"],
        "code": readiness.code if found["errors"] else None,
        "appEnv": app_env,
        "prod": readiness.prod,
        "live": live is not None,
        **{name: [record(each) for each in findings] for name, findings in found.items()},
    }
    return json.dumps(body, indent=2)
