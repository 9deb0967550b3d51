"""The toncenter reader keeps its contracts over a real TVM, whichever API it speaks."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

from aiba_adapters.devnet.arena import TON
from aiba_adapters.devnet.cells import comment
from aiba_adapters.devnet.faults import Outage
from aiba_adapters.devnet.wallets import Order
from aiba_domain.testing.contracts import (
    Capability,
    ChainReaderContract,
    PaymentReaderContract,
)
from tests.contract.chain.test_reader_on_chain import SHOP, World
from tests.support.virtual_time import runner


class Stage:
    """A local chain behind one of toncenter's APIs, in virtual time."""

    shop = SHOP.raw
    network = -239

    def __init__(self, form: str) -> None:
        """Deploy everything, with two wallets that can pay."""
        self.world = World(form, per_s=0.0, lag_s=120)
        self.arena = self.world.arena
        self.reader = self.world.reader
        self.vault = self.arena.vault.raw
        self.wallets = {
            wallet.address.raw: wallet
            for wallet in (self.arena.wallet(name, nanotons=100 * TON) for name in ("one", "two"))
        }
        self.recipients = tuple(self.wallets)
        self.payer = self.recipients[0]

    async def pay(self, recipient: str) -> None:
        """Claim one jetton."""
        await asyncio.sleep(1)
        wallet = self.wallets[recipient]
        self.arena.claim(wallet, self.arena.sign(wallet.address, 1))

    async def wait(self, seconds: int) -> None:
        """Let time pass; the chain makes its blocks by itself."""
        await asyncio.sleep(seconds)

    async def time_s(self) -> int:
        """Return the newest block's time."""
        return self.world.chain.tip.now

    async def jettons(self) -> int:
        """Return what the vault holds."""
        return self.arena.jettons(self.arena.vault)

    async def hold(self, *, on: bool) -> None:
        """Make no block, or make them again."""
        if on:
            self.world.chain.hold()
        else:
            self.world.chain.release()

    @contextlib.contextmanager
    def outage(self) -> Iterator[None]:
        """Let every request fail."""
        self.world.devnet.faults.begin(Outage.ERROR)
        yield
        self.world.devnet.faults.end()


class Shop(Stage):
    """The same, for payments."""

    async def pay(  # type: ignore[override] # what a payment needs is other than a claim
        self, value_nano: int, comment_text: str, *, bounced: bool
    ) -> tuple[str, int]:
        """Pay from the first wallet."""
        await asyncio.sleep(1)
        body = comment(comment_text) if comment_text else None
        order = Order(destination=SHOP, value=value_nano, body=body, bounce=bounced)
        paid = self.arena.send(self.wallets[self.payer], order).of(SHOP)[0]
        return paid.hash.hex(), paid.now

    async def outgoing(self) -> tuple[str, str]:
        """Send from the first wallet, which an external message tells to."""
        wallet = self.wallets[self.payer]
        sent = self.arena.send(wallet, Order(destination=SHOP, value=TON, bounce=False))
        return self.payer, sent.of(wallet.address)[0].hash.hex()


class TestV2Chain(ChainReaderContract):
    """Claims over version 2."""

    form = "/api/v2"
    capabilities = frozenset({Capability.LATE_BLOCKS, Capability.FAULTS})

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """Pass time in a moment."""
        return runner().get_loop()

    async def open_stage(self, folder: Path) -> Stage:  # noqa: ARG002 - in memory
        """Deploy."""
        return Stage(self.form)

    async def release(self, adapter: Stage) -> None:
        """Close the reader."""
        await adapter.reader.close()

    def outage(self, adapter: Stage) -> contextlib.AbstractContextManager[None]:
        """Let every request fail."""
        return adapter.outage()


class TestV3Chain(TestV2Chain):
    """Claims over version 3."""

    form = "/api/v3"


class TestV2Payments(PaymentReaderContract):
    """Payments over version 2."""

    form = "/api/v2"
    capabilities = frozenset({Capability.FAULTS})

    def new_loop(self) -> asyncio.AbstractEventLoop:
        """Pass time in a moment."""
        return runner().get_loop()

    async def open_stage(self, folder: Path) -> Shop:  # noqa: ARG002 - in memory
        """Deploy."""
        return Shop(self.form)

    async def release(self, adapter: Shop) -> None:
        """Close the reader."""
        await adapter.reader.close()

    def outage(self, adapter: Shop) -> contextlib.AbstractContextManager[None]:
        """Let every request fail."""
        return adapter.outage()


class TestV3Payments(TestV2Payments):
    """Payments over version 3."""

    form = "/api/v3"
