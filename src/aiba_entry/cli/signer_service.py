"""`aiba signer serve`, and the commands around its keys and tokens."""

import asyncio
import base64
import os
import re
import secrets
import signal
import socket
import sys
from hashlib import sha256
from pathlib import Path

import click
import uvloop
from nacl.signing import SigningKey
from pytoniq_core.boc.builder import Builder

from aiba_adapters.signing.hsm import TokenKey, TokenUnusable
from aiba_adapters.signing.local import OracleKeyUnusable
from aiba_domain.signing.faults import Faulty
from aiba_entry.http.server import serve as serve_http
from aiba_entry.logs import configure_logging, get_logger
from aiba_entry.readiness.findings import EX_CONFIG, Finding
from aiba_entry.readiness.report import refusal
from aiba_entry.signer import environment
from aiba_entry.signer.app import SIGN
from aiba_entry.signer.service import Parts, listener_of, open_parts, signer_app
from aiba_entry.signer.settings import ServiceSettings, SignerFaults
from aiba_entry.signer.tokens import read_tokens
from aiba_entry.variables import Variables

SET_ORACLE = 0x6D7D6C8F
"""The op of the message with which a vault's owner names another key to believe."""

_TOKEN_BYTES = 32
_KEY_BYTES = 32
_MODE = 0o600
_log = get_logger("aiba.signer")


@click.command()
def serve() -> None:
    """Run the isolated signer until SIGINT or SIGTERM, then finish what was accepted.

    Everything is configured by environment variables; every fault is named at once, with exit code
    78. SIGHUP reads tokens, policy and TLS files again.
    """
    try:
        parts = open_parts(os.environ)
    except SignerFaults as faults:
        click.echo(refusal("SIGNER_NOT_READY", _findings(faults)), err=True)
        raise SystemExit(EX_CONFIG) from None
    settings = parts.settings
    variables = Variables(os.environ)
    hidden = [variables.secret(name) for name in environment.SECRETS]
    configure_logging(settings.log_level, stream=sys.stderr, secrets=[*filter(None, hidden)])
    for finding in map(_finding, parts.warnings):
        _log.warning("readiness", variables=finding.variables, text=finding.text)
    listener = _listener_or_exit(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(parts, listener))


async def run(parts: Parts, listener: socket.socket) -> None:
    """Serve the signer on a listener, and close it after the last accepted request."""
    settings = parts.settings

    def started(host: str, port: int) -> None:
        if settings.socket is not None:
            place = f"unix:{settings.socket}"
        else:
            scheme = "https" if parts.tls else "http"
            name = f"[{host}]" if ":" in host else host
            place = f"{scheme}://{name}:{port}{SIGN}"
        click.echo(f"Signer    {place}")

    async with signer_app(parts) as app:
        await serve_http(app, listener=listener, started=started, tls=parts.tls)
        # What is left takes a moment; an impatient second signal must not break into it.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
    if settings.socket is not None:
        settings.socket.unlink(missing_ok=True)


@click.command("new-key")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def new_key(file: Path) -> None:
    """Make a key at random in a new FILE of its owner alone, and print its public part."""
    key = SigningKey.generate()
    _write_new(file, bytes(key).hex())
    click.echo(bytes(key.verify_key).hex())


@click.command("public-key")
def public_key() -> None:
    """Print the public part of the key that the environment names, as the vault must have it."""
    try:
        key = environment.signing_key(os.environ)
    except (OracleKeyUnusable, TokenUnusable, environment.EnvironmentUnusable) as error:
        raise click.ClickException(str(error)) from None
    click.echo(key.public_key.hex())
    if isinstance(key, TokenKey):
        key.close()


@click.command("new-token")
@click.argument("name")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def new_token(name: str, file: Path) -> None:
    """Make a token, write it to a new FILE, and print the line for SIGNER_TOKENS_FILE.

    The line holds NAME and the token's hash, not the token.
    """
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    line = f"{name} sha256:{sha256(token.encode()).hexdigest()}"
    try:
        read_tokens(line)
    except Faulty as fault:
        raise click.BadParameter(str(fault), param_hint="NAME") from None
    _write_new(file, token)
    click.echo(line)


@click.command("set-oracle")
@click.argument("key", metavar="PUBLIC_KEY")
def set_oracle(key: str) -> None:
    """Print the body of the owner's message that makes a vault believe PUBLIC_KEY, as base64.

    Send it from the vault's owner to the vault with 0.05 TON. From then on the vault refuses every
    claim that another key has signed.
    """
    try:
        public = bytes.fromhex(key)
    except ValueError:
        public = b""
    if len(public) != _KEY_BYTES:
        raise click.BadParameter("64 hex digits", param_hint="PUBLIC_KEY")
    body = Builder().store_uint(SET_ORACLE, 32).store_bytes(public).end_cell()
    click.echo(base64.b64encode(body.to_boc()).decode())


COMMANDS = (serve, new_key, public_key, new_token, set_oracle)
"""What `aiba signer` has beside the care of store and log."""


def _findings(faults: SignerFaults) -> list[Finding]:
    return [_finding(fault) for fault in faults.faults]


def _finding(fault: str) -> Finding:
    """Take the variable that a fault begins with from its text."""
    name = re.match(r"[A-Z][A-Z0-9_]*", fault)
    text = fault.removeprefix(name[0]).lstrip(": ") if name else fault
    return Finding(code="signer_setting_invalid", variables=(name[0],) if name else (), text=text)


def _write_new(file: Path, text: str) -> None:
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE), "w") as written:
            written.write(f"{text}\n")
    except OSError as error:
        raise click.ClickException(f"{file.name}: {error.strerror}") from None


def _listener_or_exit(settings: ServiceSettings) -> socket.socket:
    try:
        return listener_of(settings)
    except OSError as error:
        place = settings.socket or f"{settings.host} port {settings.port}"
        raise click.ClickException(f"cannot listen on {place}: {error.strerror or error}") from None
