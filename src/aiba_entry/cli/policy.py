"""`aiba policy`: the economy policy, shown and changed a version at a time."""

import json
from pathlib import Path

import click
import msgspec

from aiba_adapters.codec import encode, read_policy_changes
from aiba_domain.economy.commands import ChangePolicy
from aiba_domain.economy.policy import EconomyPolicy
from aiba_entry.cli.session import OPERATOR, with_container
from aiba_entry.container import Container


@click.group()
def policy() -> None:
    """Show the economy policy and make its next version."""


@policy.command()
def show() -> None:
    """Print the policy in force as JSON."""

    async def work(container: Container) -> EconomyPolicy:
        return await container.queries().policy()

    _print(with_container(work))


@policy.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def change(file: Path) -> None:
    """Make the next version with the fields in FILE, a JSON object in the form `show` prints."""
    try:
        changes = read_policy_changes(file.read_text(encoding="utf-8"))
    except msgspec.DecodeError as error:
        raise click.ClickException(f"{file.name}: {error}") from None

    async def work(container: Container) -> EconomyPolicy:
        command = ChangePolicy(changes=changes)
        return (await container.pipeline().execute(OPERATOR, command)).reply().policy

    _print(with_container(work))


def _print(value: EconomyPolicy) -> None:
    click.echo(json.dumps(json.loads(encode(value)), indent=2))
