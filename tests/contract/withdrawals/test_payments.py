"""Battles that are claimed at once, and brokers bought with TON from real wallets."""

from base64 import b64encode

import httpx
import pytest

from aiba_adapters.devnet.arena import TON
from aiba_adapters.devnet.cells import comment
from aiba_adapters.devnet.faults import Outage
from aiba_adapters.devnet.wallets import Order, WalletVersion
from aiba_adapters.ton.addresses import Address
from tests.contract.withdrawals.conftest import MakeWorld
from tests.contract.withdrawals.world import (
    LATE_S,
    PAID,
    REWARD,
    SHOP,
    Json,
    Player,
    World,
    code_of,
    data_of,
    details_of,
)

PATH = "/api/brokers/create-with-ton"
FORMS = ("/api/v2", "/api/v2/jsonRPC", "/api/v3", "")
PAYER_TON = 10 * TON
DAY_S = 86_400


def pay(
    world: World, player: Player, value: int = TON, text: str = "", *, to: Address = SHOP
) -> str:
    """Let a player's wallet pay, and return the hash of the transaction on the other side."""
    body = comment(text) if text else None
    order = Order(destination=to, value=value, body=body, bounce=False)
    world.arena.send(player.wallet, order)
    return latest(world, to)


def latest(world: World, account: Address) -> str:
    """Return the hash of the last transaction on an account, as its chain tells it."""
    return world.chain.transactions(account, limit=1)[0].hash.hex()


def buy(world: World, player: Player, tx_hash: str) -> httpx.Response:
    """Ask for the broker that a transaction paid for."""
    return world.post(PATH, player, txHash=tx_hash)


def brokers(world: World, player: Player) -> list[Json]:
    """Return a player's brokers."""
    found: list[Json] = data_of(world.get("/api/brokers/mine", player))
    return found


# --- battles ---


@pytest.mark.parametrize("version", WalletVersion)
def test_an_automatic_claim_is_paid(shared: World, version: WalletVersion) -> None:
    """The battle's answer holds a claim that the vault pays; one at a time, the rest is kept."""
    player = shared.player(version)
    first = data_of(shared.fight(player, "1", autoClaim=True))["claim"]
    assert first["amount"] == str(REWARD)
    second = data_of(shared.fight(player, "2", autoClaim=True))["claim"]
    assert second["signatureBase64"] == ""
    assert shared.balance(player) == REWARD
    assert shared.cash(player.wallet, first) == PAID
    shared.settle()
    assert data_of(shared.fight(player, "1", autoClaim=True))["claim"] == first
    third = data_of(shared.fight(player, "3", autoClaim=True))["claim"]
    assert (third["seqno"], third["amount"]) == (2, str(REWARD))
    assert shared.cash(player.wallet, third) == PAID
    shared.settle()
    assert shared.states(player) == ["confirmed"] * 2
    assert (shared.jettons(player), shared.balance(player)) == (2 * REWARD, REWARD)


def test_an_automatic_claim_that_nobody_sends_comes_back(shared: World) -> None:
    """To the balance, from which it is withdrawn like any other credit."""
    player = shared.player()
    data_of(shared.fight(player, "1", autoClaim=True))
    shared.leap(LATE_S)
    assert shared.states(player) == ["refunded"]
    assert shared.cash(player.wallet, shared.claim(player, "by-hand")) == PAID


# --- brokers for TON ---


@pytest.mark.parametrize(("form", "version"), [*zip(FORMS, [*WalletVersion] * 2, strict=True)])
def test_d15_d19_a_payment_buys_one_broker(
    make_world: MakeWorld, form: str, version: WalletVersion
) -> None:
    """By its hash in hex or base64; again it gives the first answer, whatever happened since."""
    world = make_world(TON_PROVIDER_URL=f"https://devnet.example{form}")
    player = world.player(version, nanotons=PAYER_TON)
    tx_hash = pay(world, player)
    first = buy(world, player, tx_hash)
    bought = data_of(first, 201)
    assert bought["broker"]["_id"] in [broker["_id"] for broker in brokers(world, player)]
    world.devnet.faults.begin(Outage.ERROR)
    world.leap(3 * DAY_S)
    for name in (tx_hash.upper(), b64encode(bytes.fromhex(tx_hash)).decode()):
        assert data_of(buy(world, player, name), 201) == bought
    world.devnet.faults.end()
    world.restart()
    assert data_of(buy(world, player, tx_hash), 201) == bought
    refused = buy(world, world.player(), tx_hash)
    assert (refused.status_code, code_of(refused)) == (409, "txHash already used")
    assert len(brokers(world, player)) == 2


def test_d14_payments_that_do_not_pay(shared: World) -> None:
    """Each is refused with its reason, makes nothing, and doesn't spoil a good one."""
    player = shared.player(nanotons=50 * TON)
    stranger = shared.player(nanotons=50 * TON)
    back = Order(destination=SHOP, value=TON, bounce=True)
    bounced = shared.arena.send(player.wallet, back).of(SHOP)[0].hash.hex()
    outgoing = (
        shared.arena.send(player.wallet, Order(destination=SHOP, value=TON, bounce=False))
        .of(player.wallet.address)[0]
        .hash.hex()
    )
    expected = {
        pay(shared, stranger): "sender",
        pay(shared, player, TON - 1): "amount",
        pay(shared, stranger, text="aiba:create-broker:1"): "sender",
        pay(shared, player, to=stranger.wallet.address): "not_found",
        bounced: "bounced",
        outgoing: "not_found",
        "ab" * 32: "not_found",
    }
    for tx_hash, reason in expected.items():
        refused = buy(shared, player, tx_hash)
        assert (refused.status_code, code_of(refused)) == (400, "TON payment verification failed")
        assert details_of(refused)["reason"] == reason
    assert len(brokers(shared, player)) == 1
    assert data_of(buy(shared, player, pay(shared, player)), 201)["listed"] is True


def test_a_payment_elsewhere_is_found_by_an_index_and_refused(make_world: MakeWorld) -> None:
    """Version 3 finds transactions wherever they are: one on another account is no payment."""
    world = make_world(TON_PROVIDER_URL="https://devnet.example/api/v3")
    player, other = world.player(nanotons=PAYER_TON), world.player()
    refused = buy(world, player, pay(world, player, to=other.wallet.address))
    assert details_of(refused)["reason"] == "destination"


def test_a_payment_is_good_for_a_day(shared: World) -> None:
    """The next day it is too old, and stays so."""
    player = shared.player(nanotons=PAYER_TON)
    tx_hash, other = pay(shared, player), pay(shared, player)
    shared.leap(DAY_S - 30)
    assert data_of(buy(shared, player, tx_hash), 201)
    shared.leap(60)
    assert details_of(buy(shared, player, other))["reason"] in ("age", "not_found")


def test_an_order_comment_binds_a_payment_from_any_wallet(shared: World) -> None:
    """A refusal names the comment; with it a stranger's payment buys for the named player."""
    player, friend = shared.player(), shared.player(nanotons=PAYER_TON)
    wanted = details_of(buy(shared, player, pay(shared, friend)))["comment"]
    tx_hash = pay(shared, friend, text=wanted)
    assert data_of(buy(shared, player, tx_hash), 201)


def test_a_provider_of_another_network_is_not_believed(make_world: MakeWorld) -> None:
    """What is paid in coins of the test network buys nothing, and nothing is withdrawn there."""
    world = make_world(network_id=-3)
    player = world.player(battles=1, nanotons=PAYER_TON)
    for refused in (
        buy(world, player, pay(world, player)),
        world.withdraw(player, "k", amount=1),
        world.get("/api/vault/inventory"),
    ):
        assert (refused.status_code, code_of(refused)) == (503, "unavailable")
        assert details_of(refused)["retryAfterMs"] > 0
    assert world.balance(player) == REWARD
    assert len(brokers(world, player)) == 1
