"""The local chain by itself: time, blocks, routing, history, and going back."""

import base64
import json
import re
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytoniq_core.boc.builder import Builder
from pytoniq_core.boc.cell import Cell

from aiba_adapters.devnet.accounts import Status
from aiba_adapters.devnet.arena import TON, Arena, key_of
from aiba_adapters.devnet.cells import bag, comment, external_message, normalised_hash
from aiba_adapters.devnet.chain import (
    GENESIS_S,
    MAINNET,
    TESTNET,
    ChainError,
    ChainStuckError,
    LocalChain,
    MessageRefusedError,
    NotAMessageError,
)
from aiba_adapters.devnet.transactions import messages_out
from aiba_adapters.devnet.tvm import hash_of, shipped_config
from aiba_adapters.devnet.wallets import Order, WalletV4R2, WalletV5R1, WalletVersion
from aiba_adapters.ton.addresses import Address

NOBODY = Address(0, b"\x2a" * 32)


def test_money_reaches_an_account_without_code(arena: Arena) -> None:
    """It is credited although the transaction is aborted for want of code."""
    (got,) = arena.chain.fund(NOBODY, 5 * TON).transactions
    assert (got.exit_code, got.aborted, got.fields.out_msgs) == (None, True, [])
    account = arena.chain.account(NOBODY)
    assert (account.status, account.balance) == (Status.UNINIT, 5 * TON)
    assert (account.last_lt, account.last_hash) == (got.lt, got.hash)


def test_an_account_that_nothing_reached_is_empty() -> None:
    """It reads as empty, and has no get methods."""
    chain = LocalChain()
    assert chain.account(NOBODY).status is Status.NONEXIST
    assert chain.account(NOBODY).balance == 0
    assert chain.run_get_method(NOBODY, "seqno") is None
    assert chain.transactions(NOBODY) == []


def test_bounceable_money_comes_back(arena: Arena) -> None:
    """To an account without code only money that may not bounce stays."""
    wallet = arena.wallet("a")
    trace = arena.send(wallet, Order(destination=NOBODY, value=TON // 2))
    bounce = trace.of(wallet.address)[-1].fields.in_msg.info
    assert bounce.bounced
    assert arena.chain.account(NOBODY).balance == 0


@pytest.mark.parametrize("version", WalletVersion)
def test_a_wallet_sends_to_many_at_once(arena: Arena, version: WalletVersion) -> None:
    """All messages of one transaction arrive, in order, with the comment they carry."""
    wallet = arena.wallet("a", version=version)
    count = 4 if version is WalletVersion.V4R2 else 60
    places = [Address(0, bytes([number]) * 32) for number in range(1, count + 1)]
    orders = [
        Order(destination=to, value=1000 + number, bounce=False, body=comment(f"for {number}"))
        for number, to in enumerate(places)
    ]
    trace = arena.send(wallet, *orders)
    assert [one.account for one in trace.transactions[1:]] == places
    for number, to in enumerate(places):
        (got,) = trace.of(to)
        assert got.fields.in_msg.info.value.grams == 1000 + number
        assert bytes(got.fields.in_msg.body.begin_parse().load_bytes(4)) == bytes(4)
    assert len(messages_out(trace.transactions[0].cell)) == count


def test_a_message_out_of_turn_is_refused_and_changes_nothing(arena: Arena) -> None:
    """A wrong seqno, key or time is refused with the wallet's own exit code."""
    wallet = arena.wallet("a")
    arena.send(wallet)
    before = arena.chain.snapshot()
    state = arena.chain.account(wallet.address)
    with pytest.raises(MessageRefusedError) as wrong_seqno:
        arena.chain.send(wallet.signed([], seqno=7))
    assert wrong_seqno.value.exit_code == 33
    with pytest.raises(MessageRefusedError) as too_late:
        arena.chain.send(wallet.signed([], seqno=1, valid_until_s=arena.chain.now))
    assert too_late.value.exit_code == 36
    with pytest.raises(MessageRefusedError) as no_code:
        arena.chain.send(external_message(destination=NOBODY, body=comment("?")))
    assert no_code.value.exit_code is None
    assert arena.chain.account(wallet.address) is state
    assert arena.chain.snapshot() == before


@pytest.mark.parametrize(
    "message", [b"", b"junk", "!", "te6ccg==", bag(comment("x")), bag(Builder().end_cell())]
)
def test_what_is_no_message_is_refused(arena: Arena, message: bytes | str) -> None:
    """Neither junk nor a cell of another kind is taken."""
    with pytest.raises(NotAMessageError):
        arena.chain.send(message)


def test_a_message_between_accounts_can_not_come_from_outside(arena: Arena) -> None:
    """Otherwise everybody could give himself money."""
    forged = Order(destination=NOBODY, value=TON).cell
    with pytest.raises(NotAMessageError):
        arena.chain.send(forged)


def test_time_moves_only_forward_and_blocks_follow() -> None:
    """A block is made when time has passed, and every block can be found by its number."""
    chain = LocalChain()
    assert (chain.now, chain.tip.seqno) == (GENESIS_S, 1)
    assert chain.tip is chain.tip
    chain.advance(0)
    assert chain.tip.seqno == 1
    chain.advance(60)
    assert (chain.tip.seqno, chain.tip.now) == (2, GENESIS_S + 60)
    chain.fund(NOBODY, 1)
    assert chain.tip.seqno == 3
    assert chain.transactions()[0].block == 3
    assert [chain.block(number).now for number in (1, 2, 3)] == [  # type: ignore[union-attr]
        GENESIS_S,
        GENESIS_S + 60,
        GENESIS_S + 60,
    ]
    assert chain.block(0) is None
    assert chain.block(4) is None
    with pytest.raises(ChainError):
        chain.advance(-1)


def test_a_chain_with_a_clock_follows_it() -> None:
    """What `advance` adds stays on top of the clock."""
    clock = [1_800_000_000.9]
    chain = LocalChain(clock=lambda: clock[0])
    assert chain.now == 1_800_000_000
    chain.advance(100)
    clock[0] += 5
    assert chain.now == 1_800_000_105
    chain.hold()
    clock[0] += 50
    assert (chain.now, chain.tip.now) == (1_800_000_105, 1_800_000_105)
    chain.release()
    assert chain.now == 1_800_000_155


def test_while_blocks_are_late_messages_wait(arena: Arena) -> None:
    """Nothing happens until release, then everything does in its order."""
    player = arena.wallet("player")
    claim = arena.sign(player.address, 5)
    arena.chain.hold()
    assert arena.claim(player, claim).transactions == ()
    assert arena.last_seqno(player.address) == 0
    arena.chain.send(arena.owner.signed([], seqno=12345))
    trace = arena.chain.release()
    assert trace.exit_code(arena.vault) == 0
    assert arena.jettons(player.address) == 5
    assert arena.chain.release().transactions == ()


def test_a_transaction_is_its_own_proof(arena: Arena) -> None:
    """Its bag's root hash is its hash, and it tells its own place and time."""
    for one in arena.chain.transactions():
        root = Cell.one_from_boc(one.boc)
        assert root.hash == one.hash == bytes.fromhex(one.cell.get_hash())
        assert one.fields.account_addr == one.account.hash
        assert (one.fields.lt, one.fields.now) == (one.lt, one.now)


def test_each_account_has_a_chain_of_transactions(arena: Arena) -> None:
    """Every transaction names the one before it on its account, back to the first."""
    history = arena.chain.transactions(arena.owner.address)
    assert [one.lt for one in history] == sorted((one.lt for one in history), reverse=True)
    for later, earlier in pairwise(history):
        assert later.fields.prev_trans_hash == earlier.hash
        assert later.fields.prev_trans_lt == earlier.lt
    assert history[-1].fields.prev_trans_lt == 0


def test_history_is_read_in_pages(arena: Arena) -> None:
    """Pages by logical time cover everything once."""
    whole = arena.chain.transactions(limit=1000)
    page = arena.chain.transactions(limit=3)
    collected = list(page)
    while page:
        page = arena.chain.transactions(until_lt=page[-1].lt - 1, limit=3)
        collected += page
    assert collected == whole
    assert arena.chain.transactions(until_lt=0) == []


def test_a_transaction_is_found_by_every_hash_it_has(arena: Arena) -> None:
    """By its own, by its message's, and by that message's form for indexers."""
    wallet = arena.wallet("a")
    message = arena.message(wallet, Order(destination=NOBODY, value=5, bounce=False))
    first, second = arena.chain.send(message).transactions
    chain = arena.chain
    assert chain.transaction(first.hash) is first
    assert chain.transaction_of_message(message.hash) is first
    assert chain.transaction_of_message(normalised_hash(message)) is first
    assert normalised_hash(message) != message.hash
    (sent,) = messages_out(first.cell)
    sent_hash = bytes.fromhex(sent.get_hash())
    assert chain.transaction_of_message(sent_hash) is second
    assert chain.transaction_that_sent(sent_hash) is first
    assert chain.transaction(bytes(32)) is None


def test_going_back_undoes_everything(arena: Arena) -> None:
    """After restore the chain is what it was, and goes on the same way."""
    chain, player = arena.chain, arena.wallet("player")
    before = chain.snapshot()
    claim = arena.sign(player.address, 5)

    def play() -> tuple[bytes, ...]:
        chain.advance(10)
        done = arena.claim(player, claim).transactions
        assert chain.transaction(done[0].hash) is done[0]
        return tuple(one.hash for one in done)

    first = play()
    chain.hold()
    chain.restore(before)
    assert chain.snapshot() == before
    assert chain.transaction(first[0]) is None
    assert arena.last_seqno(player.address) == 0
    assert play() == first
    chain.reset()
    assert chain.transactions() == []
    assert chain.account(arena.vault).status is Status.NONEXIST


def test_money_is_neither_made_nor_lost(arena: Arena) -> None:
    """What accounts have and what fees took is what the faucet gave."""
    player = arena.wallet("player", nanotons=3 * TON)
    for amount in (1, 2, 3):
        arena.claim(player, arena.sign(player.address, amount))
    history = arena.chain.transactions(limit=1000)
    given_out = sum(
        one.fields.in_msg.info.value.grams
        for one in history
        if one.fields.in_msg.is_internal and one.fields.in_msg.info.src.wc == -1
    )
    fees = sum(one.fields.total_fees.grams for one in history)
    # A message's forwarding fee is split: the sender's transaction tells a third of it.
    on_the_way = sum(message.info.fwd_fee for one in history for message in one.fields.out_msgs)
    held = sum(arena.chain.account(one).balance for one in {one.account for one in history})
    assert held + fees + on_the_way == given_out


def test_messages_without_end_are_stopped(arena: Arena, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop of messages is undone instead of running for ever."""
    monkeypatch.setattr("aiba_adapters.devnet.chain._MOST_TRANSACTIONS", 3)
    player = arena.wallet("player")
    claim = arena.sign(player.address, 5)
    before = arena.chain.snapshot()
    with pytest.raises(ChainStuckError):
        arena.claim(player, claim)
    assert arena.chain.snapshot() == before


def test_a_v5_wallet_belongs_to_one_network() -> None:
    """One key has another wallet on each network, but one of the older kind on both."""
    key = key_of("owner")
    main, test = (WalletV5R1(key, network_id=one).address for one in (MAINNET, TESTNET))
    assert len({main, test, WalletV4R2(key).address}) == 3


@given(st.text(max_size=400))
def test_a_comment_reads_back(text: str) -> None:
    """Texts longer than a cell go on in the next one."""
    read = comment(text).begin_parse()
    assert read.load_uint(32) == 0
    data = b""
    while True:
        data += bytes(read.load_bytes(len(read.bits) // 8))
        if not read.refs:
            break
        read = read.load_ref().begin_parse()
    assert data.decode() == text
    assert base64.b64decode(base64.b64encode(bag(comment(text)))) == bag(comment(text))


def test_threads_take_turns(arena: Arena) -> None:
    """Claims and reads from many threads give what they give from one."""
    players = [arena.wallet(f"player {number}") for number in range(8)]

    def play(number: int) -> None:
        player = players[number]
        for amount in range(1, 6):
            claim = arena.sign(player.address, amount)
            assert arena.claim(player, claim).exit_code(arena.vault) == 0
            assert arena.last_seqno(player.address) == amount

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(play, range(8)))
    assert [arena.jettons(player.address) for player in players] == [15] * 8
    lts = [one.lt for one in arena.chain.transactions(limit=1000)]
    assert lts == sorted(set(lts), reverse=True)


def test_the_shipped_configuration_is_the_one_it_says() -> None:
    """The file's own hash names its cells."""
    text = files("aiba_adapters.devnet").joinpath("data/config.json").read_text("utf-8")
    shipped = json.loads(text)
    assert hash_of(shipped_config()).hex() == shipped["hash"]


def test_the_example_of_the_documents_runs() -> None:
    """What docs/devnet.md shows works as it is."""
    document = Path(__file__).parents[3] / "docs" / "devnet.md"
    (example,) = re.findall(r"```python\n(.*?)```", document.read_text("utf-8"), re.DOTALL)
    exec(compile(example, str(document), "exec"), {})  # noqa: S102 - the project's own example
