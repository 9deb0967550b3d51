"""`aiba verify`: check battle receipts offline, with the secrets that were revealed."""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import click

from aiba_domain.battle.receipt import Receipt, from_json, verify
from aiba_domain.errors import InvalidInput

Secrets = Mapping[int, "Revealed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Revealed:
    """What an operator published about one seed epoch; the secret is None until it is revealed."""

    commitment: str
    secret: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is known of one receipt: genuine, or every reason why not."""

    battle_id: str
    summary: str = ""
    problems: tuple[str, ...] = field(default=())

    @property
    def is_genuine(self) -> bool:
        """Whether nothing was found against the receipt."""
        return not self.problems


@click.command("verify")
@click.option(
    "--receipt",
    "source",
    required=True,
    help="A file with one receipt, a list, JSON lines or a reply of the service; - is stdin.",
)
@click.option("--secret", help="The revealed secret, where the receipts don't carry it.")
@click.option(
    "--fairness",
    type=click.Path(path_type=Path),
    help="A file with the service's reply of GET /api/fairness.",
)
@click.pass_context
def verify_command(
    context: click.Context, source: str, secret: str | None, fairness: Path | None
) -> None:
    """Recompute battles from their receipts; exit with 0 only if every one is genuine."""
    try:
        published = read_fairness(_read(str(fairness))) if fairness else {}
        entries = list(receipts_in(read_json(_read(source))))
    except (OSError, ValueError, RecursionError, InvalidInput) as error:
        click.echo(f"not readable: {_plain(str(error))}", err=True)
        context.exit(1)
    judgements = [judge(entry, secret=secret, published=published) for entry in entries]
    for judgement in judgements:
        click.echo(line_of(judgement))
    context.exit(0 if judgements and all(one.is_genuine for one in judgements) else 1)


def judge(entry: object, *, secret: str | None, published: Secrets) -> Judgement:
    """Check one receipt in its JSON form.

    The secret is the receipt's own, else `secret`, else the published one of its epoch. A
    commitment that differs from the published one counts against the receipt.
    """
    try:
        receipt = from_json(entry)
    except InvalidInput as refusal:
        return Judgement(battle_id=_name_in(entry), problems=(str(refusal),))
    inputs = receipt.inputs
    epoch = published.get(inputs.epoch)
    own = entry.get("revealedSecret") if isinstance(entry, Mapping) else None
    if own is not None and not isinstance(own, str):
        problem = str(InvalidInput("receipt.revealedSecret", "string"))
        return Judgement(battle_id=inputs.battle_id, problems=(problem,))
    key = own or secret or (epoch.secret if epoch else None)
    if key is None:
        problem = f"the secret of epoch {inputs.epoch} is not revealed"
        return Judgement(battle_id=inputs.battle_id, problems=(problem,))
    problems = [
        f"{found.field} is {_shown(found.stated)}, recomputed {_shown(found.computed)}"
        for found in verify(receipt, key)
    ]
    if epoch is not None and epoch.commitment != inputs.commitment:
        problems.append(f"another commitment was published for epoch {inputs.epoch}")
    return Judgement(
        battle_id=inputs.battle_id, summary=_summary(receipt), problems=tuple(problems)
    )


def line_of(judgement: Judgement) -> str:
    """Return the line that is printed for one receipt; all that it states is escaped."""
    name = _plain(judgement.battle_id)
    if judgement.is_genuine:
        return f"ok {name}: {judgement.summary}"
    return f"FAILED {name}: " + _plain("; ".join(judgement.problems))


def receipts_in(value: object) -> Iterator[object]:
    """Find the receipts in whatever the service or a user hands over, in order.

    Raises InvalidInput where there is none.
    """
    if isinstance(value, list):
        for item in value:
            yield from receipts_in(item)
        return
    if isinstance(value, Mapping):
        if "inputs" in value:
            yield value
            return
        for part in ("receipt", "receipts", "items", "battles", "data"):
            if part in value:
                yield from receipts_in(value[part])
                return
    raise InvalidInput("receipt", "not found")


def read_json(text: str) -> object:
    """Read one JSON value, or else one per line as a list.

    Raises ValueError, and InvalidInput for an object that names a key twice.
    """
    try:
        return _loads(text)
    except ValueError:
        lines = [line for line in text.split("\n") if line.strip(" \t\r")]
        if len(lines) < 2:  # noqa: PLR2004 - one line that is no JSON is not JSON lines
            raise
        return [_loads(line) for line in lines]


def read_fairness(text: str) -> dict[int, Revealed]:
    """Read what was published about seed epochs, by their number.

    Raises InvalidInput, also for an epoch that is listed twice.
    """
    value = read_json(text)
    if isinstance(value, Mapping) and "data" in value:
        value = value["data"]
    epochs = value.get("epochs") if isinstance(value, Mapping) else None
    if not isinstance(epochs, list):
        raise InvalidInput("epochs", "list")
    found: dict[int, Revealed] = {}
    for epoch in epochs:
        if not isinstance(epoch, Mapping) or type(epoch.get("number")) is not int:
            raise InvalidInput("epochs.number", "integer")
        if not isinstance(epoch.get("commitment"), str):
            raise InvalidInput("epochs.commitment", "string")
        if epoch["number"] in found:
            raise InvalidInput("epochs.number", "duplicate")
        secret = epoch.get("revealedSecret")
        found[epoch["number"]] = Revealed(
            commitment=epoch["commitment"], secret=secret if isinstance(secret, str) else None
        )
    return found


def _read(source: str) -> str:
    return sys.stdin.read() if source == "-" else Path(source).read_text(encoding="utf-8")


def _loads(text: str) -> object:
    return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_without_duplicates)


def _without_duplicates(members: list[tuple[str, object]]) -> dict[str, object]:
    """Make an object; one that names a key twice says two things."""
    found = dict(members)
    if len(found) < len(members):
        names = [name for name, _ in members]
        raise InvalidInput(next(name for name in names if names.count(name) > 1), "duplicate")
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _summary(receipt: Receipt) -> str:
    outcome, grant = receipt.outcome, receipt.grant
    return f"score {outcome.score}, {grant.aiba} AIBA, {grant.neur} NEUR"


def _name_in(entry: object) -> str:
    inputs = entry.get("inputs") if isinstance(entry, Mapping) else None
    name = inputs.get("battleId") if isinstance(inputs, Mapping) else None
    return name if isinstance(name, str) else "?"


def _plain(text: str) -> str:
    """Escape what a terminal would obey: a receipt is no more trusted than its sender."""
    return "".join(
        letter if letter.isascii() and letter.isprintable() else ascii(letter)[1:-1]
        for letter in text
    )


def _shown(value: object) -> str:
    return ascii(value)
