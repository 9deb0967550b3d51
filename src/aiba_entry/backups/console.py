"""What the commands of backups share: a progress bar, and refusals in one line."""

import contextlib
import sys
from collections.abc import Iterator

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from aiba_adapters.backups import (
    BackupExists,
    BackupRefused,
    PlaceInUse,
    PlaceOccupied,
    Tell,
)
from aiba_domain.ports import Unavailable
from aiba_entry.stores import StoreUnusable


@contextlib.contextmanager
def told() -> Iterator[Tell]:
    """Give what shows progress, one bar a stage, and say in one line what is refused; exits with 1.

    Nothing is shown where standard error is no terminal.
    """
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as progress:
            bars: dict[str, TaskID] = {}

            def tell(stage: str, done: int, total: int) -> None:
                bar = bars.get(stage)
                if bar is None:
                    bar = bars[stage] = progress.add_task(stage.capitalize(), total=total)
                progress.update(bar, completed=done, total=total)

            yield tell
    except BackupRefused as refused:
        lines = "".join(f"\n- {problem}" for problem in refused.problems)
        raise click.ClickException(f"the backup is refused:{lines}") from None
    except (BackupExists, PlaceInUse, PlaceOccupied, StoreUnusable, Unavailable) as error:
        raise click.ClickException(str(error)) from None
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        raise click.ClickException(f"{place}{error.strerror or error}") from None
