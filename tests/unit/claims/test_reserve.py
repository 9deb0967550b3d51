"""Reserving a claim: what it takes, what refuses it, and the operator's limits."""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiba_adapters.memory import MemoryStore
from aiba_domain.claims.claim import ClaimState
from aiba_domain.claims.commands import BY_BATTLE, BY_REQUEST
from aiba_domain.economy.commands import ChangePolicy
from aiba_domain.economy.ledger import CLAIMS, Posting, player_account
from aiba_domain.errors import DomainError
from aiba_domain.events import ClaimMoved, ClaimRefused
from aiba_domain.instants import DAY
from aiba_domain.money import MAX_AMOUNT, Currency
from aiba_domain.ports import Store
from aiba_domain.testing.chain import GENESIS_S, Exit, signature_of
from aiba_domain.testing.playground import Playground
from aiba_domain.testing.strategies import wallet_of
from tests.support.arena import code, entries
from tests.unit.claims.support import LATE_S, Bank, cheque, reserve, some_terms


def limit(bank: Bank, **changes: object) -> None:
    """Change the policy."""
    bank.play.operate(ChangePolicy(changes=changes))


def refused(bank: Bank, player: str, amount: int | None, key: str) -> tuple[str, dict[str, Any]]:
    """Return the code and the facts of a refusal."""
    error = bank.refusal(player, amount, key)
    return error.code, dict(error.details)


@pytest.mark.parametrize(("asked", "taken"), [(None, 100), (1, 1), (100, 100)])
def test_a_claim_takes_what_was_asked_or_all(bank: Bank, asked: int | None, taken: int) -> None:
    """The money is set aside, and the terms are those the vault will check."""
    wallet = bank.open("1", 100)
    bank.wait(17)
    claim = bank.claim("1", asked)
    assert claim.terms == some_terms(
        recipient=wallet, amount=taken, seqno=1, valid_until_s=GENESIS_S + 17 + 600
    )
    assert (claim.state, claim.signature) == (ClaimState.SIGNED, signature_of(claim.terms))
    assert (claim.player_id, claim.request_id, claim.source_type) == ("1", "k", BY_REQUEST)
    assert (bank.aiba("1"), bank.in_flight()) == (100 - taken, taken)
    assert bank.stored(claim) == claim
    assert bank.claims("1") == [claim]


@pytest.mark.parametrize("by", [BY_REQUEST, BY_BATTLE])
def test_the_ledger_shows_a_claim_as_the_wire_names_it(bank: Bank, by: str) -> None:
    """A withdrawal is one debit with its reason, and its source is how and under which key."""
    bank.open("1", 100)
    bank.claim("1", 40, "my-key", by)
    assert entries(bank.play)[-1].posting == Posting(
        currency=Currency.AIBA,
        amount=40,
        debit=player_account("1"),
        credit=CLAIMS,
        reason="withdraw_to_chain",
        arena="vault",
        league="global",
        source_type=by,
        source_id="my-key",
    )


def test_every_step_of_a_claim_is_told(bank: Bank) -> None:
    """Reserved, signed and ended are events with the amount; so is a refusal, by its code."""
    bank.open("1", 100)
    bank.play.seen.events.clear()
    claim = bank.claim("1", 40)
    bank.refusal("1", 1, "k2")
    bank.wait(LATE_S)
    bank.settle()
    steps = (ClaimState.RESERVED, ClaimState.SIGNED, ClaimState.REFUNDED)
    told = [ClaimMoved(claim_id=claim.id, state=state, amount=40) for state in steps]
    assert bank.play.seen.events == [*told[:2], ClaimRefused(code="pending_claim"), told[2]]


def test_without_a_wallet_nothing_can_be_claimed(bank: Bank) -> None:
    """Neither by somebody unknown nor by a player whose wallet isn't bound."""
    bank.play.fund("1", AIBA=10)
    for player in ("1", "nobody"):
        with pytest.raises(DomainError) as refusal:
            bank.claim(player, 1)
        assert refusal.value.code == "wallet_required"


def test_a_wallet_that_changed_since_the_chain_was_read_is_refused(bank: Bank) -> None:
    """A claim never goes to a wallet that isn't the player's at that moment."""
    old = bank.open("1", 10)
    bank.open("1", wallet=wallet_of("new"))
    answer = bank.play.play("1", reserve(old, 5), "k")
    assert code(answer) == "wallet_required"
    assert bank.aiba("1") == 10


@pytest.mark.parametrize("amount", [0, -1, -MAX_AMOUNT])
def test_an_amount_is_more_than_nothing(bank: Bank, amount: int) -> None:
    """Nothing and less than nothing are refused, and so is all of an empty balance."""
    bank.open("1", 10)
    bank.open("2")
    assert refused(bank, "1", amount, "k") == ("amount must be > 0", {})
    assert refused(bank, "2", None, "k") == ("amount must be > 0", {})


@pytest.mark.parametrize("amount", [11, MAX_AMOUNT, MAX_AMOUNT * 2])
def test_more_than_there_is_is_refused_with_both_numbers(bank: Bank, amount: int) -> None:
    """Who asks for too much is told what is there; the last unit can be claimed."""
    bank.open("1", 10)
    assert refused(bank, "1", amount, "k") == ("insufficient AIBA", {"need": amount, "have": 10})
    assert bank.claim("1", 10, "k2").terms.amount == 10


def test_while_a_claim_is_open_the_next_is_told_which_one(bank: Bank) -> None:
    """One claim in flight to a recipient; the refusal says what to finish first."""
    bank.open("1", 100)
    first = bank.claim("1", 10, "a")
    details = {
        "claimId": first.id,
        "lastOnchainSeqno": "0",
        "lastIssuedSeqno": "1",
        "validUntil": first.terms.valid_until_s,
    }
    assert refused(bank, "1", 10, "b") == ("pending_claim", details)
    bank.send(first)
    assert refused(bank, "1", 10, "c") == ("pending_claim", details | {"lastOnchainSeqno": "1"})
    bank.settle()
    assert bank.claim("1", 10, "d").terms.seqno == 2


def test_a_paused_service_signs_nothing_and_goes_on_later(bank: Bank) -> None:
    """While claims are paused none is reserved, but what is open ends as ever."""
    bank.open("1", 100)
    open_claim = bank.claim("1", 10, "a")
    bank.send(open_claim)
    limit(bank, claims_paused=True)
    assert refused(bank, "1", 10, "b") == ("claims paused", {})
    assert bank.claim("1", 10, "a") == open_claim
    assert bank.settle() == 1
    assert refused(bank, "1", 10, "c") == ("claims paused", {})
    limit(bank, claims_paused=False)
    assert bank.claim("1", 10, "d").terms.seqno == 2


@pytest.mark.parametrize(
    ("name", "knob"),
    [
        ("claim", "claim_max_aiba"),
        ("player day", "claim_player_day_max_aiba"),
        ("day", "claim_day_max_aiba"),
    ],
)
@pytest.mark.parametrize("most", [0, 30])
def test_a_limit_is_the_last_amount_that_passes(
    bank: Bank, name: str, knob: str, most: int
) -> None:
    """One more than a limit is refused by its name, and zero means zero."""
    bank.open("1", 100)
    limit(bank, **{knob: most})
    facts = {"limit": name, "max": most}
    assert refused(bank, "1", most + 1, "k") == ("claim limit", facts)
    assert refused(bank, "1", None, "k2") == ("claim limit", facts)
    if most:
        assert bank.claim("1", most, "k3").terms.amount == most
    assert bank.signer.released == [claim.terms for claim in bank.claims("1")]


def test_the_limit_of_a_player_s_day_adds_up_and_ends_at_midnight(bank: Bank) -> None:
    """Reserved and confirmed count, refunded doesn't, another player's don't, a new day is new."""
    limit(bank, claim_player_day_max_aiba=50)
    bank.open("1", 1_000)
    bank.open("2", 1_000)
    bank.send(bank.claim("1", 30, "a"))
    bank.settle()
    assert refused(bank, "1", 21, "b")[0] == "claim limit"
    lost = bank.claim("1", 20, "c")
    assert bank.claim("2", 50).terms.amount == 50
    bank.wait(LATE_S)
    bank.settle()
    assert bank.stored(lost).state is ClaimState.REFUNDED
    assert refused(bank, "1", 21, "d")[0] == "claim limit"
    bank.send(bank.claim("1", 20, "e"))
    bank.settle()
    assert refused(bank, "1", 1, "f")[0] == "claim limit"
    bank.play.clock.advance(DAY // 2 - 1)
    assert refused(bank, "1", 1, "g")[0] == "claim limit"
    bank.play.clock.advance(1)
    assert bank.claim("1", 50, "h").terms.amount == 50


def test_the_limit_of_the_day_is_one_for_all(bank: Bank) -> None:
    """What one player has claimed another can't, whoever asks at the same moment."""
    limit(bank, claim_day_max_aiba=50)
    for player in "123456":
        bank.open(player, 100)

    async def together() -> list[Any]:
        asked = (bank.asking(player, 20, "k") for player in "123456")
        return list(await asyncio.gather(*asked, return_exceptions=True))

    results = bank.play.run(together())
    refusals = [result for result in results if isinstance(result, DomainError)]
    assert len(refusals) == 4
    assert {error.code for error in refusals} == {"claim limit"}
    assert bank.in_flight() == 40
    bank.open("7", 100)
    assert bank.claim("7", 10).terms.amount == 10
    assert refused(bank, "7", 1, "k2")[0] == "pending_claim"


ASKED = st.lists(
    st.tuples(
        st.sampled_from("12"),
        st.none() | st.integers(0, 80),
        st.sampled_from(("paid", "lost", "open")),
        st.sampled_from((0, 1, DAY // 2)),
    ),
    max_size=8,
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(asked=ASKED, limits=st.tuples(*[st.integers(0, 120)] * 3))
def test_no_limit_is_ever_passed(
    asked: list[tuple[str, int | None, str, int]], limits: tuple[int, int, int]
) -> None:
    """Whatever is asked, paid and lost, what was taken and not given back stays within limits."""
    most, most_of_player, most_of_day = limits

    async def opened() -> Store:
        return MemoryStore()

    play = Playground(opened)
    bank = Bank(play)
    limit(
        bank,
        claim_max_aiba=most,
        claim_player_day_max_aiba=most_of_player,
        claim_day_max_aiba=most_of_day,
    )
    for player in "12":
        bank.open(player, 100)
    for number, (player, amount, fate, later) in enumerate(asked):
        play.clock.advance(later)
        try:
            claim = bank.claim(player, amount, f"k{number}")
        except DomainError:
            continue
        assert claim.terms.amount <= most
        if fate != "open":
            if fate == "paid":
                bank.send(claim)
            bank.wait(LATE_S)
            bank.settle()
        taken = {
            each: sum(
                one.terms.amount
                for one in bank.claims(each)
                if one.state is not ClaimState.REFUNDED
                and one.created_at // DAY == play.clock.now() // DAY
            )
            for each in "12"
        }
        assert max(taken.values()) <= most_of_player
        assert sum(taken.values()) <= most_of_day
        assert bank.in_flight() + bank.aiba("1") + bank.aiba("2") + bank.on_chain() == 0
    report = play.audit()
    play.close()
    assert report.is_sound, report.faults


def test_a_server_that_is_behind_brings_no_seqno_back(bank: Bank) -> None:
    """After a confirmed claim the next has the next seqno, whatever a lagging server says."""
    wallet = bank.open("1", 100)
    first = bank.claim("1", 10, "a")
    bank.chain.send(cheque(first))
    bank.chain.block()
    bank.chain.sync(1)
    bank.server = 1
    assert bank.settle() == 1
    bank.server = 0
    assert bank.chain.view(wallet, server=0).seqno == 0
    second = bank.claim("1", 10, "b")
    assert second.terms.seqno == 2
    assert bank.send(second) is Exit.PAID
