"""`aiba serve`: run the HTTP API until a signal."""

import asyncio
import signal
import socket
import sys

import click
import uvloop

from aiba_domain.ports import Unavailable
from aiba_entry.cli.session import settings_or_exit
from aiba_entry.http.server import listen
from aiba_entry.http.server import serve as serve_http
from aiba_entry.observability import configure_logging
from aiba_entry.service import StoreUnusable, open_service
from aiba_entry.settings import Settings


@click.command()
def serve() -> None:
    """Run the HTTP API until SIGINT or SIGTERM, then finish what was accepted.

    Everything is configured by environment variables; a faulty environment is refused with every
    fault named and exit code 78.
    """
    settings = settings_or_exit()
    configure_logging(settings.log_level, stream=sys.stderr, secrets=settings.secrets)
    listener = _listener_or_exit(settings)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run(settings, listener))
    except (StoreUnusable, Unavailable) as error:
        raise click.ClickException(str(error)) from None


async def run(settings: Settings, listener: socket.socket) -> None:
    """Open the service, serve it, and close it after the last accepted request."""
    async with open_service(settings) as app:
        await serve_http(app, listener=listener, started=announce)
        # What is left takes a moment; an impatient second signal must not break into it.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def _listener_or_exit(settings: Settings) -> socket.socket:
    """Listen before anything else is opened, or say why not and exit with 1."""
    try:
        return listen(settings.host, settings.port)
    except OSError as error:
        # The rest of the text repeats the address.
        reason = (error.strerror or str(error)).partition(" (")[0].lower()
        place = f"{settings.host} port {settings.port}"
        raise click.ClickException(f"cannot listen on {place}: {reason}") from None


def announce(host: str, port: int) -> None:
    """Print the three addresses that a newcomer wants."""
    base = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    click.echo(f"API docs  {base}/docs")
    click.echo(f"Health    {base}/health")
    click.echo(f"Metrics   {base}/metrics")
