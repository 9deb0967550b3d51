"""The chain reader against contracts on a real TVM, through a server that speaks toncenter.

In virtual time: the chain's clock, the reader's pauses and the server's rate limit pass together.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import httpx
import pytest

from aiba_adapters.devnet.arena import TON, Arena
from aiba_adapters.devnet.cells import comment
from aiba_adapters.devnet.chain import LocalChain
from aiba_adapters.devnet.faults import Faults, Outage
from aiba_adapters.devnet.server import Devnet
from aiba_adapters.devnet.transactions import Transaction
from aiba_adapters.devnet.wallets import Order, Wallet, WalletVersion
from aiba_adapters.memory import MemoryStore
from aiba_adapters.ton.addresses import Address
from aiba_adapters.toncenter import Provider, ToncenterReader, open_reader
from aiba_adapters.toncenter.client import Limits
from aiba_adapters.toncenter.reader import Freshness
from aiba_domain.application.catalogue import HANDLERS
from aiba_domain.application.pipeline import Pipeline
from aiba_domain.application.purchases import Cashier, Purchases
from aiba_domain.claims.claim import EXPIRY_MARGIN_S, ChainView, Claim, ClaimState, verdict
from aiba_domain.claims.commands import ConnectWallet
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.decision import Principal, Refused
from aiba_domain.payments.model import Purpose, order_comment
from aiba_domain.ports import Unavailable
from aiba_domain.testing.doubles import FixedSeeds, Tally
from tests.contract.devnet.support import served
from tests.support.virtual_time import now, run

START_S = 1_767_268_800
SHOP = Address(0, b"\x5a" * 32)
FORMS = ("/api/v2", "/api/v2/jsonRPC", "/api/v3", "")
PLAYER = Principal(id="1")


class World:
    """A local chain, its server and a reader, in one virtual time."""

    def __init__(self, form: str, *, per_s: float, lag_s: int | None) -> None:
        """Deploy everything, and read through `form` at `per_s` requests a second."""
        self.skew_s = 0.0
        self.chain = LocalChain(clock=self.seconds, network_id=-239)
        self.arena = Arena(self.chain)
        self.devnet = Devnet(self.arena)
        self.devnet.faults = Faults(now=now)
        self.store = MemoryStore()
        self.reader: ToncenterReader = open_reader(
            [Provider(url=f"http://devnet.example{form}", requests_per_s=per_s)],
            clock=self,
            network=-239,
            freshness=Freshness(view_s=-1, inventory_s=-1, head_s=-1, lag_s=lag_s),
            transport=httpx.ASGITransport(app=self.devnet.app),
        )
        self.pipeline = Pipeline(
            store=self.store,
            clock=self,
            seeds=FixedSeeds(),
            observer=Tally(),
            handlers=HANDLERS,
        )
        self.purchases = Purchases(
            pipeline=self.pipeline,
            store=self.store,
            payments=self.reader,
            cashier=Cashier(network=-239, created_brokers_wallet=SHOP.raw),
        )

    def seconds(self) -> float:
        """Return the chain's clock."""
        return START_S + now()

    def now(self) -> int:
        """Return the service's clock in ms."""
        return int((START_S + now() + self.skew_s) * 1_000)

    async def view(self, wallet: Wallet) -> ChainView:
        """Read a wallet's seqno."""
        return await self.reader.view(self.arena.vault.raw, wallet.address.raw)

    def pay(self, wallet: Wallet, value: int, text: str | None = None) -> Transaction:
        """Let a wallet pay the shop; return the transaction on the shop's account."""
        body = None if text is None else comment(text)
        order = Order(destination=SHOP, value=value, body=body, bounce=False)
        return self.arena.send(wallet, order).of(SHOP)[0]


def inside(
    work: Callable[[World], Awaitable[None]],
    form: str = "/api/v2",
    *,
    per_s: float = 0.0,
    lag_s: int | None = 120,
) -> None:
    """Run `work` in a world of its own."""

    async def whole() -> None:
        world = World(form, per_s=per_s, lag_s=lag_s)
        try:
            await work(world)
        finally:
            await world.reader.close()

    run(whole())


@pytest.mark.parametrize("form", FORMS)
def test_d16_seqno_and_inventory_are_the_chains(form: str) -> None:
    """After every claim that the vault pays, and for a wallet that never claimed."""

    async def work(world: World) -> None:
        arena = world.arena
        wallet, other = arena.wallet("one"), arena.wallet("two", version=WalletVersion.V5R1)
        for seqno in range(4):
            assert (await world.view(wallet)).seqno == seqno == arena.last_seqno(wallet.address)
            found = await world.reader.inventory(arena.vault.raw)
            assert found.jettons == arena.jettons(arena.vault) == 10**9 - 100 * seqno
            assert found.jetton_wallet == arena.jetton_wallet(arena.vault).raw
            assert found.ton_nano == world.chain.account(arena.vault).balance
            arena.claim(wallet, arena.sign(wallet.address, 100))
            await asyncio.sleep(1)
        assert (await world.view(wallet)).time_s == START_S + 4
        assert (await world.view(other)).seqno == 0

    inside(work, form)


@pytest.mark.parametrize("form", FORMS)
def test_a_vault_without_jettons_or_wallet_is_told_apart(form: str) -> None:
    """No jettons are 0; no vault at all is no state."""

    async def work(world: World) -> None:
        bare = Arena(world.chain, owner_seed="another", vault_jettons=0)
        assert (await world.reader.inventory(bare.vault.raw)).jettons == 0
        for ask in (
            world.reader.view(SHOP.raw, SHOP.raw),
            world.reader.inventory(SHOP.raw),
            world.reader.view(bare.jetton_master.raw, SHOP.raw),
        ):
            with pytest.raises(Unavailable):
                await ask

    inside(work, form)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("outage", Outage)
def test_an_outage_is_unavailable_and_leaves_no_trace(form: str, outage: Outage) -> None:
    """Whatever the outage is like; afterwards the state is the chain's again."""

    async def work(world: World) -> None:
        wallet = world.arena.wallet("one")
        world.devnet.faults.begin(outage)
        for ask in (
            world.view(wallet),
            world.reader.inventory(world.arena.vault.raw),
            world.reader.payment("0" * 64, to=SHOP.raw, since_s=0),
        ):
            with pytest.raises(Unavailable):
                await ask
        world.arena.claim(wallet, world.arena.sign(wallet.address, 5))
        world.devnet.faults.end()
        assert (await world.view(wallet)).seqno == 1

    inside(work, form)


@pytest.mark.parametrize("form", FORMS)
def test_at_one_request_a_second_nothing_is_lost(form: str) -> None:
    """Every player gets the right seqno in the end, and the provider refuses no request."""

    async def work(world: World) -> None:
        wallets = [world.arena.wallet(f"{number}") for number in range(6)]
        for count, wallet in enumerate(wallets):
            for _ in range(count % 3):
                world.arena.claim(wallet, world.arena.sign(wallet.address, 1))
        world.devnet.faults.limit(1)

        async def persist(wallet: Wallet) -> int:
            while True:
                try:
                    return (await world.view(wallet)).seqno
                except Unavailable as failure:
                    await asyncio.sleep(failure.retry_after_ms / 1_000)

        found = await asyncio.gather(*map(persist, wallets))
        assert found == [count % 3 for count in range(6)]

    inside(work, form, per_s=1)


def test_a_rate_that_was_set_too_high_heals_by_itself() -> None:
    """Refusals are ridden out: slower, and nothing wrong."""

    async def work(world: World) -> None:
        wallets = [world.arena.wallet(f"{number}") for number in range(4)]
        world.devnet.faults.limit(1)

        async def persist(wallet: Wallet) -> int:
            while True:
                try:
                    return (await world.view(wallet)).seqno
                except Unavailable as failure:
                    await asyncio.sleep(failure.retry_after_ms / 1_000)

        assert await asyncio.gather(*map(persist, wallets)) == [0] * 4

    inside(work, per_s=5)


def claim_of(world: World, wallet: Wallet, valid_until_s: int) -> Claim:
    """Return the service's record of a wallet's first claim."""
    terms = ClaimTerms(
        vault=world.arena.vault.raw,
        jetton_master=world.arena.jetton_master.raw,
        recipient=wallet.address.raw,
        amount=5,
        seqno=1,
        valid_until_s=valid_until_s,
    )
    return Claim(
        id="0" * 24,
        player_id="1",
        request_id="k",
        source_type="aiba_claim",
        state=ClaimState.SIGNED,
        terms=terms,
        created_at=world.now(),
    )


@pytest.mark.parametrize("form", FORMS)
def test_d17_a_claim_paid_in_its_last_second_is_confirmed_however_late(form: str) -> None:
    """The vault still pays in the second `valid_until`; nobody looks before long after."""

    async def work(world: World) -> None:
        wallet, lazy = world.arena.wallet("one"), world.arena.wallet("two")
        paid = claim_of(world, wallet, START_S + 600)
        unpaid = claim_of(world, lazy, START_S + 600)
        signed = world.arena.sign(wallet.address, 5, valid_until_s=START_S + 600)
        await asyncio.sleep(600)
        assert world.arena.claim(wallet, signed).exit_code(world.arena.vault) == 0
        assert verdict(unpaid, await world.view(lazy)) is None
        await asyncio.sleep(EXPIRY_MARGIN_S)
        assert verdict(unpaid, await world.view(lazy)) is None
        await asyncio.sleep(1)
        assert verdict(unpaid, await world.view(lazy)) is ClaimState.REFUNDED
        await asyncio.sleep(10**6)
        assert verdict(paid, await world.view(wallet)) is ClaimState.CONFIRMED

    inside(work, form)


@pytest.mark.parametrize("form", FORMS)
def test_late_blocks_stop_the_chains_time_and_then_the_answers(form: str) -> None:
    """While blocks are late no claim expires, and at length nothing is said of any."""

    async def work(world: World) -> None:
        wallet = world.arena.wallet("one")
        claim = claim_of(world, wallet, START_S + 10)
        signed = world.arena.sign(wallet.address, 5, valid_until_s=START_S + 10)
        world.chain.hold()
        world.arena.claim(wallet, signed)
        await asyncio.sleep(100)
        seen = await world.view(wallet)
        assert (seen.seqno, seen.time_s) == (0, START_S)
        assert verdict(claim, seen) is None
        await asyncio.sleep(30)
        with pytest.raises(Unavailable, match="behind"):
            await world.view(wallet)
        world.chain.release()
        seen = await world.view(wallet)
        # The message came too late after all, and the vault said so.
        assert (seen.seqno, verdict(claim, seen)) == (0, ClaimState.REFUNDED)

    inside(work, form)


def test_a_chain_with_a_time_of_its_own_is_read_too() -> None:
    """Ahead of our clock, and behind it where that is said to be meant."""

    async def work(world: World) -> None:
        wallet = world.arena.wallet("one")
        world.chain.advance(10**6)
        assert (await world.view(wallet)).time_s == START_S + 10**6
        world.skew_s = 10**8
        with pytest.raises(Unavailable, match="behind"):
            await world.view(wallet)

    async def own(world: World) -> None:
        world.skew_s = 10**8
        assert (await world.view(world.arena.wallet("one"))).time_s == START_S

    inside(work)
    inside(own, lag_s=None)


# Payments


@pytest.mark.parametrize("form", FORMS)
def test_d15_d19_a_payment_on_the_chain_buys_one_broker(form: str) -> None:
    """From the player's own wallet to an address without code: aborted there, and paid."""

    async def work(world: World) -> None:
        wallet = world.arena.wallet("one", nanotons=5 * TON)
        await world.pipeline.execute(PLAYER, ConnectWallet(address=wallet.address.raw))
        paid = world.pay(wallet, TON)
        assert paid.aborted
        tx_hash = paid.hash.hex()
        bought = (await world.purchases.create_broker(PLAYER, tx_hash)).reply()
        assert bought.broker.created_with_ton_tx_hash == tx_hash
        assert (await world.purchases.create_broker(PLAYER, tx_hash)).reply() == bought
        other = await world.purchases.create_broker(Principal(id="2"), tx_hash)
        assert other.outcome == Refused(code="txHash already used")

    inside(work, form)


@pytest.mark.parametrize("form", FORMS)
def test_d14_payments_of_strangers_and_others_are_refused(form: str) -> None:
    """A stranger's, one too small, one that came back, one's own transaction; a comment binds."""

    async def work(world: World) -> None:
        arena = world.arena
        wallet = arena.wallet("one", nanotons=20 * TON)
        stranger = arena.wallet("two", nanotons=20 * TON)
        await world.pipeline.execute(PLAYER, ConnectWallet(address=wallet.address.raw))
        back = arena.send(wallet, Order(destination=SHOP, value=TON, bounce=True))
        outgoing = arena.send(wallet, Order(destination=SHOP, value=TON, bounce=False))
        elsewhere = arena.send(wallet, Order(destination=stranger.address, value=TON))
        expected = {
            world.pay(stranger, TON).hash: "sender",
            world.pay(wallet, TON - 1).hash: "amount",
            back.of(SHOP)[0].hash: "bounced",
            outgoing.of(wallet.address)[0].hash: "not_found",
        }
        for tx_hash, reason in expected.items():
            outcome = (await world.purchases.create_broker(PLAYER, tx_hash.hex())).outcome
            assert isinstance(outcome, Refused)
            assert outcome.details["reason"] == reason
        outcome = (
            await world.purchases.create_broker(
                PLAYER, elsewhere.of(stranger.address)[0].hash.hex()
            )
        ).outcome
        assert isinstance(outcome, Refused)
        assert outcome.details["reason"] in ("destination", "not_found")
        named = world.pay(stranger, TON, order_comment(Purpose.CREATE_BROKER, "1"))
        bought = await world.purchases.create_broker(PLAYER, named.hash.hex())
        assert bought.reply().broker.owner_id == "1"

    inside(work, form)


@pytest.mark.parametrize("form", ["/api/v2", "/api/v3"])
def test_a_payment_is_found_among_many(form: str) -> None:
    """Over several pages, and not once it is older than a payment may be."""

    async def work(world: World) -> None:
        wallet = world.arena.wallet("one", nanotons=10_000 * TON)
        await world.pipeline.execute(PLAYER, ConnectWallet(address=wallet.address.raw))
        first, second = world.pay(wallet, TON), world.pay(wallet, TON)
        for _ in range(250):
            world.pay(wallet, TON)
        bought = await world.purchases.create_broker(PLAYER, first.hash.hex())
        assert bought.reply().broker.owner_id == "1"
        await asyncio.sleep(86_401)
        world.pay(wallet, TON)
        late = (await world.purchases.create_broker(PLAYER, second.hash.hex())).outcome
        assert isinstance(late, Refused)
        assert late.details["reason"] in ("age", "not_found")

    inside(work, form)


def test_over_a_real_socket_it_is_the_same() -> None:
    """The one test here in real time: what the network adds changes nothing."""

    async def work() -> None:
        chain = LocalChain(clock=lambda: START_S, network_id=-239)
        arena = Arena(chain)
        wallet = arena.wallet("one", nanotons=5 * TON)
        arena.claim(wallet, arena.sign(wallet.address, 7))
        paid = arena.send(wallet, Order(destination=SHOP, value=TON, bounce=False)).of(SHOP)[0]
        async with served(Devnet(arena)) as base:
            for form in FORMS:
                reader = open_reader(
                    [
                        Provider(url="http://127.0.0.1:1/api/v2", requests_per_s=0),
                        Provider(url=f"{base}{form}", requests_per_s=0),
                    ],
                    clock=_Still(),
                    network=-239,
                    limits=Limits(first_pause_s=0.01),
                )
                view = await reader.view(arena.vault.raw, wallet.address.raw)
                assert view == ChainView(seqno=1, time_s=START_S)
                assert (await reader.inventory(arena.vault.raw)).jettons == 10**9 - 7
                found = await reader.payment(paid.hash.hex(), to=SHOP.raw, since_s=0)
                assert found is not None
                assert found == replace(found, source=wallet.address.raw, value_nano=TON)
                await reader.close()

    asyncio.run(work())


class _Still:
    """A clock that stands where the chain stands."""

    def now(self) -> int:
        """Return the instant in ms."""
        return START_S * 1_000
