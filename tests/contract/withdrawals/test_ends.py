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


def test_the_last_second_is_paid(world: World) -> None:
    """A claim sent exactly at validUntil passes and is confirmed, also if seen a year later."""
    early, late = world.player(battles=1), world.player(battles=1)
    claims = [world.claim(player, "k") for player in (early, late)]
    world.leap_to(claims[0]["validUntil"])
    assert world.chain.now == claims[0]["validUntil"] == claims[1]["validUntil"]
    assert [world.cash(p.wallet, c) for p, c in zip((early, late), claims, strict=True)] == [0, 0]
    world.stop()
    world.leap_to(claims[0]["validUntil"] + YEAR_S)
    world.start()
    world.settle()
    assert world.states(early) == world.states(late) == ["confirmed"]
    assert world.standing(claims[0]) == "confirmed"


def test_the_second_after_is_not_and_the_money_comes_back(world: World) -> None:
    """One second later the vault refuses; the refund waits for the margin, and is made once."""
    player = world.player(battles=1)
    claim = world.claim(player, "k")
    world.leap_to(claim["validUntil"] + 1)
    assert world.cash(player.wallet, claim) == EXPIRED
    world.settle()
    assert world.standing(claim) == "expired"
    assert world.states(player) == ["signed"]
    world.leap_to(claim["validUntil"] + EXPIRY_MARGIN_S)
    assert world.states(player) == ["signed"]
    world.settle()
    assert world.states(player) == ["refunded"]
    assert world.balance(player) == REWARD
    world.leap(YEAR_S)
    assert world.balance(player) == REWARD
    assert world.claim(player, "k")["signatureBase64"] == claim["signatureBase64"]
    assert world.cash(player.wallet, claim) == EXPIRED


def test_while_blocks_are_late_no_claim_ends(world: World) -> None:
    """A claim sent into a halted chain is neither lost nor refunded; the chain decides after."""
    player = world.player(battles=1)
    claim = world.claim(player, "k")
    world.chain.hold()
    world.cashing(player.wallet, claim)
    world.leap(VALIDITY_S - 100)
    world.settle()
    refused = world.withdraw(player, "another", amount=1)
    assert (refused.status_code, code_of(refused)) == (503, "unavailable")
    assert details_of(refused)["retryAfterMs"] > 0
    world.chain.release()
    world.settle()
    assert world.states(player) == ["confirmed"]


def test_a_chain_that_comes_back_too_late_has_refused_the_claim(world: World) -> None:
    """It waited for its block until after its end: refused there, refunded here."""
    player = world.player(battles=1)
    claim = world.claim(player, "k")
    world.chain.hold()
    world.cashing(player.wallet, claim)
    world.leap(LATE_S)
    world.settle()
    assert world.states(player) == ["signed"]
    world.chain.release()
    assert world.arena.last_seqno(player.wallet.address) == 0
    world.settle()
    assert world.states(player) == ["refunded"]


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


def test_jettons_and_ton_that_come_to_the_vault_change_no_claim(world: World) -> None:
    """A deposit by a player in the midst of a claim is welcome, shown, and nothing else."""
    player = world.player(battles=2)
    assert world.cash(player.wallet, world.claim(player, "1")) == PAID
    world.settle()
    claim = world.claim(player, "2")
    own = world.arena.jetton_wallet(player.wallet.address)
    transfer = jetton_transfer(
        destination=world.arena.vault, amount=30, response=player.wallet.address, forward_nanotons=1
    )
    world.arena.send(player.wallet, Order(destination=own, value=TON // 10, body=transfer))
    world.arena.send(player.wallet, Order(destination=world.arena.vault, value=TON // 10))
    world.given_back += 30
    world.wait(6)
    held = data_of(world.get("/api/vault/inventory"))
    assert held["jettonBalance"] == str(world.arena.jettons(world.arena.vault)) == "999999930"
    assert held["tonBalanceNano"] == str(world.chain.account(world.arena.vault).balance)
    assert world.states(player) == ["confirmed", "signed"]
    assert world.cash(player.wallet, claim) == PAID


@pytest.mark.parametrize("value", [1_000_000, 20_000_000])
def test_a_claim_that_brings_too_little_ton(world: World, value: int) -> None:
    """With too little to run at all nothing has happened; with little the vault pays the way."""
    player = world.player(battles=1)
    claim = world.claim(player, "k")
    runs = world.cashing(player.wallet, claim, value=value).of(world.arena.vault)
    paid = world.arena.last_seqno(player.wallet.address) == 1
    assert paid == (value == 20_000_000)
    assert len(runs) >= 1
    world.settle()
    assert world.states(player) == (["confirmed"] if paid else ["signed"])
    if not paid:
        assert world.cash(player.wallet, claim) == PAID


# --- by a change of wallets ---


def test_a_change_of_wallets_strands_no_claim(world: World) -> None:
    """The old wallet's claim goes on beside the new one's; each ends as its chain says."""
    player = world.player(battles=3)
    old = player.wallet
    first = world.claim(player, "1")
    assert world.connect(player, world.arena.wallet("new", version=WalletVersion.V5R1)).is_success
    second = world.claim(player, "2")
    assert (first["seqno"], second["seqno"]) == (1, 1)
    assert first["toAddress"] != second["toAddress"]
    assert world.claim(player, "1") == first
    assert world.cash(player.wallet, first) == 51532
    assert world.cash(player.wallet, second) == PAID
    assert world.cash(old, first) == PAID
    world.settle()
    assert world.states(player) == ["confirmed"] * 2
    third = world.claim(player, "3")
    assert world.connect(player, old).is_success
    world.leap(LATE_S)
    assert world.states(player) == ["confirmed", "confirmed", "refunded"]
    again = world.claim(player, "4")
    assert (again["toAddress"], again["seqno"], third["seqno"]) == (old.address.raw, 2, 2)
    assert world.cash(old, again) == PAID


def test_a_wallet_that_went_to_another_player_with_a_claim_open(world: World) -> None:
    """The new owner waits until the claim has ended; the money stays that of who withdrew it."""
    giver, taker = world.player(battles=1), world.player(battles=1)
    claim = world.claim(giver, "k")
    given = giver.wallet
    assert code_of(world.connect(taker, given)) == "wallet already connected"
    assert world.connect(giver, world.arena.wallet("spare")).is_success
    assert world.connect(taker, given).is_success
    assert code_of(world.withdraw(taker, "early", amount=REWARD)) == "pending_claim"
    world.leap(LATE_S)
    assert world.states(giver) == ["refunded"]
    assert world.balance(giver) == REWARD
    assert world.cash(given, claim) == EXPIRED
    assert world.cash(given, world.claim(taker, "now")) == PAID
    world.settle()
    assert world.states(taker) == ["confirmed"]
