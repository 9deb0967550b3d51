"""`aiba serve`: run the HTTP API until a signal, in development with a chain of its own."""

import asyncio
import os
import signal
import socket
import sys

import click
import uvloop

from aiba_domain.claims.claim import Claim
from aiba_domain.ports import Reader, Unavailable
from aiba_entry.cli.session import CONFIGURATION_FAULT, readiness_or_exit, settings_or_exit
from aiba_entry.dev_secrets import DevSecretsUnusable
from aiba_entry.http.server import listen
from aiba_entry.http.server import serve as serve_http
from aiba_entry.local_chain import (
    MISSING,
    LocalChainFailed,
    LocalChainProcess,
    is_installed,
    local_chain,
    own_settings,
)
from aiba_entry.observability import configure_logging, get_logger
from aiba_entry.service import open_service
from aiba_entry.settings import AppEnv, Settings, SettingsError, load
from aiba_entry.stores import StoreUnusable, has_store, open_store, place_of

_PAGE = 100
_log = get_logger("aiba.serve")


@click.command()
@click.option(
    "--local-chain",
    "wants_chain",
    is_flag=True,
    help="Start a chain on this machine for the API, kept in AIBA_DATA_DIR; not in prod.",
)
@click.option(
    "--local-chain-port",
    default=0,
    show_default=True,
    help="Where that chain listens on the loopback address; 0 takes a free port.",
)
def serve(*, wants_chain: bool, local_chain_port: int) -> None:
    """Run the HTTP API until SIGINT or SIGTERM, then finish what was accepted.

    Everything is configured by environment variables, which the readiness gate judges first: an
    environment that won't do is refused with every problem named, as JSON in the last line too, and
    exit code 78; `aiba doctor` tells the mends without starting. With --local-chain a newcomer has
    withdrawals and TON payments without network or account; whoever sets one of their variables
    gets what they set instead.
    """
    if wants_chain and os.environ.get("APP_ENV") == AppEnv.PROD:
        click.echo("--local-chain is for APP_ENV dev or test", err=True)
        raise SystemExit(CONFIGURATION_FAULT)
    readiness = readiness_or_exit()
    settings = settings_or_exit()
    log = configure_logging(settings.log_level, stream=sys.stderr, secrets=settings.secrets)
    for warning in readiness.warnings:
        _log.warning("readiness", code=warning.code, variables=warning.variables)
    listener = _listener_or_exit(settings)
    without = _reason_without_chain() if wants_chain else None
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            if wants_chain and without is None:
                runner.run(_run_with_chain(settings, listener, local_chain_port))
            else:
                with log.gathered():
                    runner.run(run(settings, listener, note=without))
    except SettingsError as error:
        click.echo(str(error), err=True)
        raise SystemExit(CONFIGURATION_FAULT) from None
    except (DevSecretsUnusable, LocalChainFailed, StoreUnusable, Unavailable) as error:
        raise click.ClickException(str(error)) from None


async def run(
    settings: Settings,
    listener: socket.socket,
    *,
    chain: LocalChainProcess | None = None,
    note: str | None = None,
) -> None:
    """Open the service, serve it, and close it after the last accepted request.

    If the local `chain` ends, so does the service. `note` is what is said where there is none.
    """

    def started(host: str, port: int) -> None:
        announce(host, port, chain.url if chain else note)
        if chain:
            chain.when_it_ends(lambda: signal.raise_signal(signal.SIGTERM))

    async with open_service(settings) as app:
        await serve_http(app, listener=listener, started=started)
        # What is left takes a moment; an impatient second signal must not break into it.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


async def _run_with_chain(settings: Settings, listener: socket.socket, port: int) -> None:
    """Start the chain, serve, and end the chain when the service has drained."""
    network = os.environ.get("TON_NETWORK", "").strip() or None
    async with local_chain(settings.data_dir, network=network, port=port) as chain:
        settings = load({**chain.settings, **_set_variables()})
        log = configure_logging(settings.log_level, stream=sys.stderr, secrets=settings.secrets)
        await _refuse_claims_of_others(settings, chain.vault)
        with log.gathered():
            await run(settings, listener, chain=chain)


async def _refuse_claims_of_others(settings: Settings, vault: str) -> None:
    """Raise LocalChainFailed if money is in flight at a vault that this chain doesn't have."""
    if not has_store(settings):
        return

    async def elsewhere(read: Reader) -> Claim | None:
        after = None
        while claims := await read.open_claims(after=after, limit=_PAGE):
            for claim in claims:
                if claim.terms.vault != vault:
                    return claim
            after = (claims[-1].created_at, claims[-1].id)
        return None

    store = await open_store(settings)
    try:
        claim = await store.read(elsewhere)
    finally:
        await store.close()
    if claim is not None:
        raise LocalChainFailed(
            f"{place_of(settings)} has claims in flight at the vault {claim.terms.vault}, which "
            "the local chain doesn't have: start with the TON settings of the chain they belong to "
            "until they are settled, or with another AIBA_DATA_DIR"
        )


def _reason_without_chain() -> str | None:
    """Say why there is no local chain; None if there can be one."""
    own = own_settings(os.environ)
    if own:
        return f"none of its own: {own[0]} is set"
    return None if is_installed() else f"none: {MISSING}"


def _set_variables() -> dict[str, str]:
    """Return what the caller has set; blank counts as absent."""
    return {name: text for name, text in os.environ.items() if text.strip()}


def _listener_or_exit(settings: Settings) -> socket.socket:
    """Listen before anything else is opened, or say why not and exit with 1."""
    try:
        return listen(settings.host, settings.port)
    except OSError as error:
        # The rest of the text repeats the address.
        reason = (error.strerror or str(error)).partition(" (")[0].lower()
        place = f"{settings.host} port {settings.port}"
        raise click.ClickException(f"cannot listen on {place}: {reason}") from None


def announce(host: str, port: int, chain: str | None = None) -> None:
    """Print the three addresses that a newcomer wants, and what there is to say of the chain."""
    base = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    lines = [
        f"API docs  {base}/docs",
        f"Health    {base}/health",
        f"Metrics   {base}/metrics",
        *([f"Chain     {chain}"] if chain else []),
    ]
    click.echo("\n".join(lines))
