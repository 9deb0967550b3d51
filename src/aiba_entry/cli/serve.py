"""`aiba serve`: run the HTTP API until a signal."""

import asyncio
import sys

import click
import uvloop

from aiba_entry.cli.session import settings_or_exit
from aiba_entry.http.server import serve as serve_http
from aiba_entry.observability import configure_logging
from aiba_entry.service import open_service
from aiba_entry.settings import Settings


@click.command()
def serve() -> None:
    """Run the HTTP API until SIGINT or SIGTERM, then finish what was accepted.

    Everything is configured by environment variables; a faulty environment is refused with every
    fault named and exit code 78.
    """
    settings = settings_or_exit()
    configure_logging(settings.log_level, stream=sys.stderr, secrets=settings.secrets)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run(settings))


async def run(settings: Settings) -> None:
    """Open the service, serve it, and close it after the last accepted request."""
    async with open_service(settings) as app:
        await serve_http(app, host=settings.host, port=settings.port, started=announce)


def announce(host: str, port: int) -> None:
    """Print the three addresses that a newcomer wants."""
    base = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    click.echo(f"API docs  {base}/docs")
    click.echo(f"Health    {base}/health")
    click.echo(f"Metrics   {base}/metrics")
