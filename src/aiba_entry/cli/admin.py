"""`aiba admin`: the accounts of admins, a password's hash, and the audit trail walked along."""

import json
import sys
from collections.abc import Callable

import click

from aiba_domain.administration.account_commands import (
    AccountReply,
    AddAdmin,
    AllowAddress,
    ChangeAdmin,
    ResetPassword,
    RevokeTokens,
)
from aiba_domain.administration.model import AdminAccount, AdminRole
from aiba_domain.application.admin_records import TrailVerdict
from aiba_domain.decision import Command
from aiba_domain.errors import DomainError, InvalidInput
from aiba_domain.instants import iso
from aiba_entry.admin_settings import is_email, normal_email
from aiba_entry.cli.session import OPERATOR, settings_or_exit, with_container
from aiba_entry.container import Container
from aiba_entry.http.limits import UNKNOWN_ADDRESS, ClientAddress
from aiba_entry.passwords import DEFAULT_COST, cost_of, good_password, hash_of

_ROLE = click.Choice([role.value for role in AdminRole])


@click.group()
def admin() -> None:
    """Look after the accounts of admins, and their audit trail."""


@admin.command("list")
def list_accounts() -> None:
    """Print the accounts as JSON; the environment's is there once it has logged in."""

    async def work(container: Container) -> list[AdminAccount]:
        return list(await container.admin_records().accounts())

    click.echo(json.dumps([_shown(account) for account in with_container(work)], indent=2))


@admin.command()
@click.argument("email")
@click.option("--role", type=_ROLE, default="viewer", show_default=True)
def add(email: str, role: str) -> None:
    """Make an account; the password is asked for, or read from standard input."""
    if not is_email(normal_email(email)):
        raise click.ClickException("EMAIL must be an email address of up to 200 characters")
    _execute(email, lambda one: AddAdmin(email=one, role=AdminRole(role), password_hash=_hash()))


@admin.command()
@click.argument("email")
def disable(email: str) -> None:
    """Disable an account, which ends its tokens."""
    _execute(email, lambda one: ChangeAdmin(email=one, disabled=True))


@admin.command()
@click.argument("email")
def enable(email: str) -> None:
    """Let a disabled account log in again."""
    _execute(email, lambda one: ChangeAdmin(email=one, disabled=False))


@admin.command()
@click.argument("email")
@click.argument("role", type=_ROLE)
def set_role(email: str, role: str) -> None:
    """Give an account another role, from its next request on."""
    _execute(email, lambda one: ChangeAdmin(email=one, role=AdminRole(role)))


@admin.command()
@click.argument("email")
def reset_password(email: str) -> None:
    """Give an account another password, which ends its tokens."""
    _execute(email, lambda one: ResetPassword(email=one, password_hash=_hash()))


@admin.command()
@click.argument("email")
def revoke(email: str) -> None:
    """End all tokens of an account, the environment's too."""
    _execute(email, lambda one: RevokeTokens(email=one))


@admin.command()
@click.argument("email")
@click.argument("address")
def allow_address(email: str, address: str) -> None:
    """Let an account log in from ADDRESS whatever strangers try, as if it had been there before.

    For an owner at a new address, while others go on guessing; IPv6 counts by /64.
    """
    counted = ClientAddress().of(address, ())
    if counted == UNKNOWN_ADDRESS:
        raise click.BadParameter("an IPv4 or IPv6 address", param_hint="ADDRESS")
    mine = settings_or_exit().admin
    is_mine = mine is not None and mine.email == normal_email(email)
    credential = mine.credential if mine is not None and is_mine else None
    _execute(email, lambda one: AllowAddress(email=one, address=counted, credential=credential))


@admin.command()
@click.option("--cost", type=click.IntRange(4, 16), default=DEFAULT_COST, show_default=True)
def hash_password(cost: int) -> None:
    """Print the bcrypt hash of a password for ADMIN_PASSWORD_HASH. Needs no settings."""
    click.echo(hash_of(_password(), cost))


@admin.command()
def verify_audit() -> None:
    """Walk along the audit trail; exit with 1 at the first row that doesn't follow.

    The seal that is printed covers every row so far: kept elsewhere, it shows later whether the
    trail was cut off or written anew.
    """

    async def work(container: Container) -> TrailVerdict:
        return await container.admin_records().verify_trail()

    found = with_container(work)
    if found.broken is not None:
        raise click.ClickException(f"row {found.broken} doesn't follow the {found.rows} before it")
    click.echo(f"{found.rows} rows follow one another; the last one's seal is {found.seal or '-'}")


def _execute(email: str, command_for: Callable[[str], Command[AccountReply]]) -> None:
    """Execute a command on an account and print the account."""
    command = command_for(normal_email(email))

    async def work(container: Container) -> AdminAccount:
        settings = container.settings().admin
        if isinstance(command, AddAdmin) and settings and settings.email == command.email:
            raise DomainError("admin already exists")
        return (await container.pipeline().execute(OPERATOR, command)).reply().account

    click.echo(json.dumps(_shown(with_container(work)), indent=2))


def _hash() -> str:
    """Return the hash of a password asked for, as costly as the environment's."""
    settings = settings_or_exit().admin
    return hash_of(_password(), cost_of(settings.password_hash) if settings else DEFAULT_COST)


def _password() -> str:
    """Ask for a password twice, or read one line where nobody is there to be asked."""
    if sys.stdin.isatty():
        text = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        text = sys.stdin.readline().rstrip("\r\n")
    try:
        return good_password(text)
    except InvalidInput as error:
        raise click.ClickException(str(error)) from None


def _shown(account: AdminAccount) -> dict[str, object]:
    return {
        **account.shown,
        "disabledAt": account.disabled_at and iso(account.disabled_at),
        "createdAt": iso(account.created_at),
        "createdBy": account.created_by,
    }
