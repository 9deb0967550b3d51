"""`aiba import-legacy`: take over the database of the service before, and prove it."""

import asyncio
import importlib
import json
from pathlib import Path
from typing import IO, Any, Final

import click

from aiba_adapters.ton.addresses import parse
from aiba_domain.errors import InvalidInput
from aiba_domain.legacy.findings import NEVER, RULES, Code
from aiba_entry.backups.console import told
from aiba_entry.cli.session import settings_or_exit
from aiba_entry.stores import MONGO_MISSING

UNDECIDED: Final = 3
"""The exit code where findings need a decision."""
UNPROVEN: Final = 4
"""The exit code where the proof failed."""

_ARCHIVE: Final = "legacy-archive.jsonl"
_STAGING: Final = Path("legacy-import") / "staging.db"


@click.command("import-legacy")
@click.option("--from", "uri", metavar="URI", help="The database of the service before.")
@click.option(
    "--from-file",
    "uri_file",
    type=click.File(),
    help="A file whose only line is that URI, so that no process list shows it; - is stdin.",
)
@click.option("--dry-run", is_flag=True, help="Look and report; write nothing but the archive.")
@click.option(
    "--accept",
    multiple=True,
    type=click.Choice(sorted(code for code in RULES if RULES[code].decision)),
    help="Accept the rule for one kind of finding; can be given several times.",
)
@click.option("--report", type=click.Path(path_type=Path), help="Write the report as JSON there.")
@click.option(
    "--archive",
    type=click.Path(path_type=Path),
    help=f"Where rows without a place go; {_ARCHIVE} in the data directory if not given.",
)
@click.option("--jetton-master", help="What withdrawals were signed for; else AIBA_JETTON_MASTER.")
@click.option(
    "--signer-memory",
    type=click.Path(path_type=Path),
    help="Write what `aiba signer import` must know of the claims that came over.",
)
@click.option("--batch", type=click.IntRange(1, 2_000), default=200, show_default=True)
def import_legacy(  # noqa: PLR0913 - the command's options
    *,
    uri: str | None,
    uri_file: IO[str] | None,
    dry_run: bool,
    accept: tuple[str, ...],
    report: Path | None,
    archive: Path | None,
    jetton_master: str | None,
    signer_memory: Path | None,
    batch: int,
) -> None:
    """Import the service before from its MongoDB, which is only read, into an unused store.

    After a kill at any point the same command goes on; once it is proven it changes nothing.
    Exits with 0 when imported and proven, 1 when refused, 3 when findings need a decision
    (`--accept`), 4 when the proof failed. docs/import-legacy.md tells the rules.
    """
    place = uri or (uri_file.readline().strip() if uri_file else "")
    if not place or (uri and uri_file):
        raise click.UsageError("give the source by --from or by --from-file")
    settings = settings_or_exit()
    parts = _parts()
    if signer_memory is not None and settings.ton is None:
        raise click.UsageError("--signer-memory needs TON_NETWORK and its contracts to be set")
    ton = settings.ton
    configured = ton.jetton_master if ton else ""
    network = {"network": ton.network} if ton else {}
    wish = parts["importing"].Wish(
        archive=archive or settings.data_dir / _ARCHIVE,
        staging=settings.data_dir / _STAGING,
        jetton_master=_address(jetton_master or configured),
        accepted=frozenset(map(Code, accept)) - NEVER,
        dry_run=dry_run,
        batch=batch,
        signer_memory=signer_memory,
        **network,
    )
    with told() as tell:
        try:
            result = asyncio.run(parts["operating"].operate(settings, place, wish, tell))
        except parts["writing"].ImportRefused as refused:
            raise click.ClickException(str(refused)) from None
        if report is not None:
            text = json.dumps(parts["report"].document(result), indent=2)
            report.write_text(f"{text}\n", encoding="utf-8")
    for line in parts["report"].lines(result):
        click.echo(line)
    raise SystemExit(_code(parts["report"].outcome(result)))


def _parts() -> dict[str, Any]:
    """Import what needs the driver, which is an extra; the other commands do without."""
    names = ("importing", "operating", "report", "writing")
    try:
        return {name: importlib.import_module(f"aiba_entry.legacy.{name}") for name in names}
    except ImportError:
        raise click.ClickException(MONGO_MISSING) from None


def _address(text: str) -> str:
    """Return an address in its canonical form, `""` for none."""
    try:
        return parse(text, allow_testnet=None).raw if text else ""
    except InvalidInput as refused:
        raise click.BadParameter(str(refused), param_hint="--jetton-master") from None


def _code(outcome: str) -> int:
    codes = {"undecided": UNDECIDED, "not proven": UNPROVEN, "the source changes": 1}
    return codes.get(outcome, 0)
