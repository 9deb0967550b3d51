"""`aiba audit`: make every balance again from the ledger, and go along its chain of checkpoints."""

import json
from pathlib import Path

import click

from aiba_domain.application.audit import AuditReport, audit_store
from aiba_entry.cli.audit_export import export_chain
from aiba_entry.cli.session import with_container
from aiba_entry.container import Container


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
@click.option(
    "--head",
    metavar="HASH",
    help="A checkpoint's hash that was kept: the chain must hold it.",
)
@click.option(
    "--export",
    "export",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the chain with its entries to a new file, for tools/verify_ledger.py.",
)
@click.option("--without-entries", is_flag=True, help="Export no entries: they name players.")
def audit(*, as_json: bool, head: str | None, export: Path | None, without_entries: bool) -> None:
    """Go through the whole ledger, offline or beside a server; exit with 1 if anything is wrong.

    Every entry is held against the checkpoint that sealed it, every balance against its entries.
    """
    if without_entries and export is None:
        raise click.UsageError("--without-entries says how to --export")
    if export is not None and export.exists():
        raise click.BadParameter(f"{export} is there already", param_hint="--export")

    async def work(container: Container) -> tuple[AuditReport, int | None]:
        report = await audit_store(container.store(), head=head)
        if export is None:
            return report, None
        exported = await export_chain(container.store(), export, entries=not without_entries)
        return report, exported

    report, exported = with_container(work)
    if as_json:
        click.echo(json.dumps(_document(report), indent=2))
    else:
        _print(report)
        if exported is not None:
            click.echo(f"{exported} checkpoints written to {export}")
    if not report.is_sound:
        raise SystemExit(1)


def _document(report: AuditReport) -> dict[str, object]:
    return {
        "sound": report.is_sound,
        "entries": report.entries,
        "balances": report.accounts,
        "totals": dict(report.totals),
        "checkpoints": report.checkpoints,
        "sealed": report.sealed,
        "head": report.head,
        "faults": list(report.faults),
    }


def _print(report: AuditReport) -> None:
    click.echo(f"{report.entries} entries, {report.accounts} balances")
    if report.checkpoints:
        click.echo(f"{report.checkpoints} checkpoints seal the entries up to {report.sealed}")
        click.echo(f"head {report.head}")
    for currency, total in report.totals.items():
        click.echo(f"{currency} sums to {total}")
    for fault in report.faults:
        click.echo(f"FAULT {fault}")
    if report.is_sound:
        click.echo("sound")
