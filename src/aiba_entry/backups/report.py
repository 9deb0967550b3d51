"""What a drill found: how much would be lost, how long it takes to come back, what doesn't hold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from aiba_adapters.backups import Manifest


class Status(StrEnum):
    """What became of one check of a drill."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that a drill looked at: what it found, and what it would have to find."""

    name: str
    status: Status
    facts: Sequence[str] = ()

    @classmethod
    def of(cls, name: str, faults: Sequence[str], facts: Sequence[str] = ()) -> "Check":
        """Return a check that failed if there are faults."""
        if faults:
            return cls(name=name, status=Status.FAILED, facts=faults)
        return cls(name=name, status=Status.OK, facts=facts)

    @classmethod
    def skipped(cls, name: str, why: str) -> "Check":
        """Return a check that wasn't made."""
        return cls(name=name, status=Status.SKIPPED, facts=(why,))


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """What the live store has and the backup lacks: the recovery point, were it lost now.

    `ms` is from the backup to the live ledger's last entry. `payments` names what was paid or
    signed since, which a restored store would have to be told of.
    """

    entries: int
    ms: int
    rows: Mapping[str, int]
    payments: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How long it took to check and put back the backup, and to audit what came of it, in ms."""

    restore_ms: int
    audit_ms: int

    @property
    def ms(self) -> int:
        """The recovery time: from the decision to a store that is known to be sound."""
        return self.restore_ms + self.audit_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillReport:
    """A drill; without a manifest the backup couldn't be used at all. `age_ms` is its age."""

    checks: Sequence[Check]
    manifest: Manifest | None = None
    age_ms: int = 0
    times: Times | None = None
    loss: Loss | None = None

    @property
    def ok(self) -> bool:
        """Whether all that was looked at holds."""
        return not any(check.status is Status.FAILED for check in self.checks)


def document(report: DrillReport) -> dict[str, object]:
    """Return the report as JSON; instants and durations in ms."""
    manifest, times, loss = report.manifest, report.times, report.loss
    return {
        "ok": report.ok,
        "backup": manifest
        and {
            "store": manifest.store,
            "schema": manifest.schema,
            "takenAt": manifest.taken_at,
            "ageMs": report.age_ms,
            "entries": manifest.ledger.entries,
            "digest": manifest.ledger.digest,
        },
        "rto": times and {"ms": times.ms, "restoreMs": times.restore_ms, "auditMs": times.audit_ms},
        "rpo": loss
        and {
            "entries": loss.entries,
            "ms": loss.ms,
            "rows": dict(loss.rows),
            "payments": list(loss.payments),
        },
        "checks": [
            {"name": check.name, "status": check.status.value, "facts": list(check.facts)}
            for check in report.checks
        ],
    }


def text(report: DrillReport) -> str:
    """Return the report as lines for an operator."""
    lines = []
    for check in report.checks:
        first, *others = check.facts or ("",)
        lines.append(f"{check.status.value:<8}{check.name:<12}{first}".rstrip())
        lines += [f"{'':<20}{other}" for other in others]
    if report.times:
        times = report.times
        lines.append(
            f"RTO {_seconds(times.ms)}: {_seconds(times.restore_ms)} to restore,"
            f" {_seconds(times.audit_ms)} to audit"
        )
    if report.loss:
        loss = report.loss
        lines.append(f"RPO {_seconds(loss.ms)}, {loss.entries} ledger entries")
        rows = [f"{count} {name}" for name, count in sorted(loss.rows.items()) if count > 0]
        lines += [f"    not in the backup: {', '.join(rows)}"] if rows else []
        lines += [f"    {payment}" for payment in loss.payments]
    lines.append("holds" if report.ok else "DOES NOT HOLD")
    return "\n".join(lines)


def _seconds(ms: int) -> str:
    return f"{ms // 1_000}.{ms % 1_000:03d} s"
