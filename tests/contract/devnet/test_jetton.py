"""The jetton on a real TVM: TEP-74 as wallets, masters and their clients know it."""

import pytest
from pytoniq_core.boc.builder import Builder

from aiba_adapters.devnet.arena import TON, Arena
from aiba_adapters.devnet.contracts import (
    change_admin,
    jetton_burn,
    jetton_transfer,
    jetton_wallet_state,
    mint,
)
from aiba_adapters.devnet.tvm import SliceOf, address_in, hash_of
from aiba_adapters.devnet.wallets import Order, Wallet
from aiba_adapters.ton.addresses import Address

NOT_ENOUGH_JETTONS = 47
NOT_ENOUGH_TON = 48
NOT_THE_OWNER = 73
NOT_A_WALLET = 74
NOTIFICATION = 0x7362D09C
EXCESSES = 0xD53276DB


def holder(arena: Arena, seed: str, jettons: int) -> Wallet:
    """Return a wallet with TON and jettons."""
    wallet = arena.wallet(seed, nanotons=5 * TON)
    arena.mint(wallet.address, jettons)
    return wallet


def order(arena: Arena, sender: Wallet, amount: int, to: Address, *, value: int = TON) -> Order:
    """Return the order to send jettons."""
    body = jetton_transfer(destination=to, amount=amount, response=sender.address)
    return Order(destination=arena.jetton_wallet(sender.address), value=value, body=body)


def test_wallet_data_is_a_flat_stack_of_four(arena: Arena) -> None:
    """Balance, owner, master and code are four values, not one tuple."""
    holder(arena, "a", 40)
    owner = arena.wallet("a").address
    result = arena.chain.run_get_method(arena.jetton_wallet(owner), "get_wallet_data")
    assert result is not None
    balance, told_owner, master, code = result.stack
    assert (balance, address_in(told_owner), address_in(master)) == (
        40,
        owner,
        arena.jetton_master,
    )
    assert not isinstance(code, int | list | SliceOf | None)
    assert hash_of(code) == jetton_wallet_state(owner=owner, master=arena.jetton_master).code.hash


def test_a_wallet_is_where_its_state_says(arena: Arena) -> None:
    """The master's answer is the hash of the wallet's first state."""
    owner = arena.wallet("a").address
    state = jetton_wallet_state(owner=owner, master=arena.jetton_master)
    assert arena.jetton_wallet(owner) == state.address


def test_jetton_data_tells_supply_admin_and_code(arena: Arena) -> None:
    """The five values of TEP-74, in order; who ended minting is nobody any more."""
    result = arena.chain.run_get_method(arena.jetton_master, "get_jetton_data")
    assert result is not None
    supply, mintable, admin, content, code = result.stack
    assert (supply, mintable, address_in(admin)) == (10**9, -1, arena.owner.address)
    assert content is not None
    assert code is not None
    arena.as_owner(arena.jetton_master, change_admin(None))
    closed = arena.chain.run_get_method(arena.jetton_master, "get_jetton_data")
    assert closed is not None
    assert (closed.stack[1], address_in(closed.stack[2])) == (0, None)
    assert arena.mint(arena.owner.address, 1).exit_code(arena.jetton_master) == NOT_THE_OWNER


def test_a_transfer_moves_exactly_what_it_says(arena: Arena) -> None:
    """Sender, receiver and supply agree, the receiver is told, and the rest of the TON returns."""
    a, b = holder(arena, "a", 100), arena.wallet("b")
    body = jetton_transfer(
        destination=b.address,
        amount=30,
        response=a.address,
        forward_nanotons=1,
        forward_payload=Builder().store_uint(7, 32).end_cell(),
        query_id=42,
    )
    trace = arena.send(a, Order(destination=arena.jetton_wallet(a.address), value=TON, body=body))
    assert [one.exit_code for one in trace.transactions] == [0, 0, 0, None, 0]
    assert (arena.jettons(a.address), arena.jettons(b.address)) == (70, 30)
    assert arena.total_supply() == 10**9 + 100
    told = trace.of(b.address)[0].fields.in_msg.body.begin_parse()
    assert (told.load_uint(32), told.load_uint(64), told.load_coins()) == (NOTIFICATION, 42, 30)
    back = trace.of(a.address)[-1].fields.in_msg
    assert back.body.begin_parse().load_uint(32) == EXCESSES
    assert back.info.value.grams > TON - 30_000_000


@pytest.mark.parametrize(
    ("amount", "value", "code"),
    [(101, TON, NOT_ENOUGH_JETTONS), (10, 15_000_000, NOT_ENOUGH_TON)],
)
def test_a_transfer_that_can_not_be_is_refused(
    arena: Arena, amount: int, value: int, code: int
) -> None:
    """Too few jettons, or too little TON to carry it to the end: nothing moves."""
    a, b = holder(arena, "a", 100), arena.wallet("b")
    trace = arena.send(a, order(arena, a, amount, b.address, value=value))
    assert trace.exit_code(arena.jetton_wallet(a.address)) == code
    assert (arena.jettons(a.address), arena.jettons(b.address)) == (100, 0)


def test_only_the_owner_spends(arena: Arena) -> None:
    """A stranger's transfer or burn is refused."""
    a, thief = holder(arena, "a", 100), arena.wallet("thief")
    wallet = arena.jetton_wallet(a.address)
    spend = jetton_transfer(destination=thief.address, amount=1, response=None)
    for body in (spend, jetton_burn(amount=1, response=None)):
        trace = arena.send(thief, Order(destination=wallet, value=TON // 2, body=body))
        assert trace.exit_code(wallet) == NOT_THE_OWNER
    assert arena.jettons(a.address) == 100


def test_only_the_admin_mints(arena: Arena) -> None:
    """A stranger makes no jettons."""
    stranger = arena.wallet("stranger", nanotons=TON)
    body = mint(recipient=stranger.address, amount=5)
    trace = arena.send(stranger, Order(destination=arena.jetton_master, value=TON // 2, body=body))
    assert trace.exit_code(arena.jetton_master) == NOT_THE_OWNER
    assert arena.total_supply() == 10**9


def test_jettons_come_from_wallets_of_the_jetton_alone(arena: Arena) -> None:
    """A credit or a burn that no wallet of this jetton sent is refused."""
    a, forger = holder(arena, "a", 1), arena.wallet("forger")
    credit = Builder().store_uint(0x178D4519, 32).store_uint(0, 64).store_coins(10**6)
    credit.store_bits("100" + "0" * 264).store_bits("00").store_coins(0).store_bits("0")
    wallet = arena.jetton_wallet(a.address)
    trace = arena.send(forger, Order(destination=wallet, value=TON // 2, body=credit.end_cell()))
    assert trace.exit_code(wallet) == NOT_A_WALLET
    burnt = Builder().store_uint(0x7BDD97DE, 32).store_uint(0, 64).store_coins(1)
    burnt.store_bits("100" + "0" * 264).store_bits("00")
    trace = arena.send(
        forger, Order(destination=arena.jetton_master, value=TON // 4, body=burnt.end_cell())
    )
    assert trace.exit_code(arena.jetton_master) == NOT_A_WALLET
    assert (arena.jettons(a.address), arena.total_supply()) == (1, 10**9 + 1)


def test_burning_lowers_the_supply(arena: Arena) -> None:
    """What is burnt is gone from the wallet and from the supply."""
    a = holder(arena, "a", 100)
    body = jetton_burn(amount=40, response=a.address)
    arena.send(a, Order(destination=arena.jetton_wallet(a.address), value=TON, body=body))
    assert (arena.jettons(a.address), arena.total_supply()) == (60, 10**9 + 60)


def test_the_bounds_of_gas_hold(arena: Arena) -> None:
    """What a transfer asks TON for covers what its two steps take, payload and deploy included."""
    a, b = holder(arena, "a", 100), arena.wallet("b")
    payload = Builder().store_ref(Builder().store_uint(1, 256).end_cell()).end_cell()
    body = jetton_transfer(
        destination=b.address,
        amount=30,
        response=a.address,
        forward_nanotons=1,
        forward_payload=payload,
    )
    trace = arena.send(a, Order(destination=arena.jetton_wallet(a.address), value=TON, body=body))
    assert max(one.gas_used for one in trace.transactions) < 10_000
