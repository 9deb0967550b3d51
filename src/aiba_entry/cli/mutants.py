"""`aiba mutants`: plant every known fault, and see that the property named for it kills it."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from aiba_adapters.memory import MemoryStore
from aiba_adapters.ratelimit import MemoryRateLimiter
from aiba_domain.ports import Store
from aiba_domain.testing.mutants import MUTANTS, Build, Executioner, Mutant
from aiba_domain.testing.mutants.report import defect_lines, is_good, line, summary, to_json
from aiba_entry.observability import configure_logging


@click.command("mutants")
@click.option("--only", multiple=True, metavar="ID", help="Plant this one; may be given again.")
@click.option("--defects", is_flag=True, help="Print which known defect is planted as what.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def mutants(*, only: Sequence[str], defects: bool, as_json: bool) -> None:
    """Plant faults in adapters and rules one by one, and name the property that kills each.

    Exits with 1 if one survives, or if a property fails without the fault as well.
    """
    configure_logging("CRITICAL", stream=sys.stderr)
    chosen = _chosen(only)
    executioner = Executioner(Build(open_store=_open_store, open_limiter=MemoryRateLimiter))
    verdicts = []
    for mutant in chosen:
        verdicts.append(executioner.kill(mutant))
        if not as_json:
            click.echo(line(verdicts[-1]))
    if as_json:
        click.echo(to_json(verdicts))
    else:
        click.echo(summary(verdicts))
        for text in defect_lines(chosen) if defects else ():
            click.echo(text)
    raise SystemExit(0 if is_good(verdicts) else 1)


def _chosen(only: Sequence[str]) -> list[Mutant]:
    known = {mutant.id: mutant for mutant in MUTANTS}
    for name in only:
        if name not in known:
            raise click.BadParameter(f"{name!r} is none of {', '.join(known)}", param_hint="--only")
    return [known[name] for name in only] if only else [*MUTANTS]


async def _open_store(_folder: Path) -> Store:
    return MemoryStore()
