"""One key, one claim: with its signature, for ever, whatever became of it."""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiba_adapters.memory import MemoryStore
from aiba_domain.claims.claim import Claim, ClaimState
from aiba_domain.claims.commands import BY_BATTLE, RecordSignature, decide_reserve, load_till
from aiba_domain.decision import Accepted, Context, Principal
from aiba_domain.economy.commands import ChangePolicy
from aiba_domain.errors import DomainError
from aiba_domain.instants import DAY
from aiba_domain.ports import Reader, Store, Unavailable
from aiba_domain.testing.chain import Exit
from aiba_domain.testing.playground import OPERATOR, Playground
from aiba_domain.testing.strategies import wallet_of
from tests.support.arena import code, entries, player_of
from tests.unit.claims.support import LATE_S, Bank, reserve


def test_the_same_key_gives_the_same_claim_with_its_signature(bank: Bank) -> None:
    """An answer that was lost is fetched again, days later and with another wallet bound too."""
    bank.open("1", 100)
    first = bank.claim("1", 40)
    moved = len(entries(bank.play))
    for later in (0, 1, 5 * DAY):
        bank.play.clock.advance(later)
        assert bank.claim("1", 40) == first
    bank.open("1", wallet=wallet_of("new"))
    assert bank.claim("1", 40) == first
    assert len(entries(bank.play)) == moved
    assert bank.signer.released == [first.terms]


def test_an_answer_that_was_lost_is_fetched_again_while_the_chain_is_down(bank: Bank) -> None:
    """What is known needs no chain: neither the claim nor the refusal of another amount."""
    bank.open("1", 100)
    first = bank.claim("1", 40)
    bank.reader.down = {0, 1}
    assert bank.claim("1", 40) == first
    assert bank.refusal("1", 41, "k").code == "requestId already used"
    with pytest.raises(Unavailable):
        bank.claim("1", 40, "k2")


def test_the_same_key_with_another_amount_is_refused(bank: Bank) -> None:
    """What a key stands for is what was asked for, not what the service saw of the chain."""
    bank.open("1", 100)
    first = bank.claim("1", 40)
    for amount in (41, 39, None):
        error = bank.refusal("1", amount, "k")
        assert (error.code, dict(error.details)) == ("requestId already used", {"requestId": "k"})
    bank.wait(5)
    assert bank.claim("1", 40) == first


def test_all_there_was_is_one_amount_for_ever(bank: Bank) -> None:
    """A claim of everything isn't a claim of what came later."""
    bank.open("1", 100)
    first = bank.claim("1", None)
    bank.play.fund("1", AIBA=50)
    assert bank.claim("1", None) == first
    assert first.terms.amount == 100
    assert bank.refusal("1", 100, "k").code == "requestId already used"


@pytest.mark.parametrize("key", [None, "", " ", "a b", "x" * 129])
def test_without_a_key_nothing_is_claimed(bank: Bank, key: object) -> None:
    """A key is never made up."""
    bank.open("1", 100)
    with pytest.raises(DomainError) as refusal:
        bank.play.run(bank.withdrawals.claim(Principal(id="1"), 1, key))
    assert refusal.value.code == "requestId required"
    assert (bank.aiba("1"), bank.signer.released) == (100, [])


def test_keys_are_each_player_s_own(bank: Bank) -> None:
    """Two players may use one key, each for a claim."""
    for player in "12":
        bank.open(player, 10)
    one, other = bank.claim("1", 5), bank.claim("2", 6)
    assert one.id != other.id
    assert bank.claim("1", 5) == one


def test_200_requests_with_one_key_make_one_claim(bank: Bank) -> None:
    """However many ask at once, one claim is reserved and all get its one signature."""
    bank.open("1", 100)

    async def together() -> list[Any]:
        asked = (bank.asking("1", None, "k") for _ in range(200))
        return list(await asyncio.gather(*asked))

    claims = [answer.reply().claim for answer in bank.play.run(together())]
    assert claims == [claims[0]] * 200
    assert claims[0].signature
    assert set(bank.signer.released) == {claims[0].terms}
    assert (bank.aiba("1"), bank.in_flight()) == (0, 100)


def test_a_refunded_claim_is_never_signed_again(bank: Bank) -> None:
    """Its key tells that it was refunded, with the expired signature, and takes nothing."""
    bank.open("1", 100)
    first = bank.claim("1", 40)
    bank.wait(LATE_S)
    bank.settle()
    again = bank.claim("1", 40)
    assert again == bank.stored(first)
    assert (again.state, again.signature) == (ClaimState.REFUNDED, first.signature)
    assert bank.signer.released == [first.terms]
    assert (bank.aiba("1"), bank.in_flight()) == (100, 0)


def test_a_signature_that_comes_after_the_end_changes_nothing(bank: Bank) -> None:
    """Neither a refunded claim nor one that is signed takes another signature."""
    bank.open("1", 100)
    first = bank.claim("1", 40)
    late = RecordSignature(claim_id=first.id, signature="other", payload="other")
    assert bank.play.operate(late).claim == first
    bank.wait(LATE_S)
    bank.settle()
    ended = bank.stored(first)
    assert bank.play.operate(late).claim == ended
    assert bank.stored(first) == ended


def test_a_signature_of_no_claim_is_refused(bank: Bank) -> None:
    """A claim that isn't there can't be signed."""
    command = RecordSignature(claim_id="0" * 24, signature="s", payload="p")
    assert code(bank.play.issue(OPERATOR, command)) == "claim not found"


@pytest.mark.parametrize("wrong", ["vault", "jetton_master"])
def test_a_signer_s_refusal_is_told_and_the_money_comes_back(bank: Bank, wrong: str) -> None:
    """A contract that the signer doesn't know costs the player nothing but time."""
    bank.open("1", 100)
    contracts = bank.withdrawals._contracts
    bank.withdrawals._contracts = type(contracts)(
        **{
            "vault": contracts.vault,
            "jetton_master": contracts.jetton_master,
            wrong: wallet_of("stranger"),
        }
    )
    with pytest.raises(DomainError) as refusal:
        bank.claim("1", 40)
    assert refusal.value.code == "claim not signed"
    assert dict(refusal.value.details) == {"reason": "contract_not_allowed"}
    assert bank.in_flight() == 40
    bank.wait(LATE_S)
    assert bank.settle() == 1
    assert bank.aiba("1") == 100


@pytest.mark.parametrize("first", ["insufficient", "pending", "paused"])
def test_a_refusal_is_the_answer_to_its_key_for_ever(bank: Bank, first: str) -> None:
    """A refused key is refused again when it could be granted; a new one is granted."""
    bank.open("1", 100)
    amount = 150 if first == "insufficient" else 50
    if first == "pending":
        bank.claim("1", 10, "open")
    bank.play.operate(ChangePolicy(changes={"claims_paused": first == "paused"}))
    refusal = bank.refusal("1", amount, "r")
    bank.play.operate(ChangePolicy(changes={"claims_paused": False}))
    bank.play.fund("1", AIBA=100)
    bank.wait(LATE_S)
    bank.settle()
    again = bank.refusal("1", amount, "r")
    assert (again.code, again.details) == (refusal.code, refusal.details)
    assert bank.claim("1", amount, "new").terms.amount == amount


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), st.integers(0, 3), st.sampled_from((None, 5, 40))),
        st.tuples(
            st.sampled_from(("pay", "expire", "settle", "down", "up")), st.just(0), st.none()
        ),
    ),
    max_size=14,
)


class Asker:
    """Asks for claims of player 1 and holds the answers against those before."""

    def __init__(self, bank: Bank) -> None:
        self.bank = bank
        self.asked: dict[str, int | None] = {}
        self.seen: dict[str, Claim] = {}

    def ask(self, key: str, amount: int | None) -> None:
        """Ask under a key; only the first amount under it may be granted or refused by a rule."""
        is_other = self.asked.setdefault(key, amount) != amount
        try:
            claim = self.bank.claim("1", amount, key)
        except DomainError as refusal:
            code = refusal.code
        except Unavailable:
            assert not is_other
            return
        else:
            first = self.seen.setdefault(key, claim)
            assert not is_other
            assert (claim.id, claim.terms) == (first.id, first.terms)
            assert first.signature in (None, claim.signature)
            return
        assert (code == "requestId already used") == is_other
        assert is_other or key not in self.seen


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_a_key_never_stands_for_two_claims(steps: list[tuple[str, int, int | None]]) -> None:
    """Whatever happens in between, a key's first request, terms and signature stay."""

    async def opened() -> Store:
        return MemoryStore()

    play = Playground(opened)
    bank = Bank(play)
    bank.open("1", 100)
    asker = Asker(bank)
    for step, number, amount in steps:
        if step == "ask":
            asker.ask(f"k{number}", amount)
        elif step == "pay" and (flying := [one for one in bank.claims("1") if one.signature]):
            bank.send(flying[0])
        elif step == "expire":
            bank.wait(LATE_S)
        elif step == "settle":
            bank.settle()
        else:
            bank.signer.is_down = step == "down"
    reserved = [claim.terms for claim in bank.claims("1")]
    assert all(terms in reserved for terms in bank.signer.released)
    play.close()


def test_a_battle_and_a_claim_may_share_a_key(bank: Bank) -> None:
    """Whichever comes first, each has its own claim, for ever, and no other's."""
    bank.open("1", 100)
    fought = bank.claim("1", 10, "k", BY_BATTLE)
    bank.send(fought)
    bank.settle()
    asked = bank.claim("1", 20, "k")
    bank.send(asked)
    bank.settle()
    assert (fought.terms.amount, asked.terms.amount) == (10, 20)
    assert [bank.claim("1", 10, "k", BY_BATTLE).id, bank.claim("1", 20, "k").id] == [
        fought.id,
        asked.id,
    ]
    assert bank.refusal("1", 10, "k").code == "requestId already used"
    assert (bank.aiba("1"), len(bank.claims("1"))) == (70, 2)


def test_a_claim_that_is_there_is_never_reserved_anew(bank: Bank) -> None:
    """Though its answer was remembered under a name that is looked for no more."""
    bank.open("1", 100)
    first = bank.claim("1", 10)
    unremembered = reserve(first.terms.recipient, 10)
    player = player_of(bank.play, "1")

    async def decide(read: Reader) -> Claim:
        policy = await read.policy()
        context = Context(principal=Principal(id="1"), player=player, policy=policy, now=5, key="k")
        till = await load_till(unremembered, context, read)
        outcome = decide_reserve(till, unremembered, context)
        assert isinstance(outcome, Accepted)
        assert (outcome.postings, outcome.changed, outcome.events) == ((), (), ())
        return outcome.reply.claim

    assert bank.play.read(decide) == bank.stored(first)


def test_a_claim_that_was_refunded_unsigned_says_so(bank: Bank) -> None:
    """There never was a signature to send: the key tells that, and another key works."""
    bank.open("1", 100)
    bank.signer.is_down = True
    with pytest.raises(Unavailable):
        bank.claim("1", 40, "k")
    bank.signer.is_down = False
    bank.wait(LATE_S)
    assert bank.settle() == 1
    for _ in range(2):
        refused = bank.refusal("1", 40, "k")
        assert (refused.code, refused.details) == (
            "claim refunded",
            {"claimId": bank.claims("1")[0].id},
        )
    assert bank.signer.released == []
    assert bank.send(bank.claim("1", 40, "other")) is Exit.PAID


def test_a_claim_that_was_signed_and_refunded_is_shown_as_it_is(bank: Bank) -> None:
    """The key brings it again, with its signature and its state, and nothing new is signed."""
    bank.open("1", 100)
    first = bank.claim("1", 40)
    bank.wait(LATE_S)
    bank.settle()
    again = bank.claim("1", 40)
    assert (again.state, again.signature) == (ClaimState.REFUNDED, first.signature)
    assert bank.signer.released == [first.terms]


def test_a_refusal_stays_though_its_reason_passes(bank: Bank) -> None:
    """Paused, then not: the key keeps its first answer, a new key gets a claim."""
    bank.open("1", 100)
    bank.play.operate(ChangePolicy(changes={"claims_paused": True}))
    assert bank.refusal("1", 10, "k").code == "claims paused"
    bank.play.operate(ChangePolicy(changes={"claims_paused": False}))
    assert bank.refusal("1", 10, "k").code == "claims paused"
    assert bank.claim("1", 10, "new").terms.amount == 10


def test_a_server_that_lags_after_a_refund_makes_no_claim_that_can_t_be_signed(bank: Bank) -> None:
    """The validity counts from the chain time the refund was seen at, not from an older view."""
    bank.open("1", 100)
    lost = bank.claim("1", 40, "lost")
    bank.chain.sync(1)
    bank.chain.block(LATE_S)
    bank.chain.sync(0)
    bank.settle()
    bank.server = 1
    again = bank.claim("1", 40, "again")
    assert again.terms.seqno == lost.terms.seqno
    assert again.terms.valid_until_s == bank.chain.now_s + 600
    assert bank.send(again) is Exit.PAID
