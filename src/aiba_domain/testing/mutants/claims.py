"""Faults of withdrawals and payments: seqnos, expiry, signatures, and who paid whom for what."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from aiba_domain.application.pipeline import Answer, Pipeline
from aiba_domain.application.withdrawals import Withdrawals
from aiba_domain.brokers.listing import Listing
from aiba_domain.brokers.payment_commands import CreateBrokerWithTon
from aiba_domain.brokers.payment_commands import Till as PaymentTill
from aiba_domain.claims.claim import EXPIRY_MARGIN_S, VALIDITY_S, ChainView, Claim
from aiba_domain.claims.commands import (
    BY_REQUEST,
    ClaimReply,
    ConnectWallet,
    ReserveClaim,
    SettleClaim,
    Till,
)
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.claims.ports import (
    ChainReader,
    Inventory,
    Signer,
    SignerRefused,
    SignerUnavailable,
)
from aiba_domain.decision import Accepted, Context, Principal
from aiba_domain.instants import day_key
from aiba_domain.players.model import Player
from aiba_domain.ports import Reader, Store, Unavailable
from aiba_domain.testing.chain import JETTON_MASTER, VAULT, ModelReader
from aiba_domain.testing.mutants.build import Build, Plant
from aiba_domain.testing.mutants.model import Mutant
from aiba_domain.testing.mutants.patching import (
    Decision,
    Load,
    Outcome,
    asked,
    ending,
    knowing,
    loaded,
)
from aiba_domain.testing.mutants.properties import ClaimsProperty, RuleProperty
from aiba_domain.testing.mutants.rules import claims

_MS: Final = 1_000
_HOUR_S: Final = 3_600
_MUCH: Final = 2**60


# Rules of withdrawals.


def _forgets_confirmed(state: Till) -> Till:
    return replace(state, confirmed_seqno=0)


def _sees_no_flight(state: Till) -> Till:
    return replace(state, open_claim=None)


def _float_balances(state: Till) -> Till:
    held = {currency: int(float(balance)) for currency, balance in state.balances.items()}
    return replace(state, balances=held)


def _skips_a_seqno(made: Decision) -> Outcome:
    if not isinstance(made.outcome, Accepted):
        return made.outcome
    claim: Claim = made.outcome.reply.claim
    claim = replace(claim, terms=replace(claim.terms, seqno=claim.terms.seqno + 1))
    changed = made.with_records(Claim, lambda _claim: claim)
    assert isinstance(changed, Accepted)
    return replace(changed, reply=ClaimReply(claim=claim))


def _known_by_player(load: Load) -> Load:
    """Take a withdrawal for a repetition if the player has made one before."""

    async def faulty(command: ReserveClaim, context: Context, read: Reader) -> Till:
        till: Till = await load(command, context, read)
        earlier = await read.claims_of(context.principal.id, before=None, limit=1)
        return replace(till, known=till.known or next(iter(earlier), None))

    return faulty


def _unsigned_amount(command: ReserveClaim, _context: Context) -> ReserveClaim:
    return replace(command, amount=command.amount and abs(command.amount))


def _counts_as_spending(made: Decision) -> Outcome:
    spent, today = made.command.amount or 0, day_key(made.context.now)
    return made.with_records(
        Player, lambda player: replace(player, combo_spent_aiba=spent, combo_spent_day=today)
    )


def _seen_otherwise(change: Callable[[Claim, ChainView, Context], ChainView]) -> Plant:
    """Return what settles claims as if something else had been seen of the chain."""

    def settled(made: Decision) -> Outcome:
        if made.state is None:
            return made.outcome
        seen = change(made.state.claim, made.command.seen, made.context)
        return made.again(command=replace(made.command, seen=seen))

    return ending(SettleClaim, change=settled)


def _clock_first(claim: Claim, seen: ChainView, _context: Context) -> ChainView:
    is_late = seen.time_s > claim.terms.valid_until_s + EXPIRY_MARGIN_S
    return replace(seen, seqno=0) if is_late else seen


def _at_validity(_claim: Claim, seen: ChainView, _context: Context) -> ChainView:
    return replace(seen, time_s=seen.time_s + EXPIRY_MARGIN_S)


def _by_our_clock(_claim: Claim, seen: ChainView, context: Context) -> ChainView:
    return replace(seen, time_s=context.now // _MS)


def _never_late(_claim: Claim, seen: ChainView, _context: Context) -> ChainView:
    return replace(seen, time_s=0)


# What leads a claim from step to step.


class _Chain:
    """A view of the chain with something else in front."""

    def __init__(self, inner: ChainReader, change: Callable[[ChainView], ChainView]) -> None:
        self._inner = inner
        self._change = change

    async def view(self, vault: str, recipient: str) -> ChainView:
        return self._change(await self._inner.view(vault, recipient))

    async def inventory(self, vault: str) -> Inventory:
        return await self._inner.inventory(vault)


class _RefundsByOurClock(Withdrawals):
    """Expiry is judged by the service's clock, which goes its own way."""

    def __init__(self, *, chain: ChainReader, pipeline: Pipeline, **parts: Any) -> None:
        def timed(seen: ChainView) -> ChainView:
            return replace(seen, time_s=pipeline.now() // _MS)

        super().__init__(chain=_Chain(chain, timed), pipeline=pipeline, **parts)


class _RefundsEarly(Withdrawals):
    """Every claim is settled as if the chain were an hour further."""

    def __init__(self, *, chain: ChainReader, **parts: Any) -> None:
        def ahead(seen: ChainView) -> ChainView:
            return replace(seen, time_s=seen.time_s + _HOUR_S)

        super().__init__(chain=chain, **parts)
        self._ahead = Withdrawals(chain=_Chain(chain, ahead), **parts)

    async def settle_all(self) -> int:
        return await self._ahead.settle_all()


class _NeverRefunds(Withdrawals):
    """A claim that has expired stays open for good."""

    def __init__(self, *, chain: ChainReader, **parts: Any) -> None:
        super().__init__(chain=chain, **parts)
        frozen = _Chain(chain, lambda seen: replace(seen, time_s=0))
        self._frozen = Withdrawals(chain=frozen, **parts)

    async def settle_all(self) -> int:
        return await self._frozen.settle_all()


class _SignsFirst(Withdrawals):
    """The signer is asked before the money is set aside."""

    def __init__(self, *, store: Store, signer: Signer, chain: ChainReader, **parts: Any) -> None:
        super().__init__(store=store, signer=signer, chain=chain, **parts)
        self._first = (store, signer, chain)

    async def claim(
        self, principal: Principal, amount: int | None, key: object, *, by: str = BY_REQUEST
    ) -> Answer[ClaimReply]:
        store, signer, chain = self._first
        player = await store.read(lambda read: read.player(principal.id))
        if player is not None and player.wallet:
            seen = await chain.view(VAULT, player.wallet)
            terms = ClaimTerms(
                vault=VAULT,
                jetton_master=JETTON_MASTER,
                recipient=player.wallet,
                amount=amount or 1,
                seqno=seen.seqno + 1,
                valid_until_s=seen.time_s + VALIDITY_S,
            )
            with contextlib.suppress(SignerRefused, SignerUnavailable):  # it is asked again below
                await signer.sign(terms)
        return await super().claim(principal, amount, key, by=by)


class _MixesServers(ModelReader):
    """The seqno comes from the server that is furthest behind, the time from the one ahead."""

    async def view(self, vault: str, recipient: str) -> ChainView:
        await super().view(vault, recipient)
        views = [self.chain.view(recipient, server=each) for each in range(len(self.chain.heights))]
        return ChainView(
            seqno=min(seen.seqno for seen in views), time_s=max(seen.time_s for seen in views)
        )


class _ZeroForAnOutage(ModelReader):
    """What can't be read is taken for a seqno of 0."""

    async def view(self, vault: str, recipient: str) -> ChainView:
        try:
            return await super().view(vault, recipient)
        except Unavailable:
            return ChainView(seqno=0, time_s=self.chain.now_s)


class _ConfirmsPending(ModelReader):
    """A message that waits for a block is taken for paid."""

    async def view(self, vault: str, recipient: str) -> ChainView:
        seen = await super().view(vault, recipient)
        waiting = [each.terms.seqno for each in self.chain.pending if each.sender == recipient]
        return ChainView(seqno=max((seen.seqno, *waiting)), time_s=seen.time_s)


def _served_by(kind: type[Withdrawals]) -> Plant:
    def plant(build: Build) -> Build:
        return replace(build, withdrawals=kind)

    return plant


def _read_by(kind: type[ModelReader]) -> Plant:
    def plant(build: Build) -> Build:
        return replace(build, reader=kind)

    return plant


# Payments.


def _paying(change: Callable[[CreateBrokerWithTon, Context], dict[str, Any]]) -> Plant:
    """Return what judges a payment as if some of its facts were others."""

    def as_if(command: CreateBrokerWithTon, context: Context) -> CreateBrokerWithTon:
        if command.payment is None:
            return command
        facts = change(command, context)
        return replace(command, payment=replace(command.payment, **facts))

    return asked(CreateBrokerWithTon, as_if=as_if)


def _never_used(state: PaymentTill) -> PaymentTill:
    return replace(state, use=None, listing=None)


def _agreed(made: Decision) -> Outcome:
    now = made.context.now
    return made.with_records(Listing, lambda listing: replace(listing, agreed_at=now))


CLAIM_MUTANTS: Final = (
    Mutant(
        id="seqno-reused",
        breaks="a seqno that was paid is given out again when a server lags behind",
        plant=knowing(ReserveClaim, as_if=_forgets_confirmed),
        killed_by=RuleProperty(rule=claims.a_claim_takes_the_next_seqno),
        defects=("D-10",),
    ),
    Mutant(
        id="seqno-skipped",
        breaks="a claim takes the seqno after the next, which the vault never pays",
        plant=ending(ReserveClaim, change=_skips_a_seqno),
        killed_by=RuleProperty(rule=claims.a_claim_takes_the_next_seqno),
    ),
    Mutant(
        id="second-flight",
        breaks="a claim is reserved while another to the same wallet is in flight",
        plant=knowing(ReserveClaim, as_if=_sees_no_flight),
        killed_by=RuleProperty(rule=claims.one_claim_is_in_flight_to_a_recipient),
        defects=("D-10",),
    ),
    Mutant(
        id="negative-amount",
        breaks="a withdrawal of less than nothing is taken for one of as much",
        plant=asked(ReserveClaim, as_if=_unsigned_amount),
        killed_by=RuleProperty(rule=claims.a_withdrawal_of_nothing_is_refused),
    ),
    Mutant(
        id="claim-overdraft",
        breaks="a withdrawal is reserved without a look at the balance",
        plant=knowing(
            ReserveClaim,
            as_if=lambda state: replace(state, balances=dict.fromkeys(state.balances, _MUCH)),
        ),
        killed_by=RuleProperty(rule=claims.more_than_there_is_cannot_be_withdrawn),
        defects=("D-01",),
    ),
    Mutant(
        id="float-money",
        breaks="a withdrawal is counted in floats, which are not exact above 2^53",
        plant=knowing(ReserveClaim, as_if=_float_balances),
        killed_by=RuleProperty(rule=claims.a_withdrawal_is_exact),
        defects=("D-57",),
    ),
    Mutant(
        id="coarse-identity",
        breaks="a second withdrawal of a player is taken for the first one again",
        plant=loaded(ReserveClaim, by=_known_by_player),
        killed_by=RuleProperty(rule=claims.another_key_is_another_withdrawal),
        defects=("D-22",),
    ),
    Mutant(
        id="refund-before-chain-time",
        breaks="a claim is refunded in the margin after its validity",
        plant=_seen_otherwise(_at_validity),
        killed_by=RuleProperty(rule=claims.a_claim_that_may_be_paid_is_not_refunded),
    ),
    Mutant(
        id="refund-early",
        breaks="a claim is refunded an hour of chain time too early, while the vault would pay it",
        plant=_served_by(_RefundsEarly),
        killed_by=ClaimsProperty(),
        budget=3,
        defects=("D-18",),
    ),
    Mutant(
        id="refund-by-wall-clock",
        breaks="a claim is refunded once the service's own clock says that it has expired",
        plant=_seen_otherwise(_by_our_clock),
        killed_by=RuleProperty(rule=claims.a_claim_that_may_be_paid_is_not_refunded),
    ),
    Mutant(
        id="wall-clock-in-life",
        breaks="the same, by a clock that is moved while claims are in flight",
        plant=_served_by(_RefundsByOurClock),
        killed_by=ClaimsProperty(),
        budget=3,
    ),
    Mutant(
        id="clock-before-chain",
        breaks="a claim that was paid is taken for expired because it is looked at late",
        plant=_seen_otherwise(_clock_first),
        killed_by=RuleProperty(rule=claims.a_paid_claim_is_confirmed_however_late),
        defects=("D-17",),
    ),
    Mutant(
        id="never-refunded",
        breaks="an expired claim is never refunded",
        plant=_seen_otherwise(_never_late),
        killed_by=RuleProperty(rule=claims.an_expired_claim_comes_back),
        defects=("D-12",),
    ),
    Mutant(
        id="stuck-in-life",
        breaks="an expired claim stays open, and its player can't withdraw any more",
        plant=_served_by(_NeverRefunds),
        killed_by=ClaimsProperty(),
        budget=3,
        defects=("D-12",),
    ),
    Mutant(
        id="signed-before-reserved",
        breaks="a claim is signed before its amount is set aside",
        plant=_served_by(_SignsFirst),
        killed_by=ClaimsProperty(),
        budget=3,
        defects=("D-79",),
    ),
    Mutant(
        id="mixed-servers",
        breaks="a refund hangs on the seqno of a server that lags and the time of another",
        plant=_read_by(_MixesServers),
        killed_by=ClaimsProperty(),
        budget=3,
    ),
    Mutant(
        id="outage-is-zero",
        breaks="a server's outage is read as a seqno of 0",
        plant=_read_by(_ZeroForAnOutage),
        killed_by=ClaimsProperty(),
        budget=3,
        defects=("D-16",),
    ),
    Mutant(
        id="confirmed-too-early",
        breaks="a claim is confirmed by a message that no block has taken yet",
        plant=_read_by(_ConfirmsPending),
        killed_by=ClaimsProperty(),
        budget=3,
        defects=("D-18",),
    ),
    Mutant(
        id="withdrawal-is-spending",
        breaks="a withdrawal counts as spending for the daily reward, and then comes back",
        plant=ending(ReserveClaim, change=_counts_as_spending),
        killed_by=RuleProperty(rule=claims.a_withdrawal_is_no_spending),
        defects=("D-40",),
    ),
    Mutant(
        id="shared-wallet",
        breaks="a wallet may be bound by any number of players",
        plant=knowing(ConnectWallet, as_if=lambda _owner: None),
        killed_by=RuleProperty(rule=claims.a_wallet_belongs_to_one_player),
        defects=("D-13",),
    ),
    Mutant(
        id="sender-not-checked",
        breaks="whoever names a payment first is taken for its sender",
        plant=_paying(lambda _command, context: {"source": context.acting_player().wallet}),
        killed_by=RuleProperty(rule=claims.a_strangers_payment_buys_nothing),
        defects=("D-14",),
    ),
    Mutant(
        id="destination-not-checked",
        breaks="a payment to anybody pays",
        plant=_paying(lambda command, _context: {"destination": command.destination}),
        killed_by=RuleProperty(rule=claims.a_payment_elsewhere_buys_nothing),
        defects=("D-14",),
    ),
    Mutant(
        id="bounce-not-checked",
        breaks="a payment that was sent back pays",
        plant=_paying(lambda _command, _context: {"is_bounced": False}),
        killed_by=RuleProperty(rule=claims.a_payment_that_was_sent_back_buys_nothing),
        defects=("D-14",),
    ),
    Mutant(
        id="price-off-by-one",
        breaks="a payment may be one nanoTON short",
        plant=_paying(
            lambda command, _context: {
                "value_nano": command.payment.value_nano + 1 if command.payment else 0
            }
        ),
        killed_by=RuleProperty(rule=claims.a_short_payment_buys_nothing),
    ),
    Mutant(
        id="age-not-checked",
        breaks="a payment of any age pays",
        plant=_paying(lambda _command, context: {"time_s": context.now // _MS}),
        killed_by=RuleProperty(rule=claims.an_old_payment_buys_nothing),
        defects=("D-14",),
    ),
    Mutant(
        id="network-not-checked",
        breaks="a payment in test coins pays",
        plant=_paying(lambda command, _context: {"network": command.network}),
        killed_by=RuleProperty(rule=claims.a_payment_of_another_network_buys_nothing),
        defects=("D-14",),
    ),
    Mutant(
        id="address-as-text",
        breaks="two forms of one wallet are compared as texts, so no payment pays",
        plant=_paying(
            lambda command, _context: {"destination": command.destination.replace("0:", "EQ")}
        ),
        killed_by=RuleProperty(rule=claims.a_genuine_payment_buys),
        defects=("D-15",),
    ),
    Mutant(
        id="payment-buys-again",
        breaks="the purchase doesn't ask whether its payment was used",
        plant=knowing(CreateBrokerWithTon, as_if=_never_used),
        killed_by=RuleProperty(rule=claims.a_payment_buys_once),
        defects=("D-19",),
    ),
    Mutant(
        id="sold-unasked",
        breaks="a new broker is for sale at the default price before its owner agreed",
        plant=ending(CreateBrokerWithTon, change=_agreed),
        killed_by=RuleProperty(rule=claims.a_new_broker_is_not_for_sale),
        defects=("D-72",),
    ),
)
"""The faults of withdrawals and payments."""
