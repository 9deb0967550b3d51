"""`aiba audit`: rebuild every balance from the ledger and compare."""

import click

from aiba_domain.application.audit import AuditReport, audit_store
from aiba_entry.cli.session import with_container
from aiba_entry.container import Container


@click.command()
def audit() -> None:
    """Rebuild every balance from the ledger's history; exit with 1 if anything is wrong."""

    async def work(container: Container) -> AuditReport:
        return await audit_store(container.store())

    report = with_container(work)
    click.echo(f"{report.entries} entries, {report.accounts} balances")
    for currency, total in report.totals.items():
        click.echo(f"{currency} sums to {total}")
    for fault in report.faults:
        click.echo(f"FAULT {fault}")
    if not report.is_sound:
        raise SystemExit(1)
    click.echo("sound")
