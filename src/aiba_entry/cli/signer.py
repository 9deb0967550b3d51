"""`aiba signer`: look after an isolated signer's policy, memory and log."""

import asyncio
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click

from aiba_adapters.signing.audit_log import LogMissing, log_lines
from aiba_adapters.signing.chain import ReaderChain
from aiba_adapters.signing.keys import is_signed
from aiba_adapters.signing.protection import ProtectionFile, SqliteProtection, init
from aiba_adapters.signing.protection_schema import StoreDamaged, StoreMissing
from aiba_adapters.signing.unlocking import Unlocked, importing, unlock
from aiba_domain.outage import Unavailable
from aiba_domain.signing import interchange_json
from aiba_domain.signing.faults import Faulty
from aiba_domain.signing.interchange import MergeRefused, Protection
from aiba_domain.signing.model import Lock, Network, StoreState
from aiba_domain.signing.ports import ProtectionUnavailable
from aiba_domain.signing.trail import Kind, TrailBroken, Verified, verify_trail
from aiba_entry.cli import signer_service
from aiba_entry.signer import environment
from aiba_entry.signer.policy import load_policy

_FILE = click.Path(dir_okay=False, path_type=Path)
_KEY_BYTES = 32

store_option = click.option(
    "--store", type=_FILE, envvar=environment.STORE, required=True, help="The protection store."
)
log_option = click.option(
    "--log",
    type=_FILE,
    envvar=environment.LOG,
    required=True,
    help="The audit log, apart from the store and never restored with it.",
)
network_option = click.option(
    "--network",
    type=click.Choice([each.value for each in Network]),
    required=True,
    help="The network it signs for.",
)


@click.group()
def signer() -> None:
    """Look after the isolated signer: its policy, its memory of signatures and its log."""


for _command in signer_service.COMMANDS:
    signer.add_command(_command)


@signer.command("init")
@store_option
@log_option
@network_option
@click.option("--new-key", is_flag=True, help="The key has never signed a claim before.")
def init_command(*, store: Path, log: Path, network: str, new_key: bool) -> None:
    """Make a protection store and its log; both must not exist.

    Without --new-key the store is locked until `aiba signer unlock`.
    """
    with _told():
        _show(init(store, log, network=Network(network), new_key=new_key))


@signer.command()
@store_option
@log_option
def status(store: Path, log: Path) -> None:
    """Show what the store says of itself, and the public key that signs the log.

    Sequence, head and logKey are worth noting elsewhere.
    """
    with _opened(store, log) as file:
        key = file.log_key()
        _show(file.state(), {"logKey": key and key.hex()})


@signer.command("check-policy")
@click.argument("file", type=_FILE)
@network_option
def check_policy(*, file: Path, network: str) -> None:
    """Check a policy FILE (.toml or .json) and name every fault; exit with 1 if there is one."""
    try:
        loaded = load_policy(file, Network(network))
    except Faulty as refused:
        for fault in refused.faults:
            click.echo(fault, err=True)
        raise SystemExit(1) from None
    policy = loaded.policy
    click.echo(f"{len(policy.allow)} allowed, {len(policy.deny)} rules that deny")
    if not any(each.network == network for each in policy.allow):
        click.echo("It denies everything on this network.")
    click.echo(f"sha256 {loaded.digest}")


@signer.command()
@store_option
@log_option
@click.option("--output", type=_FILE, help="A new file; standard output without it.")
def export(*, store: Path, log: Path, output: Path | None) -> None:
    """Write everything that protects the key as an interchange document."""
    with _opened(store, log) as file:
        text = interchange_json.write(file.transact([lambda unit: unit.dump()])[0])
    if output is None:
        click.echo(text, nl=False)
        return
    with _told(), output.open("x", encoding="utf-8") as written:
        written.write(text)


@signer.command("import")
@store_option
@log_option
@click.argument("file", type=_FILE)
def import_command(*, store: Path, log: Path, file: Path) -> None:
    """Merge an interchange document into the store, to the stricter of both.

    A document that contradicts the store is refused, and each contradiction named.
    """
    document = _read(file)
    with _opened(store, log) as opened:
        opened.transact([importing(document)])
    click.echo(f"{len(document.claims)} claims, {len(document.marks)} recipients merged")


@signer.command()
@store_option
@log_option
def lock(store: Path, log: Path) -> None:
    """Lock the store at once: no signer that shares it signs anything until it is unlocked."""
    with _opened(store, log) as file:

        def work(unit: Any) -> None:  # noqa: ANN401 - a unit of work
            unit.lock(Lock.OPERATOR)
            unit.note(Kind.LOCKED, 0, {"reason": Lock.OPERATOR.value})

        file.transact([work])
        _show(file.state())


@signer.command("unlock")
@store_option
@log_option
@click.option("--vault", required=True, help="A vault, raw: where the chain's time is read.")
@click.option("--export", "exported", type=_FILE, help="An export to merge before.")
@click.option("--new-log", is_flag=True, help="Make a new log: the old one is lost.")
def unlock_command(
    *, store: Path, log: Path, vault: str, exported: Path | None, new_log: bool
) -> None:
    """Open a locked store, once it was checked against its log, an export and the chain.

    Reads the chain at TON_PROVIDER_URL. Where the log can't tell all that was signed, nothing new
    is signed until everything that may have been has expired.
    """
    document = None if exported is None else _read(exported)
    with _opened(store, log, make_log=new_log) as file:
        opened = asyncio.run(_unlock(file, log, vault, document))
    click.echo(f"unlocked: {opened.replayed} entries of the log replayed")
    if opened.raised:
        click.echo(f"{opened.raised} watermarks raised to the chain's: others used this key")
    if opened.quarantined_until_s:
        click.echo(f"nothing new is signed until chain time {opened.quarantined_until_s}")


async def _unlock(
    file: ProtectionFile, log: Path, vault: str, document: Protection | None
) -> Unlocked:
    store = SqliteProtection(file)
    reader = environment.chain_reader(os.environ, file.state().network)
    try:
        chain = ReaderChain(reader, vault=vault)
        return await unlock(store, chain, log=log_lines(log), export=document)
    finally:
        await reader.close()


@signer.group()
def audit() -> None:
    """Look into the log of the signer's decisions."""


@audit.command()
@click.argument("log", type=_FILE)
@click.option("--key", help="A public key that signed the log, the newest you know: 64 hex digits.")
@click.option("--at-least", type=click.IntRange(min=1), help="The entry it must reach.")
@click.option("--head", help="The hash of the last entry, or of entry --at-least.")
def verify(*, log: Path, key: str | None, at_least: int | None, head: str | None) -> None:
    """Check LOG offline: every hash, every link, every signed checkpoint; exit with 1 if wrong.

    A key that was handed over is followed to those that it named.
    A log that was cut after a whole entry is still a log: --at-least and --head, noted elsewhere,
    tell whether it reaches as far as it must.
    """
    try:
        found, hashes = _verified(log, key, at_least)
    except (TrailBroken, OSError) as error:
        click.echo(f"BROKEN {error}", err=True)
        raise SystemExit(1) from None
    if at_least is not None and found.last < at_least:
        click.echo(f"BROKEN it ends at entry {found.last}, before {at_least}", err=True)
        raise SystemExit(1)
    if head is not None and hashes != head.lower():
        click.echo("BROKEN the hash of that entry is another", err=True)
        raise SystemExit(1)
    click.echo(f"entries {found.first} to {found.last}, head {found.head.hex()}")
    for kind, count in sorted(found.counts.items()):
        click.echo(f"  {kind} {count}")
    unsigned = found.last - found.signed_to
    click.echo(f"signed up to entry {found.signed_to}; {unsigned} after it rest on their hashes")
    if found.key is not None:
        click.echo(f"the key that signs it: {found.key.hex()}")


@audit.command()
@store_option
@log_option
def adopt(*, store: Path, log: Path) -> None:
    """Let ORACLE_SIGNER_AUDIT_KEY_HEX sign the log from now on: the key before it is lost.

    Who knows only the lost key finds the log broken from here on, and must be told the new one.
    """
    if environment.log_signer(os.environ) is None:
        raise click.ClickException(f"{environment.AUDIT_KEY} isn't set")
    with _opened(store, log) as file:
        file.adopt_log()
        key = file.log_key()
    click.echo(f"the key that signs it: {key.hex() if key else 'none'}")


def _verified(log: Path, key: str | None, number: int | None) -> tuple[Verified, str]:
    """Verify a log; return also the hash of an entry, or of the last one."""
    try:
        public_key = None if key is None else bytes.fromhex(key)
    except ValueError:
        public_key = b""
    if public_key is not None and len(public_key) != _KEY_BYTES:
        raise click.BadParameter("64 hex digits", param_hint="--key")
    genuine = None if public_key is None else is_signed
    wanted = ""

    def watched() -> Iterator[bytes]:
        nonlocal wanted
        for line in log_lines(log):
            if number is not None and f'"n":{number},'.encode() in line:
                wanted = line[: 2 * _KEY_BYTES].decode("ascii", "replace")
            yield line

    found = verify_trail(watched(), public_key=public_key, genuine=genuine)
    return found, wanted if number is not None else found.head.hex()


def _read(file: Path) -> Protection:
    try:
        return interchange_json.read(file.read_text(encoding="utf-8"))
    except Faulty as refused:
        raise click.ClickException("\n".join(refused.faults)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{file.name}: {error}") from None


@contextmanager
def _told() -> Iterator[None]:
    """Say what is wrong in one line."""
    try:
        yield
    except (
        StoreMissing,
        StoreDamaged,
        LogMissing,
        TrailBroken,
        MergeRefused,
        Unavailable,
        ProtectionUnavailable,
        environment.EnvironmentUnusable,
        OSError,
    ) as error:
        raise click.ClickException(str(error)) from None


@contextmanager
def _opened(store: Path, log: Path, *, make_log: bool = False) -> Iterator[ProtectionFile]:
    """Open a store for a command, and sign the log at the end where there is a key for it."""
    with _told():
        by = environment.log_signer(os.environ)
        file = ProtectionFile(store, log, signer=by, make_log=make_log)
        try:
            key = file.log_key() if by else None
            if by is not None and key not in (None, by.public_key):
                click.echo(environment.another_log_key(key), err=True)
            yield file
            file.checkpoint()
        finally:
            file.close()


def _show(state: StoreState, more: Mapping[str, object] = MappingProxyType({})) -> None:
    click.echo(
        json.dumps(
            {
                "store": state.store,
                "network": state.network.value,
                "locked": state.locked and state.locked.value,
                "quarantinedUntil": state.quarantined_until_s,
                "newKey": state.new_key,
                "sequence": state.sequence,
                "head": state.head.hex(),
                **more,
            },
            indent=2,
        )
    )
