"""`aiba mongo`: the database of `MONGO_URI`, made ready and looked at."""

import asyncio
import importlib
from collections.abc import Awaitable, Callable
from typing import Any

import click

from aiba_domain.ports import Unavailable
from aiba_entry.cli.session import CONFIGURATION_FAULT, settings_or_exit
from aiba_entry.stores import MONGO_MISSING


@click.group()
def mongo() -> None:
    """Make the database of MONGO_URI ready, and check it."""


@mongo.command()
def init() -> None:
    """Make the collections and indexes that are missing; nothing that is there is changed.

    In prod the service makes none by itself. Safe to run again and beside a running service.
    """

    async def work(adapter: Any, uri: str) -> None:  # noqa: ANN401 - the adapter's module
        made = await adapter.make_schema(uri)
        click.echo("".join(f"made {name}\n" for name in made) or "nothing was missing\n", nl=False)

    _on_database(work)


@mongo.command()
def check() -> None:
    """Say what the server or the schema lacks; exit with 1 if it lacks anything.

    Notes are of settings that may be meant so.
    """

    async def work(adapter: Any, uri: str) -> None:  # noqa: ANN401 - the adapter's module
        store = await adapter.open_store(uri)
        try:
            await store.check()
            click.echo(f"fit; the primary is {await store.primary()}")
        finally:
            await store.close()
        for each in await adapter.advice_for(uri):
            click.echo(f"note: {each}", err=True)

    _on_database(work)


def _on_database(work: Callable[[Any, str], Awaitable[None]]) -> None:
    settings = settings_or_exit()
    if settings.mongo_uri is None:
        click.echo("MONGO_URI is not set", err=True)
        raise SystemExit(CONFIGURATION_FAULT)
    try:
        # An extra: without it the other commands and the help work all the same.
        adapter = importlib.import_module("aiba_adapters.mongo")
    except ImportError:
        raise click.ClickException(MONGO_MISSING) from None
    uri = settings.mongo_uri

    async def run() -> None:
        await work(adapter, uri)

    try:
        asyncio.run(run())
    except adapter.Unfit as unfit:
        click.echo("".join(f"- {problem}\n" for problem in unfit.problems), err=True, nl=False)
        raise SystemExit(1) from None
    except Unavailable as error:
        raise click.ClickException(f"the database is unavailable: {error}") from None
