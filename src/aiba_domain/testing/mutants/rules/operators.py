"""The rules of what operators do: minting and its refunds, credits, rates."""

from fractions import Fraction

from aiba_domain.brokers.mint_commands import CompleteMint, FailMint, MintBroker, Nft
from aiba_domain.decision import Accepted, Refused
from aiba_domain.economy.config_commands import UpdateRate
from aiba_domain.economy.oracle import current_rate
from aiba_domain.economy.treasury_commands import CreditUser
from aiba_domain.instants import MINUTE
from aiba_domain.money import Currency
from aiba_domain.testing.mutants.service import HERO, Service
from aiba_domain.testing.playground import OPERATOR

_PRICE = 100
_NFT = Nft(collection_address="c", item_address="i")


def a_broker_is_minted_for_one_fee(service: Service) -> None:
    """A second order under another key is refused while the first one is open."""
    broker = service.broker()
    service.fund(HERO, AIBA=3 * _PRICE)
    command = MintBroker(broker_id=broker.id)
    service.play(HERO, command, "a").reply()
    assert service.refusal(HERO, command, "b") == "mint already in progress"
    assert service.held(HERO, Currency.AIBA) == 2 * _PRICE


def a_job_that_fails_gives_back_its_fee_once(service: Service) -> None:
    """Exactly what was paid, though the price is another one by then."""
    broker = service.broker()
    service.fund(HERO, AIBA=_PRICE)
    job = service.play(HERO, MintBroker(broker_id=broker.id), "a").reply().job
    service.change(mint_aiba_cost=7)
    service.operate(FailMint(job_id=job.id, reason="no gas"))
    assert service.held(HERO, Currency.AIBA) == _PRICE
    again = service.issue(OPERATOR, FailMint(job_id=job.id, reason="no gas")).outcome
    assert isinstance(again, Refused)
    assert service.held(HERO, Currency.AIBA) == _PRICE


def an_nft_is_one_brokers(service: Service) -> None:
    """A job can't be completed with an NFT that another broker has."""
    service.broker(name="other", nft_item_address=_NFT.item_address)
    broker = service.broker()
    service.fund(HERO, AIBA=_PRICE)
    job = service.play(HERO, MintBroker(broker_id=broker.id), "a").reply().job
    outcome = service.issue(OPERATOR, CompleteMint(job_id=job.id, nft=_NFT)).outcome
    assert isinstance(outcome, Refused)
    assert outcome.code == "NFT already linked"


def a_credit_takes_no_more_than_there_is(service: Service) -> None:
    """Both deltas move or none; no balance is below 0 afterwards."""
    service.fund(HERO, AIBA=5, NEUR=5)
    command = CreditUser(player_id=HERO, aiba_delta=-5, neur_delta=-6)
    outcome = service.issue(OPERATOR, command, "k").outcome
    assert isinstance(outcome, Refused)
    assert outcome.code == "insufficient NEUR"
    assert (service.held(HERO), service.held(HERO, Currency.AIBA)) == (5, 5)


def the_configured_price_makes_the_rate(service: Service) -> None:
    """A TON at 5 and an AIBA at a hundredth are 500 AIBA for a TON."""
    service.change(oracle_aiba_usd=Fraction(1, 100), oracle_fallback_aiba_per_ton=7)
    outcome = service.issue(OPERATOR, UpdateRate(ton_usd=Fraction(5))).outcome
    assert isinstance(outcome, Accepted)
    assert outcome.reply.policy.oracle_aiba_per_ton == 500


def a_rate_grows_old(service: Service) -> None:
    """An update that found nothing makes no old rate new; past its age it prices nothing."""
    service.change(oracle_aiba_usd=Fraction(1, 100), oracle_max_age_minutes=10)
    service.operate(UpdateRate(ton_usd=Fraction(5)))
    service.clock.instant += 9 * MINUTE
    service.operate(UpdateRate(ton_usd=None))
    policy = service.read(lambda read: read.policy())
    assert current_rate(policy, service.clock.now()) == 500
    service.clock.instant += 2 * MINUTE
    assert isinstance(current_rate(policy, service.clock.now()), Refused)
