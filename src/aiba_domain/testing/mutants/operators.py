"""Faults of what operators do: minting that is paid twice or never given back, rates made up."""

from dataclasses import replace
from typing import Final

from aiba_domain.brokers.mint_commands import CompleteMint, FailMint, Mint, MintBroker, Order
from aiba_domain.brokers.minting import MintStatus
from aiba_domain.decision import Accepted
from aiba_domain.economy.config_commands import UpdateRate
from aiba_domain.economy.ledger import Posting
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.economy.treasury_commands import CreditUser, Purse
from aiba_domain.money import MAX_AMOUNT, Currency
from aiba_domain.testing.mutants.model import Mutant
from aiba_domain.testing.mutants.patching import Decision, Outcome, ending, knowing, under
from aiba_domain.testing.mutants.properties import RuleProperty
from aiba_domain.testing.mutants.rules import operators


def _sees_no_job(state: Order) -> Order:
    return replace(state, job=None)


def _sees_it_open(state: Mint) -> Mint:
    return replace(state, job=state.job and replace(state.job, status=MintStatus.PENDING))


def _sees_nobody(state: Mint) -> Mint:
    return replace(state, holder=None)


def _sees_plenty(state: Purse) -> Purse:
    return replace(state, balances=dict.fromkeys(Currency, MAX_AMOUNT // 2))


def _keeps_the_fee(made: Decision) -> Outcome:
    return (
        replace(made.outcome, postings=()) if isinstance(made.outcome, Accepted) else made.outcome
    )


def _by_todays_price(made: Decision) -> Outcome:
    price = made.context.policy.mint_aiba_cost

    def repriced(posting: Posting) -> Posting:
        return replace(posting, amount=price)

    return made.with_postings(repriced)


def _always_new(made: Decision) -> Outcome:
    def stamped(policy: EconomyPolicy) -> EconomyPolicy:
        return replace(policy, oracle_last_updated_at=made.context.now)

    if isinstance(made.outcome, Accepted) and not made.outcome.changed:
        policy = made.context.policy
        renewed = replace(
            policy, version=policy.version + 1, oracle_last_updated_at=made.context.now
        )
        return replace(made.outcome, changed=(renewed,))
    return made.with_records(EconomyPolicy, stamped)


OPERATOR_MUTANTS: Final = (
    Mutant(
        id="minted-twice",
        breaks="a broker's open mint job isn't looked at",
        plant=knowing(MintBroker, as_if=_sees_no_job),
        killed_by=RuleProperty(rule=operators.a_broker_is_minted_for_one_fee),
        defects=("D-45",),
    ),
    Mutant(
        id="mint-fee-kept",
        breaks="a mint job that fails gives nothing back",
        plant=ending(FailMint, change=_keeps_the_fee),
        killed_by=RuleProperty(rule=operators.a_job_that_fails_gives_back_its_fee_once),
        defects=("D-45",),
    ),
    Mutant(
        id="mint-refunded-twice",
        breaks="a mint job that is over fails once more",
        plant=knowing(FailMint, as_if=_sees_it_open),
        killed_by=RuleProperty(rule=operators.a_job_that_fails_gives_back_its_fee_once),
        defects=("D-45",),
    ),
    Mutant(
        id="mint-refund-repriced",
        breaks="a mint job's refund is what a job costs by now",
        plant=ending(FailMint, change=_by_todays_price),
        killed_by=RuleProperty(rule=operators.a_job_that_fails_gives_back_its_fee_once),
        defects=("D-45",),
    ),
    Mutant(
        id="nft-linked-twice",
        breaks="nobody asks whose an NFT is",
        plant=knowing(CompleteMint, as_if=_sees_nobody),
        killed_by=RuleProperty(rule=operators.an_nft_is_one_brokers),
        defects=("D-45",),
    ),
    Mutant(
        id="credit-overdraft",
        breaks="an operator's debit is taken without a look at the balance",
        plant=knowing(CreditUser, as_if=_sees_plenty),
        killed_by=RuleProperty(rule=operators.a_credit_takes_no_more_than_there_is),
        defects=("D-48",),
    ),
    Mutant(
        id="aiba-price-ignored",
        breaks="the configured price of an AIBA is taken for none",
        plant=under(
            UpdateRate,
            policy=lambda policy: replace(policy, oracle_aiba_usd=0 * policy.oracle_aiba_usd),
        ),
        killed_by=RuleProperty(rule=operators.the_configured_price_makes_the_rate),
        defects=("D-66",),
    ),
    Mutant(
        id="rate-always-new",
        breaks="an update without a market price makes the old rate new",
        plant=ending(UpdateRate, change=_always_new),
        killed_by=RuleProperty(rule=operators.a_rate_grows_old),
        defects=("D-76",),
    ),
)
"""The planted faults of what operators do."""
