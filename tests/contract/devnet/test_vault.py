"""The vault on a real TVM: what it pays, what it refuses and with which code, what it owes."""

import random
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytoniq_core.boc.builder import Builder
from pytoniq_core.boc.cell import Cell
from pytoniq_core.boc.hashmap.hashmap import HashMap

from aiba_adapters.devnet.arena import CLAIM_NANOTONS, TON, Arena, key_of
from aiba_adapters.devnet.cells import StateInit
from aiba_adapters.devnet.chain import LocalChain, Trace
from aiba_adapters.devnet.contracts import (
    jetton_transfer,
    pay_owed,
    set_jetton_master,
    set_oracle,
    vault_state,
)
from aiba_adapters.devnet.transactions import Transaction
from aiba_adapters.devnet.wallets import Order, Wallet, WalletVersion
from aiba_adapters.ton.addresses import Address

EXPIRED = 24383
AMOUNT = 6243
SENDER = 51532
SEQNO = 17654
SIGNATURE = 48401
NOT_OWNER = 132
OUT_OF_TON = 57202
WRONG_WORKCHAIN = 333
ADDRESS_TAKEN = 4100
NO_JETTON_WALLET = 4101
NOT_THE_MASTER = 4102
NOTHING_OWED = 4103
STILL_OWING = 4104
UNKNOWN_MESSAGE = 0xFFFF


class Books(NamedTuple):
    """What a refusal must leave as it was."""

    seqno: int
    player: int
    vault: int
    supply: int


def books(arena: Arena, player: Wallet) -> Books:
    """Return the jettons and the seqno that a claim changes."""
    return Books(
        arena.last_seqno(player.address),
        arena.jettons(player.address),
        arena.jettons(arena.vault),
        arena.total_supply(),
    )


def refused(arena: Arena, trace: Trace) -> int | None:
    """Return the vault's exit code, having seen that the TON came back."""
    (run,) = trace.of(arena.vault)
    assert run.aborted
    (bounced,) = run.fields.out_msgs
    assert bounced.info.bounced
    return run.exit_code


@pytest.mark.parametrize("version", WalletVersion)
def test_claims_are_paid_to_the_unit(arena: Arena, version: WalletVersion) -> None:
    """Four claims in order arrive whole in the player's wallet, and nowhere else."""
    player = arena.wallet("player", version=version)
    before = books(arena, player)
    for number, amount in enumerate((1, 250, 7, 10**6), start=1):
        trace = arena.claim(player, arena.sign(player.address, amount))
        assert [one.exit_code for one in trace.transactions] == [0, 0, 0, 0, 0]
        assert arena.last_seqno(player.address) == number
    after = books(arena, player)
    paid = 1 + 250 + 7 + 10**6
    assert after == Books(4, paid, before.vault - paid, before.supply)
    assert arena.chain.account(arena.vault).balance >= 10 * TON


def test_the_largest_amount_that_the_game_knows_is_paid(arena: Arena) -> None:
    """A claim of 2^63 - 1 is paid like any other."""
    player = arena.wallet("player")
    arena.mint(arena.vault, 2**63)
    arena.claim(player, arena.sign(player.address, 2**63 - 1))
    assert arena.jettons(player.address) == 2**63 - 1


def test_expiry_includes_the_last_second(arena: Arena) -> None:
    """A claim is good in the second it ends, and not one later."""
    player = arena.wallet("player")
    claim = arena.sign(player.address, 5)
    arena.chain.advance(claim.valid_until_s - arena.chain.now)
    moment = arena.chain.snapshot()
    assert arena.claim(player, claim).exit_code(arena.vault) == 0
    arena.chain.restore(moment)
    before = books(arena, player)
    arena.chain.advance(1)
    assert refused(arena, arena.claim(player, claim)) == EXPIRED
    assert books(arena, player) == before


def test_a_claim_of_nothing_is_refused(arena: Arena) -> None:
    """An amount of 0 is no claim; the cell is written by hand, since ours can't write it."""
    player = arena.wallet("player")
    good = arena.sign(player.address, 1)
    body = good.body.begin_parse()
    head = Builder().store_bits(body.load_bits(32 + 267))
    body.load_coins()
    rest = head.store_coins(0).store_bits(body.load_bits(96)).store_ref(body.load_ref())
    order = Order(destination=arena.vault, value=CLAIM_NANOTONS, body=rest.end_cell())
    assert refused(arena, arena.send(player, order)) == AMOUNT


def test_only_the_recipient_may_send_a_claim(arena: Arena) -> None:
    """Another wallet can't make the vault pay, not even to the right recipient."""
    player, other = arena.wallet("player"), arena.wallet("other")
    claim = arena.sign(player.address, 5)
    assert refused(arena, arena.claim(other, claim)) == SENDER
    assert arena.claim(player, claim).exit_code(arena.vault) == 0


def test_a_claim_is_paid_once(arena: Arena) -> None:
    """The same claim again is refused, in another message or in the same one."""
    player = arena.wallet("player")
    claim = arena.sign(player.address, 5)
    trace = arena.send(player, arena.order(claim), arena.order(claim))
    first, second = (one for one in trace.of(arena.vault) if one.exit_code is not None)
    assert (first.exit_code, second.exit_code) == (0, SEQNO)
    assert refused(arena, arena.claim(player, claim)) == SEQNO
    assert arena.jettons(player.address) == 5


@pytest.mark.parametrize("seqno", [0, 2, 3, 2**64 - 1])
def test_claims_come_in_order(arena: Arena, seqno: int) -> None:
    """No seqno but the next one is taken."""
    player = arena.wallet("player")
    before = books(arena, player)
    claim = arena.sign(player.address, 5, seqno=seqno)
    assert refused(arena, arena.claim(player, claim)) == SEQNO
    assert books(arena, player) == before


def test_recipients_have_their_own_order(arena: Arena) -> None:
    """One recipient's claims don't move another's seqno."""
    first, second = arena.wallet("first"), arena.wallet("second")
    for _ in range(3):
        arena.claim(first, arena.sign(first.address, 1))
    arena.claim(second, arena.sign(second.address, 1))
    assert (arena.last_seqno(first.address), arena.last_seqno(second.address)) == (3, 1)


def test_another_key_is_not_believed(arena: Arena) -> None:
    """A claim that the oracle did not sign is refused."""
    player = arena.wallet("player")
    claim = arena.sign(player.address, 5, key=key_of("stranger"))
    assert refused(arena, arena.claim(player, claim)) == SIGNATURE


def test_a_claim_for_another_jetton_is_refused(arena: Arena) -> None:
    """The signature names the jetton master."""
    player = arena.wallet("player")
    claim = arena.sign(player.address, 5, jetton_master=player.address)
    assert refused(arena, arena.claim(player, claim)) == SIGNATURE


@pytest.mark.parametrize("field", ["amount", "valid_until_s"])
def test_what_was_signed_can_not_be_changed(arena: Arena, field: str) -> None:
    """A claim with one value changed after signing is refused."""
    player = arena.wallet("player")
    before = books(arena, player)
    good = arena.sign(player.address, 5)
    values = {name: getattr(good, name) for name in good.__slots__}
    forged = type(good)(**(values | {field: values[field] + 1}))
    assert refused(arena, arena.claim(player, forged)) == SIGNATURE
    assert books(arena, player) == before


@pytest.mark.parametrize("bits", [0, 511, 513])
def test_a_signature_of_another_length_is_a_wrong_signature(arena: Arena, bits: int) -> None:
    """It fails with the signature's code, not with one of the machine."""
    player = arena.wallet("player")
    body = arena.sign(player.address, 5).body
    whole = (body.refs[0].begin_parse().load_bits(512).to01() + "0")[:bits]
    signature: Cell = Builder().store_bits(whole).end_cell()
    changed = Builder().store_bits(body.bits).store_ref(signature).end_cell()
    order = Order(destination=arena.vault, value=CLAIM_NANOTONS, body=changed)
    assert refused(arena, arena.send(player, order)) == SIGNATURE


def test_a_recipient_of_the_masterchain_is_refused(arena: Arena) -> None:
    """Records are kept by hash alone, so only one workchain has recipients."""
    recipient = Address(-1, bytes(range(32)))
    trace = arena.chain.inject(
        source=recipient,
        destination=arena.vault,
        value=TON,
        body=arena.sign(recipient, 5, seqno=1).body,
    )
    assert refused(arena, trace) == WRONG_WORKCHAIN


def test_two_addresses_never_share_a_record(arena: Arena) -> None:
    """An address that begins as another recipient's does is refused, and reads as new."""
    first = Address(0, bytes(32))
    twin = Address(0, bytes(31) + b"\x01")

    def claim(recipient: Address) -> Trace:
        return arena.chain.inject(
            source=recipient,
            destination=arena.vault,
            value=TON,
            body=arena.sign(recipient, 5).body,
        )

    assert claim(first).exit_code(arena.vault) == 0
    assert refused(arena, claim(twin)) == ADDRESS_TAKEN
    assert (arena.last_seqno(first), arena.last_seqno(twin)) == (1, 0)


def test_a_vault_without_ton_of_its_own_refuses() -> None:
    """What the claim brings along doesn't count; with TON again the same claim is paid."""
    poor = Arena(LocalChain(), vault_nanotons=0)
    player = poor.wallet("player")
    claim = poor.sign(player.address, 5)
    assert refused(poor, poor.claim(player, claim, value=TON // 2)) == OUT_OF_TON
    poor.chain.fund(poor.vault, TON // 10)
    assert poor.claim(player, claim).exit_code(poor.vault) == 0


@pytest.mark.parametrize("brought", [10_000_000, 59_999_999, 60_000_000, CLAIM_NANOTONS, TON])
def test_nobody_gains_ton_by_claiming(arena: Arena, brought: int) -> None:
    """The player pays for the claim, and the vault at most where the player brought too little."""
    player = arena.wallet("player", nanotons=10 * TON)
    arena.claim(player, arena.sign(player.address, 1))
    ton_before = arena.chain.account(player.address).balance
    vault_before = arena.chain.account(arena.vault).balance
    assert (
        arena.claim(player, arena.sign(player.address, 1), value=brought).exit_code(arena.vault)
        == 0
    )
    assert arena.chain.account(player.address).balance < ton_before
    assert arena.chain.account(player.address).balance > ton_before - 65_000_000
    if brought >= 60_000_000:
        assert arena.chain.account(arena.vault).balance >= vault_before


# Owner


def test_rotation_ends_the_old_key(arena: Arena) -> None:
    """After a rotation only the new key is believed."""
    player, old = arena.wallet("player"), arena.oracle
    signed_before = arena.sign(player.address, 5)
    assert arena.rotate(key_of("next oracle")).exit_code(arena.vault) == 0
    assert arena.oracle_public_key() == bytes(key_of("next oracle").verify_key)
    assert refused(arena, arena.claim(player, signed_before)) == SIGNATURE
    with_old_key = arena.sign(player.address, 5, key=old)
    assert refused(arena, arena.claim(player, with_old_key)) == SIGNATURE
    assert arena.claim(player, arena.sign(player.address, 5)).exit_code(arena.vault) == 0
    assert arena.jettons(player.address) == 5


@pytest.mark.parametrize("body", [set_oracle(bytes(32)), set_jetton_master(Address(0, bytes(32)))])
def test_only_the_owner_configures(arena: Arena, body: Cell) -> None:
    """A stranger's owner message is refused."""
    stranger = arena.wallet("stranger")
    trace = arena.send(stranger, Order(destination=arena.vault, value=TON // 10, body=body))
    assert refused(arena, trace) == NOT_OWNER
    assert arena.oracle_public_key() == bytes(arena.oracle.verify_key)


def test_the_vault_learns_its_wallet_from_the_master_alone(arena: Arena) -> None:
    """What the vault calls its wallet is what the master says, and a stranger can't change it."""
    assert arena.vault_jetton_wallet() == arena.jetton_wallet(arena.vault)
    stranger = arena.wallet("stranger")
    answer = Builder().store_uint(0xD1735400, 32).store_uint(0, 64).store_bits("00").store_bits("0")
    order = Order(destination=arena.vault, value=TON // 10, body=answer.end_cell())
    assert refused(arena, arena.send(stranger, order)) == NOT_THE_MASTER


def test_without_a_jetton_wallet_no_claim_is_taken(arena: Arena) -> None:
    """After a change of the jetton a claim waits until the new master has answered."""
    player, nobody = arena.wallet("player"), Address(0, bytes(32))
    arena.as_owner(arena.vault, set_jetton_master(nobody))
    assert arena.vault_jetton_wallet() is None
    claim = arena.sign(player.address, 5, jetton_master=nobody)
    assert refused(arena, arena.claim(player, claim)) == NO_JETTON_WALLET
    arena.as_owner(arena.vault, set_jetton_master(arena.jetton_master))
    claim = arena.sign(player.address, 5)
    assert arena.claim(player, claim).exit_code(arena.vault) == 0


def test_what_the_vault_does_not_know_it_sends_back(arena: Arena) -> None:
    """An unknown op is refused; an empty message is a gift."""
    player = arena.wallet("player")
    unknown = Builder().store_uint(0x12345678, 32).end_cell()
    order = Order(destination=arena.vault, value=TON // 10, body=unknown)
    assert refused(arena, arena.send(player, order)) == UNKNOWN_MESSAGE
    before = arena.chain.account(arena.vault).balance
    arena.send(player, Order(destination=arena.vault, value=TON // 10))
    assert arena.chain.account(arena.vault).balance > before + TON // 10 - TON // 1000


# Debts


def bounced_claim(arena: Arena, player: Wallet, amount: int) -> Trace:
    """Claim more than the vault has, and see that the claim is taken and the payout bounces."""
    trace = arena.claim(player, arena.sign(player.address, amount))
    taken, told = trace.of(arena.vault)
    assert (taken.exit_code, told.exit_code) == (0, 0)
    return trace


def test_a_bounced_payout_is_owed_and_collected() -> None:
    """The seqno stays, the amount is owed, and the recipient gets it once there are jettons."""
    arena = Arena(LocalChain(), vault_jettons=10)
    player, other = arena.wallet("player"), arena.wallet("other")
    arena.claim(other, arena.sign(other.address, 3))
    bounced_claim(arena, player, 500)
    assert (arena.last_seqno(player.address), arena.owed(player.address)) == (1, 500)
    assert (arena.jettons(player.address), arena.jettons(arena.vault)) == (0, 7)
    assert arena.owed(other.address) == 0

    ask = Order(destination=arena.vault, value=CLAIM_NANOTONS, body=pay_owed())
    arena.send(player, ask)
    assert arena.owed(player.address) == 500, "it bounced again, and is owed again"
    arena.mint(arena.vault, 1000)
    assert arena.send(player, ask).exit_code(arena.vault) == 0
    assert (arena.owed(player.address), arena.jettons(player.address)) == (0, 500)
    assert refused(arena, arena.send(player, ask)) == NOTHING_OWED
    assert arena.jettons(arena.vault) == 1007 - 500


def test_a_recipient_with_a_debt_goes_on_claiming() -> None:
    """Debts add up beside later claims, which keep their order."""
    arena = Arena(LocalChain(), vault_jettons=10)
    player = arena.wallet("player")
    bounced_claim(arena, player, 500)
    bounced_claim(arena, player, 11)
    arena.claim(player, arena.sign(player.address, 10))
    assert arena.last_seqno(player.address) == 3
    assert (arena.owed(player.address), arena.jettons(player.address)) == (511, 10)


def test_nobody_can_invent_a_debt(arena: Arena) -> None:
    """A bounce that does not come from the vault's own jetton wallet means nothing."""
    player = arena.wallet("player")
    arena.claim(player, arena.sign(player.address, 5))
    key = int.from_bytes(player.address.hash[:8], "big")
    body = jetton_transfer(destination=player.address, amount=999, response=None, query_id=key)
    # The vault is made to send a transfer to an account without code, which bounces it.
    arena.chain.inject(
        source=arena.vault, destination=Address(0, b"\x07" * 32), value=TON, body=body
    )
    assert arena.owed(player.address) == 0


def test_the_jetton_stays_while_something_is_owed() -> None:
    """Debts are in the jetton of their time, so another one has to wait."""
    arena = Arena(LocalChain(), vault_jettons=10)
    player = arena.wallet("player")
    bounced_claim(arena, player, 500)
    trace = arena.as_owner(arena.vault, set_jetton_master(player.address))
    assert refused(arena, trace) == STILL_OWING
    same = arena.as_owner(arena.vault, set_jetton_master(arena.jetton_master))
    assert same.exit_code(arena.vault) == 0


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["claim", "forge", "collect", "mint"]),
            st.integers(0, 2),
            st.integers(1, 60),
        ),
        max_size=25,
    )
)
def test_what_was_claimed_is_paid_or_owed(steps: list[tuple[str, int, int]]) -> None:
    """Claimed = paid + owed for each player, and jettons are neither made nor lost."""
    arena = Arena(LocalChain(), vault_jettons=100)
    players = [arena.wallet(f"player {number}", nanotons=20 * TON) for number in range(3)]
    claimed = [0, 0, 0]
    minted = 100
    for action, number, amount in steps:
        player = players[number]
        if action == "claim":
            arena.claim(player, arena.sign(player.address, amount))
            claimed[number] += amount
        elif action == "forge":
            arena.claim(player, arena.sign(player.address, amount, key=key_of("stranger")))
        elif action == "collect":
            order = Order(destination=arena.vault, value=CLAIM_NANOTONS, body=pay_owed())
            arena.send(player, order)
        else:
            arena.mint(arena.vault, amount)
            minted += amount
    held = [arena.jettons(player.address) for player in players]
    owed = [arena.owed(player.address) for player in players]
    assert [paid + debt for paid, debt in zip(held, owed, strict=True)] == claimed
    assert sum(held) + arena.jettons(arena.vault) == arena.total_supply() == minted
    (total,) = answer(arena, "getTotalOwed")
    assert total == sum(owed)


def answer(arena: Arena, method: str) -> tuple[object, ...]:
    """Return what a get method of the vault answers."""
    result = arena.chain.run_get_method(arena.vault, method)
    assert result is not None
    assert result.exit_code == 0
    return result.stack


# Size


def crowded(arena: Arena, recipients: int) -> StateInit:
    """Return a vault that knows many recipients already."""
    state = vault_state(
        owner=arena.owner.address,
        oracle_key=bytes(arena.oracle.verify_key),
        jetton_master=arena.jetton_master,
    )
    chance = random.Random(1)
    table = HashMap(64, value_serializer=lambda bits, into: into.store_bits(bits))
    for _ in range(recipients):
        table.set_int_key(chance.getrandbits(64), f"{5:0192b}{7:064b}0000")
    data = Builder().store_bits("00").store_coins(0).store_ref(state.data.refs[0])
    return StateInit(state.code, data.store_dict(table.serialize()).end_cell())


def claim_of_crowded(recipients: int) -> tuple[Arena, Wallet, Transaction]:
    """Send a claim to a vault that knows many recipients, and return its transaction there."""
    arena = Arena(LocalChain())
    arena.vault = arena.chain.deploy(crowded(arena, recipients), value=10 * TON)
    arena.as_owner(arena.vault, set_jetton_master(arena.jetton_master))
    arena.mint(arena.vault, 100)
    player = arena.wallet("player")
    trace = arena.claim(player, arena.sign(player.address, 5))
    return arena, player, trace.of(arena.vault)[0]


def test_a_vault_with_many_recipients_pays_from_what_claims_bring() -> None:
    """With two thousand recipients the share that the vault keeps covers the gas."""
    arena, player, run = claim_of_crowded(2000)
    assert (run.exit_code, arena.jettons(player.address)) == (0, 5)
    assert run.fields.total_fees.grams < 10_000_000


def test_a_full_vault_refuses_whole() -> None:
    """A claim for which an account has no room left is undone, and its TON comes back."""
    arena, player, run = claim_of_crowded(32_752)
    action = run.fields.description.action
    assert (run.exit_code, run.aborted) == (0, True)
    assert action is not None
    assert not action.success
    assert (arena.last_seqno(player.address), arena.jettons(player.address)) == (0, 0)
    assert arena.chain.account(player.address).balance > TON - 20_000_000
