"""What each step of a claim decides, field by field: the claim, the posting, and what is told."""

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.claims.claim import EXPIRY_MARGIN_S, VALIDITY_S, ChainView, Claim, ClaimState
from aiba_domain.claims.commands import (
    Account,
    ClaimKept,
    ClaimReply,
    ConnectWallet,
    RecordSignature,
    ReserveBattleClaim,
    ReserveClaim,
    SettleClaim,
    Till,
    WalletReply,
    claim_id,
    decide_reserve,
    decide_settlement,
    decide_signature,
    decide_wallet,
    recall_claim,
)
from aiba_domain.claims.model import MAX_SEQNO, MAX_VALID_UNTIL, ClaimTerms
from aiba_domain.claims.ports import SignerRefused, SignerUnavailable
from aiba_domain.decision import Accepted, Context, Principal, Refused
from aiba_domain.economy.ledger import Posting
from aiba_domain.economy.policy import EconomyPolicy
from aiba_domain.errors import InvalidInput, InvariantViolation
from aiba_domain.events import ClaimMoved, ClaimRefused, ClaimReissued
from aiba_domain.money import MAX_AMOUNT, Currency
from aiba_domain.players.model import Player, new_player
from aiba_domain.ports import Reader
from aiba_domain.testing.chain import GENESIS_S
from aiba_domain.testing.contracts.samples import movement
from aiba_domain.testing.doubles import NOON
from aiba_domain.testing.playground import OPERATOR, Playground
from tests.unit.claims.support import Bank, reserve, some_terms

WALLET, OTHER = "0:" + "a" * 64, "0:" + "b" * 64
PLAYER = replace(new_player("7", None, 1), wallet=WALLET)
LATER = GENESIS_S + 10_000


def context(policy: EconomyPolicy | None = None, player: Player | None = PLAYER) -> Context:
    """Return what a decision for player 7 at noon may depend on."""
    return Context(
        principal=Principal(id="7"),
        player=player,
        policy=policy or EconomyPolicy(),
        now=NOON,
        key="key-1",
    )


def till(**fields: Any) -> Till:
    """Return a till that holds 100 AIBA and nothing else."""
    usual: dict[str, Any] = {
        "known": None,
        "chain_time_s": 0,
        "balances": {Currency.AIBA: 100, Currency.NEUR: 10**9},
        "open_claim": None,
        "confirmed_seqno": 0,
        "claimed_today": 0,
        "claimed_today_by_player": 0,
    }
    return Till(**{**usual, **fields})


def a_claim(**fields: Any) -> Claim:
    """Return a signed claim of player 7 to its wallet."""
    usual: dict[str, Any] = {
        "id": "c1",
        "player_id": "7",
        "request_id": "key-0",
        "source_type": "aiba_claim",
        "state": ClaimState.SIGNED,
        "terms": some_terms(recipient=WALLET, amount=40, seqno=3),
        "created_at": 5,
        "signature": "sig",
        "payload": "boc",
    }
    return Claim(**{**usual, **fields})


def posted(claim: Claim, debit: str, credit: str, reason: str) -> Posting:
    """Return the movement of a claim's money."""
    return Posting(
        currency=Currency.AIBA,
        amount=claim.terms.amount,
        debit=debit,
        credit=credit,
        reason=reason,
        arena="vault",
        league="global",
        source_type=claim.source_type,
        source_id=claim.request_id,
    )


# Ids, which stores and clients keep for ever.


@pytest.mark.parametrize(
    ("player", "source", "key", "found"),
    [
        ("7", "aiba_claim", "key-1", "15662b4e6d1e3f88a764006d"),
        ("7", "battle_auto_claim", "key-1", "8438ebfe9a52045ca6d2c8d9"),
    ],
)
def test_a_claim_s_id_never_changes(player: str, source: str, key: str, found: str) -> None:
    """A release that derived another id would pay a repeated request twice."""
    assert claim_id(player, source, key) == found


# Reserving.


@pytest.mark.parametrize("command", [ReserveClaim, ReserveBattleClaim])
@given(
    seen=st.integers(0, 50),
    confirmed=st.integers(0, 50),
    time_s=st.integers(0, 10**9),
    ended_s=st.integers(0, 10**9),
    asked=st.none() | st.integers(1, 100),
)
def test_a_reservation_sets_the_money_aside_under_the_next_seqno(
    command: type[ReserveClaim],
    seen: int,
    confirmed: int,
    time_s: int,
    ended_s: int,
    asked: int | None,
) -> None:
    """The seqno follows the later of chain and store, the validity the later of both times."""
    decision = decide_reserve(
        till(confirmed_seqno=confirmed, chain_time_s=ended_s),
        command(
            amount=asked,
            vault="0:" + "1" * 64,
            jetton_master="0:" + "2" * 64,
            recipient=WALLET,
            seen=ChainView(seqno=seen, time_s=time_s),
        ),
        context(),
    )
    claim = Claim(
        id=claim_id("7", command.source_type, "key-1"),
        player_id="7",
        request_id="key-1",
        source_type=command.source_type,
        state=ClaimState.RESERVED,
        terms=ClaimTerms(
            vault="0:" + "1" * 64,
            jetton_master="0:" + "2" * 64,
            recipient=WALLET,
            amount=asked or 100,
            seqno=max(seen, confirmed) + 1,
            valid_until_s=max(time_s, ended_s) + 600,
        ),
        created_at=NOON,
    )
    assert decision == Accepted(
        reply=ClaimReply(claim=claim),
        postings=(posted(claim, "player:7", "claims", "withdraw_to_chain"),),
        changed=(replace(PLAYER, last_seen_at=NOON, updated_at=NOON), claim),
        events=(ClaimMoved(claim_id=claim.id, state=ClaimState.RESERVED, amount=asked or 100),),
    )


@pytest.mark.parametrize(
    ("state", "asked", "policy", "code", "details"),
    [
        ({}, 101, {}, "insufficient AIBA", {"need": 101, "have": 100}),
        ({"balances": {Currency.NEUR: 9}}, 1, {}, "insufficient AIBA", {"need": 1, "have": 0}),
        (
            {"open_claim": a_claim()},
            1,
            {},
            "pending_claim",
            {
                "claimId": "c1",
                "lastOnchainSeqno": "2",
                "lastIssuedSeqno": "3",
                "validUntil": GENESIS_S + 600,
            },
        ),
        ({}, 51, {"claim_max_aiba": 50}, "claim limit", {"limit": "claim", "max": 50}),
        (
            {"claimed_today_by_player": 30},
            21,
            {"claim_player_day_max_aiba": 50},
            "claim limit",
            {"limit": "player day", "max": 50},
        ),
        (
            {"claimed_today": 30},
            21,
            {"claim_day_max_aiba": 50},
            "claim limit",
            {"limit": "day", "max": 50},
        ),
    ],
)
def test_a_refused_reservation_says_why_and_is_counted(
    state: dict[str, Any],
    asked: int,
    policy: dict[str, Any],
    code: str,
    details: dict[str, Any],
) -> None:
    """The facts are for the player, the event for the operator; one unit less is reserved."""
    decision = decide_reserve(
        till(**state), reserve(WALLET, asked, seqno=2), context(EconomyPolicy(**policy))
    )
    assert decision == Refused(code=code, details=details, events=(ClaimRefused(code=code),))
    if policy:
        less = decide_reserve(
            till(**state), reserve(WALLET, asked - 1, seqno=2), context(EconomyPolicy(**policy))
        )
        assert isinstance(less, Accepted)


@pytest.mark.parametrize(
    ("player", "policy", "state", "asked", "code"),
    [
        (replace(PLAYER, wallet=""), {"claims_paused": True}, {}, 1, "wallet_required"),
        (replace(PLAYER, wallet=OTHER), {"claims_paused": True}, {}, 1, "wallet_required"),
        (PLAYER, {"claims_paused": True}, {}, 0, "claims paused"),
        (PLAYER, {}, {"open_claim": a_claim()}, 0, "amount must be > 0"),
        (PLAYER, {}, {}, -1, "amount must be > 0"),
        (PLAYER, {}, {"balances": {}}, None, "amount must be > 0"),
    ],
)
def test_a_reservation_that_is_not_open_to_the_player_has_no_facts(
    player: Player, policy: dict[str, Any], state: dict[str, Any], asked: int | None, code: str
) -> None:
    """The player's own state comes before the amount, the amount before an open claim."""
    decision = decide_reserve(
        till(**state), reserve(WALLET, asked), context(EconomyPolicy(**policy), player)
    )
    assert decision == Refused(code=code)


def test_a_wallet_that_is_not_bound_is_no_recipient() -> None:
    """Not even an empty one."""
    nobody = replace(PLAYER, wallet="")
    assert decide_reserve(till(), reserve("", 1), context(player=nobody)) == Refused(
        code="wallet_required"
    )


# Signing.

SIGN = RecordSignature(claim_id="c1", issue=2, signature="s2", payload="p2")


def test_a_signature_is_kept_and_told() -> None:
    """Nothing of the claim changes beside its state, signature and payload."""
    reserved = a_claim(state=ClaimState.RESERVED, signature=None, payload=None, reissues=2)
    claim = replace(reserved, state=ClaimState.SIGNED, signature="s2", payload="p2")
    assert decide_signature(reserved, SIGN, context()) == Accepted(
        reply=ClaimReply(claim=claim),
        changed=(claim,),
        events=(ClaimMoved(claim_id="c1", state=ClaimState.SIGNED, amount=40),),
    )


@pytest.mark.parametrize("state", list(ClaimState))
@pytest.mark.parametrize("reissues", [1, 2, 3])
def test_a_signature_that_comes_too_late_changes_nothing(state: ClaimState, reissues: int) -> None:
    """Only a claim that waits for just this issue takes it."""
    if state is ClaimState.RESERVED and reissues == 2:
        return
    claim = a_claim(state=state, reissues=reissues)
    assert decide_signature(claim, SIGN, context()) == Accepted(reply=ClaimReply(claim=claim))


def test_what_is_no_claim_is_neither_signed_nor_settled() -> None:
    """Both say so."""
    seen = ChainView(seqno=3, time_s=LATER)
    assert decide_signature(None, SIGN, context()) == Refused(code="claim not found")
    assert decide_settlement(None, SettleClaim(claim_id="c1", seen=seen), context()) == Refused(
        code="claim not found"
    )


# Settling.


def settled(claim: Claim, seen: ChainView, policy: EconomyPolicy, player: Player | None) -> object:
    """Settle a claim at noon."""
    account = Account(claim=claim, player=player)
    return decide_settlement(
        account, SettleClaim(claim_id=claim.id, seen=seen), context(policy, None)
    )


@pytest.mark.parametrize("state", [ClaimState.RESERVED, ClaimState.SIGNED])
@pytest.mark.parametrize("seqno", [3, 4])
def test_a_payment_moves_the_money_to_the_chain(state: ClaimState, seqno: int) -> None:
    """What was seen is kept as the evidence, even when it came after the validity."""
    before = a_claim(state=state)
    seen = ChainView(seqno=seqno, time_s=LATER)
    claim = replace(before, state=ClaimState.CONFIRMED, seen=seen, settled_at=NOON)
    assert settled(before, seen, EconomyPolicy(claim_reissues=9), PLAYER) == Accepted(
        reply=ClaimReply(claim=claim),
        postings=(posted(claim, "claims", "chain", "claim_confirmed"),),
        changed=(claim,),
        events=(ClaimMoved(claim_id="c1", state=ClaimState.CONFIRMED, amount=40),),
    )


@pytest.mark.parametrize("state", [ClaimState.RESERVED, ClaimState.SIGNED])
def test_an_expiry_moves_the_money_back(state: ClaimState) -> None:
    """One second after validity and margin, and not in the second before."""
    before = a_claim(state=state, source_type="battle_auto_claim")
    last = before.terms.valid_until_s + EXPIRY_MARGIN_S
    waits = settled(before, ChainView(seqno=2, time_s=last), EconomyPolicy(), PLAYER)
    assert waits == Accepted(reply=ClaimReply(claim=before))
    seen = ChainView(seqno=2, time_s=last + 1)
    claim = replace(before, state=ClaimState.REFUNDED, seen=seen, settled_at=NOON)
    assert settled(before, seen, EconomyPolicy(), PLAYER) == Accepted(
        reply=ClaimReply(claim=claim),
        postings=(posted(claim, "claims", "player:7", "claim_refunded"),),
        changed=(claim,),
        events=(ClaimMoved(claim_id="c1", state=ClaimState.REFUNDED, amount=40),),
    )


@pytest.mark.parametrize("state", [ClaimState.CONFIRMED, ClaimState.REFUNDED])
@pytest.mark.parametrize("seqno", [2, 3])
def test_a_claim_that_has_ended_ends_no_second_time(state: ClaimState, seqno: int) -> None:
    """Whatever is seen of the chain later."""
    claim = a_claim(state=state)
    seen = ChainView(seqno=seqno, time_s=LATER)
    assert settled(claim, seen, EconomyPolicy(claim_reissues=9), PLAYER) == Accepted(
        reply=ClaimReply(claim=claim)
    )


@pytest.mark.parametrize("amount", [39, 40])
def test_an_expired_claim_is_issued_again_to_be_signed_anew(amount: int) -> None:
    """Its seqno and amount stay, its validity starts with the block that was seen."""
    before = a_claim(reissues=1, terms=some_terms(recipient=WALLET, amount=amount, seqno=3))
    seen = ChainView(seqno=2, time_s=LATER)
    claim = replace(
        before,
        state=ClaimState.RESERVED,
        terms=replace(before.terms, valid_until_s=LATER + VALIDITY_S),
        signature=None,
        payload=None,
        reissues=2,
    )
    policy = EconomyPolicy(claim_reissues=2, claim_max_aiba=40)
    assert settled(before, seen, policy, PLAYER) == Accepted(
        reply=ClaimReply(claim=claim),
        changed=(claim,),
        events=(ClaimReissued(claim_id="c1", reissues=2),),
    )


# Wallets.


@pytest.mark.parametrize("owner", [None, "7"])
def test_a_wallet_that_is_free_or_one_s_own_is_bound(owner: str | None) -> None:
    """The player holds it from now on, and nothing else of the player changes."""
    assert decide_wallet(owner, ConnectWallet(address=OTHER), context()) == Accepted(
        reply=WalletReply(address=OTHER),
        changed=(replace(PLAYER, wallet=OTHER, last_seen_at=NOON, updated_at=NOON),),
    )


def test_a_wallet_of_another_player_is_refused() -> None:
    """With a code of its own."""
    refused = decide_wallet("8", ConnectWallet(address=OTHER), context())
    assert refused == Refused(code="wallet already connected")


# What a reservation loads, and what is remembered of it.


def test_the_latest_time_of_a_player_s_last_four_claims_counts(
    bank: Bank, play: Playground
) -> None:
    """A claim that is open says nothing of the chain; a fifth is too old to matter."""
    wallet = bank.open("1", 100)
    bank.open("2", 100)
    times = [900_000, 1, 700, 40, None, 30]
    for number, time_s in enumerate(times):
        seen = None if time_s is None else ChainView(seqno=0, time_s=GENESIS_S + time_s)
        ended = ClaimState.RESERVED if seen is None else ClaimState.REFUNDED
        terms = some_terms(recipient="0:" + "c" * 64, seqno=number + 1)
        fields: dict[str, Any] = {"player_id": "1", "state": ended, "terms": terms, "seen": seen}
        play.put(a_claim(id=f"{number:024x}", created_at=number, **fields))
    aside = movement(terms.amount, "chain", "claims", Currency.AIBA)
    play.run(play.store.transact(lambda unit: unit.write(at=0, postings=[aside])))
    claim = play.play("1", reserve(wallet), "k").reply().claim
    assert claim.terms.valid_until_s == GENESIS_S + 700 + VALIDITY_S


def test_without_an_ended_claim_the_chain_s_own_time_counts(bank: Bank, play: Playground) -> None:
    """However early it is."""
    claim = play.play("1", reserve(bank.open("1", 1), time_s=0), "k").reply().claim
    assert claim.terms.valid_until_s == VALIDITY_S


def test_a_claim_that_is_not_there_can_not_be_settled(play: Playground) -> None:
    """It is looked up first, and nobody's player is looked for."""
    settle = SettleClaim(claim_id="f" * 24, seen=ChainView(seqno=1, time_s=1))
    outcome = play.issue(OPERATOR, settle).outcome
    assert outcome == Refused(code="claim not found")


def test_a_claim_that_was_answered_and_is_gone_stops_the_service() -> None:
    """The evidence names it."""

    class Empty:
        async def claim(self, claim_id: str) -> None:
            del claim_id

    async def recall() -> None:
        await recall_claim(ClaimKept(claim_id="c9"), cast("Reader", Empty()))

    with pytest.raises(InvariantViolation) as broken:
        asyncio.run(recall())
    assert str(broken.value) == "claim c9 was answered and is gone"


# Terms.


@pytest.mark.parametrize(
    ("fields", "field", "reason"),
    [
        ({"amount": 0}, "amount", "min:1"),
        ({"amount": -1}, "amount", "min:0"),
        ({"amount": 1.0}, "amount", "integer"),
        ({"amount": MAX_AMOUNT + 1}, "amount", f"max:{MAX_AMOUNT}"),
        ({"seqno": 0}, "seqno", f"integer of 1..{2**64 - 1}"),
        ({"seqno": 2**64}, "seqno", f"integer of 1..{2**64 - 1}"),
        ({"seqno": 1.0}, "seqno", f"integer of 1..{2**64 - 1}"),
        ({"valid_until_s": 0}, "valid_until_s", f"integer of 1..{2**32 - 1}"),
        ({"valid_until_s": 2**32}, "valid_until_s", f"integer of 1..{2**32 - 1}"),
        ({"valid_until_s": True}, "valid_until_s", f"integer of 1..{2**32 - 1}"),
    ],
)
def test_terms_that_no_vault_would_take_say_what_is_wrong(
    fields: dict[str, Any], field: str, reason: str
) -> None:
    """By the field, with the range of the contract's integers."""
    with pytest.raises(InvalidInput) as refusal:
        some_terms(**fields)
    assert (refusal.value.field, refusal.value.reason) == (field, reason)


def test_terms_reach_to_the_ends_of_their_ranges() -> None:
    """Both ends are inside."""
    least = some_terms(amount=1, seqno=1, valid_until_s=1)
    most = some_terms(amount=MAX_AMOUNT, seqno=MAX_SEQNO, valid_until_s=MAX_VALID_UNTIL)
    assert (least.amount, least.seqno, least.valid_until_s) == (1, 1, 1)
    assert (most.seqno, most.valid_until_s) == (2**64 - 1, 2**32 - 1)


# The signer's answers.


def test_a_signer_that_is_away_says_why_and_for_how_long() -> None:
    """A second, and nothing more, unless it knows better."""
    plain = SignerUnavailable()
    assert (str(plain), plain.retry_after_ms) == ("", 1_000)
    told = SignerUnavailable("busy", retry_after_ms=7)
    assert (str(told), told.retry_after_ms) == ("busy", 7)


def test_a_signer_that_refuses_says_why() -> None:
    """The code is what the log shows too."""
    refused = SignerRefused("paused")
    assert (str(refused), refused.code) == ("paused", "paused")
