"""`aiba audit`: rebuild every balance from the ledger and compare."""

import json

import click

from aiba_domain.application.audit import AuditReport, audit_store
from aiba_entry.cli.session import with_container
from aiba_entry.container import Container


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def audit(*, as_json: bool) -> None:
    """Rebuild every balance from the ledger's history; exit with 1 if anything is wrong."""

    async def work(container: Container) -> AuditReport:
        return await audit_store(container.store())

    report = with_container(work)
    if as_json:
        click.echo(json.dumps(_document(report), indent=2))
    else:
        _print(report)
    if not report.is_sound:
        raise SystemExit(1)


def _document(report: AuditReport) -> dict[str, object]:
    return {
        "sound": report.is_sound,
        "entries": report.entries,
        "balances": report.accounts,
        "totals": dict(report.totals),
        "faults": list(report.faults),
    }


def _print(report: AuditReport) -> None:
    click.echo(f"{report.entries} entries, {report.accounts} balances")
    for currency, total in report.totals.items():
        click.echo(f"{currency} sums to {total}")
    for fault in report.faults:
        click.echo(f"FAULT {fault}")
    if report.is_sound:
        click.echo("sound")
