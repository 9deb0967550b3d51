"""`aiba policy`: the economy policy, shown and changed a version at a time."""

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from aiba_adapters.codec import encode, read_policy_changes
from aiba_domain.economy.commands import ChangePolicy
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.errors import InvalidInput
from aiba_domain.money import exact
from aiba_entry.cli.session import OPERATOR, with_container
from aiba_entry.container import Container

_STAMPED: Final = ("version", "effective_at")
_BY_NAME: Final = ("daily_cap_aiba_by_arena", "daily_cap_neur_by_arena", "overrides")
"""Objects whose names are the operator's own: they are replaced whole."""


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
    """Make the next version with the fields in FILE, a JSON object in the form `show` prints.

    What FILE leaves out stays as it is, also within `rewards` and the like; a multiplier may be a
    number, a decimal text or n/d. FILE may be all that `show` printed, edited, as long as that is
    still the version in force.
    """
    try:
        given = json.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)
    except ValueError as error:
        raise click.ClickException(f"{file.name} is no JSON: {error}") from None

    async def work(container: Container) -> EconomyPolicy:
        changes = changes_of(given, await container.queries().policy())
        command = ChangePolicy(changes=changes)
        return (await container.pipeline().execute(OPERATOR, command)).reply().policy

    _print(with_container(work))


def changes_of(given: object, current: EconomyPolicy) -> Mapping[str, object]:
    """Return the fields that an edited policy document changes, read as the policy holds them.

    Raises InvalidInput naming the first field that can't be read.
    """
    if not isinstance(given, dict):
        raise InvalidInput("policy", "object")
    known = json.loads(encode(current))
    if given.get("version", current.version) != current.version:
        raise InvalidInput("version", f"in force: {current.version}")
    changes: dict[str, object] = {}
    for name in (name for name in given if name not in _STAMPED):
        value = _merged(name, known[name], given[name]) if name in known else given[name]
        try:
            changes |= read_policy_changes(json.dumps({name: value}, default=str))
        except msgspec.DecodeError as error:
            raise InvalidInput(name, str(error)) from None
    return changes


def _merged(path: str, known: Any, given: Any) -> Any:  # noqa: ANN401 - decoded JSON
    """Return a field's new value; of a part with fields of its own, only the given ones change."""
    if isinstance(known, str):  # a multiplier
        return str(exact(given, path))
    if not isinstance(known, dict) or not isinstance(given, dict):
        return given
    if path.rpartition(".")[2] in _BY_NAME:
        return given
    merged = dict(known)
    for name, value in given.items():
        if name not in known:
            raise InvalidInput(f"{path}.{name}", "unknown")
        merged[name] = _merged(f"{path}.{name}", known[name], value)
    return merged


def _print(value: EconomyPolicy) -> None:
    click.echo(json.dumps(json.loads(encode(value)), indent=2))
