"""`aiba outbox`: what waits to be told, and what was given up."""

import json
from collections.abc import Sequence

import click

from aiba_domain.instants import iso
from aiba_domain.outbox.commands import DropLetter, RetryLetter
from aiba_domain.outbox.model import Backlog, Letter
from aiba_domain.ports import Reader
from aiba_entry.cli.session import OPERATOR, with_container
from aiba_entry.container import Container

_PAGE = 100


@click.group()
def outbox() -> None:
    """See what waits to be told to players, and what could not be."""


@outbox.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def list_letters(*, as_json: bool) -> None:
    """Show how much waits, and every dead letter with the reason."""

    async def look(read: Reader) -> tuple[Backlog, Sequence[Letter]]:
        return await read.backlog(), await _dead(read)

    async def work(container: Container) -> tuple[Backlog, Sequence[Letter], int]:
        return *await container.store().read(look), container.clock().now()

    held, dead, now = with_container(work)
    lag_s = 0 if held.oldest_at is None else max(0, now - held.oldest_at) // 1_000
    if as_json:
        known = {
            "pending": held.pending,
            "lagSeconds": lag_s,
            "dead": [_plain(one) for one in dead],
        }
        click.echo(json.dumps(known, indent=2))
        return
    click.echo(f"{held.pending} waiting, the oldest for {lag_s} s; {held.dead} dead")
    for letter in dead:
        told = _plain(letter)
        click.echo(f"{told['id']}  {told['topic']}  died {told['diedAt']}: {told['reason']}")


@outbox.command()
@click.argument("letter_ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="Every dead letter.")
def retry(letter_ids: tuple[str, ...], *, everything: bool) -> None:
    """Let dead letters be brought again, behind what came since."""
    _each(letter_ids, RetryLetter, "waits again", everything=everything)


@outbox.command()
@click.argument("letter_ids", nargs=-1, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="Every dead letter.")
def drop(letter_ids: tuple[str, ...], *, everything: bool) -> None:
    """Forget dead letters."""
    _each(letter_ids, DropLetter, "dropped", everything=everything)


def _each(
    letter_ids: tuple[str, ...],
    command: type[RetryLetter | DropLetter],
    done: str,
    *,
    everything: bool,
) -> None:
    if everything == bool(letter_ids):
        raise click.UsageError("name letters, or --all")

    async def work(container: Container) -> None:
        ids: Sequence[str] = letter_ids
        if everything:
            ids = [letter.id for letter in await container.store().read(_dead)]
        for letter_id in ids:
            asked = command(letter_id=letter_id)
            (await container.pipeline().execute(OPERATOR, asked)).reply()
            click.echo(f"{letter_id} {done}")

    with_container(work)


async def _dead(read: Reader) -> Sequence[Letter]:
    """Return all dead letters."""
    found: list[Letter] = []
    while True:
        after = (found[-1].died_at or 0, found[-1].id) if found else None
        page = await read.dead_letters(after=after, limit=_PAGE)
        found += page
        if len(page) < _PAGE:
            return found


def _plain(letter: Letter) -> dict[str, object]:
    return {
        "id": letter.id,
        "deliveryId": letter.delivery_id,
        "topic": letter.topic.value,
        "facts": dict(letter.facts),
        "writtenAt": iso(letter.at),
        "diedAt": iso(letter.died_at or 0),
        "reason": letter.reason,
    }
