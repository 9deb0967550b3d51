"""The isolated signer over a Unix socket, beside what bounds it: bare signing, HTTP and the disk.

`python -m bench.signer [--json] [--claims N] [--rounds N] [--depth N]`. Eight clients ask, each
with several requests under way over connections of its own, so that a commit is shared by many.
Every claim is another recipient's, and durable in store and log before its answer leaves. All of it
runs on one machine, the clients included: the ratios say more than the rates.
"""

import argparse
import asyncio
import itertools
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

import uvloop
from nacl.signing import SigningKey

from aiba_adapters.signing.keys import ProcessKey
from aiba_adapters.signing.protection import ProtectionFile, SqliteProtection, init
from aiba_domain.claims.claim import ChainView
from aiba_domain.signing.model import Network
from aiba_domain.signing.policy import Allowed, Limits, SigningPolicy
from aiba_entry.http.server import serve
from aiba_entry.logs import ensure_logging
from aiba_entry.signer.app import SIGN, SignerApp
from aiba_entry.signer.desk import Desk
from aiba_entry.signer.metrics import SignerMetrics
from aiba_entry.signer.policy import LoadedPolicy
from aiba_entry.signer.tokens import read_tokens
from bench.load import Load, request
from bench.report import Figure

CLIENTS: Final = 8
DEPTH: Final = 16
"""How many requests each client has under way."""

TOKEN: Final = "token-of-the-benchmark-0123456789"  # noqa: S105 - worth nothing
VAULT: Final = f"0:{'11' * 32}"
MASTER: Final = f"0:{'22' * 32}"
NOW: Final = 1_767_268_800
NO_OP: Final = "/no-op"
_COMMITS: Final = 'aiba_signer_commit_seconds_count{step="log"}'
_CPU: Final = "aiba_signer_process_cpu_seconds_total"
_MOST: Final = 10**15
_TARGET: Final = 5_000
_START_S: Final = 30.0
_PAGE: Final = b"x" * 4_096


class FixedChain:
    """A chain whose time stands; it has paid nobody."""

    async def time_s(self) -> int:
        """Return the time."""
        return NOW

    async def view(self, vault: str, recipient: str) -> ChainView:
        """Return that nothing was paid."""
        del vault, recipient
        return ChainView(seqno=0, time_s=NOW)


async def run_signer(folder: Path) -> None:
    """Serve a signer, and a route that does nothing, on a socket in a folder."""
    ensure_logging()
    init(folder / "store", folder / "log", network=Network.TESTNET, new_key=True)
    metrics = SignerMetrics()
    store = SqliteProtection(ProtectionFile(folder / "store", folder / "log", probe=metrics.probe))
    limits = Limits(claim=_MOST, recipient_day=_MOST, day=_MOST, lifetime=_MOST)
    entry = Allowed(
        name="bench", network=Network.TESTNET, vault=VAULT, jetton_master=MASTER, limits=limits
    )
    desk = Desk(
        ProcessKey(SigningKey(bytes(range(32)))),
        store=store,
        chain=FixedChain(),
        network=Network.TESTNET,
        policy=LoadedPolicy(policy=SigningPolicy(allow=(entry,)), digest="0" * 64),
        observe=metrics.result,
    )
    await desk.start()
    tokens = read_tokens(f"bench {TOKEN}")
    app = SignerApp(desk, tokens=tokens, metrics=metrics, rate_per_s=1_000_000)

    async def with_no_op(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - ASGI
        if scope.get("path") != NO_OP:
            await app(scope, receive, send)
            return
        await receive()
        head = [(b"content-type", b"application/json"), (b"content-length", b"2")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        await send({"type": "http.response.body", "body": b"{}"})

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "socket"))
    listener.listen(1_024)
    await serve(with_no_op, listener=listener, started=lambda *_: print("ready", flush=True))
    await store.close()


@contextmanager
def served(folder: Path) -> Iterator[Path]:
    """Run the signer as a process of its own while the context lasts; give its socket's path."""
    folder.mkdir(parents=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.signer", "--serve", str(folder)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[1],
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n", "the signer didn't start"
        yield folder / "socket"
    finally:
        process.terminate()
        process.wait(_START_S)
        if process.stdout is not None:
            process.stdout.close()


async def measure_signer(
    folder: Path, *, claims: int = 4_000, rounds: int = 5, depth: int = DEPTH
) -> list[Figure]:
    """Measure all in alternating rounds, in a folder of the disk that a signer would use."""
    numbers = itertools.count(1)
    rates: dict[str, list[float]] = {name: [] for name in ("bare", "http", "signed", "sync")}
    latencies: list[float] = []
    errors, commits, cpu_s = 0, 0.0, 0.0
    with served(folder) as path:
        load = await Load.connect_unix(path, CLIENTS * depth)
        for _ in range(rounds):
            rates["bare"].append(_bare(min(claims, 2_000)))
            rates["sync"].append(_syncs(folder / "page"))
            idle = itertools.repeat(request(NO_OP, b"{}", TOKEN))
            rates["http"].append((await load.run(idle.__next__, count=claims)).rate)
            wires = [_wire(next(numbers)) for _ in range(claims)]
            before = await _counted(path)
            run = await load.run(iter(wires).__next__, count=claims)
            after = await _counted(path)
            commits += after[_COMMITS] - before[_COMMITS]
            cpu_s += after[_CPU] - before[_CPU]
            rates["signed"].append(run.rate)
            latencies.extend(run.latencies)
            errors += run.errors
        load.close()
    assert not errors, run.first_error
    middle = {name: median(values) for name, values in rates.items()}
    shared = claims * rounds / commits
    return [
        Figure(
            name=f"isolated signer, {CLIENTS} clients",
            value=middle["signed"],
            unit="/s",
            at_least=_TARGET,
            note=f"{shared:.0f} share a commit of two syncs, {depth} under way each, "
            f"p50 {median(latencies) * 1000:.0f} ms",
        ),
        Figure(
            name="isolated signer : bare PyNaCl signing",
            value=middle["signed"] / middle["bare"],
            unit="x",
            note=f"{middle['bare']:,.0f}/s on one core",
        ),
        Figure(
            name="isolated signer : no-op over the same socket",
            value=middle["signed"] / middle["http"],
            unit="x",
            note=f"{middle['http']:,.0f}/s",
        ),
        Figure(
            name="isolated signer : fdatasync of a page",
            value=middle["signed"] / middle["sync"],
            unit="x",
            note=f"{middle['sync']:,.0f}/s",
        ),
        Figure(
            name="isolated signer, CPU of a claim : of a bare signature",
            value=cpu_s / (claims * rounds) * middle["bare"],
            unit="x",
            note=f"{cpu_s / (claims * rounds) * 1e6:.0f} us, of all its threads",
        ),
    ]


async def _counted(path: Path) -> dict[str, float]:
    """Return how many commits the signer has made, and the CPU seconds it has used."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"GET /metrics HTTP/1.1\r\nhost: signer\r\nconnection: close\r\n\r\n")
    page = (await reader.read(-1)).decode()
    writer.close()
    found = (line.rpartition(" ") for line in page.splitlines())
    return {name: float(value) for name, _, value in found if name in {_COMMITS, _CPU}}


def _wire(number: int) -> bytes:
    body = {
        "vaultAddress": VAULT,
        "jettonMaster": MASTER,
        "to": f"0:{int.from_bytes(os.urandom(28), 'big') << 32 | number:064x}",
        "amount": "5",
        "seqno": "1",
        "validUntil": NOW + 600,
    }
    return request(SIGN, json.dumps(body).encode(), TOKEN)


def _bare(count: int) -> float:
    """Return how many bare signatures one core makes in a second of its time."""
    key, digest = SigningKey(bytes(range(32))), bytes(32)
    return _timed(lambda: key.sign(digest), count, time.process_time)


def _syncs(path: Path, count: int = 100) -> float:
    """Return how often in a second the disk makes a page durable."""
    sync: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)
    with path.open("wb", buffering=0) as file:

        def once() -> None:
            file.write(_PAGE)
            sync(file.fileno())

        return _timed(once, count)


def _timed(
    work: Callable[[], object], count: int, clock: Callable[[], float] = time.perf_counter
) -> float:
    started = clock()
    for _ in range(count):
        work()
    return count / (clock() - started)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; return 1 if the target was missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--claims", type=int, default=4_000, help="claims in a round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--depth", type=int, default=DEPTH, help="requests under way of a client")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if options.serve:
            runner.run(run_signer(options.serve))
            return 0
        with tempfile.TemporaryDirectory(dir=Path(), prefix=".bench-") as folder:
            place = Path(folder).resolve() / "signer"
            figures = runner.run(
                measure_signer(
                    place, claims=options.claims, rounds=options.rounds, depth=options.depth
                )
            )
    if options.json:
        print(json.dumps({"bench": "signer", "figures": [one.to_json() for one in figures]}))
    else:
        for one in figures:
            print(f"{one.name:46} {one.text}  {one.target}")
    return int(any(one.is_met is False for one in figures))


if __name__ == "__main__":
    sys.exit(main())
