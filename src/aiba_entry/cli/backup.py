"""`aiba backup`: one consistent state of the store, taken while a server works on it."""

import asyncio
import json
from pathlib import Path

import click

from aiba_adapters.backups import Manifest, take
from aiba_domain.instants import iso
from aiba_entry.backups.console import told
from aiba_entry.backups.places import backups_of
from aiba_entry.cli.session import settings_or_exit


@click.command()
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def backup(*, target: Path, as_json: bool) -> None:
    """Take a backup into the new folder TARGET, also while a server runs.

    TARGET appears whole or not at all, and nothing is ever written over. It holds no secret:
    keep the environment's secrets, and in development dev-secrets.json, by other means.
    """
    settings = settings_or_exit()
    with told() as tell:
        manifest = asyncio.run(take(backups_of(settings), target, tell=tell))
    if as_json:
        click.echo(json.dumps(document(manifest), indent=2))
        return
    click.echo(f"{target}: {manifest.store} at schema {manifest.schema}, {iso(manifest.taken_at)}")
    click.echo(f"ledger of {manifest.ledger.entries} entries, {manifest.ledger.digest}")


def document(manifest: Manifest) -> dict[str, object]:
    """Return what is said of a backup."""
    return {
        "store": manifest.store,
        "schema": manifest.schema,
        "takenAt": manifest.taken_at,
        "entries": manifest.ledger.entries,
        "digest": manifest.ledger.digest,
        "bytes": sum(facts.size for facts in manifest.files.values()),
        "rows": dict(manifest.rows),
    }
