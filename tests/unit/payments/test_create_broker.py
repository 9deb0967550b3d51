"""A broker for TON: payment, broker and listing land together, once, for the one who paid."""

import base64
from dataclasses import replace
from typing import Any

import pytest

from aiba_domain.application.pipeline import Answer
from aiba_domain.application.purchases import Cashier, Purchases
from aiba_domain.brokers.commands import Combine
from aiba_domain.brokers.listing import Listing
from aiba_domain.brokers.payment_commands import BoughtBrokerReply, CreateBrokerWithTon
from aiba_domain.claims.commands import ConnectWallet
from aiba_domain.decision import Principal, Refused
from aiba_domain.economy.commands import ChangePolicy
from aiba_domain.errors import DomainError, InvalidInput, InvariantViolation
from aiba_domain.moderation.commands import BanPlayer
from aiba_domain.payments.judgement import NOT_VERIFIED
from aiba_domain.payments.model import IncomingPayment, Purpose, UsedPayment, order_comment
from aiba_domain.ports import Unavailable
from aiba_domain.testing.doubles import NOON
from aiba_domain.testing.faults import Crash
from aiba_domain.testing.playground import Playground, call
from aiba_domain.testing.strategies import PAID_WALLET, wallet_of
from tests.support.arena import accepted, broker_of, brokers_of, codes, everything, spare

MAINNET = -239
TON = 10**9
HASH = "ab" * 32


def payment(tx_hash: str = HASH, *, of: str = "1", **changes: Any) -> IncomingPayment:
    """Return a good payment from a player's own wallet."""
    made = IncomingPayment(
        hash=tx_hash,
        network=MAINNET,
        source=wallet_of(of),
        destination=PAID_WALLET,
        value_nano=TON,
        comment="",
        is_bounced=False,
        time_s=NOON // 1_000,
    )
    return replace(made, **changes)


class FakeChain:
    """The payments that a chain holds; it can be down."""

    def __init__(self, *payments: IncomingPayment) -> None:
        """Hold some payments."""
        self.payments = {one.hash: one for one in payments}
        self.is_down = False
        self.asked: list[tuple[str, str, int]] = []

    async def payment(self, tx_hash: str, *, to: str, since_s: int) -> IncomingPayment | None:
        """Return a payment."""
        self.asked.append((tx_hash, to, since_s))
        if self.is_down:
            raise Unavailable("down", retry_after_ms=7_000)
        return self.payments.get(tx_hash)


def purchases(play: Playground, chain: FakeChain, wallet: str = PAID_WALLET) -> Purchases:
    """Return what sells, over a playground."""
    cashier = Cashier(network=MAINNET, created_brokers_wallet=wallet)
    return Purchases(pipeline=play.pipeline, store=play.faults, payments=chain, cashier=cashier)


def buy(
    play: Playground, chain: FakeChain, player: str = "1", tx_hash: object = HASH
) -> Answer[BoughtBrokerReply]:
    """Let a player buy a broker."""
    return play.run(purchases(play, chain).create_broker(Principal(id=player), tx_hash))


def create(tx_hash: str = HASH, found: IncomingPayment | None = None) -> CreateBrokerWithTon:
    """Return the command with what was found of the payment."""
    return CreateBrokerWithTon(
        tx_hash=tx_hash, destination=PAID_WALLET, network=MAINNET, payment=found
    )


def bind(play: Playground, *players: str) -> None:
    """Bind players' own wallets."""
    for player in players:
        play.play(player, ConnectWallet(address=wallet_of(player))).reply()


def use_of(play: Playground, tx_hash: str = HASH) -> UsedPayment | None:
    """Return how a payment was used."""
    return play.read(lambda read: read.payment_use(tx_hash))


def listing_of(play: Playground, broker_id: str) -> Listing | None:
    """Return a broker's active listing."""
    return play.read(lambda read: read.listing_of(broker_id))


def test_a_payment_buys_a_starters_equal_and_lists_it(play: Playground) -> None:
    """At the policy's default price, with the payment's hash on the broker."""
    bind(play, "1")
    reply = buy(play, FakeChain(payment())).reply()
    (broker,) = brokers_of(play, "1")
    assert reply.broker == broker
    assert (broker.intelligence, broker.speed, broker.risk, broker.energy) == (50, 50, 50, 10)
    assert broker.created_with_ton_tx_hash == HASH
    assert listing_of(play, broker.id) == reply.listing
    assert (reply.listing.price_aiba, reply.listing.seller_id) == (10, "1")
    used = UsedPayment(hash=HASH, purpose=Purpose.CREATE_BROKER, player_id="1", at=NOON)
    assert use_of(play) == used


def test_the_comment_of_the_order_pays_without_a_wallet(play: Playground) -> None:
    """From whoever's wallet."""
    paid = payment(of="somebody", comment=order_comment(Purpose.CREATE_BROKER, "1"))
    assert buy(play, FakeChain(paid)).reply().broker.owner_id == "1"


def test_d14_a_strangers_payment_buys_nothing_and_stays_the_payers(play: Playground) -> None:
    """Whoever brings it forward first: the thief is refused, the payer served."""
    bind(play, "1", "2")
    chain = FakeChain(payment(of="1"))
    stolen = buy(play, chain, "2").outcome
    assert isinstance(stolen, Refused)
    assert (stolen.code, stolen.details["reason"]) == (NOT_VERIFIED, "sender")
    assert use_of(play) is None
    assert brokers_of(play, "2") == []
    assert buy(play, chain, "1").reply().broker.owner_id == "1"


def test_d19_one_payment_buys_one_broker(play: Playground) -> None:
    """However often, in whichever writing, and by whomever it is brought forward."""
    bind(play, "1", "2")
    comment = order_comment(Purpose.CREATE_BROKER, "2")
    chain = FakeChain(payment(of="1", comment=comment))  # both could claim it
    first = buy(play, chain, "1").reply()
    in_base64 = base64.b64encode(bytes.fromhex(HASH)).decode()
    for writing in (HASH, HASH.upper(), in_base64, in_base64.rstrip("=")):
        assert buy(play, chain, "1", writing).reply() == first
        assert buy(play, chain, "2", writing).outcome == Refused(code="txHash already used")
    assert len(brokers_of(play, "1")) == 1
    assert brokers_of(play, "2") == []


def test_d19_of_many_requests_at_once_one_makes_the_broker(play: Playground) -> None:
    """All of the payer's get its answer, with keys and without; nobody else's gets anything."""
    bind(play, "1", "2")
    comment = order_comment(Purpose.CREATE_BROKER, "2")
    command = create(found=payment(of="1", comment=comment))
    calls = [call(player, command, key) for player in "12" for key in (None, "a", "b")] * 4
    results = play.together(calls)
    replies = accepted(results)
    assert len({reply.broker.id for reply in replies}) == 1
    assert codes(results) == {"ok": 12, "txHash already used": 12}
    assert len(brokers_of(play, "1")) + len(brokers_of(play, "2")) == 1


def test_d19_a_payment_used_for_something_else_is_used(play: Playground) -> None:
    """There is one table of uses for all that is sold, and its answer names nobody's things."""
    bind(play, "1")
    play.put(UsedPayment(hash=HASH, purpose=Purpose.GIFT, player_id="1", at=NOON))
    outcome = buy(play, FakeChain(payment())).outcome
    assert outcome == Refused(code="txHash already used")
    assert brokers_of(play, "1") == []


@pytest.mark.parametrize("key", [None, "k"])
def test_d46_a_crash_anywhere_leaves_the_payment_good_for_the_retry(
    play: Playground, key: str | None
) -> None:
    """Hash, broker and listing are all there or none is; the retry answers as the first would."""
    point = 0
    while True:
        point += 1
        player, tx_hash = f"{point}", f"{point:064x}"
        bind(play, player)
        command = create(tx_hash, payment(tx_hash, of=player))
        before = everything(play, player)
        play.faults.crash_at(point)
        try:
            play.play(player, command, key)
        except Crash as crash:
            done = str(crash) == "the commit"
        else:
            assert play.faults.disarm()
            break
        assert (use_of(play, tx_hash) is not None) == done
        assert (len(brokers_of(play, player)) == 1) == done
        assert (everything(play, player) == before) != done
        retry = play.play(player, command, key).reply()
        assert brokers_of(play, player) == [retry.broker]
        assert listing_of(play, retry.broker.id) == retry.listing
        assert play.play(player, command, key).reply() == retry
    assert point > 5


def test_d46_an_early_request_costs_nothing(play: Playground) -> None:
    """Not on the chain yet, wallet not bound yet, price too high: the same hash pays later."""
    chain = FakeChain()
    assert_refused(buy(play, chain), "not_found")
    chain.payments[HASH] = payment()
    assert_refused(buy(play, chain), "sender")
    bind(play, "1")
    play.operate(ChangePolicy(changes={"create_broker_cost_ton_nano": 2 * TON}))
    assert_refused(buy(play, chain), "amount")
    play.operate(ChangePolicy(changes={"create_broker_cost_ton_nano": TON}))
    assert len(brokers_of(play, "1")) == 0
    assert buy(play, chain).reply().broker.owner_id == "1"


def assert_refused(answer: Answer[BoughtBrokerReply], reason: str) -> None:
    """Assert that a payment was refused for a reason."""
    assert isinstance(answer.outcome, Refused)
    assert (answer.outcome.code, answer.outcome.details["reason"]) == (NOT_VERIFIED, reason)


def test_d46_the_first_answer_is_given_again_for_ever(play: Playground) -> None:
    """Whatever became of broker, listing and prices since, and while the chain can't be read."""
    bind(play, "1")
    chain = FakeChain(payment())
    first = buy(play, chain).reply()
    other = spare(play, "1")
    play.fund("1", NEUR=1_000)
    play.operate(ChangePolicy(changes={"marketplace_default_new_broker_price_aiba": 99}))
    combine = Combine(base_broker_id=other, sacrifice_broker_id=first.broker.id)
    play.play("1", combine, "k").reply()
    play.clock.advance(10**9)
    chain.is_down = True
    assert buy(play, chain).reply() == first
    assert [one.id for one in brokers_of(play, "1")] == [other]


def test_d14_a_provider_that_is_down_says_when_to_come_back(play: Playground) -> None:
    """That is no verdict on the payment: it pays as soon as the chain can be read."""
    bind(play, "1")
    chain = FakeChain(payment())
    chain.is_down = True
    with pytest.raises(Unavailable) as caught:
        buy(play, chain)
    assert caught.value.retry_after_ms == 7_000
    assert use_of(play) is None
    chain.is_down = False
    assert buy(play, chain).reply().broker.owner_id == "1"


def test_d72_nobody_can_buy_the_new_broker_from_under_its_owner(play: Playground) -> None:
    """It is shown at the default price, and not for sale until the owner has agreed to that."""
    bind(play, "1")
    listing = buy(play, FakeChain(payment())).reply().listing
    assert listing.is_active
    assert not listing.is_for_sale
    assert replace(listing, agreed_at=NOON).is_for_sale
    assert not replace(listing, agreed_at=NOON).cancelled().is_for_sale


def test_d72_whoever_brings_a_used_hash_sees_nothing_of_its_broker(play: Playground) -> None:
    """The refusal has no details."""
    bind(play, "1", "2")
    chain = FakeChain(payment())
    buy(play, chain).reply()
    assert buy(play, chain, "2").outcome == Refused(code="txHash already used")


def test_a_broker_that_is_sacrificed_is_listed_no_more(play: Playground) -> None:
    """Nobody finds an offer of what is gone; the other's listing stays."""
    bind(play, "1")
    chain = FakeChain(payment(), payment("cd" * 32))
    gone, base = buy(play, chain).reply(), buy(play, chain, tx_hash="cd" * 32).reply()
    play.fund("1", NEUR=1_000)
    command = Combine(base_broker_id=base.broker.id, sacrifice_broker_id=gone.broker.id)
    play.play("1", command, "k").reply()
    assert listing_of(play, gone.broker.id) is None
    assert play.read(lambda read: read.listing(gone.listing.id)) == gone.listing.cancelled()
    assert listing_of(play, base.broker.id) == base.listing
    assert broker_of(play, base.broker.id).created_with_ton_tx_hash == "cd" * 32


def test_a_banned_player_buys_nothing_and_keeps_the_payment(play: Playground) -> None:
    """Until the ban is over."""
    bind(play, "1")
    chain = FakeChain(payment())
    play.operate(BanPlayer(player_id="1", minutes=1, reason="bots"))
    assert isinstance(buy(play, chain).outcome, Refused)
    assert use_of(play) is None
    play.clock.advance(60_000)
    assert buy(play, chain).reply().broker.owner_id == "1"


def test_brokers_are_not_sold_where_no_wallet_is_configured(play: Playground) -> None:
    """And the chain isn't asked."""
    chain = FakeChain(payment())
    shop = purchases(play, chain, wallet="")
    with pytest.raises(DomainError, match="not configured"):
        play.run(shop.create_broker(Principal(id="1"), HASH))
    assert chain.asked == []


@pytest.mark.parametrize("tx_hash", ["", "0x", HASH[:-1], None, 5])
def test_what_is_no_hash_is_refused_before_anything_is_asked(
    play: Playground, tx_hash: object
) -> None:
    """A provider's requests are few."""
    chain = FakeChain()
    with pytest.raises(InvalidInput) as caught:
        buy(play, chain, tx_hash=tx_hash)
    assert caught.value.field == "txHash"
    assert chain.asked == []


def test_the_chain_is_asked_for_the_day_that_payments_are_good_for(play: Playground) -> None:
    """On the wallet that brokers are paid to, and once only for a payment that was used."""
    bind(play, "1")
    chain = FakeChain(payment())
    buy(play, chain)
    buy(play, chain)
    assert chain.asked == [(HASH, PAID_WALLET, NOON // 1_000 - 86_400)]


def test_a_reader_that_gives_another_payment_breaks_its_promise(play: Playground) -> None:
    """Nothing is kept of it."""
    bind(play, "1")
    with pytest.raises(InvariantViolation):
        play.play("1", create(found=payment("cd" * 32)))
    assert use_of(play) is None
    assert use_of(play, "cd" * 32) is None
