"""The rules of withdrawals and of payments in TON, by commands and what they saw of the chain."""

from dataclasses import replace
from typing import Any, Final

from aiba_domain.brokers.payment_commands import BoughtBrokerReply, CreateBrokerWithTon
from aiba_domain.claims.claim import EXPIRY_MARGIN_S, VALIDITY_S, ChainView, Claim, ClaimState
from aiba_domain.claims.commands import ConnectWallet, ReserveClaim, SettleClaim
from aiba_domain.economy.commands import ClaimDailyCombo
from aiba_domain.money import Currency
from aiba_domain.payments.model import IncomingPayment
from aiba_domain.testing.chain import GENESIS_S, JETTON_MASTER, VAULT
from aiba_domain.testing.faults import Crash
from aiba_domain.testing.mutants.service import HERO, RIVAL, Service
from aiba_domain.testing.playground import OPERATOR

_WALLET: Final = f"0:{7:064x}"
_OTHER_WALLET: Final = f"0:{8:064x}"
_SHOP: Final = f"0:{99:064x}"
_MAIN: Final = -239
_HASH: Final = "ab" * 32
_PRICE: Final = 1_000_000_000
_HUGE: Final = 2**53 + 1
_DAY_S: Final = 86_400
_POINTS: Final = 20


# Withdrawals.


def _reserve(
    service: Service, key: str, amount: int | None = 10, *, seqno: int = 0, time_s: int = GENESIS_S
) -> Claim:
    """Withdraw under a view of the chain, and return the claim."""
    return service.play(HERO, _asked(amount, seqno, time_s), key).reply().claim


def _asked(amount: int | None, seqno: int = 0, time_s: int = GENESIS_S) -> ReserveClaim:
    return ReserveClaim(
        amount=amount,
        vault=VAULT,
        jetton_master=JETTON_MASTER,
        recipient=_WALLET,
        seen=ChainView(seqno=seqno, time_s=time_s),
    )


def _settle(service: Service, claim: Claim, *, seqno: int, time_s: int) -> Claim:
    """Settle a claim by what is seen of the chain."""
    seen = ChainView(seqno=seqno, time_s=time_s)
    return service.issue(OPERATOR, SettleClaim(claim_id=claim.id, seen=seen)).reply().claim


def _rich(service: Service, amount: int = 1_000) -> None:
    """Give the player a wallet and AIBA."""
    service.play(HERO, ConnectWallet(address=_WALLET)).reply()
    service.fund(HERO, AIBA=amount)


def a_claim_takes_the_next_seqno(service: Service) -> None:
    """One above the highest that the chain shows or that was confirmed, also by a late server."""
    _rich(service)
    claim = _reserve(service, "k1", seqno=4)
    assert claim.terms.seqno == 5
    assert _settle(service, claim, seqno=5, time_s=GENESIS_S).state is ClaimState.CONFIRMED
    assert _reserve(service, "k2", seqno=0).terms.seqno == 6


def a_withdrawal_of_nothing_is_refused(service: Service) -> None:
    """An amount of 0 or below takes nothing and gives nothing."""
    _rich(service)
    for number, amount in enumerate((0, -1, -1_000)):
        code = service.refusal(HERO, _asked(amount), f"k{number}")
        assert code == "amount must be > 0", amount
    assert service.held(HERO, Currency.AIBA) == 1_000


def more_than_there_is_cannot_be_withdrawn(service: Service) -> None:
    """Not by one unit."""
    _rich(service)
    assert service.refusal(HERO, _asked(1_001), "k") == "insufficient AIBA"
    assert service.held(HERO, Currency.AIBA) == 1_000


def a_withdrawal_is_exact(service: Service) -> None:
    """Also above 2^53, where a float can't hold the amount."""
    _rich(service, _HUGE)
    claim = _reserve(service, "k", None)
    assert claim.terms.amount == _HUGE
    assert service.held(HERO, Currency.AIBA) == 0
    flying = service.read(lambda read: read.balances("claims"))
    assert flying[Currency.AIBA] == _HUGE


def another_key_is_another_withdrawal(service: Service) -> None:
    """The second withdrawal of a player is no repetition of the first, and takes its amount."""
    _rich(service)
    first = _reserve(service, "k1")
    _settle(service, first, seqno=1, time_s=GENESIS_S)
    second = _reserve(service, "k2", seqno=1)
    assert second.id != first.id
    assert service.held(HERO, Currency.AIBA) == 980


def one_claim_is_in_flight_to_a_recipient(service: Service) -> None:
    """Another one is refused until the first has ended, and takes nothing."""
    _rich(service)
    _reserve(service, "k1")
    assert service.refusal(HERO, _asked(10), "k2") == "pending_claim"
    assert service.held(HERO, Currency.AIBA) == 990


def a_claim_that_may_be_paid_is_not_refunded(service: Service) -> None:
    """Not before its validity and the margin are over on the chain, whatever the clock says."""
    _rich(service)
    claim = _reserve(service, "k")
    service.clock.advance(10 * _DAY_S * 1_000)
    over_s = claim.terms.valid_until_s + EXPIRY_MARGIN_S
    for time_s in (GENESIS_S, claim.terms.valid_until_s, over_s):
        assert _settle(service, claim, seqno=0, time_s=time_s).is_open, time_s
    assert service.held(HERO, Currency.AIBA) == 990


def an_expired_claim_comes_back(service: Service) -> None:
    """Once the chain is past the margin with the seqno below, the money is there again, once."""
    _rich(service)
    claim = _reserve(service, "k")
    late_s = GENESIS_S + VALIDITY_S + EXPIRY_MARGIN_S + 1
    for _ in range(2):
        assert _settle(service, claim, seqno=0, time_s=late_s).state is ClaimState.REFUNDED
        assert service.held(HERO, Currency.AIBA) == 1_000
    again = _reserve(service, "k2", time_s=late_s)
    assert again.terms.seqno == 1


def a_paid_claim_is_confirmed_however_late(service: Service) -> None:
    """A seqno that was reached is a payment, also when it is seen long after the validity."""
    _rich(service)
    claim = _reserve(service, "k")
    ended = _settle(service, claim, seqno=1, time_s=GENESIS_S + _DAY_S)
    assert ended.state is ClaimState.CONFIRMED
    assert service.held(HERO, Currency.AIBA) == 990


def a_withdrawal_is_no_spending(service: Service) -> None:
    """What goes out and comes back counts for no reward of the day."""
    service.change(daily_combo_requirement_aiba=10)
    _rich(service)
    _reserve(service, "k")
    code = service.refusal(HERO, ClaimDailyCombo())
    assert code == "daily_combo_requirement_not_met"


def a_wallet_belongs_to_one_player(service: Service) -> None:
    """A second player is refused, and the first one keeps it."""
    service.play(HERO, ConnectWallet(address=_WALLET)).reply()
    code = service.refusal(RIVAL, ConnectWallet(address=_WALLET))
    assert code == "wallet already connected"
    assert service.record().wallet == _WALLET
    assert service.record(RIVAL).wallet == ""


# Payments.


def _buy(service: Service, **facts: Any) -> CreateBrokerWithTon:
    """Return the purchase by a genuine payment, but for what `facts` change of it."""
    genuine = IncomingPayment(
        hash=_HASH,
        network=_MAIN,
        source=_WALLET,
        destination=_SHOP,
        value_nano=_PRICE,
        comment="",
        is_bounced=False,
        time_s=service.clock.now() // 1_000,
    )
    return CreateBrokerWithTon(
        tx_hash=_HASH, destination=_SHOP, network=_MAIN, payment=replace(genuine, **facts)
    )


def _bought(service: Service) -> BoughtBrokerReply:
    return service.play(HERO, _buy(service)).reply()


def a_genuine_payment_buys(service: Service) -> None:
    """From the player's own wallet, or from any with the order's comment."""
    service.play(HERO, ConnectWallet(address=_WALLET)).reply()
    assert _bought(service).broker.owner_id == HERO
    comment = f"aiba:create-broker:{RIVAL}"
    command = replace(
        _buy(service, source=_OTHER_WALLET, comment=comment, hash="cd" * 32), tx_hash="cd" * 32
    )
    assert service.play(RIVAL, command).reply().broker.owner_id == RIVAL


def _buys_nothing(service: Service, reason: str, **facts: Any) -> None:
    service.play(HERO, ConnectWallet(address=_WALLET)).reply()
    outcome = service.play(HERO, _buy(service, **facts)).outcome
    assert getattr(outcome, "details", {}).get("reason") == reason, outcome
    assert not service.read(lambda read: read.brokers_of(HERO))


def a_strangers_payment_buys_nothing(service: Service) -> None:
    """Whoever watches the shop's wallet and is first to name a payment gets nothing for it."""
    _buys_nothing(service, "sender", source=_OTHER_WALLET)


def a_payment_elsewhere_buys_nothing(service: Service) -> None:
    """A payment to any other wallet pays for nothing."""
    _buys_nothing(service, "destination", destination=_OTHER_WALLET)


def a_payment_that_was_sent_back_buys_nothing(service: Service) -> None:
    """Its money did not stay."""
    _buys_nothing(service, "bounced", is_bounced=True)


def a_short_payment_buys_nothing(service: Service) -> None:
    """Not for one nanoTON less."""
    _buys_nothing(service, "amount", value_nano=_PRICE - 1)


def an_old_payment_buys_nothing(service: Service) -> None:
    """A payment counts for a day."""
    old_s = service.clock.now() // 1_000 - _DAY_S - 1
    _buys_nothing(service, "age", time_s=old_s)


def a_payment_of_another_network_buys_nothing(service: Service) -> None:
    """Test coins are worth nothing."""
    _buys_nothing(service, "network", network=-3)


def a_payment_buys_once(service: Service) -> None:
    """Named again it gives its payer the first answer, and nobody anything else."""
    service.play(HERO, ConnectWallet(address=_WALLET)).reply()
    first = _bought(service)
    assert _bought(service) == first
    assert len(service.read(lambda read: read.brokers_of(HERO))) == 1
    comment = f"aiba:create-broker:{RIVAL}"
    stolen = _buy(service, source=_OTHER_WALLET, comment=comment)
    assert service.refusal(RIVAL, stolen) == "txHash already used"


def a_payment_survives_a_crash(service: Service) -> None:
    """Wherever a purchase dies, asked for again it gives the broker: nobody loses their TON."""
    service.play(HERO, ConnectWallet(address=_WALLET)).reply()
    for point in range(1, _POINTS):
        tx_hash = f"{point:064x}"
        command = replace(_buy(service, hash=tx_hash), tx_hash=tx_hash)
        service.faults.crash_at(point)
        try:
            service.play(HERO, command)
        except Crash:
            service.faults.disarm()
        service.faults.disarm()
        reply = service.play(HERO, command).reply()
        assert service.stored(reply.broker) == reply.broker
    assert len(service.read(lambda read: read.brokers_of(HERO))) == _POINTS - 1


def a_new_broker_is_not_for_sale(service: Service) -> None:
    """Its listing is shown; nobody can buy before its owner has agreed to the price."""
    service.play(HERO, ConnectWallet(address=_WALLET)).reply()
    broker = _bought(service).broker
    listing = service.read(lambda read: read.listing_of(broker.id))
    assert listing is not None
    assert listing.is_active
    assert not listing.is_for_sale
