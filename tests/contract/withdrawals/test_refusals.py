"""Claims as the API gave them out, before the vault: what it pays, and what it refuses and how."""

import pytest

from aiba_adapters.devnet.arena import TON
from aiba_adapters.devnet.contracts import set_oracle
from aiba_adapters.devnet.wallets import Order, WalletVersion
from tests.contract.withdrawals.conftest import MakeWorld
from tests.contract.withdrawals.world import LATE_S, PAID, REWARD, World, code_of

EXPIRED = 24383
AMOUNT = 6243
SENDER = 51532
SEQNO = 17654
SIGNATURE = 48401
NOT_OWNER = 132


def test_four_claims_in_a_row_by_wallets_of_both_kinds(shared: World) -> None:
    """Each is paid to the unit and confirmed, whichever wallet sends it."""
    players = [shared.player(version, battles=4) for version in WalletVersion]
    for seqno in range(1, 5):
        for player in players:
            claim = shared.claim(player, f"claim-{seqno}")
            assert claim["seqno"] == seqno
            assert shared.cash(player.wallet, claim) == PAID
        shared.settle()
    for player in players:
        assert shared.states(player) == ["confirmed"] * 4
        assert shared.jettons(player) == 4 * REWARD
        assert shared.balance(player) == 0
    books = shared.reconcile()
    assert (books.debited, books.confirmed) == (8 * REWARD, 8 * REWARD)


def test_a_claim_is_paid_once(shared: World) -> None:
    """Sent again, alone or twice in one message, it is refused; the service counts it once."""
    player = shared.player(battles=2)
    claim = shared.claim(player, "1")
    assert shared.cash(player.wallet, claim) == PAID
    assert shared.cash(player.wallet, claim) == SEQNO
    shared.settle()
    assert shared.cash(player.wallet, claim) == SEQNO
    second = shared.claim(player, "2")
    order = shared.order(second)
    runs = shared.arena.send(player.wallet, order, order).of(shared.arena.vault)
    assert [one.exit_code for one in runs if one.exit_code is not None] == [PAID, SEQNO]
    shared.settle()
    assert shared.states(player) == ["confirmed"] * 2
    assert shared.jettons(player) == 2 * REWARD


@pytest.mark.parametrize(
    ("changes", "exit_code"),
    [
        ({"amount": str(REWARD + 1)}, SIGNATURE),
        ({"amount": "1"}, SIGNATURE),
        ({"amount": "0"}, AMOUNT),
        ({"validUntil": 2**32 - 1}, SIGNATURE),
        ({"validUntil": 1}, EXPIRED),
        ({"seqno": 0}, SEQNO),
        ({"seqno": 2}, SEQNO),
        ({"signatureBase64": "A" * 86 + "=="}, SIGNATURE),
    ],
)
def test_a_claim_that_was_tampered_with(
    shared: World, changes: dict[str, object], exit_code: int
) -> None:
    """The vault refuses it, which leaves the claim as it was: the true one is paid."""
    player = shared.player(battles=1)
    claim = shared.claim(player, "k")
    assert shared.cash(player.wallet, claim | changes) == exit_code
    shared.settle()
    assert shared.states(player) == ["signed"]
    assert shared.standing(claim) == "pending"
    assert shared.cash(player.wallet, claim) == PAID
    shared.settle()
    assert shared.states(player) == ["confirmed"]


def test_a_skipped_claim_leaves_no_way_to_the_next_one(shared: World) -> None:
    """Of a claim and a forged successor, only the first is taken; then the real second one."""
    player = shared.player(battles=2)
    first = shared.claim(player, "1")
    assert shared.cash(player.wallet, first | {"seqno": 2}) == SEQNO
    assert shared.cash(player.wallet, first) == PAID
    assert shared.cash(player.wallet, first | {"seqno": 2}) == SIGNATURE
    shared.settle()
    assert shared.cash(player.wallet, shared.claim(player, "2")) == PAID


def test_another_wallet_can_not_send_a_claim(shared: World) -> None:
    """Neither to its recipient, nor, with the recipient changed, to itself."""
    player, thief = shared.player(battles=1), shared.player()
    claim = shared.claim(player, "k")
    assert shared.cash(thief.wallet, claim) == SENDER
    stolen = claim | {"toAddress": thief.wallet.address.raw}
    assert shared.cash(thief.wallet, stolen) == SIGNATURE
    assert shared.cash(player.wallet, claim) == PAID
    assert shared.jettons(thief) == 0


def test_an_oracle_that_the_vault_does_not_know(make_world: MakeWorld) -> None:
    """What a service with a wrong key gives out is refused, ends, and is withdrawn again."""
    world = make_world(ORACLE_PRIVATE_KEY_HEX="77" * 32)
    player = world.player(battles=1)
    claim = world.claim(player, "1")
    assert world.cash(player.wallet, claim) == SIGNATURE
    world.restart(ORACLE_PRIVATE_KEY_HEX=bytes(world.arena.oracle).hex())
    assert world.claim(player, "1") == claim
    world.leap(LATE_S)
    assert world.states(player) == ["refunded"]
    assert world.cash(player.wallet, world.claim(player, "2")) == PAID


def test_a_claim_on_another_jetton(make_world: MakeWorld) -> None:
    """The signature names the jetton master: the vault's own or none; the money comes back."""
    world = make_world(AIBA_JETTON_MASTER=f"0:{'ab' * 32}")
    player = world.player(battles=1)
    assert world.cash(player.wallet, world.claim(player, "1")) == SIGNATURE
    world.restart(AIBA_JETTON_MASTER=world.arena.jetton_master.raw)
    world.leap(LATE_S)
    assert world.states(player) == ["refunded"]
    assert world.cash(player.wallet, world.claim(player, "2")) == PAID


def test_only_the_owner_names_another_oracle(shared: World) -> None:
    """A player's attempt changes nothing: claims of the old key are paid on."""
    player = shared.player(battles=1)
    claim = shared.claim(player, "k")
    order = Order(destination=shared.arena.vault, value=TON // 10, body=set_oracle(bytes(32)))
    trace = shared.arena.send(player.wallet, order)
    assert trace.exit_code(shared.arena.vault) == NOT_OWNER
    assert shared.cash(player.wallet, claim) == PAID


@pytest.mark.parametrize("version", WalletVersion)
def test_rotation(world: World, version: WalletVersion) -> None:
    """Claims of the old key die with it and come back; those of the new one are paid."""
    player = world.player(version, battles=2)
    before = world.claim(player, "1")
    assert world.cash(player.wallet, before) == PAID
    world.settle()
    stranded = world.claim(player, "2")
    key = world.rotate("the next oracle")
    assert world.cash(player.wallet, stranded) == SIGNATURE
    world.restart(ORACLE_PRIVATE_KEY_HEX=bytes(key).hex())
    assert world.claim(player, "2") == stranded
    assert code_of(world.withdraw(player, "3", amount=REWARD)) == "pending_claim"
    assert world.cash(player.wallet, stranded) == SIGNATURE
    world.leap(LATE_S)
    assert world.states(player) == ["confirmed", "refunded"]
    assert world.balance(player) == REWARD
    again = world.claim(player, "4")
    assert again["seqno"] == stranded["seqno"] == 2
    assert world.cash(player.wallet, stranded) == EXPIRED
    assert world.cash(player.wallet, again) == PAID
    world.settle()
    assert world.states(player) == ["confirmed", "refunded", "confirmed"]
