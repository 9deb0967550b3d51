"""`aiba devnet`: a chain on this machine, with the vault and the jetton on it."""

import asyncio
import importlib.util
import os
import socket
import time
from typing import cast

import click
import uvloop
from litestar.types import ASGIApp

from aiba_adapters.signing.local import KEY_VARIABLE, OracleKeyUnusable, oracle_key
from aiba_entry.http.server import listen, serve

_NETWORKS = {"testnet": -3, "mainnet": -239}


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", default=8081, show_default=True, help="0 takes a free one.")
@click.option(
    "--network",
    type=click.Choice([*_NETWORKS]),
    default="testnet",
    show_default=True,
    help="Which network the chain says it is.",
)
@click.option("--vault-jettons", default=10**9, show_default=True, help="What the vault can pay.")
def devnet(host: str, port: int, network: str, vault_jettons: int) -> None:
    """Run a chain in this process, and speak toncenter's API (v2 and v3) over it.

    The vault, the jetton and their owner are deployed at the same addresses each time; what happens
    later is forgotten at the end. The vault believes the key in ORACLE_PRIVATE_KEY_HEX (or the file
    named by ORACLE_PRIVATE_KEY_HEX_FILE) if there is one, else a known key that is good for nothing
    but this. Faucet, time, late blocks, rate limit and outages are under /control: whoever reaches
    the port may use them, so keep it on this machine.
    """
    if importlib.util.find_spec("tonpy") is None:
        raise click.ClickException(
            "the local chain needs the extra devnet (pip install 'aiba-arena[devnet]'), "
            "which is built for Linux on x86-64 only"
        )
    try:
        listener = listen(host, port)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (")[0].lower()
        raise click.ClickException(f"cannot listen on {host} port {port}: {reason}") from None
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(listener, network=network, vault_jettons=vault_jettons))


async def _run(listener: socket.socket, *, network: str, vault_jettons: int) -> None:
    # Where the extra isn't installed, the command still says so.
    from aiba_adapters.devnet.arena import Arena, key_of  # noqa: PLC0415
    from aiba_adapters.devnet.chain import LocalChain  # noqa: PLC0415
    from aiba_adapters.devnet.server import Devnet  # noqa: PLC0415

    names = (KEY_VARIABLE, f"{KEY_VARIABLE}_FILE")
    is_given = any(os.environ.get(name, "").strip() for name in names)
    try:
        oracle = oracle_key(os.environ) if is_given else key_of("oracle")
    except OracleKeyUnusable as error:
        raise click.ClickException(str(error)) from None
    chain = LocalChain(clock=time.time, network_id=_NETWORKS[network])
    arena = Arena(chain, oracle=oracle, vault_jettons=vault_jettons)

    def announce(bound: str, port: int) -> None:
        base = f"http://[{bound}]:{port}" if ":" in bound else f"http://{bound}:{port}"
        click.echo(f"Local chain  {base}   (state, controls: /control/...)")
        click.echo(f"toncenter    {base}/api/v2   {base}/api/v3")
        click.echo(f"Vault        {arena.vault.raw}")
        click.echo(f"Jetton       {arena.jetton_master.raw}")
        click.echo(f"Owner        {arena.owner.address.raw}")
        click.echo("\nFor the API:")
        click.echo(f"  export TON_NETWORK={network}")
        click.echo(f"  export TON_PROVIDER_URL={base}/api/v2/jsonRPC")
        click.echo("  export TON_REQUESTS_PER_SECOND=1000")
        click.echo(f"  export ARENA_VAULT_ADDRESS={arena.vault.raw}")
        click.echo(f"  export AIBA_JETTON_MASTER={arena.jetton_master.raw}")
        click.echo(f"  export CREATED_BROKERS_WALLET={arena.owner.address.raw}")
        click.echo("  export TON_PROOF_DOMAINS=localhost")
        click.echo("  export AIBA_DEV_CHAIN_TIME=1")
        if not is_given:
            click.echo(f"  export {KEY_VARIABLE}={bytes(oracle).hex()}")

    await serve(cast("ASGIApp", Devnet(arena).app), listener=listener, started=announce)
