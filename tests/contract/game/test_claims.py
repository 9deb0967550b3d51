"""Withdrawals over HTTP: what is signed, what is refused, and that one key is one claim."""

from collections import Counter
from typing import Any

import pytest

from aiba_domain.claims.claim import EXPIRY_MARGIN_S, VALIDITY_S
from aiba_domain.claims.ports import SignerRefused, SignerUnavailable
from aiba_domain.instants import iso
from aiba_domain.money import MAX_AMOUNT
from aiba_domain.testing.chain import GENESIS_S, VAULT, Exit
from tests.contract.game import ton
from tests.contract.game.conftest import MakeGame
from tests.contract.game.support import DAY, HOUR, Game, Json, data_of, error_of, flat_of
from tests.contract.game.ton import signed_terms
from tests.support.arena import entries

PATH = "/api/economy/claim-aiba"
LATE_S = VALIDITY_S + EXPIRY_MARGIN_S + 1
"""How long after a claim was made its money comes back at the earliest, in seconds."""


def claimed(response: Any) -> Json:  # noqa: ANN401 - a response
    """Return the claim of a good answer."""
    claim: Json = flat_of(response)["claim"]
    return claim


def aiba(game: Game, player: str) -> int:
    """Return a player's balance."""
    balance: int = game.me(player)["aibaBalance"]
    return balance


def withdrawals(game: Game) -> dict[str, int]:
    """Return what the metric of withdrawals has counted."""
    lines = game.get("/metrics").text.splitlines()
    counts = (line.split() for line in lines if line.startswith("aiba_economy_withdrawals_total{"))
    return {name.split('"')[1]: int(float(count)) for name, count in counts if float(count)}


# --- what is given ---


def test_a_claim_of_an_amount(arena: Game) -> None:
    """The answer is flat, carries the key, and holds all that a wallet needs to be paid."""
    player, wallet = arena.holder(100)
    fields = flat_of(arena.withdraw(player, "some", amount=40))
    assert set(fields) == {"claim", "requestId"}
    assert fields["requestId"] == "some"
    terms = signed_terms(fields["claim"])
    assert (terms.recipient, terms.amount, terms.seqno) == (wallet.address, 40, 1)
    assert terms.valid_until_s == arena.ton.chain.now_s + VALIDITY_S
    assert aiba(arena, player) == 60


@pytest.mark.parametrize("body", [{}, {"amount": None}, {"amount": ""}])
def test_a_claim_without_an_amount_is_all_there_is(arena: Game, body: Json) -> None:
    """An absent amount empties the balance; there is nothing to withdraw after that."""
    player, _ = arena.holder(100)
    assert claimed(arena.withdraw(player, "all", **body))["amount"] == "100"
    assert aiba(arena, player) == 0
    assert error_of(arena.withdraw(player, "more", **body), 400, "amount must be > 0") is None


def test_a_large_amount_is_signed_to_the_unit(arena: Game) -> None:
    """Amounts are texts: no client's number loses a unit of them."""
    player, _ = arena.holder(2**53 + 2)
    claim = claimed(arena.withdraw(player, amount=2**53 + 1))
    assert claim["amount"] == "9007199254740993"
    assert signed_terms(claim).amount == 2**53 + 1
    assert aiba(arena, player) == 1


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "min:1"),
        (-5, "min:1"),
        (MAX_AMOUNT + 1, "integer"),
        (1.5, "integer"),
        ("5", "integer"),
        (True, "integer"),
        ([5], "integer"),
        ({"$gt": 0}, "integer"),
    ],
)
def test_an_amount_that_is_none_is_told(arena: Game, amount: object, text: str) -> None:
    """No value is bent into an amount."""
    player, _ = arena.holder(100)
    refused = arena.withdraw(player, amount=amount)
    assert set(error_of(refused, 400, "validation_error")) == {"amount"}
    assert error_of(refused, 400, "validation_error")["amount"] in (text, f"max:{MAX_AMOUNT}")
    assert aiba(arena, player) == 100


def test_the_vault_pays_a_claim_and_the_next_one_has_the_next_seqno(game: Game) -> None:
    """From the balance to the chain and on: what was signed is paid, and is confirmed."""
    player, wallet = game.holder(100)
    for seqno, amount in enumerate((30, 25, 45), start=1):
        claim = claimed(game.withdraw(player, f"k{seqno}", amount=amount))
        assert claim["seqno"] == seqno
        assert game.ton.send(claim) is Exit.PAID
        assert game.settle() == 1
    assert [terms.amount for terms in game.ton.chain.vault.paid] == [30, 25, 45]
    assert {terms.recipient for terms in game.ton.chain.vault.paid} == {wallet.address}
    assert aiba(game, player) == 0
    game.sound()


# --- what is refused ---


def test_more_than_there_is(game: Game) -> None:
    """What is needed and what is there is told, nothing moves, and it is counted."""
    player, _ = game.holder(39)
    refused = game.withdraw(player, amount=40)
    assert error_of(refused, 403, "insufficient AIBA") == {"need": 40, "have": 39}
    assert aiba(game, player) == 39
    assert withdrawals(game) == {"insufficient": 1}
    again = game.withdraw(player, amount=40)
    assert error_of(again, 403, "insufficient AIBA") == {"need": 40, "have": 39}
    assert withdrawals(game) == {"insufficient": 1}
    assert game.ton.oracle.signed == []


def test_d10_one_claim_at_a_time(game: Game) -> None:
    """While one is open the next is refused with what tells which; then it goes on."""
    player, _ = game.holder(100)
    claim = claimed(game.withdraw(player, "1", amount=40))
    details = error_of(game.withdraw(player, "2", amount=10), 409, "pending_claim")
    assert details == {
        "claimId": game.claims(player)[0]["_id"],
        "lastOnchainSeqno": "0",
        "lastIssuedSeqno": "1",
        "validUntil": claim["validUntil"],
    }
    assert game.ton.send(claim) is Exit.PAID
    game.settle()
    assert error_of(game.withdraw(player, "2", amount=10), 409, "pending_claim") == details
    assert claimed(game.withdraw(player, "3", amount=10))["seqno"] == 2
    game.sound()


def test_claims_are_paused(game: Game) -> None:
    """While they are, none is made or signed; the first answer of a key stays its answer."""
    player, _ = game.holder(100)
    game.set_policy(claims_paused=True)
    assert error_of(game.withdraw(player, "1"), 503, "claims paused") is None
    assert (aiba(game, player), game.claims(player)) == (100, [])
    game.set_policy(claims_paused=False)
    assert error_of(game.withdraw(player, "1"), 503, "claims paused") is None
    assert claimed(game.withdraw(player, "2"))["amount"] == "100"


def test_what_is_open_can_be_fetched_while_claims_are_paused(game: Game) -> None:
    """A pause stops new claims; the money that is in flight stays its owner's."""
    player, _ = game.holder(100)
    claim = claimed(game.withdraw(player, "1"))
    game.set_policy(claims_paused=True)
    assert claimed(game.withdraw(player, "1")) == claim


def test_limits(game: Game) -> None:
    """Each of the three limits is told by its name, and what came before counts."""
    first, _ = game.holder(1000)
    second, _ = game.holder(1000)
    game.set_policy(claim_max_aiba=50, claim_player_day_max_aiba=70, claim_day_max_aiba=100)

    def over(player: str, amount: int) -> Json:
        key = f"{player}-{amount}-over"
        details: Json = error_of(game.withdraw(player, key, amount=amount), 403, "claim limit")
        return details

    def pays(player: str, amount: int) -> None:
        claim = claimed(game.withdraw(player, f"{player}-{amount}", amount=amount))
        assert game.ton.send(claim) is Exit.PAID
        game.settle()

    assert over(first, 51) == {"limit": "claim", "max": 50}
    pays(first, 50)
    assert over(first, 21) == {"limit": "player day", "max": 70}
    pays(first, 20)
    assert over(second, 31) == {"limit": "day", "max": 100}
    pays(second, 30)
    game.clock.advance(DAY)
    game.ton.wait(DAY // 1000)
    pays(second, 31)


def test_d13_no_wallet(arena: Game) -> None:
    """Without a wallet there is nowhere to withdraw to, also for a player never seen before."""
    player = arena.newcomer()
    assert error_of(arena.withdraw(player), 403, "wallet_required") is None
    arena.fund(player, AIBA=10)
    arena.post("/api/brokers/starter", player)
    assert error_of(arena.withdraw(player), 403, "wallet_required") is None
    arena.bind(player)
    assert claimed(arena.withdraw(player))["amount"] == "10"


def test_no_vault(make_game: MakeGame) -> None:
    """A service without withdrawals says so on each of their routes, and fights all the same."""
    game = make_game("memory", **ton.WITHOUT)
    player, broker = game.fighter(AIBA=100)
    assert error_of(game.withdraw(player), 500, "vault not configured") is None
    for path in ("last-seqno", "inventory", "claim-status"):
        refused = game.looking(f"/api/vault/{path}")
        assert error_of(refused, 400, "ARENA_VAULT_ADDRESS not configured") is None
    refused = game.post("/api/brokers/create-with-ton", player, txHash="0" * 64)
    assert error_of(refused, 503, "Create broker with TON not configured") is None
    assert data_of(game.fight(player, broker, "k", autoClaim=True))["claim"]["amount"] == ""
    assert game.claims(player) == []


@pytest.mark.parametrize("key", [None, "", "two words", "x" * 129])
def test_d30_no_key_no_claim_and_no_look_at_the_chain(arena: Game, key: str | None) -> None:
    """What can't be answered twice isn't begun."""
    player, _ = arena.holder(100)
    asked = arena.ton.reader.asked
    refused = arena.post(PATH, player, amount=1, **({} if key is None else {"requestId": key}))
    why = "pattern" if key else "required"
    assert error_of(refused, 400, "requestId required") == {"requestId": why}
    assert arena.ton.reader.asked == asked
    assert aiba(arena, player) == 100


# --- one key, one claim ---


def test_the_same_key_is_the_same_claim(every_game: Game) -> None:
    """Signature and all, whatever has happened since: payment, confirmation, another wallet."""
    game = every_game
    player, _ = game.holder(100)
    first = game.withdraw(player, "k", amount=40)
    claim = claimed(first)
    told = first.json()

    def again() -> None:
        assert game.withdraw(player, "k", amount=40).json() == told

    again()
    game.set_policy(claim_max_aiba=1)
    again()
    assert game.ton.send(claim) is Exit.PAID
    again()
    game.settle()
    game.bind(player)
    again()
    game.clock.advance(400 * DAY)
    again()
    assert len(game.ton.oracle.signed) == 1
    assert aiba(game, player) == 60
    other = game.withdraw(player, "k", amount=41)
    assert error_of(other, 409, "requestId already used") == {"requestId": "k"}
    game.sound()


def test_fifty_calls_under_one_key_are_one_claim(every_game: Game) -> None:
    """All of them get it, it is debited once, and there is one signature in the world."""
    game = every_game
    player, _ = game.holder(100)
    answers = game.at_once([game.posting(PATH, player, requestId="k", amount=60)] * 50)
    assert len({answer.text for answer in answers}) == 1
    assert claimed(answers[0])["amount"] == "60"
    assert len(set(game.ton.oracle.signed)) == 1
    assert (aiba(game, player), len(game.claims(player))) == (40, 1)


def test_d10_fifty_claims_at_once_are_one(every_game: Game) -> None:
    """One seqno is issued once, under however many keys it is asked for."""
    game = every_game
    player, _ = game.holder(100)
    answers = game.at_once(
        game.posting(PATH, player, requestId=f"k{number}", amount=1) for number in range(50)
    )
    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 49}
    assert {terms.seqno for terms in game.ton.oracle.signed} == {1}
    assert (aiba(game, player), len(game.claims(player))) == (99, 1)
    game.sound()


# --- when something fails ---


def test_the_chain_is_down(arena: Game) -> None:
    """Nothing is taken, the caller is told when to come back, and the same key works then."""
    player, _ = arena.holder(100)
    arena.ton.is_down = True
    refused = arena.withdraw(player, "k")
    assert error_of(refused, 503, "unavailable") == {"retryAfterMs": 1000}
    assert refused.headers["retry-after"] == "1"
    assert aiba(arena, player) == 100
    arena.ton.is_down = False
    claim = claimed(arena.withdraw(player, "k"))
    arena.ton.is_down = True
    assert claimed(arena.withdraw(player, "k")) == claim
    arena.ton.is_down = False


def test_d79_the_signer_is_down(game: Game) -> None:
    """The money is set aside before anything is signed; the same key fetches the signature."""
    player, _ = game.holder(100)
    game.ton.oracle.fault = SignerUnavailable("no answer from 10.0.0.1 with key word")
    refused = game.withdraw(player, "k", amount=40)
    assert error_of(refused, 503, "unavailable") == {"retryAfterMs": 1000}
    assert "10.0.0.1" not in refused.text
    assert aiba(game, player) == 60
    (record,) = game.claims(player)
    assert (record["state"], record["claim"]["signatureBase64"]) == ("reserved", "")
    error_of(game.withdraw(player, "other", amount=40), 409, "pending_claim")
    game.ton.oracle.fault = None
    claim = claimed(game.withdraw(player, "k", amount=40))
    assert game.ton.send(claim) is Exit.PAID
    assert aiba(game, player) == 60


def test_the_signer_refuses(game: Game) -> None:
    """Its reason is told by its code; what was set aside comes back once it can't be paid."""
    player, _ = game.holder(100)
    game.ton.oracle.fault = SignerRefused("over_its_own_limit")
    for _ in range(2):
        refused = game.withdraw(player, "k")
        assert error_of(refused, 503, "claim not signed") == {"reason": "over_its_own_limit"}
    assert aiba(game, player) == 0
    game.ton.wait(LATE_S)
    assert game.settle() == 1
    assert aiba(game, player) == 100
    (record,) = game.claims(player)
    assert record["state"] == "refunded"
    game.ton.oracle.fault = None
    told = error_of(game.withdraw(player, "k"), 409, "claim refunded")
    assert told == {"claimId": record["_id"]}
    assert claimed(game.withdraw(player, "again"))["seqno"] == 1
    game.sound()


def test_a_battle_and_a_claim_may_have_one_request_id(game: Game) -> None:
    """A client that counts its requests gets the battle's claim and then the claim it asks for."""
    player, broker = game.fighter(AIBA=100)
    game.bind(player)
    fought = data_of(game.fight(player, broker, "k", autoClaim=True))
    if fought["claim"]["amount"]:
        game.ton.send(fought["claim"])
        game.settle()
    claim = claimed(game.withdraw(player, "k", amount=7))
    assert claim["amount"] == "7"
    assert data_of(game.fight(player, broker, "k", autoClaim=True))["claim"] == fought["claim"]


def test_d80_a_claim_survives_a_crash_at_any_point(make_game: MakeGame) -> None:
    """Wherever the process dies, the same key then gives one signed claim, debited once."""
    game = make_game("memory")
    for point in range(1, 200):
        player, wallet = game.holder(100)
        game.faults.crash_at(point)
        died = game.withdraw(player, "k", amount=40)
        if game.faults.disarm():
            assert died.status_code == 200
            break
        assert error_of(died, 500, "internal server error") is None
        claim = claimed(game.withdraw(player, "k", amount=40))
        assert signed_terms(claim).recipient == wallet.address
        assert claimed(game.withdraw(player, "k", amount=40)) == claim
        assert aiba(game, player) == 60
        assert [each["claim"] for each in game.claims(player)] == [claim]
        assert game.ton.send(claim) is Exit.PAID
    else:
        pytest.fail("the request never ended")
    assert point > 20
    signed = Counter((terms.recipient, terms.seqno) for terms in set(game.ton.oracle.signed))
    assert set(signed.values()) == {1}
    game.sound()


def test_d80_a_process_that_died_before_it_signed_is_taken_up_by_the_next(game: Game) -> None:
    """The reservation outlives the process, and so does the right to its signature."""
    player, _ = game.holder(100)
    game.ton.oracle.fault = KeyboardInterruptLike("the power is gone")
    assert game.withdraw(player, "k", amount=40).status_code == 500
    game.restart()
    game.ton.oracle.fault = None
    claim = claimed(game.withdraw(player, "k", amount=40))
    assert game.ton.send(claim) is Exit.PAID
    assert (aiba(game, player), len(game.claims(player))) == (60, 1)


class KeyboardInterruptLike(Exception):  # noqa: N818 - the end of a process, not an error of one
    """Something that nobody handles."""


def test_d12_an_expired_claim_comes_back_and_the_next_one_works(game: Game) -> None:
    """The seqno is issued again under a new validity, and only the new claim is paid."""
    player, _ = game.holder(100)
    lost = claimed(game.withdraw(player, "lost"))
    game.ton.wait(LATE_S)
    assert game.settle() == 1
    assert aiba(game, player) == 100
    again = claimed(game.withdraw(player, "again", amount=70))
    assert again["seqno"] == lost["seqno"] == 1
    assert game.ton.send(lost) is Exit.EXPIRED
    assert game.ton.send(again) is Exit.PAID
    assert claimed(game.withdraw(player, "lost")) == lost
    assert aiba(game, player) == 30
    game.sound()


def test_metrics_tell_withdrawals_apart(game: Game) -> None:
    """Claims, refusals for want of AIBA, and failures are counted once each, repeats never."""
    player, _ = game.holder(100)
    game.withdraw(player, "poor", amount=101)
    game.faults.crash_at(1)
    error_of(game.withdraw(player, "k", amount=1), 500, "internal server error")
    assert withdrawals(game) == {"insufficient": 1, "error": 1}
    for _ in range(3):
        claimed(game.withdraw(player, "k", amount=1))
        game.withdraw(player, "poor", amount=101)
        game.withdraw(player, "pending", amount=1)
    assert withdrawals(game) == {"insufficient": 1, "error": 1, "ok": 1}


def test_metrics_count_a_chain_and_a_signer_that_are_down(game: Game) -> None:
    """A withdrawal that chain or signer ended is an error; so is a battle's, though it is won."""
    player, broker = game.fighter(AIBA=100)
    game.bind(player)
    game.ton.reader.server = ton.NO_ANSWER
    error_of(game.withdraw(player, "a", amount=1), 503, "unavailable")
    assert withdrawals(game) == {"error": 1}
    data_of(game.fight(player, broker, "b", autoClaim=True))
    assert withdrawals(game) == {"error": 2}
    game.ton.reader.server = 0
    game.ton.oracle.fault = SignerUnavailable("down")
    error_of(game.withdraw(player, "a", amount=1), 503, "unavailable")
    assert withdrawals(game) == {"error": 3, "ok": 1}
    game.ton.oracle.fault = SignerRefused("policy")
    error_of(game.withdraw(player, "a", amount=1), 503, "claim not signed")
    assert withdrawals(game) == {"error": 4, "ok": 1}
    game.ton.oracle.fault = None
    claimed(game.withdraw(player, "a", amount=1))
    assert withdrawals(game) == {"error": 4, "ok": 1}
    text = game.get("/metrics").text
    assert 'aiba_claims_moved_total{state="signed"} 1.0' in text


def test_d18_there_is_no_dispatch_beside_claims(make_game: MakeGame) -> None:
    """With its flag set nothing goes out by itself, hour after hour, and no route sends anything.

    What a player has stays theirs, in one place: a balance that only a claim takes from.
    """
    game = make_game("memory", APP_ENV="test", ENABLE_LEGACY_PENDING_AIBA_DISPATCH="true")
    player, _ = game.holder(100)
    moved = len(entries(game))
    for _ in range(50):
        game.clock.advance(HOUR)
        game.ton.wait(3_600)
        assert game.settle() == 0
    assert len(entries(game)) == moved
    assert (aiba(game, player), game.ton.oracle.signed) == (100, [])
    assert game.ton.chain.vault.paid == []
    assert "pendingAIBA" not in data_of(game.get("/api/economy/me", player))
    paths = game.get("/openapi.json").json()["paths"]
    assert not [path for path in paths if "dispatch" in path.lower() or "send" in path.lower()]
    assert claimed(game.withdraw(player))["amount"] == "100"


# --- the own claims ---


def test_a_claim_that_is_issued_again_shows_it(game: Game) -> None:
    """In the list, in the answer to its key, which brings the newest signature, and as a metric."""
    game.set_policy(claim_reissues=1)
    player, _ = game.holder(100)
    first = claimed(game.withdraw(player, "k", amount=40))
    game.ton.wait(LATE_S)
    game.settle()
    (record,) = game.claims(player)
    assert (record["state"], record["reissues"]) == ("signed", 1)
    again = claimed(game.withdraw(player, "k", amount=40))
    assert again == record["claim"]
    assert again["seqno"] == first["seqno"]
    assert again["validUntil"] == first["validUntil"] + LATE_S
    assert again["signatureBase64"] != first["signatureBase64"]
    assert game.ton.send(first) is Exit.EXPIRED
    assert game.ton.send(again) is Exit.PAID
    text = game.get("/metrics").text
    assert 'aiba_claims_moved_total{state="reissued"} 1.0' in text
    assert withdrawals(game) == {"ok": 1}
    game.sound()


def test_claims_are_listed_with_their_states(game: Game) -> None:
    """Reserved, signed, confirmed and refunded claims, each with what it was asked for under."""
    player, wallet = game.holder(100)
    paid = claimed(game.withdraw(player, "paid", amount=1))
    made = game.clock.now()
    game.ton.send(paid)
    game.clock.advance(1000)
    game.settle()
    game.withdraw(player, "lost", amount=2)
    game.clock.advance(LATE_S * 1000)
    game.ton.wait(LATE_S)
    game.settle()
    open_claim = claimed(game.withdraw(player, "open", amount=3))
    second = game.bind(player)
    game.clock.advance(1)
    game.ton.oracle.fault = SignerUnavailable("down")
    game.withdraw(player, "reserved", amount=4)
    listed = game.claims(player)
    for record in listed:
        assert set(record) == {
            "_id",
            "requestId",
            "source",
            "state",
            "reissues",
            "claim",
            "createdAt",
            "settledAt",
        }
    assert {each["reissues"] for each in listed} == {0}
    told = [(each["requestId"], each["state"], each["claim"]["amount"]) for each in listed]
    assert told == [
        ("reserved", "reserved", "4"),
        ("open", "signed", "3"),
        ("lost", "refunded", "2"),
        ("paid", "confirmed", "1"),
    ]
    assert {each["source"] for each in listed} == {"aiba_claim"}
    assert listed[0]["claim"] == {
        "vaultAddress": VAULT,
        "toAddress": second.address,
        "amount": "4",
        "seqno": 1,
        "validUntil": game.ton.chain.now_s + VALIDITY_S,
        "payloadBocBase64": "",
        "signatureBase64": "",
    }
    assert listed[1]["claim"] == open_claim
    assert listed[1]["claim"]["toAddress"] == wallet.address
    assert listed[3]["claim"] == paid
    assert [each["settledAt"] is None for each in listed] == [True, True, False, False]
    assert (listed[3]["createdAt"], listed[3]["settledAt"]) == (iso(made), iso(made + 1000))


@pytest.mark.parametrize("pause", [0, 1])
def test_claims_are_listed_in_pages_newest_first(game: Game, pause: int) -> None:
    """Pages follow each other without a gap or a repetition, and hold nobody else's."""
    player, _ = game.holder(100)
    stranger, _ = game.holder(100)
    made = []
    for number in range(7):
        for who in (player, stranger):
            game.ton.send(claimed(game.withdraw(who, f"k{number}", amount=1)))
        made.append(f"k{number}")
        game.settle()
        game.clock.advance(pause)
    seen, sizes, path = [], [], "/api/economy/claims?limit=3"
    while path:
        page = data_of(game.get(path, player))
        sizes.append(len(page["items"]))
        seen += [item["requestId"] for item in page["items"]]
        path = f"/api/economy/claims?limit=3&before={page['next']}" if page["next"] else ""
    assert sizes == [3, 3, 1]
    assert sorted(seen) == made
    if pause:
        assert seen == made[::-1]
    wrong = game.get("/api/economy/claims?before=x&limit=0", player)
    assert set(error_of(wrong, 400, "validation_error")) <= {"before", "limit"}


def test_d58_claims_are_the_owner_s_own(arena: Game) -> None:
    """Nobody lists another's claims, and a player without any has an empty list."""
    player, _ = arena.holder(100)
    claimed(arena.withdraw(player))
    assert arena.claims(arena.newcomer()) == []
    error_of(arena.get("/api/economy/claims"), 401, "telegram auth required")


# --- battles ---


def test_a_battle_s_reward_is_withdrawn_at_once(game: Game) -> None:
    """What was won is claimed to the unit, whatever else is in the balance."""
    player, broker = game.fighter(AIBA=7)
    wallet = game.bind(player)
    battle = data_of(game.fight(player, broker, "b", autoClaim=True))
    terms = signed_terms(battle["claim"])
    assert (terms.amount, terms.recipient) == (battle["rewardAiba"], wallet.address)
    assert aiba(game, player) == 7
    (record,) = game.claims(player)
    assert (record["source"], record["requestId"]) == ("battle_auto_claim", "b")
    assert game.ton.send(battle["claim"]) is Exit.PAID
    game.settle()
    assert game.claims(player)[0]["state"] == "confirmed"
    game.sound()


def test_a_replayed_battle_brings_its_claim_again(game: Game) -> None:
    """Battle and claim are one answer, however often it is asked for."""
    player, broker = game.fighter()
    game.bind(player)
    first = data_of(game.fight(player, broker, "b", autoClaim=True))
    assert first["claim"]["signatureBase64"]
    game.ton.send(first["claim"])
    game.settle()
    game.ton.is_down = True
    for _ in range(2):
        assert data_of(game.fight(player, broker, "b", autoClaim=True)) == first
    assert len(game.ton.oracle.signed) == 1
    assert aiba(game, player) == 0


def test_d80_a_battle_s_claim_survives_a_crash_at_any_point(make_game: MakeGame) -> None:
    """Wherever the process dies, the battle's key brings one battle, one reward and one claim."""
    game = make_game("memory")
    game.save_mode("free")
    for point in range(1, 300):
        player, broker = game.fighter()
        game.bind(player)
        game.faults.crash_at(point)
        died = game.fight(player, broker, "b", modeKey="free", autoClaim=True)
        if game.faults.disarm():
            break
        assert died.status_code in (200, 500)
        battle = data_of(game.fight(player, broker, "b", modeKey="free", autoClaim=True))
        assert signed_terms(battle["claim"]).amount == battle["rewardAiba"] > 0
        assert aiba(game, player) == 0
        assert len(game.claims(player)) == 1
    else:
        pytest.fail("the request never ended")
    assert point > 40
    game.sound()


@pytest.mark.parametrize("value", ["false", False, None])
def test_d67_no_claim_is_made_that_was_not_asked_for(arena: Game, value: object) -> None:
    """`"false"` is false: with wallet, vault and reward there, the reward stays in the balance."""
    player, broker = arena.fighter()
    arena.bind(player)
    battle = data_of(arena.fight(player, broker, "b", autoClaim=value))
    assert battle["claim"]["signatureBase64"] == ""
    assert aiba(arena, player) == battle["rewardAiba"] > 0
    assert arena.claims(player) == []


def test_a_reward_that_can_t_be_withdrawn_stays(game: Game) -> None:
    """No wallet, an open claim, a pause or a chain that is down: no battle fails for it."""
    player, broker = game.fighter(AIBA=5)
    game.save_mode("free")

    def kept(key: str) -> None:
        before = aiba(game, player)
        battle = data_of(game.fight(player, broker, key, modeKey="free", autoClaim=True))
        assert battle["claim"] == {
            **dict.fromkeys(battle["claim"], ""),
            "seqno": 0,
            "validUntil": 0,
        }
        assert aiba(game, player) == before + battle["rewardAiba"]

    kept("no-wallet")
    game.bind(player)
    game.ton.is_down = True
    kept("down")
    game.ton.is_down = False
    game.set_policy(claims_paused=True)
    kept("paused")
    game.set_policy(claims_paused=False, claim_max_aiba=1)
    kept("limited")
    game.set_policy(claim_max_aiba=MAX_AMOUNT)
    claimed(game.withdraw(player, "open", amount=1))
    kept("open")
    game.sound()


def test_a_battle_without_a_reward_has_no_claim(game: Game) -> None:
    """Where emission is closed there is nothing to withdraw, also with AIBA in the balance."""
    player, broker = game.fighter(AIBA=5)
    game.bind(player)
    game.set_policy(daily_cap_aiba=1)
    battle = data_of(game.fight(player, broker, "b", autoClaim=True))
    assert (battle["rewardAiba"], battle["claim"]["amount"]) == (0, "")
    assert (aiba(game, player), game.claims(player)) == (5, [])


def test_d10_battles_and_claims_at_once_issue_each_seqno_once(every_game: Game) -> None:
    """Twenty battles that claim and twenty claims: one is issued, the rest stays in the balance."""
    game = every_game
    player, broker = game.fighter(AIBA=100)
    game.bind(player)
    game.save_mode("free")
    calls = []
    for number in range(20):
        calls.append(game.posting(PATH, player, requestId=f"c{number}", amount=1))
        body = {"requestId": f"b{number}", "brokerId": broker, "modeKey": "free"}
        calls.append(game.posting("/api/battle/run", player, **body, autoClaim=True))
    answers = game.at_once(calls)
    battles = [data_of(answer) for answer in answers[1::2]]
    claims = [answer.json()["claim"] for answer in answers[::2] if answer.status_code == 200]
    claims += [battle["claim"] for battle in battles if battle["claim"]["seqno"]]
    assert [claim["seqno"] for claim in claims] == [1]
    earned = 100 + sum(battle["rewardAiba"] for battle in battles)
    assert aiba(game, player) == earned - int(claims[0]["amount"])
    assert signed_terms(claims[0]).valid_until_s == GENESIS_S + VALIDITY_S
    game.sound()
