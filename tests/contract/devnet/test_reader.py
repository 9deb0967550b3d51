"""The project's own reader sees on the local chain what happened there."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx
import pytest

from aiba_adapters.devnet.arena import TON
from aiba_adapters.devnet.cells import comment
from aiba_adapters.devnet.server import Devnet
from aiba_adapters.devnet.wallets import Order
from aiba_adapters.ton.addresses import Address
from aiba_adapters.toncenter.client import Limits
from aiba_adapters.toncenter.endpoints import Provider
from aiba_adapters.toncenter.reader import Freshness, ToncenterReader, open_reader
from aiba_domain.ports import Unavailable

FORMS = ("/api/v2", "/api/v2/jsonRPC", "/api/v3")
SHOP = Address(0, b"\x2b" * 32)


class ChainClock:
    """Our clock, which goes as the chain's does."""

    def __init__(self, devnet: Devnet) -> None:
        self._devnet = devnet

    def now(self) -> int:
        """Return the time of the chain."""
        return self._devnet.chain.now * 1000


def read(devnet: Devnet, form: str, play: Callable[[ToncenterReader], Awaitable[None]]) -> None:
    """Run a scene with a reader that remembers nothing."""

    async def scene() -> None:
        transport = httpx.ASGITransport(app=devnet.app)
        reader = open_reader(
            [Provider(url=f"http://devnet{form}", requests_per_s=10_000)],
            clock=ChainClock(devnet),
            network=devnet.chain.network_id,
            limits=Limits(attempts=2, patience_s=2.0, first_pause_s=0.001),
            freshness=Freshness(view_s=0, inventory_s=0, head_s=0),
            transport=transport,
        )
        try:
            await play(reader)
        finally:
            await reader.close()

    asyncio.run(scene())


@pytest.mark.parametrize("form", FORMS)
def test_a_claim_is_seen_as_paid_in_the_time_of_its_block(devnet: Devnet, form: str) -> None:
    """The seqno before and after, with the chain's time; and a vault that holds less."""
    arena = devnet.arena
    player = arena.wallet("player")

    async def play(reader: ToncenterReader) -> None:
        vault, recipient = arena.vault.raw, player.address.raw
        before = await reader.view(vault, recipient)
        assert before.seqno == 0
        held = await reader.inventory(vault)
        assert (held.jettons, held.jetton_wallet) == (
            10**9,
            arena.jetton_wallet(arena.vault).raw,
        )
        devnet.chain.advance(30)
        arena.claim(player, arena.sign(player.address, 77))
        after = await reader.view(vault, recipient)
        assert after.seqno == 1
        assert after.time_s == devnet.chain.now
        left = await reader.inventory(vault)
        assert left.jettons == 10**9 - 77
        assert left.ton_nano == devnet.chain.account(arena.vault).balance

    read(devnet, form, play)


@pytest.mark.parametrize("form", FORMS)
def test_a_payment_is_read_from_its_cells(devnet: Devnet, form: str) -> None:
    """Value, payer, comment and success of a payment, found by its hash; none by another."""
    arena = devnet.arena
    payer = arena.wallet("payer")
    order = Order(destination=SHOP, value=TON // 2, body=comment("order 17"), bounce=False)
    paid = arena.send(payer, order).of(SHOP)[0]

    async def play(reader: ToncenterReader) -> None:
        since = devnet.chain.now - 60
        found = await reader.payment(paid.hash.hex(), to=SHOP.raw, since_s=since)
        assert found is not None
        assert (found.value_nano, found.comment, found.network) == (TON // 2, "order 17", -3)
        assert (found.source, found.destination) == (payer.address.raw, SHOP.raw)
        assert await reader.payment("00" * 32, to=SHOP.raw, since_s=since) is None

    read(devnet, form, play)


@pytest.mark.parametrize("form", FORMS)
def test_a_bad_day_is_unavailable_and_never_a_wrong_answer(devnet: Devnet, form: str) -> None:
    """Rate limit, outage and nonsense raise; afterwards everything is as it was."""
    arena = devnet.arena

    async def play(reader: ToncenterReader) -> None:
        place = (arena.vault.raw, arena.owner.address.raw)
        devnet.faults.limit(0)
        with pytest.raises(Unavailable):
            await reader.view(*place)
        devnet.faults.limit(None)
        for body in ({"mode": "error"}, {"mode": "nonsense"}, {"mode": "lost-answers"}):
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(app=devnet.app), base_url="http://devnet"
            ) as control:
                assert (await control.post("/control/outage", json=body)).status_code == 200
                with pytest.raises(Unavailable):
                    await reader.view(*place)
                await control.post("/control/outage", json={"mode": None})

    read(devnet, form, play)

    async def again(reader: ToncenterReader) -> None:
        view = await reader.view(arena.vault.raw, arena.owner.address.raw)
        assert view.seqno == 0

    read(devnet, form, again)
