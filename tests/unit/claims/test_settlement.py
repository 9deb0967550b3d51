"""The settlement: each claim ends once, by what the chain says, and holds up no other."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.claims.claim import EXPIRY_MARGIN_S, ChainView, Claim, ClaimState, verdict
from aiba_domain.claims.commands import SettleClaim
from aiba_domain.economy.commands import ChangePolicy
from aiba_domain.economy.ledger import Posting, operator_account, player_account
from aiba_domain.errors import DomainError, InvariantViolation
from aiba_domain.moderation.commands import BanPlayer
from aiba_domain.money import MAX_AMOUNT, Currency
from aiba_domain.ports import Unavailable, UnitOfWork
from aiba_domain.testing import strategies
from aiba_domain.testing.chain import Exit, ModelReader
from tests.support.arena import entries, held
from tests.unit.claims.support import LATE_S, Bank, cheque


@given(claim=strategies.claims(), seqno=st.integers(-2, 2), late=st.integers(-2, 2))
def test_the_chain_is_asked_first_and_then_the_chain_s_time(
    claim: Claim, seqno: int, late: int
) -> None:
    """Reached is confirmed whenever it is seen; expired is later than validity and margin."""
    edge = claim.terms.valid_until_s + EXPIRY_MARGIN_S
    seen = ChainView(seqno=max(0, claim.terms.seqno + seqno), time_s=edge + late)
    expected = None
    if claim.state in {ClaimState.RESERVED, ClaimState.SIGNED}:
        if seqno >= 0:
            expected = ClaimState.CONFIRMED
        elif late > 0:
            expected = ClaimState.REFUNDED
    assert verdict(claim, seen) is expected


def test_d17_a_payment_that_is_seen_late_is_confirmed(bank: Bank) -> None:
    """A claim paid in its last second and looked at days later was paid: it is never refunded."""
    bank.open("1", 100)
    claim = bank.claim("1", 100)
    assert bank.send(claim, later_s=600) is Exit.PAID
    bank.wait(10 * 86_400)
    bank.play.clock.advance(10 * 86_400_000)
    assert bank.settle() == 1
    ended = bank.stored(claim)
    assert (ended.state, ended.settled_at) == (ClaimState.CONFIRMED, bank.play.clock.now())
    assert ended.seen == ChainView(seqno=1, time_s=bank.chain.now_s)
    assert (bank.aiba("1"), bank.in_flight(), bank.on_chain()) == (0, 0, 0)


@pytest.mark.parametrize("hours", [-10_000, 10_000])
def test_d17_the_service_s_clock_ends_no_claim(bank: Bank, hours: int) -> None:
    """However wrong our own clock is, a claim lives as long as the chain would pay it."""
    bank.open("1", 100)
    claim = bank.claim("1")
    bank.play.clock.advance(hours * 3_600_000)
    assert bank.settle() == 0
    bank.wait(600)
    assert bank.settle() == 0
    assert bank.send(claim, later_s=0) is Exit.PAID
    assert bank.settle() == 1
    assert bank.stored(claim).state is ClaimState.CONFIRMED


def test_d17_a_server_that_lags_refunds_nothing(bank: Bank) -> None:
    """A server that missed the payment has seen no time after the validity either."""
    bank.open("1", 100)
    claim = bank.claim("1")
    bank.wait(599)
    bank.chain.send(cheque(claim))
    assert bank.chain.block(1) == [Exit.PAID]
    bank.chain.block(LATE_S)
    assert bank.settle() == 0
    assert bank.stored(claim).state is ClaimState.SIGNED
    bank.chain.sync()
    assert bank.settle() == 1
    assert bank.stored(claim).state is ClaimState.CONFIRMED


def test_d12_an_expired_claim_is_refunded_and_the_next_one_works(bank: Bank) -> None:
    """Not before validity and margin have passed; then the same seqno is signed anew and paid."""
    bank.open("1", 100)
    lost = bank.claim("1", 60, "lost")
    bank.wait(LATE_S - 1)
    assert bank.settle() == 0
    assert bank.refusal("1", 10, "early").code == "pending_claim"
    bank.wait(1)
    assert bank.settle() == 1
    assert bank.stored(lost).state is ClaimState.REFUNDED
    assert (bank.aiba("1"), bank.in_flight()) == (100, 0)
    again = bank.claim("1", 70, "again")
    assert again.terms.seqno == lost.terms.seqno == 1
    assert again.terms.valid_until_s == bank.chain.now_s + 600
    assert bank.send(lost) is Exit.EXPIRED
    assert bank.send(again) is Exit.PAID
    assert bank.settle() == 1
    assert bank.stored(lost).state is ClaimState.REFUNDED
    assert bank.stored(again).state is ClaimState.CONFIRMED
    assert (bank.aiba("1"), bank.in_flight(), bank.on_chain()) == (30, 0, 70 - 100)


def test_a_claim_that_was_reserved_and_never_signed_comes_back(bank: Bank) -> None:
    """A signer that never answers costs nobody anything but time."""
    bank.open("1", 100)
    bank.signer.is_down = True
    with pytest.raises(Unavailable):
        bank.claim("1", 40)
    (claim,) = bank.claims("1")
    assert (claim.state, bank.in_flight()) == (ClaimState.RESERVED, 40)
    bank.wait(LATE_S)
    assert bank.settle() == 1
    assert bank.stored(claim).state is ClaimState.REFUNDED
    assert (bank.aiba("1"), bank.in_flight()) == (100, 0)


@pytest.mark.parametrize("is_paid", [True, False])
def test_a_claim_ends_once_however_many_settle_it(bank: Bank, *, is_paid: bool) -> None:
    """Eight settlements at one moment, and eight more later, move the money once."""
    bank.open("1", 100)
    claim = bank.claim("1")
    if is_paid:
        bank.send(claim)
    bank.wait(LATE_S)

    async def together() -> list[int]:
        return await asyncio.gather(*(bank.withdrawals.settle_all() for _ in range(8)))

    bank.play.run(together())
    before = len(entries(bank.play))
    assert bank.play.run(together()) == [0] * 8
    assert len(entries(bank.play)) == before
    assert bank.aiba("1") == (0 if is_paid else 100)
    moved = [entry.posting.reason for entry in entries(bank.play)]
    assert moved == [
        "deposit",
        "withdraw_to_chain",
        "claim_confirmed" if is_paid else "claim_refunded",
    ]


def test_more_claims_than_a_page_holds_are_all_settled(bank: Bank) -> None:
    """Of 230 claims every one ends in one run, those of one instant too."""
    players = [str(number) for number in range(230)]
    for player in players:
        bank.open(player, 1)
        bank.claim(player)
        bank.play.clock.advance(int(player) % 3)
    bank.wait(LATE_S)
    assert bank.settle() == 230
    assert bank.in_flight() == 0
    assert {bank.aiba(player) for player in players} == {1}


class Patchy(ModelReader):
    """A reader that never answers for some recipients."""

    unreadable: frozenset[str] = frozenset()
    looks = 0

    async def view(self, vault: str, recipient: str) -> ChainView:
        """Look, unless it is at one of those."""
        self.looks += 1
        if recipient in self.unreadable:
            raise Unavailable("no answer for this one")
        return await super().view(vault, recipient)


def _patchy(bank: Bank) -> Patchy:
    reader = Patchy(bank.chain)
    bank.withdrawals._chain = reader
    return reader


def test_a_recipient_that_can_t_be_read_holds_up_no_other(bank: Bank) -> None:
    """The others end; the failure is told; the one ends as soon as it can be read."""
    wallets = {player: bank.open(player, 10) for player in "123"}
    for player in wallets:
        bank.claim(player)
        bank.play.clock.advance(1)
    bank.wait(LATE_S)
    reader = _patchy(bank)
    reader.unreadable = frozenset({wallets["1"]})
    with pytest.raises(Unavailable):
        bank.settle()
    assert [bank.aiba(player) for player in wallets] == [0, 10, 10]
    reader.unreadable = frozenset()
    assert bank.settle() == 1
    assert bank.in_flight() == 0


def test_while_the_chain_is_down_it_is_not_asked_for_every_claim(bank: Bank) -> None:
    """After a few outages in a row the rest waits for the next run."""
    wallets = [bank.open(str(number), 1) for number in range(20)]
    for number in range(20):
        bank.claim(str(number))
    bank.wait(LATE_S)
    reader = _patchy(bank)
    reader.unreadable = frozenset(wallets)
    with pytest.raises(Unavailable):
        bank.settle()
    assert reader.looks < 10
    reader.unreadable = frozenset()
    assert bank.settle() == 20


def test_a_claim_whose_refund_breaks_a_rule_holds_up_no_other(bank: Bank) -> None:
    """A balance that can't take the refund stops that claim alone, loudly, with nothing moved."""
    for player in "12":
        bank.open(player, 10)
        bank.claim(player)
        bank.play.clock.advance(1)
    bank.wait(LATE_S)
    _fill(bank, "1")
    with pytest.raises(InvariantViolation):
        bank.settle()
    assert bank.aiba("2") == 10
    assert bank.in_flight() == 10
    assert [claim.state for claim in bank.claims("1")] == [ClaimState.SIGNED]


def _fill(bank: Bank, player: str) -> None:
    """Bring a balance to the largest amount with money of the operator's."""
    posting = Posting(
        currency=Currency.AIBA,
        amount=MAX_AMOUNT - bank.aiba(player),
        debit=operator_account("x"),
        credit=player_account(player),
        reason="r",
        arena="x",
        league="l",
        source_type="s",
        source_id="i",
    )

    async def work(unit: UnitOfWork) -> None:
        await unit.write(at=0, postings=(posting,))

    bank.play.run(bank.play.store.transact(work))
    assert held(bank.play, player_account(player))[Currency.AIBA] == MAX_AMOUNT


# --- issued again ---


def _set(bank: Bank, **changes: object) -> None:
    """Change the policy."""
    bank.play.operate(ChangePolicy(changes=changes))


def test_d12_an_expired_claim_is_issued_again_under_its_seqno(bank: Bank) -> None:
    """Signed anew at the settlement, the same but for its validity; the key brings that; paid."""
    _set(bank, claim_reissues=2)
    bank.open("1", 100)
    first = bank.claim("1", 60)
    bank.wait(LATE_S - 1)
    assert (bank.settle(), bank.stored(first).reissues) == (0, 0)
    bank.wait(1)
    assert bank.settle() == 0
    again = bank.stored(first)
    assert again == bank.claim("1", 60)
    assert (again.state, again.reissues) == (ClaimState.SIGNED, 1)
    assert again.terms == replace(first.terms, valid_until_s=bank.chain.now_s + 600)
    assert again.signature != first.signature
    assert (bank.aiba("1"), bank.in_flight()) == (40, 60)
    assert bank.refusal("1", 1, "other").code == "pending_claim"
    assert bank.send(first) is Exit.EXPIRED
    assert bank.send(again) is Exit.PAID
    assert bank.settle() == 1
    assert bank.stored(first).state is ClaimState.CONFIRMED
    assert (bank.in_flight(), bank.on_chain()) == (0, 60 - 100)


@pytest.mark.parametrize("reissues", [0, 1, 3])
def test_a_claim_nobody_sends_is_refunded_after_its_last_issue(bank: Bank, reissues: int) -> None:
    """As many issues as the policy says, one after another expired; then the money is back."""
    _set(bank, claim_reissues=reissues)
    bank.open("1", 100)
    claim = bank.claim("1")
    for number in range(reissues):
        bank.wait(LATE_S)
        assert bank.settle() == 0
        assert bank.stored(claim).reissues == number + 1
        assert bank.settle() == 0
    bank.wait(LATE_S)
    assert bank.settle() == 1
    assert bank.stored(claim).state is ClaimState.REFUNDED
    assert (bank.aiba("1"), bank.in_flight()) == (100, 0)
    validities = [terms.valid_until_s for terms in bank.signer.released]
    assert validities == sorted(set(validities))
    assert len(validities) == reissues + 1


@pytest.mark.parametrize(
    "closed",
    [
        lambda bank: _set(bank, claims_paused=True),
        lambda bank: _set(bank, claim_max_aiba=99),
        lambda bank: _set(bank, claim_reissues=0),
        lambda bank: bank.open("1", wallet=f"0:{'ab' * 32}"),
        lambda bank: bank.play.operate(BanPlayer(player_id="1", minutes=60, reason="cheat")),
    ],
    ids=["paused", "limit", "policy", "wallet left", "banned"],
)
def test_what_could_not_be_reserved_now_is_not_issued_again(
    bank: Bank, closed: Callable[[Bank], object]
) -> None:
    """Claims paused, a limit below, a wallet left, a ban: the money comes back at once."""
    _set(bank, claim_reissues=5)
    bank.open("1", 100)
    claim = bank.claim("1")
    closed(bank)
    bank.wait(LATE_S)
    assert bank.settle() == 1
    assert bank.stored(claim).state is ClaimState.REFUNDED
    assert (bank.aiba("1"), len(bank.signer.released)) == (100, 1)


def test_a_signer_that_is_down_holds_up_no_settlement(bank: Bank) -> None:
    """What is issued again waits for its signature; what was paid is confirmed; later all is."""
    _set(bank, claim_reissues=1)
    for player in "123456789":
        bank.open(player, 10)
        bank.claim(player)
        bank.play.clock.advance(1)
    bank.send(bank.claims("9")[0])
    bank.wait(LATE_S)
    bank.signer.is_down = True
    with pytest.raises(Unavailable):
        bank.settle()
    assert bank.claims("9")[0].state is ClaimState.CONFIRMED
    waiting = [bank.claims(player)[0] for player in "12345678"]
    assert {(one.state, one.reissues, one.signature) for one in waiting} == {
        (ClaimState.RESERVED, 1, None)
    }
    bank.signer.is_down = False
    assert bank.settle() == 0
    assert {bank.claims(player)[0].state for player in "12345678"} == {ClaimState.SIGNED}


def test_a_signature_of_an_expired_issue_is_not_kept(bank: Bank) -> None:
    """Signed slowly, while the claim expired and was issued again: the caller shall come again."""
    _set(bank, claim_reissues=1)
    bank.open("1", 100)
    bank.signer.is_down = True
    with pytest.raises(Unavailable):
        bank.claim("1", 40)
    bank.signer.is_down = False
    (first,) = bank.claims("1")
    bank.wait(LATE_S)
    seen = ChainView(seqno=0, time_s=bank.chain.now_s)
    bank.play.operate(SettleClaim(claim_id=first.id, seen=seen))
    with pytest.raises(Unavailable, match="issued again"):
        bank.play.run(bank.withdrawals._signed(first))
    assert bank.stored(first).signature is None
    assert bank.send(bank.claim("1", 40)) is Exit.PAID


def test_a_worker_that_comes_too_late_to_sign_says_nothing(bank: Bank) -> None:
    """Its issue was issued again and signed by another: the signer refuses it, and all is well."""
    _set(bank, claim_reissues=2)
    bank.open("1", 100)
    bank.claim("1", 40)
    bank.wait(LATE_S)
    bank.signer.is_down = True
    with pytest.raises(Unavailable):
        bank.settle()
    bank.signer.is_down = False
    (late,) = bank.claims("1")
    bank.wait(LATE_S)
    bank.settle()
    assert bank.stored(late).reissues == late.reissues + 1
    assert bank.play.run(bank.withdrawals._sign_all([late])) is None
    assert bank.send(bank.claim("1", 40)) is Exit.PAID


def test_a_refusal_of_what_still_waits_for_its_signature_is_told(bank: Bank) -> None:
    """A signer that will not sign what was issued again fails the run, so that somebody looks."""
    _set(bank, claim_reissues=1)
    bank.open("1", 100)
    bank.claim("1", 40)
    bank.wait(LATE_S)
    bank.signer.is_down = True
    with pytest.raises(Unavailable):
        bank.settle()
    bank.signer.is_down = False
    (waiting,) = bank.claims("1")
    other = replace(waiting.terms, amount=waiting.terms.amount + 1)
    bank.play.run(bank.signer.sign(other))
    failure = bank.play.run(bank.withdrawals._sign_all([waiting]))
    assert isinstance(failure, DomainError)
    assert failure.code == "claim not signed"
