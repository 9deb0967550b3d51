"""`aiba doctor`: judge an environment as `aiba serve` would, without starting anything."""

import asyncio
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import click

from aiba_entry.readiness.findings import EX_CONFIG, Finding, Readiness
from aiba_entry.readiness.judgment import examine
from aiba_entry.readiness.report import document, text_of
from aiba_entry.settings import AppEnv, Settings

_LINE: Final = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)")
_COMMENT: Final = re.compile(r"\s#.*")


@click.command()
@click.option(
    "--env-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Judge the variables of this file (lines NAME=value) instead of the environment's.",
)
@click.option("--live", is_flag=True, help="Also ask the store, Redis, the signer and the chain.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(*, env_file: Path | None, live: bool, as_json: bool) -> None:
    """Say what keeps the service from starting, all at once, and the mend of each finding.

    Exits with 0 if it would start and with 78 if not; warnings refuse nothing. No secret's value
    is ever printed. Without APP_ENV prod only faulty values are found: run it with APP_ENV=prod
    to learn what production asks for.
    """
    environ = os.environ if env_file is None else read_env_file(env_file)
    readiness, settings = examine(environ)
    asked = _ask(settings) if live else None
    name = _known(environ.get("APP_ENV", ""))
    click.echo(document(readiness, name, asked) if as_json else _told(readiness, name, asked))
    if readiness.errors or any(not finding.warning for finding in asked or ()):
        raise SystemExit(EX_CONFIG)


def _known(app_env: str) -> str:
    """Return the name of an environment; what is none may be a secret in the wrong line."""
    return app_env if app_env in [*AppEnv] else "unknown"


def read_env_file(path: Path) -> Mapping[str, str]:
    """Return the variables of a file as systemd and Docker read it, or refuse it by the line.

    Blank lines and those that begin with # are passed over; one pair of quotes around a value is
    taken off. Nothing in a value is replaced.
    """
    found: dict[str, str] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise click.ClickException(f"{path.name} can't be read as UTF-8 text") from None
    for number, line in enumerate(map(str.strip, lines), 1):
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise click.ClickException(f"{path.name}, line {number}: not NAME=value")
        found[match[1]] = _unquoted(match[2].strip())
    return found


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    return _COMMENT.sub("", text)


def _ask(settings: Settings | None) -> list[Finding]:
    if settings is not None:
        # It needs everything that the service does; the judgment alone is there at once.
        from aiba_entry.readiness.live import look  # noqa: PLC0415 - see above

        return asyncio.run(look(settings))
    text = "nothing was asked: values of the settings are faulty"
    return [Finding(code="live_not_asked", variables=("APP_ENV",), text=text, warning=True)]


def _told(readiness: Readiness, name: str, asked: Sequence[Finding] | None) -> str:
    live = list(asked or ())
    errors = [*readiness.errors, *(each for each in live if not each.warning)]
    warnings = [*readiness.warnings, *(each for each in live if each.warning)]
    parts = []
    if errors:
        parts.append(text_of(f"{readiness.code}: {len(errors)} problem(s)", errors))
    if warnings:
        parts.append(text_of(f"{len(warnings)} warning(s)", warnings))
    if not errors:
        what = "production's rules" if readiness.prod else f"the rules of APP_ENV {name} alone"
        parts.append(f"ready, by {what}" + ("" if asked is not None else "; nothing was asked"))
    return "\n".join(parts)
