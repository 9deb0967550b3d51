"""The desk that binds wallets: what it gives out, what it believes, and what it is made from."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest

from aiba_adapters.ton.addresses import AddressProblem, AddressRefused
from aiba_adapters.ton.payloads import LIFETIME_MS, ProofPayloads
from aiba_adapters.ton.proof import Network, Proof, ProofPolicy
from aiba_domain.decision import Principal
from aiba_domain.errors import DomainError
from aiba_domain.testing.doubles import NOON
from aiba_domain.testing.playground import Playground
from aiba_entry.observability import Metrics
from aiba_entry.settings import load
from aiba_entry.wallets import WalletDesk, make_wallet_desk
from tests.support.arena import player_of
from tests.support.stores import opener
from tests.support.wallets import DOMAIN, MAINNET, Wallet

ANN: Final = Principal(id="1")
BOB: Final = Principal(id="2")
MAIN: Final = ProofPolicy(domains=frozenset({DOMAIN}), network=Network.MAINNET)
TESTING: Final = ProofPolicy(domains=frozenset({DOMAIN}), network=Network.TESTNET)
MakeDesk = Callable[..., WalletDesk]


@pytest.fixture(name="town")
def _town(tmp_path: Path) -> Iterator[Playground]:
    town = Playground(opener("memory", tmp_path))
    yield town
    town.close()


@pytest.fixture(name="make_desk")
def _make_desk(town: Playground) -> MakeDesk:
    def make(policy: ProofPolicy | None = MAIN, *, without_proof: bool = False) -> WalletDesk:
        nonces = count(1)
        return WalletDesk(
            pipeline=town.pipeline,
            payloads=ProofPayloads(b"k" * 32),
            policy=policy,
            without_proof=without_proof,
            nonce=lambda: f"{next(nonces):032x}",
            metrics=Metrics(process=False),
        )

    return make


def proof_by(wallet: Wallet, payload: str, *, at_ms: int = NOON, **changes: Any) -> Proof:
    """Return a wallet's proof as the desk takes it."""
    body = wallet.proof(payload, at_ms // 1000)
    part = body["proof"]
    fields: dict[str, Any] = {
        "address": wallet.address,
        "network": MAINNET,
        "public_key": body["publicKey"],
        "state_init": part["state_init"],
        "timestamp": part["timestamp"],
        "domain": part["domain"]["value"],
        "domain_length": part["domain"]["lengthBytes"],
        "payload": payload,
        "signature": part["signature"],
    }
    return Proof(**{**fields, **changes})


def refusal(town: Playground, desk: WalletDesk, who: Principal, *given: Any) -> DomainError:
    """Connect, which must be refused, and return with what."""
    with pytest.raises(DomainError) as refused:
        town.run(desk.connect(who, *given))
    return refused.value


def test_a_payload_says_when_it_ends(make_desk: MakeDesk) -> None:
    """Each is made with a nonce of its own, for five minutes from now."""
    desk = make_desk()
    first, second = desk.payload("1"), desk.payload("1")
    assert first[0] != second[0]
    assert first[1] == second[1] == "2026-01-01T12:05:00.000Z"


def test_a_proof_binds_the_wallet_under_its_payload(town: Playground, make_desk: MakeDesk) -> None:
    """The payload is the command's key: it stands for this one binding, for ever."""
    desk, wallet = make_desk(), Wallet(1)
    payload, _ = desk.payload("1")
    proof = proof_by(wallet, payload)
    for _ in range(2):
        address = town.run(desk.connect(ANN, wallet.friendly(), proof))
        assert address == wallet.address
    assert town.seen.replays == ["wallet.connect"]
    assert player_of(town, "1").wallet == wallet.address
    other = Wallet(2)
    again = refusal(town, desk, ANN, other.address, proof_by(other, payload))
    assert (again.code, again.details) == ("requestId already used", {"requestId": payload})


def test_a_refused_proof_uses_no_payload_up(town: Playground, make_desk: MakeDesk) -> None:
    """What shows nothing leaves nothing: no memory, no player, and the payload as it was."""
    desk, wallet = make_desk(), Wallet(1)
    payload, _ = desk.payload("1")
    proof = proof_by(wallet, payload)
    wrong = proof_by(wallet, payload, signature=proof_by(Wallet(2), payload).signature)
    refused = refusal(town, desk, ANN, wallet.address, wrong)
    assert refused.code == "wallet proof refused"
    assert refused.details == {"reason": "the signature does not match"}
    assert town.read(lambda read: read.player("1")) is None
    assert town.run(desk.connect(ANN, wallet.address, proof)) == wallet.address


def test_a_payload_holds_for_its_player_and_its_time(town: Playground, make_desk: MakeDesk) -> None:
    """Another player's, another service's and an old one are told apart from a wrong signature."""
    desk, wallet = make_desk(), Wallet(1)
    payload, _ = desk.payload("1")
    proof = proof_by(wallet, payload)
    stranger = refusal(town, desk, BOB, wallet.address, proof)
    assert stranger.details == {"reason": "not a payload made for this player"}
    foreign, _ = ProofPayloads(b"x" * 32).issue("1", nonce="0" * 32, now_ms=NOON)
    elsewhere = refusal(town, desk, ANN, wallet.address, proof_by(wallet, foreign))
    assert elsewhere.details == {"reason": "not a payload made for this player"}
    town.clock.advance(LIFETIME_MS)
    late = refusal(town, desk, ANN, wallet.address, proof)
    assert late.details == {"reason": "the payload's time is over"}


def test_the_desk_works_on_one_network(town: Playground, make_desk: MakeDesk) -> None:
    """A wallet of the other network is refused by its word, and by its address as malformed."""
    wallet = Wallet(1)
    main, testing = make_desk(MAIN), make_desk(TESTING)
    marked = wallet.friendly(testnet=True)
    payload, _ = main.payload("1")
    with pytest.raises(AddressRefused) as malformed:
        town.run(main.connect(ANN, marked, proof_by(wallet, payload)))
    assert malformed.value.problem is AddressProblem.TESTNET
    for desk, network in ((main, "-3"), (testing, MAINNET)):
        proof = proof_by(wallet, payload, network=network)
        refused = refusal(town, desk, ANN, wallet.address, proof)
        assert refused.details == {"reason": "the wallet is on another network"}
    bound = town.run(testing.connect(ANN, marked, proof_by(wallet, payload, network="-3")))
    assert bound == wallet.address


def test_without_a_policy_no_proof_is_judged(town: Playground, make_desk: MakeDesk) -> None:
    """A desk that knows no network believes nothing, and says whose fault that is."""
    desk, wallet = make_desk(None), Wallet(1)
    payload, _ = desk.payload("1")
    refused = refusal(town, desk, ANN, wallet.address, proof_by(wallet, payload))
    assert refused.code == "vault not configured"


@pytest.mark.parametrize("policy", [MAIN, None])
def test_d13_a_word_is_taken_only_where_the_switch_says_so(
    town: Playground, make_desk: MakeDesk, policy: ProofPolicy | None
) -> None:
    """An address without a proof, which has to be one in any case."""
    wallet = Wallet(1)
    refused = refusal(town, make_desk(policy), ANN, wallet.address, None)
    assert refused.code == "wallet proof required"
    trusting = make_desk(policy, without_proof=True)
    assert town.run(trusting.connect(ANN, wallet.friendly(), None)) == wallet.address
    for desk in (make_desk(policy), trusting):
        malformed = refusal(town, desk, ANN, "0:xyz", None)
        assert malformed.details == {"address": AddressProblem.FORM.value}
    taken = refusal(town, trusting, BOB, wallet.address, None)
    assert taken.code == "wallet already connected"


ENVIRON: Final = {
    "APP_ENV": "test",
    "TELEGRAM_BOT_TOKEN": "123456:TESTTESTTESTTESTTEST",
    "SESSION_SECRET": "correct-horse-battery-staple-0123",
    "BATTLE_SEED_SECRET": "another-horse-battery-staple-4567",
    "ARENA_VAULT_ADDRESS": f"0:{'11' * 32}",
    "AIBA_JETTON_MASTER": f"0:{'22' * 32}",
    "ORACLE_PRIVATE_KEY_HEX": bytes(range(32)).hex(),
    "TON_PROVIDER_URL": "http://127.0.0.1:9",
    "TON_PROOF_DOMAINS": f"other.example,{DOMAIN}",
    "TON_NETWORK": "testnet",
}


def test_the_desk_is_made_as_the_settings_say(town: Playground) -> None:
    """Domains, network and switch come from them; desks of one secret share their payloads."""
    wallet = Wallet(1)
    one, other = (
        make_wallet_desk(load(ENVIRON), town.pipeline, Metrics(process=False)) for _ in range(2)
    )
    payloads = {one.payload("1")[0] for _ in range(20)}
    assert len(payloads) == 20
    proof = proof_by(wallet, payloads.pop(), network="-3")
    assert town.run(other.connect(ANN, wallet.address, proof)) == wallet.address
    assert refusal(town, one, ANN, wallet.address, None).code == "wallet proof required"
    changed = {**ENVIRON, "SESSION_SECRET": "a-third-horse-battery-staple-89012"}
    stranger = make_wallet_desk(load(changed), town.pipeline, Metrics(process=False))
    refused = refusal(town, stranger, ANN, wallet.address, proof)
    assert refused.details == {"reason": "not a payload made for this player"}
    trusting = make_wallet_desk(
        load({**ENVIRON, "AIBA_DEV_WALLET_WITHOUT_PROOF": "1"}),
        town.pipeline,
        Metrics(process=False),
    )
    assert town.run(trusting.connect(BOB, Wallet(2).address, None)) == Wallet(2).address


def test_the_desk_of_a_service_without_a_chain(town: Playground) -> None:
    """It gives out payloads and believes nobody."""
    environ = {name: text for name, text in ENVIRON.items() if name in list(ENVIRON)[:4]}
    desk = make_wallet_desk(load(environ), town.pipeline, Metrics(process=False))
    payload, _ = desk.payload("1")
    proof = proof_by(Wallet(1), payload)
    assert refusal(town, desk, ANN, Wallet(1).address, proof).code == "vault not configured"
    assert refusal(town, desk, ANN, Wallet(1).address, None).code == "wallet proof required"
