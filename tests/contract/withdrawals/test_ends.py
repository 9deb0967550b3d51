"""How claims end: by a second, by a poor vault, by bounces, and by wallets that were changed."""

import pytest

from aiba_adapters.devnet.arena import TON
from aiba_adapters.devnet.contracts import jetton_transfer, pay_owed
from aiba_adapters.devnet.wallets import Order, WalletVersion
from aiba_domain.claims.claim import EXPIRY_MARGIN_S, VALIDITY_S
from aiba_domain.economy.commands import ChangePolicy
from tests.contract.withdrawals.conftest import MakeWorld
from tests.contract.withdrawals.world import (
    LATE_S,
    PAID,
    REWARD,
    World,
    code_of,
    data_of,
    details_of,
)

EXPIRED = 24383
SIGNATURE = 48401
OUT_OF_TON = 57202
YEAR_S = 365 * 86_400


# --- by a second ---


def test_the_last_second_is_paid(shared: World) -> None:
    """A claim sent exactly at validUntil passes and is confirmed, also if seen a year later."""
    early, late = shared.player(battles=1), shared.player(battles=1)
    claims = [shared.claim(player, "k") for player in (early, late)]
    shared.leap_to(claims[0]["validUntil"])
    assert shared.chain.now == claims[0]["validUntil"] == claims[1]["validUntil"]
    assert [shared.cash(p.wallet, c) for p, c in zip((early, late), claims, strict=True)] == [0, 0]
    shared.stop()
    shared.leap_to(claims[0]["validUntil"] + YEAR_S)
    shared.start()
    shared.settle()
    assert shared.states(early) == shared.states(late) == ["confirmed"]
    assert shared.standing(claims[0]) == "confirmed"


def test_the_second_after_is_not_and_the_money_comes_back(shared: World) -> None:
    """One second later the vault refuses; the refund waits for the margin, and is made once."""
    player = shared.player(battles=1)
    claim = shared.claim(player, "k")
    shared.leap_to(claim["validUntil"] + 1)
    assert shared.cash(player.wallet, claim) == EXPIRED
    shared.settle()
    assert shared.standing(claim) == "expired"
    assert shared.states(player) == ["signed"]
    shared.leap_to(claim["validUntil"] + EXPIRY_MARGIN_S)
    assert shared.states(player) == ["signed"]
    shared.settle()
    assert shared.states(player) == ["refunded"]
    assert shared.balance(player) == REWARD
    shared.leap(YEAR_S)
    assert shared.balance(player) == REWARD
    assert shared.claim(player, "k")["signatureBase64"] == claim["signatureBase64"]
    assert shared.cash(player.wallet, claim) == EXPIRED


def test_while_blocks_are_late_no_claim_ends(shared: World) -> None:
    """A claim sent into a halted chain is neither lost nor refunded; the chain decides after."""
    player = shared.player(battles=1)
    claim = shared.claim(player, "k")
    shared.chain.hold()
    shared.cashing(player.wallet, claim)
    shared.leap(VALIDITY_S - 100)
    shared.settle()
    refused = shared.withdraw(player, "another", amount=1)
    assert (refused.status_code, code_of(refused)) == (503, "unavailable")
    assert details_of(refused)["retryAfterMs"] > 0
    shared.chain.release()
    shared.settle()
    assert shared.states(player) == ["confirmed"]


def test_a_chain_that_comes_back_too_late_has_refused_the_claim(shared: World) -> None:
    """It waited for its block until after its end: refused there, refunded here."""
    player = shared.player(battles=1)
    claim = shared.claim(player, "k")
    shared.chain.hold()
    shared.cashing(player.wallet, claim)
    shared.leap(LATE_S)
    shared.settle()
    assert shared.states(player) == ["signed"]
    shared.chain.release()
    assert shared.arena.last_seqno(player.wallet.address) == 0
    shared.settle()
    assert shared.states(player) == ["refunded"]


# --- by being issued again ---


def test_an_expired_claim_is_issued_again_under_its_seqno(world: World) -> None:
    """The old signature is dead on the chain before there is a new one, which is paid."""
    world.operate(ChangePolicy(changes={"claim_reissues": 1}))
    player = world.player(battles=1)
    first = world.claim(player, "k")
    world.leap(LATE_S)
    assert world.states(player) == ["signed"]
    second = world.claim(player, "k")
    assert (second["seqno"], second["amount"]) == (first["seqno"], first["amount"])
    assert second["validUntil"] - VALIDITY_S > first["validUntil"] + EXPIRY_MARGIN_S
    assert world.cash(player.wallet, first) == EXPIRED
    assert world.cash(player.wallet, second | {"validUntil": first["validUntil"]}) == EXPIRED
    assert world.cash(player.wallet, first | {"validUntil": second["validUntil"]}) == SIGNATURE
    assert world.cash(player.wallet, second) == PAID
    world.settle()
    assert world.states(player) == ["confirmed"]
    assert world.balance(player) == 0


@pytest.mark.parametrize("is_rotated", [True, False])
def test_a_claim_is_issued_again_as_often_as_the_policy_says(
    world: World, *, is_rotated: bool
) -> None:
    """Then it comes back; where the vault has another key meanwhile, the new issue is of that."""
    world.operate(ChangePolicy(changes={"claim_reissues": 2}))
    player = world.player(battles=1)
    claims = [world.claim(player, "k")]
    if is_rotated:
        world.restart(ORACLE_PRIVATE_KEY_HEX=bytes(world.rotate("another")).hex())
    for _ in range(2):
        world.leap(LATE_S)
        claims.append(world.claim(player, "k"))
        world.reconcile()
    assert len({claim["signatureBase64"] for claim in claims}) == 3
    if is_rotated:
        assert world.cash(player.wallet, claims[-1]) == PAID
        world.settle()
        assert world.states(player) == ["confirmed"]
    else:
        world.leap(LATE_S)
        assert world.states(player) == ["refunded"]
        assert world.balance(player) == REWARD
        assert {world.cash(player.wallet, claim) for claim in claims} == {EXPIRED}


# --- by what the vault has ---


@pytest.mark.parametrize("filled", [True, False])
def test_a_vault_out_of_gas(make_world: MakeWorld, *, filled: bool) -> None:
    """The claim stays and the page says why; with TON it is paid, without it comes back."""
    world = make_world(vault_nanotons=0)
    player = world.player(battles=1)
    claim = world.claim(player, "k")
    assert world.cash(player.wallet, claim) == OUT_OF_TON
    world.settle()
    assert world.standing(claim) == "insufficient_ton"
    assert world.states(player) == ["signed"]
    if filled:
        world.chain.fund(world.arena.vault, TON)
        world.wait(6)
        assert world.standing(claim) == "pending"
        assert world.cash(player.wallet, claim) == PAID
        world.settle()
        assert world.states(player) == ["confirmed"]
    else:
        world.leap(LATE_S)
        assert world.states(player) == ["refunded"]
        assert world.balance(player) == REWARD


@pytest.mark.parametrize("version", WalletVersion)
def test_a_vault_without_enough_jettons_owes_them(
    make_world: MakeWorld, version: WalletVersion
) -> None:
    """The payout bounces and the claim is used up: confirmed here, owed there, and collected."""
    world = make_world(vault_jettons=REWARD - 1)
    player = world.player(version, battles=2)
    claim = world.claim(player, "1")
    assert world.standing(claim) == "insufficient_inventory"
    assert world.cash(player.wallet, claim) == PAID
    assert world.arena.owed(player.wallet.address) == REWARD
    assert world.jettons(player) == 0
    world.settle()
    assert world.standing(claim) == "confirmed"
    assert world.states(player) == ["confirmed"]
    assert world.cash(player.wallet, claim) == 17654
    world.reconcile()
    world.arena.mint(world.arena.vault, 10 * REWARD)
    collect = Order(destination=world.arena.vault, value=TON // 10, body=pay_owed())
    world.arena.send(player.wallet, collect)
    assert (world.jettons(player), world.arena.owed(player.wallet.address)) == (REWARD, 0)
    world.settle()
    assert world.cash(player.wallet, world.claim(player, "2")) == PAID
    assert world.jettons(player) == 2 * REWARD


def test_a_claim_that_is_not_sent_to_a_poor_vault_comes_back(make_world: MakeWorld) -> None:
    """A player who heeds the page and waits loses nothing and is owed nothing."""
    world = make_world(vault_jettons=0)
    player = world.player(battles=1)
    assert world.standing(world.claim(player, "1")) == "insufficient_inventory"
    world.leap(LATE_S)
    assert world.states(player) == ["refunded"]
    world.arena.mint(world.arena.vault, REWARD)
    assert world.cash(player.wallet, world.claim(player, "2")) == PAID


def test_jettons_and_ton_that_come_to_the_vault_change_no_claim(shared: World) -> None:
    """A deposit by a player in the midst of a claim is welcome, shown, and nothing else."""
    player = shared.player(battles=2)
    before = shared.arena.jettons(shared.arena.vault)
    assert shared.cash(player.wallet, shared.claim(player, "1")) == PAID
    shared.settle()
    claim = shared.claim(player, "2")
    own = shared.arena.jetton_wallet(player.wallet.address)
    transfer = jetton_transfer(
        destination=shared.arena.vault,
        amount=30,
        response=player.wallet.address,
        forward_nanotons=1,
    )
    shared.arena.send(player.wallet, Order(destination=own, value=TON // 10, body=transfer))
    shared.arena.send(player.wallet, Order(destination=shared.arena.vault, value=TON // 10))
    shared.given_back += 30
    shared.wait(6)
    held = data_of(shared.get("/api/vault/inventory"))
    assert held["jettonBalance"] == str(shared.arena.jettons(shared.arena.vault))
    assert shared.arena.jettons(shared.arena.vault) == before - REWARD + 30
    assert held["tonBalanceNano"] == str(shared.chain.account(shared.arena.vault).balance)
    assert shared.states(player) == ["confirmed", "signed"]
    assert shared.cash(player.wallet, claim) == PAID


@pytest.mark.parametrize("value", [1_000_000, 20_000_000])
def test_a_claim_that_brings_too_little_ton(shared: World, value: int) -> None:
    """With too little to run at all nothing has happened; with little the vault pays the way."""
    player = shared.player(battles=1)
    claim = shared.claim(player, "k")
    runs = shared.cashing(player.wallet, claim, value=value).of(shared.arena.vault)
    paid = shared.arena.last_seqno(player.wallet.address) == 1
    assert paid == (value == 20_000_000)
    assert len(runs) >= 1
    shared.settle()
    assert shared.states(player) == (["confirmed"] if paid else ["signed"])
    if not paid:
        assert shared.cash(player.wallet, claim) == PAID


# --- by a change of wallets ---


def test_a_change_of_wallets_strands_no_claim(shared: World) -> None:
    """The old wallet's claim goes on beside the new one's; each ends as its chain says."""
    player = shared.player(battles=3)
    old = player.wallet
    first = shared.claim(player, "1")
    assert shared.connect(player, shared.arena.wallet("new", version=WalletVersion.V5R1)).is_success
    second = shared.claim(player, "2")
    assert (first["seqno"], second["seqno"]) == (1, 1)
    assert first["toAddress"] != second["toAddress"]
    assert shared.claim(player, "1") == first
    assert shared.cash(player.wallet, first) == 51532
    assert shared.cash(player.wallet, second) == PAID
    assert shared.cash(old, first) == PAID
    shared.settle()
    assert shared.states(player) == ["confirmed"] * 2
    third = shared.claim(player, "3")
    assert shared.connect(player, old).is_success
    shared.leap(LATE_S)
    assert shared.states(player) == ["confirmed", "confirmed", "refunded"]
    again = shared.claim(player, "4")
    assert (again["toAddress"], again["seqno"], third["seqno"]) == (old.address.raw, 2, 2)
    assert shared.cash(old, again) == PAID


def test_a_wallet_that_went_to_another_player_with_a_claim_open(shared: World) -> None:
    """The new owner waits until the claim has ended; the money stays that of who withdrew it."""
    giver, taker = shared.player(battles=1), shared.player(battles=1)
    claim = shared.claim(giver, "k")
    given = giver.wallet
    assert code_of(shared.connect(taker, given)) == "wallet already connected"
    assert shared.connect(giver, shared.arena.wallet("spare")).is_success
    assert shared.connect(taker, given).is_success
    assert code_of(shared.withdraw(taker, "early", amount=REWARD)) == "pending_claim"
    shared.leap(LATE_S)
    assert shared.states(giver) == ["refunded"]
    assert shared.balance(giver) == REWARD
    assert shared.cash(given, claim) == EXPIRED
    assert shared.cash(given, shared.claim(taker, "now")) == PAID
    shared.settle()
    assert shared.states(taker) == ["confirmed"]
