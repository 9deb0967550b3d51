"""`aiba migrate`: bring the store to this build's schema, after a look at what that takes."""

import asyncio

import click

from aiba_entry.backups.console import told
from aiba_entry.cli.session import settings_or_exit
from aiba_entry.migrations import migrations_of


@click.command()
@click.option("--dry-run", is_flag=True, help="Show the steps, and change nothing.")
def migrate(*, dry_run: bool) -> None:
    """Take the numbered steps that the store lacks.

    Each step, and each batch of one that rewrites rows, is there whole or not at all: after a kill
    at any point the same command goes on. On the embedded store no server may run meanwhile, and
    one takes the same steps when it starts. On MongoDB servers may run, but for a step that
    rewrites documents; in prod they refuse to start before the steps are taken.
    """
    settings = settings_or_exit()
    with told() as tell:
        migrations = migrations_of(settings)
        plan = asyncio.run(migrations.plan())
        if plan.at is None:
            click.echo(f"there is no store yet; `aiba serve` makes it at schema {plan.newest}")
            return
        click.echo(f"schema {plan.at} of {plan.newest}")
        for step in plan.steps:
            going_on = f" ({step.done} rows are done)" if step.done else ""
            click.echo(f"step {step.number}: {', '.join(step.does)}{going_on}")
        if dry_run or not plan.steps:
            return
        asyncio.run(migrations.take(tell=tell))
    click.echo(f"schema {plan.newest} of {plan.newest}")
