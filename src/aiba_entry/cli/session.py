"""What the commands that work on a store share: settings, and the store opened."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

import click

from aiba_domain.decision import Principal, Role
from aiba_domain.errors import DomainError
from aiba_domain.ports import Unavailable
from aiba_entry.container import Container
from aiba_entry.readiness.findings import EX_CONFIG, Readiness
from aiba_entry.readiness.judgment import judge
from aiba_entry.readiness.report import refusal_of
from aiba_entry.service import open_container
from aiba_entry.settings import Settings, SettingsError, load
from aiba_entry.stores import StoreUnusable

T = TypeVar("T")

OPERATOR: Final = Principal(id="cli", role=Role.OPERATOR)
"""The principal of what an operator does at the command line."""

CONFIGURATION_FAULT: Final = EX_CONFIG
"""The exit code of a process that refuses its environment."""


def readiness_or_exit() -> Readiness:
    """Judge the environment, or say everything that is wrong with it and exit with 78."""
    readiness = judge(os.environ)
    if not readiness.ready:
        click.echo(refusal_of(readiness), err=True)
        raise SystemExit(CONFIGURATION_FAULT)
    return readiness


def settings_or_exit() -> Settings:
    """Read the settings, or say everything that is wrong with them and exit with 78."""
    try:
        return load(os.environ)
    except SettingsError as error:
        click.echo(str(error), err=True)
        raise SystemExit(CONFIGURATION_FAULT) from None


def with_container(work: Callable[[Container], Awaitable[T]]) -> T:
    """Run `work` on the store that the environment names, also while a server uses it.

    A refusal is printed with its facts, a store that can't be used with the reason; both exit
    with 1.
    """
    settings = settings_or_exit()

    async def run() -> T:
        async with open_container(settings) as container:
            return await work(container)

    try:
        return asyncio.run(run())
    except (StoreUnusable, Unavailable) as error:
        raise click.ClickException(f"the store is unavailable: {error}") from None
    except DomainError as error:
        raise click.ClickException(f"{error.code} {dict(error.details) or ''}".rstrip()) from None
