"""`aiba keys`: make secrets, put one in another's place step by step, and look at them unseen."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

import click

from aiba_entry.cli.doctor import read_env_file
from aiba_entry.keys.change import OutOfTurn, Rotation, Step, signer_line
from aiba_entry.keys.keepers import ByHand, DropIn, EnvFile, Keeper, KeeperFault, Manifest
from aiba_entry.keys.kinds import GIVEN, KINDS, OWN, Kind, public_part
from aiba_entry.keys.shelf import Shelf, ShelfFault, Stage, file_in
from aiba_entry.keys.status import SecretStatus, status

_NAME: Final = click.Choice(list(KINDS))
_DIRECTORY: Final = click.Path(exists=True, file_okay=False, path_type=Path)
_FILE: Final = click.Path(exists=True, dir_okay=False, path_type=Path)
_NEW: Final = click.Path(dir_okay=False, path_type=Path)
_DAY_S: Final = 86_400


@click.group()
def keys() -> None:
    """Make secrets, change them while the service runs, and see how they stand."""


@keys.command()
@click.argument("name", type=_NAME, required=False)
@click.option("--all", "everything", is_flag=True, help="Make each that an API makes for itself.")
@click.option("--small", is_flag=True, help="Name the files in small letters, as deploy/ has them.")
@click.option("--out", type=_DIRECTORY, help="Write into new files here, and print their lines.")
def generate(*, name: str | None, everything: bool, small: bool, out: Path | None) -> None:
    """Make the secret NAME, in the length and form that it has to have.

    Without --out it is printed. With it, it goes into a file of its owner alone that is named like
    it, and the line for the environment is printed; what is there already is never overwritten,
    and with --all it is kept.
    """
    if (name is None) != everything:
        raise click.UsageError("either NAME or --all")
    for kind in OWN if everything else (KINDS[name or ""],):
        if kind.make is None:
            raise click.ClickException(f"{kind.name} isn't made here: {kind.origin}")
        value = kind.make()
        if out is not None:
            _write(kind, value, file_in(out, kind.name, small=small), keep=everything)
        else:
            click.echo(f"{kind.name}={value}" if everything else value)
            _tell_other_end(kind, value)
    for kind in GIVEN if everything else ():
        click.echo(f"needed too, and not made here: {kind.name} ({kind.origin})", err=True)


@keys.command()
@click.argument("name", type=_NAME)
@click.option("--dir", "folder", type=_DIRECTORY, help="Where the file NAME is.")
@click.option("--env-file", type=_FILE, help="The service's variables; it is kept in step.")
@click.option("--drop-in", type=_NEW, help="A drop-in of the systemd unit; it is kept in step.")
@click.option("--kubernetes", type=_NEW, help="Where to write what `kubectl apply` takes.")
@click.option("--namespace", default="aiba", help="The cluster's namespace.", show_default=True)
@click.option("--given", is_flag=True, help="Read the new value from standard input.")
@click.option("--use", "step", flag_value=Step.USE, help="Bring the announced one into use.")
@click.option("--finish", "step", flag_value=Step.FINISH, help="Let the one before go.")
@click.option("--back", "step", flag_value=Step.BACK, help="Use the one before again.")
@click.option("--drop", "step", flag_value=Step.DROP, help="Let the announced one go.")
@click.option("--leaked", "step", flag_value=Step.LEAKED, help="Without overlap: it is stolen.")
@click.option("--unchecked", is_flag=True, help="Don't look whether the one to go is needed.")
def rotate(  # noqa: PLR0913 - the command's options
    *,
    name: str,
    folder: Path | None,
    env_file: Path | None,
    drop_in: Path | None,
    kubernetes: Path | None,
    namespace: str,
    given: bool,
    step: str | None,
    unchecked: bool,
) -> None:
    """Put another secret in the place of NAME, a step at a time, and say what to do next.

    Without a step it begins. A step that was cut short by a death goes on when it is asked for
    again, and one that is done already changes nothing. The file is NAME in --dir, or
    the one that NAME_FILE names in the environment or in --env-file. --drop-in and --kubernetes go
    with --dir.
    """
    kind = KINDS[name]
    environ = os.environ if env_file is None else read_env_file(env_file)
    keeper = _keeper(kind, env_file, drop_in, kubernetes, folder=folder, namespace=namespace)
    shelf = Shelf(_path_of(kind, folder, environ))
    named = {"--dir": folder, "--env-file": env_file, "--drop-in": drop_in}
    named |= {"--kubernetes": kubernetes}
    rotation = Rotation(
        kind,
        shelf,
        keeper=keeper,
        environ=None if unchecked else environ,
        given=given,
        options=[str(word) for pair in named.items() if pair[1] is not None for word in pair],
    )
    try:
        with shelf.held():
            stage = rotation.go(Step(step) if step else Step.BEGIN, _given_value)
    except (ShelfFault, OutOfTurn, KeeperFault) as fault:
        raise click.ClickException(str(fault)) from None
    for line in rotation.advice(stage):
        click.echo(line)


@keys.command(name="status")
@click.option("--env-file", type=_FILE, help="Look at this file's variables instead.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(*, env_file: Path | None, as_json: bool) -> None:
    """Say of each secret where it comes from, how old it is, and what is wrong; never its value.

    Also how far a change of it has come, and what comes next. It is what a process that starts now
    would read. Two processes, or two machines, that print one fingerprint have one value.
    """
    found = status(os.environ if env_file is None else read_env_file(env_file))
    if as_json:
        click.echo(json.dumps({"secrets": [_document(each) for each in found]}, indent=2))
        return
    for each in found:
        age = "" if each.age_s is None else f"  {each.age_s // _DAY_S} d"
        overlap = "  overlap" if each.overlap else ""
        stage = "" if each.stage in (None, Stage.STEADY) else f"  {each.stage}"
        findings = "".join(f"  {code}" for code in each.findings)
        made = each.fingerprint or "?"
        click.echo(f"{each.name}  {made}  {each.source}{age}{overlap}{stage}{findings}")
        for note in each.notes:
            click.echo(f"  {note}")


def _keeper(
    kind: Kind,
    env_file: Path | None,
    drop_in: Path | None,
    kubernetes: Path | None,
    *,
    folder: Path | None,
    namespace: str,
) -> Keeper:
    """Return what names the files, in the one form that is asked for."""
    if sum(each is not None for each in (env_file, drop_in, kubernetes)) > 1:
        raise click.UsageError("one of --env-file, --drop-in and --kubernetes")
    if env_file is not None:
        return EnvFile(kind.program, env_file)
    if (drop_in or kubernetes) is not None and folder is None:
        raise click.UsageError("--drop-in and --kubernetes need --dir")
    if drop_in is not None:
        return DropIn(kind.program, drop_in.absolute())
    if kubernetes is not None and folder is not None:
        path = kubernetes.absolute()
        return Manifest(kind.program, path, folder=folder.absolute(), namespace=namespace)
    return ByHand(kind.program)


def _document(each: SecretStatus) -> dict[str, object]:
    told = asdict(each)
    return {
        "name": told["name"],
        "source": told["source"],
        "fingerprint": told["fingerprint"],
        "ageSeconds": told["age_s"],
        "overlap": told["overlap"],
        "stage": told["stage"],
        "notes": list(each.notes),
        "findings": list(each.findings),
    }


def _write(kind: Kind, value: str, path: Path, *, keep: bool) -> None:
    shelf = Shelf(path)
    try:
        with shelf.held():
            if keep and shelf.path.exists():
                click.echo(f"{kind.name} is there already, and kept", err=True)
            else:
                shelf.create(value)
                _tell_other_end(kind, value)
    except ShelfFault as fault:
        raise click.ClickException(str(fault)) from None
    click.echo(f"{kind.name}_FILE={shelf.path.absolute()}")


def _tell_other_end(kind: Kind, value: str) -> None:
    if kind.name == "ORACLE_SIGNER_TOKEN":
        click.echo(f"line for SIGNER_TOKENS_FILE: {signer_line(value)}", err=True)
    elif kind.name == "ORACLE_PRIVATE_KEY_HEX":
        click.echo(f"its public part, for the vault: {public_part(value)}", err=True)
    elif kind.name == "ORACLE_SIGNER_AUDIT_KEY_HEX":
        click.echo(f"its public part, to verify the log by: {public_part(value)}", err=True)


def _path_of(kind: Kind, folder: Path | None, environ: Mapping[str, str]) -> Path:
    if environ.get(kind.name, "").strip():
        text = (
            f"{kind.name} is given by itself: put it into a file, and name that by {kind.name}_FILE"
        )
        raise click.ClickException(text)
    if folder is not None:
        return file_in(folder.absolute(), kind.name)
    named = environ.get(f"{kind.name}_FILE", "").strip()
    if not named:
        text = f"{kind.name}_FILE isn't set: name its directory by --dir"
        raise click.ClickException(text)
    return Path(named).absolute()


def _given_value(kind: Kind) -> str:
    """Return a value that somebody else has made, asked for or read from standard input."""
    if sys.stdin.isatty():
        text: str = click.prompt(f"New {kind.name}", hide_input=True, err=True)
        return text.strip()
    return sys.stdin.readline().strip()
