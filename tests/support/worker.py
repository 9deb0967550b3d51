"""A worker as a process of its own: it goes a round for each line on its input, and tells of it.

`python -m tests.support.worker STORE FOLDER CLOCK HOLDER [HANG]` works on the store of a folder, by
the clock in a file. On `letters` it brings what is due, on `settle` it settles claims, as the
service does. It prints `at ID` when it comes to a letter or a claim, and `done RESULT` after a
round. At the thing named HANG it stands still until another line comes.
"""

import asyncio
import sys
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry

from aiba_adapters.sqlite import SqliteStore
from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.application.deliveries import Deliveries
from aiba_domain.application.leases import StoreLeases
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.application.withdrawals import Contracts, Withdrawals
from aiba_domain.claims.claim import EXPIRY_MARGIN_S, VALIDITY_S, ChainView
from aiba_domain.claims.ports import Inventory
from aiba_domain.outbox.model import Letter
from aiba_domain.outbox.news import news_of
from aiba_domain.ports import Store
from aiba_domain.testing.chain import GENESIS_S, JETTON_MASTER, VAULT, ModelSigner
from aiba_domain.testing.doubles import FixedSeeds, Tally
from aiba_entry.chain import SETTLEMENT, SETTLEMENT_MS, Keeper
from aiba_entry.chain_metrics import ChainMetrics
from aiba_entry.duty import Duty
from aiba_entry.outbox import DELIVERY, DELIVERY_MS, Courier
from aiba_entry.outbox_metrics import OutboxMetrics
from tests.support.mongo import open_mongo

LATER_S: Final = GENESIS_S + VALIDITY_S + EXPIRY_MARGIN_S + 1
"""When claims that were reserved at the chain's beginning have expired."""


class FileClock:
    """The time that a file tells, so that several processes share it."""

    def __init__(self, path: Path) -> None:
        """Read from a file."""
        self._path = path

    def now(self) -> int:
        """Return the time in ms."""
        return int(self._path.read_text())


def pipeline_on(store: Store, clock: FileClock) -> Pipeline:
    """Return a pipeline that tells players what happens."""
    return Pipeline(
        store=store,
        clock=clock,
        seeds=FixedSeeds(),
        observer=Tally(),
        handlers=HANDLERS,
        announce=news_of,
    )


async def open_store(kind: str, folder: Path) -> Store:
    """Open the store of a folder."""
    return SqliteStore(folder / "arena.db") if kind == "sqlite" else await open_mongo(folder)


class Work:
    """What the worker comes to: letters, and claims on a chain that has paid nobody."""

    def __init__(self, lines: asyncio.StreamReader, hang: str) -> None:
        """Hang at one thing, until a line comes."""
        self._lines = lines
        self._hang = hang

    async def deliver(self, letter: Letter) -> None:
        """Bring a letter."""
        await self._come_to(letter.id)

    async def view(self, _vault: str, recipient: str) -> ChainView:
        """Look at the chain after the end of every claim."""
        await self._come_to(recipient)
        return ChainView(seqno=0, time_s=LATER_S)

    async def inventory(self, vault: str) -> Inventory:
        """Show nothing: no worker here asks."""
        raise NotImplementedError(vault)

    async def sighting(self, vault: str, recipient: str) -> object:
        """Show nothing: no worker here asks."""
        raise NotImplementedError(vault, recipient)

    async def _come_to(self, name: str) -> None:
        _say("at", name)
        if name == self._hang:
            await self._lines.readline()


async def main(kind: str, folder: Path, clock_file: Path, holder: str, hang: str = "") -> None:
    """Go a round for each line."""
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    store, clock = await open_store(kind, folder), FileClock(clock_file)
    pipeline, work = pipeline_on(store, clock), Work(lines, hang)
    leases, registry = StoreLeases(pipeline), CollectorRegistry()
    courier = Courier(
        deliveries=Deliveries(pipeline=pipeline, store=store, notifier=work),
        duty=Duty(leases, DELIVERY, holder=holder, ttl_ms=DELIVERY_MS),
        metrics=OutboxMetrics(registry),
        now_ms=clock.now,
    )
    keeper = Keeper(
        withdrawals=Withdrawals(
            pipeline=pipeline,
            store=store,
            signer=ModelSigner([]),
            chain=work,
            contracts=Contracts(vault=VAULT, jetton_master=JETTON_MASTER),
        ),
        duty=Duty(leases, SETTLEMENT, holder=holder, ttl_ms=SETTLEMENT_MS),
        vault=VAULT,
        chain=work,  # type: ignore[arg-type] # never asked
        metrics=ChainMetrics(CollectorRegistry()),
        now_ms=clock.now,
    )
    _say("ready")
    while line := (await lines.readline()).decode().strip():
        if line == "settle":
            _say("done", await keeper.settle())
        else:
            await courier.go_round()
            _say("done", _last_run(registry))
    await store.close()


def _say(*words: str) -> None:
    sys.stdout.write(" ".join(words) + "\n")
    sys.stdout.flush()


_seen: dict[str, float] = {}


def _last_run(registry: CollectorRegistry) -> str:
    """Return how the last round of the outbox ended, by its metrics."""
    for family in registry.collect():
        for sample in family.samples:
            result = sample.labels.get("result", "")
            if sample.name == "aiba_outbox_runs_total" and sample.value > _seen.get(result, 0):
                _seen[result] = sample.value
                return result
    return "unknown"


if __name__ == "__main__":
    words = sys.argv[1:]
    asyncio.run(main(words[0], Path(words[1]), Path(words[2]), *words[3:]))
