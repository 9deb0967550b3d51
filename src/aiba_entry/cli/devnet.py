"""`aiba devnet`: a chain on this machine, with the vault and the jetton on it."""

import asyncio
import importlib.util
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import NamedTuple

import click
import uvloop
from nacl.signing import SigningKey

from aiba_adapters.signing.local import KEY_VARIABLE, OracleKeyUnusable, oracle_key
from aiba_entry.http.server import listen, serve

_NETWORKS = {"testnet": -3, "mainnet": -239}
_PATIENCE_SECONDS = 20.0
_CHUNK = 4096


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
@click.option(
    "--vault-jettons",
    default=10**9,
    show_default=True,
    help="What the vault can pay when the chain is new.",
)
@click.option(
    "--data-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the chain is kept; without it the chain is forgotten at the end.",
)
@click.option("--until-stdin-ends", is_flag=True, hidden=True)
def devnet(
    *,
    host: str,
    port: int,
    network: str,
    vault_jettons: int,
    data_dir: Path | None,
    until_stdin_ends: bool,
) -> None:
    """Run a chain in this process, and speak toncenter's API (v2 and v3) over it.

    With --data-dir everything that changes the chain is on the disk before it is answered for, and
    the chain goes on where it was, at the same addresses. Without it the vault, the jetton and
    their owner are deployed at the same addresses each time, and what happens later is forgotten at
    the end. The vault believes the key in ORACLE_PRIVATE_KEY_HEX (or the file named by
    ORACLE_PRIVATE_KEY_HEX_FILE) if there is one, else a known key that is good for nothing but
    this. Faucet, time, late blocks, rate limit and outages are under /control: whoever reaches the
    port may use them, so keep it on this machine.
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
    oracle = _given_oracle()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(
            _run(
                listener,
                network=network,
                vault_jettons=vault_jettons,
                data_dir=data_dir,
                oracle=oracle,
                until_stdin_ends=until_stdin_ends,
            )
        )


def _given_oracle() -> SigningKey | None:
    """Return the key in the environment, None if none is named there."""
    names = (KEY_VARIABLE, f"{KEY_VARIABLE}_FILE")
    if not any(os.environ.get(name, "").strip() for name in names):
        return None
    try:
        return oracle_key(os.environ)
    except OracleKeyUnusable as error:
        raise click.ClickException(str(error)) from None


async def _run(
    listener: socket.socket,
    *,
    network: str,
    vault_jettons: int,
    data_dir: Path | None,
    oracle: SigningKey | None,
    until_stdin_ends: bool,
) -> None:
    # Where the extra isn't installed, the command still says so.
    from aiba_adapters.devnet.arena import Arena, key_of  # noqa: PLC0415
    from aiba_adapters.devnet.chain import LocalChain  # noqa: PLC0415
    from aiba_adapters.devnet.durable import Terms, open_arena  # noqa: PLC0415
    from aiba_adapters.devnet.journal import JournalUnusable  # noqa: PLC0415
    from aiba_adapters.devnet.server import Devnet  # noqa: PLC0415

    key = key_of("oracle") if oracle is None else oracle
    if data_dir is None:
        chain = LocalChain(clock=time.time, network_id=_NETWORKS[network])
        opened = None
        devnet = Devnet(Arena(chain, oracle=key, vault_jettons=vault_jettons))
    else:
        terms = Terms(network_id=_NETWORKS[network], oracle=key, vault_jettons=vault_jettons)
        try:
            opened = open_arena(data_dir, terms, clock=time.time, patience_s=_PATIENCE_SECONDS)
        except JournalUnusable as error:
            raise click.ClickException(str(error)) from None
        devnet = Devnet(opened.arena, deployed=opened.deployed, failed=_stop)
    if until_stdin_ends:
        asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _look_at_stdin)

    arena = devnet.arena
    where = _Where(arena.vault.raw, arena.jetton_master.raw, arena.owner.address.raw)

    def announce(bound: str, port: int) -> None:
        base = f"http://[{bound}]:{port}" if ":" in bound else f"http://{bound}:{port}"
        _announce(base, where, network, shown_key=key if oracle is None else None)

    await serve(devnet.app, listener=listener, started=announce)
    if opened is not None:
        opened.close()
    if devnet.failure is not None:
        raise click.ClickException(str(devnet.failure))


class _Where(NamedTuple):
    """The raw addresses of what is deployed."""

    vault: str
    jetton: str
    owner: str


def _announce(base: str, where: _Where, network: str, *, shown_key: SigningKey | None) -> None:
    """Print where everything is; other programs read these lines."""
    click.echo(f"Local chain  {base}   (state, controls: /control/...)")
    click.echo(f"toncenter    {base}/api/v2   {base}/api/v3")
    click.echo(f"Vault        {where.vault}")
    click.echo(f"Jetton       {where.jetton}")
    click.echo(f"Owner        {where.owner}")
    click.echo("\nFor the API:")
    click.echo(f"  export TON_NETWORK={network}")
    click.echo(f"  export TON_PROVIDER_URL={base}/api/v2/jsonRPC")
    click.echo("  export TON_REQUESTS_PER_SECOND=1000")
    click.echo(f"  export ARENA_VAULT_ADDRESS={where.vault}")
    click.echo(f"  export AIBA_JETTON_MASTER={where.jetton}")
    click.echo(f"  export CREATED_BROKERS_WALLET={where.owner}")
    click.echo("  export TON_PROOF_DOMAINS=localhost")
    click.echo("  export AIBA_DEV_CHAIN_TIME=1")
    if shown_key is not None:
        click.echo(f"  export {KEY_VARIABLE}={bytes(shown_key).hex()}")


def _look_at_stdin() -> None:
    """End where whoever started this has ended: the other end of the pipe is gone then."""
    if not os.read(sys.stdin.fileno(), _CHUNK):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        _stop()


def _stop() -> None:
    """Drain and end, as on a signal from outside."""
    signal.raise_signal(signal.SIGTERM)
