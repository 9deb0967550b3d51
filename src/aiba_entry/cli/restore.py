"""`aiba restore`: a checked backup put in the place of the store."""

import asyncio
from pathlib import Path

import click

from aiba_adapters.backups import Backups, Manifest, PlaceOccupied, Tell
from aiba_domain.instants import iso
from aiba_entry.backups.console import told
from aiba_entry.backups.places import backups_of, suited
from aiba_entry.cli.session import settings_or_exit


@click.command()
@click.argument("source", type=click.Path(path_type=Path))
@click.option(
    "--replace",
    is_flag=True,
    help="Take the place of the embedded store that is there, which is kept.",
)
def restore(*, source: Path, replace: bool) -> None:
    """Put the backup SOURCE into AIBA_DATA_DIR, which must hold nothing but secrets.

    Every byte is checked before. Nothing is half restored, whenever it is killed: the old state or
    the new one is there. With MONGO_URI it goes into that database, which must be empty: no server
    starts on it until this has come to its end, by the same command as often as it takes. A backup
    of the other kind of store is put back as well, as one of this kind. No server may work on the
    store. Look at `aiba drill` before you start one: what was paid since the backup
    was taken isn't in it.
    """
    settings = settings_or_exit()
    with told() as tell:
        backups = backups_of(settings)
        try:
            manifest, kept = asyncio.run(_restore(source, backups, replace=replace, tell=tell))
        except PlaceOccupied as there:
            hint = "--replace keeps and replaces it"
            if not backups.can_replace:
                hint = "restore into an empty one"
            raise click.ClickException(f"{there}; {hint}") from None
    click.echo(f"restored the state of {iso(manifest.taken_at)}")
    click.echo(f"ledger of {manifest.ledger.entries} entries, {manifest.ledger.digest}")
    if kept is not None:
        click.echo(f"what was there before is kept as {kept}")


async def _restore(
    source: Path, backups: Backups, *, replace: bool, tell: Tell
) -> tuple[Manifest, str | None]:
    async with suited(source, backups, tell=tell) as (folder, manifest):
        return manifest, await backups.load(folder, manifest, replace=replace, tell=tell)
