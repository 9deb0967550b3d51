"""`aiba drill`: prove that a backup can be put back, and measure what it would cost."""

import asyncio
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import click

from aiba_adapters.system.clock import SystemClock
from aiba_domain.signing import interchange_json
from aiba_domain.signing.faults import Faulty
from aiba_domain.signing.interchange import Protection
from aiba_entry.backups import report as reports
from aiba_entry.backups.console import told
from aiba_entry.backups.drill import Ground, drill
from aiba_entry.backups.places import backups_of
from aiba_entry.backups.report import DrillReport
from aiba_entry.chain import reader_for
from aiba_entry.cli.session import settings_or_exit
from aiba_entry.container import Container
from aiba_entry.metering import make_metrics
from aiba_entry.settings import Settings

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command("drill")
@click.option(
    "--backup", "source", type=_FOLDER, help="The backup to drill; one is taken without it."
)
@click.option(
    "--signer-export",
    type=click.Path(path_type=Path, dir_okay=False),
    help="What `aiba signer export` has written, to hold signed claims against.",
)
@click.option("--scratch", type=_FOLDER, help="Where there is room for a copy; the system's /tmp.")
@click.option("--no-chain", is_flag=True, help="Leave the chain out, though it is configured.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def drill_command(
    *,
    source: Path | None,
    signer_export: Path | None,
    scratch: Path | None,
    no_chain: bool,
    as_json: bool,
) -> None:
    """Restore a backup into a scratch place, audit it, and report what would be lost (RPO, RTO).

    Checks every hash, the ledger, each claim against the chain and the signer's memory, and what
    the live store has beyond the backup. Changes nothing; exits with 1 if anything doesn't hold.
    """
    settings = settings_or_exit()
    protection = None if signer_export is None else _read(signer_export)
    with (
        told() as tell,
        tempfile.TemporaryDirectory(prefix="aiba-drill-", dir=scratch) as folder,
    ):
        ground = Ground(
            backups=backups_of(settings),
            scratch=Path(folder),
            now=SystemClock().now,
            tell=tell,
            source=source,
            signer=protection,
        )
        report = asyncio.run(_drill(ground, None if no_chain else settings))
    click.echo(json.dumps(reports.document(report), indent=2) if as_json else reports.text(report))
    if not report.ok:
        raise SystemExit(1)


async def _drill(ground: Ground, settings: Settings | None) -> DrillReport:
    """Drill with the chain that the settings name, if they name one."""
    if settings is None or settings.ton is None:
        return await drill(ground)
    container = Container(settings=settings)
    container.metrics.override(make_metrics(()))
    reader = reader_for(settings.ton, container)
    try:
        return await drill(replace(ground, chain=reader))
    finally:
        await reader.close()


def _read(file: Path) -> Protection:
    try:
        return interchange_json.read(file.read_text(encoding="utf-8"))
    except Faulty as refused:
        raise click.ClickException("\n".join(refused.faults)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{file.name}: {error}") from None
