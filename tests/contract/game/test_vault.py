"""The vault over HTTP: what it holds, and how claims stand by the chain and nothing else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.claims.claim import VALIDITY_S
from aiba_domain.testing.chain import GENESIS_S, JETTON_MASTER, VAULT, Exit
from tests.contract.game.conftest import MakeGame
from tests.contract.game.support import DAY, HOUR, Game, Json, data_of, error_of, flat_of
from tests.contract.game.ton import SHOP
from tests.support.wallets import Wallet

OUT_OF_GAS = 60_000_000
STATUS = "/api/vault/claim-status"


def status_of(game: Game, claim: Json, **changes: object) -> Json:
    """Return how a claim stands, asked for as a client does that has it."""
    asked = {
        "to": claim["toAddress"],
        "seqno": claim["seqno"],
        "validUntil": claim["validUntil"],
        "amount": claim["amount"],
        **changes,
    }
    query = "&".join(f"{name}={value}" for name, value in asked.items())
    data: Json = data_of(game.get(f"{STATUS}?{query}"))
    return data


def claim_of(game: Game, amount: int = 40) -> Json:
    """Return the claim of a new player."""
    player, _ = game.holder(amount)
    claim: Json = flat_of(game.withdraw(player))["claim"]
    return claim


# --- seqno and inventory ---


def test_last_seqno(game: Game) -> None:
    """The last one paid and the next one, as texts; an address that was never paid has 0."""
    claim = claim_of(game)
    path = f"/api/vault/last-seqno?to={claim['toAddress']}"
    assert data_of(game.get(path)) == {
        "vaultAddress": VAULT,
        "to": claim["toAddress"],
        "lastSeqno": "0",
        "nextSeqno": "1",
        "blockSeqno": 0,
        "ageMs": 0,
    }
    assert game.ton.send(claim) is Exit.PAID
    paid = data_of(game.get(path))
    assert (paid["lastSeqno"], paid["nextSeqno"], paid["blockSeqno"]) == ("1", "2", 1)


def test_any_form_of_an_address_is_the_same_address(arena: Game) -> None:
    """Raw or friendly, marked for whichever network, with blanks around: it is one account."""
    wallet = Wallet(5)
    forms = [
        wallet.address,
        wallet.address.upper(),
        wallet.friendly(),
        wallet.friendly(bounceable=True),
        wallet.friendly(testnet=True),
        f"%20{wallet.address}%20",
    ]
    for form in forms:
        data = data_of(arena.get(f"/api/vault/last-seqno?to={form}"))
        assert data["to"] == wallet.address
        status = data_of(arena.get(f"{STATUS}?to={form}&seqno=1&validUntil=1"))
        assert status["to"] == wallet.address


def test_inventory(game: Game) -> None:
    """TON in nano and jettons in their smallest units as texts, with the jettons' own wallet."""
    game.ton.reader.ton_nano = 2**63
    game.ton.chain.vault.jettons = 2**70
    assert data_of(game.get("/api/vault/inventory")) == {
        "vaultAddress": VAULT,
        "tonBalanceNano": str(2**63),
        "vaultJettonWallet": {
            "raw": JETTON_MASTER,
            "userFriendly": "EQAiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIp3C",
        },
        "jettonBalance": str(2**70),
    }


# --- how a claim stands ---


def test_a_claim_is_pending_until_it_is_paid(game: Game) -> None:
    """From the chain's own seqno and time, with the numbers that clients read as numbers."""
    claim = claim_of(game)
    assert status_of(game, claim) == {
        "status": "pending",
        "vaultAddress": VAULT,
        "to": claim["toAddress"],
        "seqno": "1",
        "now": GENESIS_S,
        "validUntil": GENESIS_S + VALIDITY_S,
        "lastSeqno": "0",
        "blockSeqno": 0,
        "ageMs": 0,
    }
    assert game.ton.send(claim) is Exit.PAID
    paid = status_of(game, claim)
    assert (paid["status"], paid["lastSeqno"], paid["now"]) == ("confirmed", "1", GENESIS_S + 5)


def test_d17_a_claim_that_was_paid_is_confirmed_for_ever(game: Game) -> None:
    """The chain comes before any clock: paid in its last second and asked for a year later."""
    claim = claim_of(game)
    assert game.ton.send(claim, later_s=VALIDITY_S) is Exit.PAID
    assert status_of(game, claim)["status"] == "confirmed"
    for _ in range(2):
        game.ton.wait(365 * DAY // 1000)
        game.clock.advance(365 * DAY)
        paid = status_of(game, claim)
        assert paid["status"] == "confirmed"
        assert "haveTonNano" not in paid
    game.ton.reader.ton_nano = 0
    game.ton.chain.vault.jettons = 0
    assert status_of(game, claim)["status"] == "confirmed"


def test_d17_only_the_chain_s_time_ends_a_claim(game: Game) -> None:
    """It is valid in its last second, over in the next, whatever the service's clock says."""
    claim = claim_of(game)
    for hours in (-1000, 2000):
        game.clock.advance(hours * HOUR)
        assert status_of(game, claim)["status"] == "pending"
    game.ton.wait(VALIDITY_S)
    assert status_of(game, claim)["status"] == "pending"
    game.ton.wait(1)
    over = status_of(game, claim)
    assert (over["status"], over["now"]) == ("expired", claim["validUntil"] + 1)
    assert over["lastSeqno"] == "0"


def test_a_server_that_lags_calls_nothing_expired(game: Game) -> None:
    """What was paid in a block that it doesn't know yet is pending by its time."""
    claim = claim_of(game)
    game.ton.chain.block(VALIDITY_S)
    game.ton.chain.block(1)
    assert status_of(game, claim)["status"] == "pending"
    game.ton.chain.sync()
    assert status_of(game, claim)["status"] == "expired"


def test_a_vault_without_ton_can_t_pay(game: Game) -> None:
    """Below the least amount of TON the claim waits, and both numbers are told."""
    claim = claim_of(game)
    game.ton.reader.ton_nano = OUT_OF_GAS - 1
    status = status_of(game, claim)
    assert status["status"] == "insufficient_ton"
    assert (status["neededTonNano"], status["haveTonNano"]) == ("60000000", "59999999")
    game.ton.reader.ton_nano = OUT_OF_GAS
    assert status_of(game, claim)["status"] == "pending"


def test_the_least_ton_is_configured(make_game: MakeGame) -> None:
    """`MIN_VAULT_TON_NANO` says when a vault is out of gas."""
    game = make_game("memory", MIN_VAULT_TON_NANO="1000000001")
    status = status_of(game, claim_of(game))
    assert (status["status"], status["neededTonNano"]) == ("insufficient_ton", "1000000001")


def test_a_vault_without_jettons_can_t_pay(game: Game) -> None:
    """Only an amount that is asked about can be too much; gas is looked at before it."""
    claim = claim_of(game)
    game.ton.chain.vault.jettons = 39
    status = status_of(game, claim)
    assert status["status"] == "insufficient_inventory"
    assert (status["needed"], status["have"]) == ("40", "39")
    assert status_of(game, claim, amount=39)["status"] == "pending"
    assert status_of(game, claim, amount=0)["status"] == "pending"
    game.ton.reader.ton_nano = 0
    assert status_of(game, claim)["status"] == "insufficient_ton"
    game.ton.chain.vault.jettons = 40
    game.ton.reader.ton_nano = OUT_OF_GAS
    assert status_of(game, claim)["status"] == "pending"


# --- failures ---


@pytest.mark.parametrize("path", ["last-seqno", "inventory", "claim-status"])
def test_a_provider_that_is_down_is_503(arena: Game, path: str) -> None:
    """No state is made up: the caller is told when to ask again."""
    arena.ton.is_down = True
    refused = arena.looking(f"/api/vault/{path}")
    arena.ton.is_down = False
    assert error_of(refused, 503, "unavailable") == {"retryAfterMs": 1000}
    assert refused.headers["retry-after"] == "1"
    assert data_of(arena.looking(f"/api/vault/{path}"))["vaultAddress"] == VAULT


def test_an_inventory_that_can_t_be_read_leaves_a_claim_pending(game: Game) -> None:
    """What the chain said of the seqno still counts; what the vault holds isn't guessed."""
    claim = claim_of(game)
    game.ton.reader.inventory_is_down = True
    game.ton.reader.ton_nano = 0
    assert status_of(game, claim)["status"] == "pending"
    assert error_of(game.get("/api/vault/inventory"), 503, "unavailable")
    game.ton.send(claim)
    assert status_of(game, claim)["status"] == "confirmed"


GOOD = {"to": SHOP, "seqno": "1", "validUntil": "1", "amount": "1"}


@pytest.mark.parametrize(
    ("changes", "details"),
    [
        ({"to": ""}, {"to": "required"}),
        ({"to": "%20"}, {"to": "address required"}),
        ({"to": "x"}, {"to": "neither a raw nor a friendly address"}),
        ({"to": SHOP[:-1]}, {"to": "neither a raw nor a friendly address"}),
        ({"to": "2:" + SHOP[2:]}, {"to": "no such workchain"}),
        ({"to": Wallet(0).friendly()[:-1] + "_"}, {"to": "the checksum does not match"}),
        ({"to": "0" * 201}, {"to": "maxLength:200"}),
        ({"to": "%00"}, {"to": "pattern"}),
        ({"seqno": "0"}, {"seqno": "min:1"}),
        ({"seqno": ""}, {"seqno": "required"}),
        ({"seqno": "-1", "validUntil": "0"}, {"seqno": "min:1", "validUntil": "min:1"}),
        ({"seqno": "1.5"}, {"seqno": "integer"}),
        ({"seqno": "9" * 30}, {"seqno": f"max:{2**63 - 1}"}),
        ({"validUntil": ""}, {"validUntil": "required"}),
        ({"validUntil": "tomorrow"}, {"validUntil": "integer"}),
        ({"validUntil": str(2**32)}, {"validUntil": f"max:{2**32 - 1}"}),
        ({"amount": "-1"}, {"amount": "min:0"}),
        ({"amount": "many"}, {"amount": "integer"}),
        ({"amount": str(2**63)}, {"amount": f"max:{2**63 - 1}"}),
    ],
)
def test_a_question_that_is_malformed_is_told_by_field(
    arena: Game, changes: dict[str, str], details: Json
) -> None:
    """Each field by the name that it has on the wire, before the chain is asked."""
    asked = arena.ton.reader.asked
    query = "&".join(f"{name}={value}" for name, value in {**GOOD, **changes}.items())
    assert error_of(arena.get(f"{STATUS}?{query}"), 400, "validation_error") == details
    if "to" in changes:
        refused = arena.get(f"/api/vault/last-seqno?to={changes['to']}")
        assert error_of(refused, 400, "validation_error") == details
    assert arena.ton.reader.asked == asked


@given(query=st.binary(max_size=60))
@pytest.mark.parametrize("path", ["last-seqno", "claim-status"])
def test_any_question_is_answered(arena: Game, path: str, query: bytes) -> None:
    """No bytes in a query break anything."""
    escaped = "".join(f"%{byte:02x}" for byte in query)
    for sent in (escaped, f"to={escaped}", f"to={SHOP}&seqno={escaped}&validUntil={escaped}"):
        response = arena.get(f"/api/vault/{path}?{sent}")
        assert response.status_code in (200, 400)
        if response.status_code == 400:
            details = error_of(response, 400, "validation_error")
            assert set(details) <= {"to", "seqno", "validUntil"}


# --- brokers for TON ---


def buy(game: Game, player: str, tx_hash: str) -> Any:  # noqa: ANN401 - a response
    """Ask for the broker that a transaction has paid for."""
    return game.post("/api/brokers/create-with-ton", player, txHash=tx_hash)


def test_d14_a_payment_from_the_own_wallet_buys_a_broker(game: Game) -> None:
    """The broker is there, is listed at the default price, and the same hash brings it again."""
    player, wallet = game.holder()
    paid = game.ton.deposit(1, source=wallet.address, at_ms=game.clock.now())
    data = data_of(buy(game, player, paid), 201)
    assert set(data) == {"broker", "listed", "defaultPriceAIBA", "message"}
    assert data["broker"]["createdWithTonTxHash"] == paid
    assert (data["listed"], data["defaultPriceAIBA"]) == (True, 10)
    assert game.broker(player, data["broker"]["_id"]) == data["broker"]
    game.ton.is_down = True
    assert data_of(buy(game, player, paid.upper()), 201) == data
    assert len(data_of(game.get("/api/brokers/mine", player))) == 1


def test_d14_a_stranger_s_payment_buys_nothing(game: Game) -> None:
    """Neither before nor after its payer used it; the comment that would do is told."""
    player, wallet = game.holder()
    thief, _ = game.holder()
    paid = game.ton.deposit(1, source=wallet.address, at_ms=game.clock.now())
    details = error_of(buy(game, thief, paid), 400, "TON payment verification failed")
    assert details == {"reason": "sender", "comment": f"aiba:create-broker:{thief}"}
    data_of(buy(game, player, paid), 201)
    assert error_of(buy(game, thief, paid), 409, "txHash already used") is None
    noted = game.ton.deposit(
        2, source=wallet.address, comment=details["comment"], at_ms=game.clock.now()
    )
    data_of(buy(game, thief, noted), 201)


def test_d19_one_payment_is_one_broker_however_often_it_is_brought(every_game: Game) -> None:
    """Twenty calls at once make one broker and get the same answer."""
    game = every_game
    player, wallet = game.holder()
    paid = game.ton.deposit(1, source=wallet.address, at_ms=game.clock.now())
    call = game.posting("/api/brokers/create-with-ton", player, txHash=paid)
    bought = [data_of(answer, 201) for answer in game.at_once([call] * 20)]
    assert all(each == bought[0] for each in bought)
    assert len(data_of(game.get("/api/brokers/mine", player))) == 1


def test_a_payment_that_can_t_be_read_may_be_brought_again(game: Game) -> None:
    """Down is 503 and not there is 400; both are over once the chain shows the payment."""
    player, wallet = game.holder()
    game.ton.is_down = True
    refused = buy(game, player, f"{1:064x}")
    assert error_of(refused, 503, "unavailable") == {"retryAfterMs": 1000}
    game.ton.is_down = False
    refused = buy(game, player, f"{1:064x}")
    assert error_of(refused, 400, "TON payment verification failed") == {"reason": "not_found"}
    game.ton.deposit(1, source=wallet.address, at_ms=game.clock.now())
    data_of(buy(game, player, f"{1:064x}"), 201)


@pytest.mark.parametrize("tx_hash", ["x", "0" * 63, "0x" + "0" * 64, "A" * 42, "g" * 64])
def test_a_text_that_is_no_hash_is_told(arena: Game, tx_hash: str) -> None:
    """Hex or base64 of 32 bytes is a hash, and nothing else."""
    refused = buy(arena, arena.newcomer(), tx_hash)
    assert set(error_of(refused, 400, "validation_error")) == {"txHash"}
