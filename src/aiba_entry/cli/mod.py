"""`aiba mod`: bans of players and brokers."""

import json

import click

from aiba_domain.decision import Command
from aiba_domain.instants import iso
from aiba_domain.moderation.commands import (
    BanBroker,
    BanPlayer,
    StandingReply,
    UnbanBroker,
    UnbanPlayer,
)
from aiba_entry.cli.session import OPERATOR, with_container
from aiba_entry.container import Container


@click.group()
def mod() -> None:
    """Ban and unban players and brokers."""


@mod.command()
@click.argument("player_id")
@click.option("--minutes", type=click.IntRange(min=1), default=1440, show_default=True)
@click.option("--reason", default="banned", show_default=True)
def ban_player(player_id: str, minutes: int, reason: str) -> None:
    """Ban a player from every command for some minutes."""
    _execute(BanPlayer(player_id=player_id, minutes=minutes, reason=reason))


@mod.command()
@click.argument("player_id")
def unban_player(player_id: str) -> None:
    """Lift a player's ban; flags so far no longer count towards the next one."""
    _execute(UnbanPlayer(player_id=player_id))


@mod.command()
@click.argument("broker_id")
@click.option("--reason", default="broker banned", show_default=True)
def ban_broker(broker_id: str, reason: str) -> None:
    """Ban a broker until the ban is lifted."""
    _execute(BanBroker(broker_id=broker_id, reason=reason))


@mod.command()
@click.argument("broker_id")
def unban_broker(broker_id: str) -> None:
    """Lift a broker's ban; flags so far no longer count towards the next one."""
    _execute(UnbanBroker(broker_id=broker_id))


def _execute(command: Command[StandingReply]) -> None:
    """Execute a command and print the standing with the evidence of every flag."""

    async def work(container: Container) -> StandingReply:
        return (await container.pipeline().execute(OPERATOR, command)).reply()

    standing = with_container(work)
    ban = standing.ban
    shown = {
        "subject": standing.subject,
        "id": standing.subject_id,
        "ban": ban
        and {
            "reason": ban.reason,
            "by": ban.by,
            "since": iso(ban.since),
            "until": ban.until and iso(ban.until),
        },
        "flags": [
            {"rule": flag.rule, "at": iso(flag.at), "evidence": dict(flag.evidence)}
            for flag in standing.flags
        ],
    }
    click.echo(json.dumps(shown, indent=2))
