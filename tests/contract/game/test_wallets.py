"""Wallets over HTTP: a text to sign, a proof that is believed whole or not at all, one owner."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey

from aiba_adapters.ton.payloads import LIFETIME_MS
from aiba_adapters.ton.proof import MAX_AGE_S, MAX_SKEW_S
from aiba_domain.instants import iso
from tests.contract.game import ton
from tests.contract.game.conftest import MakeGame
from tests.contract.game.support import Game, Json, data_of, error_of
from tests.support.wallets import Wallet

PATH = "/api/wallet/connect"
THIEF = SigningKey(b"t" * 32)


def connect(game: Game, player: str, body: Json) -> Any:  # noqa: ANN401 - a response
    """Send a proof."""
    return game.post(PATH, player, **body)


def refusal(game: Game, player: str, body: Json) -> str:
    """Send a proof that must be refused, with nothing changed; return the reason."""
    game.as_player(player)
    before = game.commits()
    details = error_of(connect(game, player, body), 403, "wallet proof refused")
    assert game.commits() == before
    assert set(details) == {"reason"}
    reason: str = details["reason"]
    return reason


# --- the text to sign ---


def test_each_payload_is_new_and_says_when_it_ends(arena: Game) -> None:
    """A text has letters, digits and dots only, and five minutes."""
    player = arena.newcomer()
    given_out = [data_of(arena.get("/api/wallet/proof-payload", player)) for _ in range(3)]
    for data in given_out:
        assert set(data) == {"payload", "expiresAt"}
        assert data["expiresAt"] == iso(arena.clock.now() + LIFETIME_MS)
        assert data["payload"].replace(".", "").isalnum()
        assert len(data["payload"]) <= 128
    assert len({data["payload"] for data in given_out}) == 3


def test_asking_for_payloads_keeps_nothing(arena: Game) -> None:
    """Nobody fills the store by asking."""
    player = arena.newcomer()
    arena.as_player(player)
    before = arena.commits()
    data_of(arena.get("/api/wallet/proof-payload", player))
    assert arena.commits() == before


# --- a true proof ---


@pytest.mark.parametrize("kind", ["v4r2", "v5r1"])
def test_d13_the_owner_of_a_wallet_connects_it(arena: Game, kind: str) -> None:
    """A proof by the wallet's own key binds it, and its raw address shows from then on."""
    player, wallet = arena.newcomer(), arena.wallet(kind)
    data = data_of(connect(arena, player, arena.proven(player, wallet)))
    assert data == {"status": "connected", "telegramId": player, "wallet": wallet.address}
    assert arena.me(player)["wallet"] == wallet.address


def test_an_address_may_be_written_in_any_form(arena: Game) -> None:
    """What is bound is the account, however a wallet writes it; the public key may be left out."""
    player = arena.newcomer()
    for write in (
        lambda wallet: wallet.friendly(),
        lambda wallet: wallet.friendly(bounceable=True),
        lambda wallet: f" {wallet.address.upper()} ",
    ):
        wallet = arena.wallet()
        body = {**arena.proven(player, wallet), "address": write(wallet), "publicKey": None}
        assert data_of(connect(arena, player, body))["wallet"] == wallet.address


def test_a_player_may_change_wallets(arena: Game) -> None:
    """The latest counts; the one that was given up is free for somebody else."""
    player, first = arena.holder()
    second = arena.bind(player)
    assert arena.me(player)["wallet"] == second.address
    other = arena.newcomer()
    arena.bind(other, first)
    assert arena.me(other)["wallet"] == first.address
    assert arena.me(player)["wallet"] == second.address


# --- six ways to be wrong ---


def _of_another_domain(wallet: Wallet, payload: str, now_s: int) -> Json:
    return wallet.proof(payload, now_s, domain="evil.example")


def _domain_renamed(wallet: Wallet, payload: str, now_s: int) -> Json:
    body = wallet.proof(payload, now_s, domain="evil.example")
    body["proof"]["domain"] = {"value": "game.example", "lengthBytes": 12}
    return body


def _too_old(wallet: Wallet, payload: str, now_s: int) -> Json:
    return wallet.proof(payload, now_s - MAX_AGE_S - 1)


def _from_the_future(wallet: Wallet, payload: str, now_s: int) -> Json:
    return wallet.proof(payload, now_s + MAX_SKEW_S + 1)


def _time_changed(wallet: Wallet, payload: str, now_s: int) -> Json:
    body = wallet.proof(payload, now_s - 1)
    body["proof"]["timestamp"] = now_s
    return body


def _answering_nothing_of_ours(wallet: Wallet, _payload: str, now_s: int) -> Json:
    return wallet.proof("a payload of somebody else", now_s)


def _payload_exchanged(wallet: Wallet, payload: str, now_s: int) -> Json:
    body = wallet.proof("another payload", now_s)
    body["proof"]["payload"] = payload
    return body


def _signed_by_a_thief(wallet: Wallet, payload: str, now_s: int) -> Json:
    return wallet.proof(payload, now_s, key=THIEF)


def _naming_the_thief_s_key(wallet: Wallet, payload: str, now_s: int) -> Json:
    body = wallet.proof(payload, now_s, key=THIEF)
    return {**body, "publicKey": bytes(THIEF.verify_key).hex()}


def _with_the_thief_s_state(wallet: Wallet, payload: str, now_s: int) -> Json:
    own = Wallet(1_000_000).proof(payload, now_s)
    return {**own, "address": wallet.address}


def _of_the_test_network(wallet: Wallet, payload: str, now_s: int) -> Json:
    return {**wallet.proof(payload, now_s), "network": "-3"}


@pytest.mark.parametrize(
    ("forge", "reason"),
    [
        (_of_another_domain, "the proof was made for another domain"),
        (_domain_renamed, "the signature does not match"),
        (_too_old, "the proof is too old"),
        (_from_the_future, "the proof lies in the future"),
        (_time_changed, "the signature does not match"),
        (_answering_nothing_of_ours, "not a payload made for this player"),
        (_payload_exchanged, "the signature does not match"),
        (_signed_by_a_thief, "the signature does not match"),
        (_naming_the_thief_s_key, "the key is not the wallet's own"),
        (_with_the_thief_s_state, "the state is not the address's own"),
        (_of_the_test_network, "the wallet is on another network"),
    ],
)
def test_d13_a_proof_with_one_thing_wrong_shows_nothing(
    arena: Game, forge: Callable[[Wallet, str, int], Json], reason: str
) -> None:
    """Domain, time, payload, signature, key and network: any one of them wrong is enough."""
    player, wallet = arena.newcomer(), arena.wallet()
    body = arena.proven(player, wallet)
    payload, now_s = body["proof"]["payload"], arena.clock.now() // 1000
    assert refusal(arena, player, forge(wallet, payload, now_s)) == reason
    assert arena.me(player)["wallet"] == ""
    # The payload isn't used up by what was refused.
    assert data_of(connect(arena, player, body))["wallet"] == wallet.address


# --- the payload ---


def test_d13_a_proof_made_for_one_player_binds_no_other(arena: Game) -> None:
    """A stranger's proof, caught on its way, is worth nothing to anybody else."""
    player, wallet = arena.newcomer(), arena.wallet()
    body = arena.proven(player, wallet)
    thief = arena.newcomer()
    assert refusal(arena, thief, body) == "not a payload made for this player"
    assert data_of(connect(arena, player, body))["telegramId"] == player


def test_a_payload_ends(arena: Game) -> None:
    """It holds for five minutes to the millisecond, and the proof's own age doesn't matter then."""
    player, wallet = arena.newcomer(), arena.wallet()
    late, good = (arena.proven(player, wallet) for _ in range(2))
    arena.clock.advance(LIFETIME_MS - 1)
    data_of(connect(arena, player, good))
    arena.clock.advance(1)
    fresh = wallet.proof(late["proof"]["payload"], arena.clock.now() // 1000)
    for body in (late, fresh, good):
        assert refusal(arena, player, body) == "the payload's time is over"


@pytest.mark.parametrize("change", ["", "x", "a.b.c.d", "p1.0..", "p2.", "é", "p1." + "f" * 400])
def test_a_payload_that_was_not_given_out_is_refused(arena: Game, change: str) -> None:
    """Any text of the length of a payload or not is none of ours."""
    player, wallet = arena.newcomer(), arena.wallet()
    genuine = arena.proven(player, wallet)["proof"]["payload"]
    for payload in (change + genuine, genuine + change, change) if change else (genuine[:-1],):
        body = wallet.proof(payload, arena.clock.now() // 1000)
        assert refusal(arena, player, body) == "not a payload made for this player"


def test_d13_a_payload_is_used_once(game: Game) -> None:
    """The same proof again is the same answer without effect; another one under it is 409."""
    player, first, second = game.newcomer(), game.wallet(), game.wallet()
    body = game.proven(player, first)
    answer = data_of(connect(game, player, body))
    assert data_of(connect(game, player, body)) == answer
    other = second.proof(body["proof"]["payload"], game.clock.now() // 1000)
    details = error_of(connect(game, player, other), 409, "requestId already used")
    assert details == {"requestId": body["proof"]["payload"]}
    game.bind(player, second)
    before = game.commits()
    assert data_of(connect(game, player, body)) == answer
    assert game.commits() == before
    assert game.me(player)["wallet"] == second.address


# --- one wallet, one player ---


def test_d13_a_wallet_of_another_player_is_taken(arena: Game) -> None:
    """Even its true owner binds it to one account only, and is told no name."""
    owner, wallet = arena.holder()
    second = arena.newcomer()
    refused = connect(arena, second, arena.proven(second, wallet))
    assert error_of(refused, 409, "wallet already connected") is None
    assert owner not in refused.text
    assert (arena.me(owner)["wallet"], arena.me(second)["wallet"]) == (wallet.address, "")


def test_d13_of_two_who_connect_one_wallet_at_once_one_gets_it(every_game: Game) -> None:
    """The other is refused, whichever was first."""
    game = every_game
    players, wallet = [game.newcomer() for _ in range(8)], game.wallet()
    bodies = {player: game.proven(player, wallet) for player in players}
    answers = game.at_once(game.posting(PATH, player, **bodies[player]) for player in players)
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    bound = [player for player in players if game.me(player)["wallet"]]
    assert [answer.status_code for answer in answers].index(200) == players.index(bound[0])
    assert len(bound) == 1


# --- no proof at all ---


@pytest.mark.parametrize("env", ["prod", "dev"])
def test_d13_a_wallet_is_not_bound_by_word(make_game: MakeGame, env: str) -> None:
    """Without the developers' switch an address alone is refused, on a developer's machine too."""
    game = make_game("memory", APP_ENV=env)
    player, wallet = game.newcomer(), game.wallet()
    refused = game.post(PATH, player, address=wallet.address)
    assert error_of(refused, 403, "wallet proof required") is None
    assert game.me(player)["wallet"] == ""


def test_the_developers_switch_takes_a_word(make_game: MakeGame) -> None:
    """With it an address is enough, is still an address, and still one player's."""
    game = make_game("memory", APP_ENV="dev", AIBA_DEV_WALLET_WITHOUT_PROOF="true")
    player, other, wallet = game.newcomer(), game.newcomer(), game.wallet()
    bound = data_of(game.post(PATH, player, address=wallet.friendly()))
    assert bound["wallet"] == wallet.address
    taken = game.post(PATH, other, address=wallet.address)
    assert error_of(taken, 409, "wallet already connected") is None
    wrong = wallet.proof("none of ours", game.clock.now() // 1000)
    error_of(connect(game, other, wrong), 403, "wallet proof refused")


def test_without_a_vault_no_proof_can_be_judged(make_game: MakeGame) -> None:
    """Which network and domains are ours isn't known then, and that is the service's fault."""
    game = make_game("memory", **ton.WITHOUT)
    player, wallet = game.newcomer(), game.wallet()
    refused = connect(game, player, game.proven(player, wallet))
    assert error_of(refused, 500, "vault not configured") is None
    refused = game.post(PATH, player, address=wallet.address)
    assert error_of(refused, 403, "wallet proof required") is None


# --- malformed ---


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("x", "neither a raw nor a friendly address"),
        ("0:12", "neither a raw nor a friendly address"),
        ("1:" + "0" * 64, "no such workchain"),
        (Wallet(0).friendly()[:-1] + "A", "the checksum does not match"),
        (Wallet(0).friendly(testnet=True), "the address is for the test network only"),
    ],
)
def test_d13_a_text_that_is_no_address_is_told_by_name(
    arena: Game, address: str, reason: str
) -> None:
    """Malformed is 400 with the field, with a proof and without."""
    player = arena.newcomer()
    proof = arena.proven(player, arena.wallet())["proof"]
    for body in ({"address": address}, {"address": address, "proof": proof}):
        refused = connect(arena, player, body)
        assert error_of(refused, 400, "validation_error") == {"address": reason}


@pytest.mark.parametrize("part", ["timestamp", "domain", "payload", "signature", "state_init"])
def test_a_proof_without_one_of_its_parts_is_told(arena: Game, part: str) -> None:
    """What is missing makes it no proof."""
    player = arena.newcomer()
    body = arena.proven(player, arena.wallet())
    del body["proof"][part]
    refused = connect(arena, player, body)
    assert error_of(refused, 400, "validation_error") == {"proof": "required"}


TEXT = st.text(max_size=40)
PARTS = st.fixed_dictionaries(
    {},
    optional={
        "timestamp": st.integers() | st.just(10**400) | st.floats() | TEXT,
        "domain": st.fixed_dictionaries(
            {"value": TEXT | st.just("game.example")},
            optional={"lengthBytes": st.integers() | TEXT},
        )
        | TEXT,
        "payload": TEXT | st.integers(),
        "signature": TEXT | st.just("A" * 86 + "=="),
        "state_init": TEXT | st.just("te6ccgEBAQEAAgAAAA=="),
    },
)


@settings(max_examples=50)
@given(parts=PARTS, alone=st.booleans())
def test_no_proof_breaks_anything(arena: Game, parts: Json, *, alone: bool) -> None:
    """Whatever stands in a proof's parts, it is refused and nothing is bound."""
    player = arena.newcomer()
    body = arena.proven(player, Wallet(0))
    body["proof"] = parts if alone else {**body["proof"], **parts}
    response = connect(arena, player, body)
    assert response.status_code in ((400, 403) if parts or alone else (200, 409)), response.text
    assert arena.me(player)["wallet"] in ("", Wallet(0).address)
