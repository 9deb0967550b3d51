"""`aiba conformance`: judge a deployment of the API as a black box, and report."""

import importlib
import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import click

VARIABLE: Final = "TELEGRAM_BOT_TOKEN"
"""Where the bot's token is read from: the variable that the deployment itself has it in."""

SEED_MAX: Final = 2**32 - 1

_INTERRUPTED: Final = 130
_HARNESS: Final = ("hypothesis", "pytest")


@click.command("conformance")
@click.option("--url", metavar="URL", help="Where the deployment is: https://arena.example")
@click.option(
    "--bot-token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A file with the bot's token. [default: what TELEGRAM_BOT_TOKEN(_FILE) say]",
)
@click.option(
    "--capability",
    "capabilities",
    multiple=True,
    metavar="NAME",
    help="What the deployment can do; may be repeated. [default: what is found]",
)
@click.option("--only", multiple=True, metavar="PROPERTY", help="Try this one; may be repeated.")
@click.option("--list", "listing", is_flag=True, help="List properties and capabilities.")
@click.option("--seed", type=click.IntRange(0, SEED_MAX), default=0, show_default=True)
@click.option("--max-requests", type=click.IntRange(min=1), default=3000, show_default=True)
@click.option("--max-seconds", type=click.IntRange(min=1), default=300, show_default=True)
@click.option("--max-players", type=click.IntRange(1, 1000), default=120, show_default=True)
@click.option("--timeout", type=click.IntRange(min=1), default=15, show_default=True)
@click.option("--wallet-domain", metavar="DOMAIN", help="What wallets sign for: tries wallets too.")
@click.option(
    "--network", type=click.Choice(["mainnet", "testnet"]), default="mainnet", show_default=True
)
@click.option(
    "--daily-cap",
    "caps",
    multiple=True,
    metavar="CURRENCY=AMOUNT",
    help="The most that a UTC day emits: AIBA=100000; may be repeated.",
)
@click.option("--rotate-command", metavar="COMMAND", help="Ends the seed epoch that is open.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--junit", "junit_file", type=click.Path(dir_okay=False, path_type=Path))
def conformance(**given: Any) -> None:
    """Judge any deployment of the API over HTTP, as throw-away players, within bounds.

    Ends with 0 if everything that it can do passed, 1 if not, 2 if it can't be judged, and 3 if
    only what was asked for was tried. Players are made and battles fought: use a test deployment.
    """
    if not all(importlib.util.find_spec(name) for name in _HARNESS):
        raise click.ClickException("it needs the harness: pip install 'aiba-arena[testing]'")
    console = importlib.import_module("aiba_entry.conformance.console")
    if given["listing"]:
        click.echo(console.listing(), nl=False)
        return
    url = _url(given["url"])
    token = _token(given["bot_token_file"], os.environ)
    try:
        code = console.run(url, token, given)
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        code = _INTERRUPTED
    raise SystemExit(code)


def _url(text: str | None) -> str:
    parts = urlsplit(text or "")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
        raise click.UsageError("--url is needed: an http or https URL without query")
    return text or ""


def _token(file: Path | None, environ: Mapping[str, str]) -> str:
    """Read the bot's token, which is never an argument: those are seen by all on the machine."""
    path = file or (Path(found) if (found := environ.get(f"{VARIABLE}_FILE")) else None)
    own = environ.get(VARIABLE, "").strip()
    if file is None and path is not None and own:
        raise click.UsageError(f"{VARIABLE} is given twice: {VARIABLE} and {VARIABLE}_FILE")
    try:
        token = path.read_text(encoding="utf-8").strip() if path else own
    except (OSError, UnicodeDecodeError):
        raise click.UsageError("the file with the bot's token can't be read as text") from None
    if not token:
        raise click.UsageError(
            f"the bot's token is needed to sign launch data of test players: set {VARIABLE} or"
            f" {VARIABLE}_FILE, or give --bot-token-file"
        )
    return token
