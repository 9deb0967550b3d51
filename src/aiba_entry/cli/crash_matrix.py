"""`aiba crash-matrix`: every call of every port, struck by every kind of fault."""

import sys

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from aiba_domain.testing.crash_matrix import Depth, MatrixReport, Verdict, cells, run_matrix, table
from aiba_entry.cli.crash_matrix_parts import STORES, opened, parts, quick_folder
from aiba_entry.observability import configure_logging


@click.command("crash-matrix")
@click.option(
    "--store", type=click.Choice(STORES), default="memory", show_default=True, help="The store."
)
@click.option("--mongo-uri", help="For --store mongo: a server, which need not be empty.")
@click.option(
    "--depth",
    type=click.Choice([depth.value for depth in Depth]),
    default=Depth.USUAL.value,
    show_default=True,
    help="Once a cell, everything about money each time, or everything each time.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document and nothing else.")
def crash_matrix(*, store: str, mongo_uri: str | None, depth: str, as_json: bool) -> None:
    """Strike at every call of every port in every way, and see that all recovers.

    Prints a row for each call and a column for each kind of fault; exits with 1 if any cell fails.
    """
    configure_logging("CRITICAL", stream=sys.stderr)
    report = _run(store, mongo_uri, Depth(depth))
    click.echo(report.to_json() if as_json else table(report))
    raise SystemExit(0 if report.is_passed else 1)


def _run(store: str, mongo_uri: str | None, depth: Depth) -> MatrixReport:
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    ) as progress:
        task = progress.add_task("Strike", total=len(cells()))

        def told(verdict: Verdict) -> None:
            progress.update(task, advance=1, description=verdict.cell.call)

        with quick_folder() as folder, opened(store, mongo_uri) as open_store:
            return run_matrix(
                open_store, parts=parts(store), depth=depth, folder=folder, report=told
            )
