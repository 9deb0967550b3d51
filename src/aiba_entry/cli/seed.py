"""`aiba seed`: the seed epochs that battles are drawn under."""

import json

import click

from aiba_domain.application.upkeep import rotate_seed
from aiba_entry.cli.session import OPERATOR, with_container
from aiba_entry.container import Container
from aiba_entry.http.wire import Json, epoch_json


@click.group()
def seed() -> None:
    """Show and rotate seed epochs."""


@seed.command()
def rotate() -> None:
    """Close the open epoch, reveal its secret, and open the next; also while a server runs."""

    async def work(container: Container) -> Json:
        parts = container.pipeline(), container.store(), container.seeds()
        reply = await rotate_seed(*parts, OPERATOR)
        closed = epoch_json(reply.closed) if reply.closed else None
        return {"closed": closed, "opened": epoch_json(reply.opened)}

    click.echo(json.dumps(with_container(work), indent=2))


@seed.command(name="list")
def list_epochs() -> None:
    """List all epochs as `GET /api/fairness` does, oldest first."""

    async def work(container: Container) -> list[Json]:
        return [epoch_json(epoch) for epoch in await container.queries().epochs()]

    click.echo(json.dumps({"epochs": with_container(work)}, indent=2))
