"""A wallet's proof is believed whole or not at all: six ways of being wrong, and some more."""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from nacl.signing import SigningKey
from pytoniq_core.boc.builder import Builder
from pytoniq_core.boc.cell import Cell

from aiba_adapters.ton.addresses import Address
from aiba_adapters.ton.proof import (
    MAX_AGE_S,
    MAX_SKEW_S,
    Network,
    Proof,
    ProofPolicy,
    ProofProblem,
    ProofRefused,
    digest,
    verify,
)

NOW_S = 1_700_000_000
POLICY = ProofPolicy(domains=frozenset(("app.example", "spiel.example")), network=Network.MAINNET)
WALLETS: Mapping[str, Mapping[str, Any]] = {
    wallet["wallet"]: wallet
    for wallet in json.loads(
        Path(__file__).with_name("wallet_proofs.json").read_text(encoding="utf-8")
    )["wallets"]
}
CODES: Mapping[str, Cell] = {
    name: Cell.one_from_boc(base64.b64decode(wallet["codeBase64"]))
    for name, wallet in WALLETS.items()
}
KINDS = sorted(WALLETS)


def _recorded(kind: str) -> Proof:
    """Return the proof of a standard wallet that others made."""
    sent = WALLETS[kind]["proof"]
    proof = sent["proof"]
    return Proof(
        address=sent["address"],
        network=sent["network"],
        public_key=sent["publicKey"],
        state_init=sent["walletStateInit"],
        timestamp=proof["timestamp"],
        domain=proof["domain"]["value"],
        domain_length=proof["domain"]["lengthBytes"],
        payload=proof["payload"],
        signature=proof["signature"],
    )


def _key(kind: str) -> SigningKey:
    return SigningKey(bytes.fromhex(WALLETS[kind]["seedHex"]))


def _signed(proof: Proof, key: SigningKey, address: Address | None = None) -> Proof:
    """Return the proof with a true signature over what it says now."""
    if address is None:
        workchain, _, account = proof.address.partition(":")
        address = Address(int(workchain), bytes.fromhex(account))
    message = digest(address, domain=proof.domain, timestamp=proof.timestamp, payload=proof.payload)
    return replace(proof, signature=base64.b64encode(key.sign(message).signature).decode())


def _verify(
    proof: Proof, *, policy: ProofPolicy = POLICY, payload: str | None = None, now_s: int = NOW_S
) -> Address:
    expected = proof.payload if payload is None else payload
    return verify(proof, policy=policy, payload=expected, now_s=now_s)


def _refusal(
    proof: Proof, *, policy: ProofPolicy = POLICY, payload: str | None = None, now_s: int = NOW_S
) -> ProofProblem:
    with pytest.raises(ProofRefused) as refused:
        _verify(proof, policy=policy, payload=payload, now_s=now_s)
    return refused.value.reason


def _state(code: Cell, data: str, *, head: str = "00110") -> Cell:
    """Build a state init whose data holds the bits of `data`."""
    inner, outer = Builder(), Builder()
    inner.store_bits(data)
    outer.store_bits(head)
    outer.store_ref(code)
    outer.store_ref(inner.end_cell())
    state: Cell = outer.end_cell()
    return state


def _proof_for(state: Cell, key: SigningKey) -> Proof:
    """Make a proof that is true in every way but, perhaps, the state it shows."""
    return _signed(
        replace(
            _recorded("v4r2"),
            address=Address(0, state.hash).raw,
            public_key=None,
            state_init=base64.b64encode(state.to_boc()).decode(),
        ),
        key,
    )


def _bits(data: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in data)


@pytest.mark.parametrize("kind", KINDS)
def test_a_true_proof_gives_the_address(kind: str) -> None:
    """Wallets v3r2, v4r2 and v5r1, with state, address and signature made by others."""
    proof = _recorded(kind)
    assert _verify(proof).raw == proof.address
    assert _verify(replace(proof, public_key=None)).raw == proof.address
    assert proof.public_key is not None
    assert _verify(replace(proof, public_key=proof.public_key.upper())).raw == proof.address


@pytest.mark.parametrize("kind", KINDS)
def test_the_address_may_be_written_in_any_form(kind: str) -> None:
    """The proof is about the account, however its address is written."""
    proof = _recorded(kind)
    address = _verify(proof)
    for text in (address.friendly(), address.friendly(bounceable=False, url_safe=False)):
        assert _verify(replace(proof, address=text)) == address


def test_the_digest_is_the_published_one() -> None:
    """The layout of the message, by the example that wallets' makers share."""
    found = digest(
        Address(0, bytes(32)), domain="app.example", timestamp=1_700_000_000, payload="nonce"
    )
    assert found.hex() == "421fdd29859ff74654a33a5a0299c88a517eac673ea701ff0963b28abc7b192b"


@pytest.mark.parametrize("domain", ["evil.example", "app.example.evil.example", "APP.example", ""])
def test_a_proof_for_another_domain_is_refused(domain: str) -> None:
    """First way: the player signed in elsewhere, and elsewhere plays the player here."""
    proof = replace(_recorded("v4r2"), domain=domain, domain_length=len(domain))
    assert _refusal(_signed(proof, _key("v4r2"))) is ProofProblem.DOMAIN


def test_each_allowed_domain_is_taken() -> None:
    """A proof made for another of our own domains is good."""
    domain = "spiel.example"
    proof = replace(_recorded("v4r2"), domain=domain, domain_length=len(domain))
    assert _verify(_signed(proof, _key("v4r2"))).raw == proof.address


@pytest.mark.parametrize("length", [0, 10, 12, -1])
def test_a_domain_has_the_length_it_says(length: int) -> None:
    """Otherwise part of the domain could be read as part of the time."""
    proof = replace(_recorded("v4r2"), domain_length=length)
    assert _refusal(proof) is ProofProblem.MALFORMED


def test_an_old_or_future_proof_is_refused() -> None:
    """Second way: outside its window, to the second at both ends."""
    proof = _recorded("v5r1")
    assert _verify(proof, now_s=NOW_S + MAX_AGE_S).raw == proof.address
    assert _refusal(proof, now_s=NOW_S + MAX_AGE_S + 1) is ProofProblem.EXPIRED
    assert _verify(proof, now_s=NOW_S - MAX_SKEW_S).raw == proof.address
    assert _refusal(proof, now_s=NOW_S - MAX_SKEW_S - 1) is ProofProblem.FUTURE


@pytest.mark.parametrize("timestamp", [-1, 2**63, 2**70])
def test_an_impossible_time_is_refused(timestamp: int) -> None:
    """A number the message has no room for is no time."""
    assert _refusal(replace(_recorded("v5r1"), timestamp=timestamp)) is ProofProblem.MALFORMED


@pytest.mark.parametrize("payload", ["", "nonce", "nonce-v4r2 ", "NONCE-V4R2", "nonce-v5r1", "é"])
def test_a_proof_for_another_request_is_refused(payload: str) -> None:
    """Third way: a true proof, made in answer to another text of ours."""
    assert _refusal(_recorded("v4r2"), payload=payload) is ProofProblem.PAYLOAD


def test_an_empty_payload_is_never_expected() -> None:
    """A proof that answers nothing can be used again and again."""
    proof = _signed(replace(_recorded("v4r2"), payload=""), _key("v4r2"))
    assert _refusal(proof, payload="") is ProofProblem.PAYLOAD


@given(st.sampled_from(KINDS), st.integers(0, 511))
def test_a_wrong_signature_is_refused(kind: str, bit: int) -> None:
    """Fourth way: no other signature will do, be it one bit off."""
    proof = _recorded(kind)
    signature = bytearray(base64.b64decode(proof.signature))
    signature[bit // 8] ^= 1 << bit % 8
    forged = replace(proof, signature=base64.b64encode(signature).decode())
    assert _refusal(forged) is ProofProblem.SIGNATURE


@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_over_anything_else_is_refused(kind: str) -> None:
    """The signature covers address, time and payload: another of any of them voids it."""
    proof = _recorded(kind)
    later = replace(proof, timestamp=proof.timestamp + 1)
    assert _refusal(later) is ProofProblem.SIGNATURE
    answer = replace(proof, payload="another")
    assert _refusal(answer) is ProofProblem.SIGNATURE
    elsewhere = replace(proof, address=proof.address.replace("0:", "-1:", 1))
    assert _refusal(elsewhere) is ProofProblem.SIGNATURE


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_that_is_not_the_address_s_is_refused(kind: str) -> None:
    """Fifth way: a thief signs a stranger's address with a key of their own."""
    thief = SigningKey(b"t" * 32)
    proof = _recorded(kind)
    forged = _signed(proof, thief)
    assert _refusal(forged) is ProofProblem.SIGNATURE
    named = replace(forged, public_key=thief.verify_key.encode().hex())
    assert _refusal(named) is ProofProblem.KEY
    data = Cell.one_from_boc(base64.b64decode(proof.state_init)).refs[1].bits.to01()
    own = data.replace(_bits(bytes(_key(kind).verify_key)), _bits(bytes(thief.verify_key)))
    assert own != data
    state = base64.b64encode(_state(CODES[kind], own).to_boc()).decode()
    assert _refusal(replace(named, state_init=state)) is ProofProblem.STATE_INIT


def test_a_state_of_another_wallet_is_refused() -> None:
    """Each wallet's proof with another one's state, all of them true by themselves."""
    for kind in KINDS:
        for other in set(KINDS) - {kind}:
            proof = replace(_recorded(kind), state_init=_recorded(other).state_init)
            assert _refusal(proof) is ProofProblem.STATE_INIT


def test_an_address_of_another_network_is_refused() -> None:
    """Sixth way: a wallet on the test network, by its word or by its address."""
    proof = _recorded("v4r2")
    assert _refusal(replace(proof, network="-3")) is ProofProblem.NETWORK
    assert _refusal(replace(proof, network="")) is ProofProblem.NETWORK
    marked = _verify(proof).friendly(testnet=True)
    assert _refusal(replace(proof, address=marked)) is ProofProblem.ADDRESS
    testing = replace(POLICY, network=Network.TESTNET)
    assert _refusal(proof, policy=testing) is ProofProblem.NETWORK
    assert (
        _verify(replace(proof, network="-3", address=marked), policy=testing).raw == proof.address
    )


@pytest.mark.parametrize("text", ["", "x", "0:00", " 0:" + "0" * 64, "1:" + "0" * 64])
def test_a_malformed_address_is_refused(text: str) -> None:
    """As the parser refuses it everywhere."""
    assert _refusal(replace(_recorded("v4r2"), address=text)) is ProofProblem.ADDRESS


def test_a_contract_that_is_no_known_wallet_is_refused() -> None:
    """Anybody can make an address whose data holds a key where a wallet has its own."""
    key = SigningKey(b"k" * 32)
    code = Builder()
    code.store_bits("1")
    data = "0" * 64 + _bits(bytes(key.verify_key)) + "0"
    proof = _proof_for(_state(code.end_cell(), data), key)
    assert _refusal(proof) is ProofProblem.WALLET


def test_a_wallet_that_others_control_too_is_refused() -> None:
    """First data with signatures switched off, a plugin or an extension is no plain wallet's."""
    key = SigningKey(b"k" * 32)
    own = _bits(bytes(key.verify_key))
    good = {"v3r2": ("0" * 64, ""), "v4r2": ("0" * 64, "0"), "v5r1": ("1" + "0" * 64, "0")}
    for kind, (before, after) in good.items():
        address = _verify(_proof_for(_state(CODES[kind], before + own + after), key))
        assert address.workchain == 0
    for kind, data in (
        ("v3r2", "0" * 64 + own + "0"),
        ("v3r2", "0" * 64 + own[:-1]),
        ("v4r2", "0" * 64 + own + "1"),
        ("v4r2", "0" * 64 + own),
        ("v5r1", "0" + "0" * 64 + own + "0"),
        ("v5r1", "1" + "0" * 64 + own + "1"),
        ("v5r1", ""),
    ):
        assert _refusal(_proof_for(_state(CODES[kind], data), key)) is ProofProblem.WALLET


@pytest.mark.parametrize("head", ["00111", "10110", "01110", "0011", "001100", ""])
def test_an_unusual_state_is_refused(head: str) -> None:
    """Wallets come without libraries, split depth or special flags."""
    key = SigningKey(b"k" * 32)
    data = "0" * 64 + _bits(bytes(key.verify_key)) + "0"
    proof = _proof_for(_state(CODES["v4r2"], data, head=head), key)
    assert _refusal(proof) is ProofProblem.WALLET


@pytest.mark.parametrize(
    "text", ["", "!", "AAAA", "te6cckEBAQEAAgAAAEysuc0=", "A" * 8193, "te6ccg", "é" * 40]
)
def test_a_malformed_state_is_refused(text: str) -> None:
    """What is no bag of cells, or none of the address, shows no key."""
    problem = _refusal(replace(_recorded("v4r2"), state_init=text))
    assert problem in (ProofProblem.MALFORMED, ProofProblem.STATE_INIT)


@pytest.mark.parametrize("text", ["", "AAAA", "!" * 88, "A" * 88, "\ud800", "A" * 10_000])
def test_a_malformed_signature_is_refused(text: str) -> None:
    """A signature has 64 bytes, in plain base64."""
    problem = _refusal(replace(_recorded("v4r2"), signature=text))
    assert problem in (ProofProblem.MALFORMED, ProofProblem.SIGNATURE)


@given(
    st.sampled_from(("address", "network", "public_key", "state_init", "domain", "signature")),
    st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: base64.b64encode(raw).decode()),
)
def test_no_text_fails_in_another_way(field: str, text: str) -> None:
    """Whatever a field holds, the answer is a refusal."""
    values: dict[str, Any] = {name: getattr(_recorded("v5r1"), name) for name in Proof.__slots__}
    assume(values[field] != text)
    assert isinstance(_refusal(Proof(**(values | {field: text}))), ProofProblem)


@given(st.sampled_from(KINDS), st.integers(0), st.integers(0, 255))
def test_no_damaged_state_fails_in_another_way(kind: str, place: int, value: int) -> None:
    """A bag with a wrong byte anywhere is refused, whatever its reader makes of it."""
    proof = _recorded(kind)
    bag = bytearray(base64.b64decode(proof.state_init))
    place %= len(bag)
    assume(bag[place] != value)
    bag[place] = value
    damaged = replace(proof, state_init=base64.b64encode(bag).decode())
    try:
        found = _verify(damaged).raw
    except ProofRefused as refusal:
        found = refusal.reason
    # Some bytes say nothing, such as whether a checksum should follow that isn't read.
    assert found == proof.address or isinstance(found, ProofProblem)


@given(st.sampled_from(KINDS), st.integers(0))
def test_no_part_of_a_state_is_enough(kind: str, size: int) -> None:
    """A truncated bag is refused."""
    proof = _recorded(kind)
    bag = base64.b64decode(proof.state_init)
    cut = base64.b64encode(bag[: size % len(bag)]).decode()
    assert _refusal(replace(proof, state_init=cut)) is ProofProblem.MALFORMED


def test_a_refusal_repeats_nothing_of_the_proof() -> None:
    """Its text can be shown and logged."""
    proof = replace(_recorded("v4r2"), address="<script>")
    with pytest.raises(ProofRefused) as refused:
        _verify(proof)
    assert "<script>" not in str(refused.value)
    assert str(refused.value) == ProofProblem.ADDRESS
