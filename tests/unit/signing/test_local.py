"""The signer in this process: the vault's own signatures, and a key that nothing shows."""

import asyncio
import base64
import copy
import json
import pickle
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey, VerifyKey

from aiba_adapters.signing.local import (
    LocalSigner,
    OracleKeyUnusable,
    oracle_key,
    sign_cell,
    sign_terms,
)
from aiba_adapters.ton.addresses import AddressRefused, parse
from aiba_adapters.ton.claim_cell import payload_of
from aiba_domain.claims.claim import EXPIRY_MARGIN_S, VALIDITY_S
from aiba_domain.claims.model import ClaimTerms
from aiba_domain.claims.ports import SignedClaim, Signer, SignerRefused
from aiba_domain.money import MAX_AMOUNT

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).resolve().parents[2] / "vectors" / "claims.json").read_text(encoding="utf-8")
)["cases"]
PAYABLE = [
    case
    for case in CASES
    if int(case["amount"]) <= MAX_AMOUNT and int(case["seqno"]) and case["validUntil"]
]
SEED = "aa" * 32
KEY = SigningKey(bytes.fromhex(SEED))
TERMS = ClaimTerms(
    vault="0:" + "11" * 32,
    jetton_master="0:" + "22" * 32,
    recipient="0:" + "33" * 32,
    amount=1000,
    seqno=1,
    valid_until_s=1_700_000_000,
)


def _signer() -> LocalSigner:
    return LocalSigner(KEY, vault=TERMS.vault, jetton_master=TERMS.jetton_master)


def _signed(by: Signer, terms: ClaimTerms) -> SignedClaim:
    return asyncio.run(by.sign(terms))


def _refusal(by: Signer, terms: ClaimTerms) -> str:
    with pytest.raises(SignerRefused) as refused:
        _signed(by, terms)
    return refused.value.code


@pytest.mark.parametrize("case", PAYABLE, ids=lambda case: str(case["id"]))
def test_signatures_are_those_of_the_vectors(case: dict[str, Any]) -> None:
    """Every golden claim that the game could make is signed to the byte."""
    vault, master, recipient = (
        parse(case[name], allow_testnet=True).raw for name in ("vault", "jettonMaster", "to")
    )
    terms = ClaimTerms(
        vault=vault,
        jetton_master=master,
        recipient=recipient,
        amount=int(case["amount"]),
        seqno=int(case["seqno"]),
        valid_until_s=case["validUntil"],
    )
    key = oracle_key({"ORACLE_PRIVATE_KEY_HEX": case["seedHex"]})
    by = LocalSigner(key, vault=vault, jetton_master=master)
    assert _signed(by, terms) == SignedClaim(
        terms=terms, signature=case["signatureBase64"], payload=case["payloadBocBase64"]
    )
    assert by.public_key.hex() == case["publicKeyHex"]


def test_enough_vectors_are_payable() -> None:
    """The test above is about most of the file."""
    assert len(PAYABLE) >= 12


def test_the_published_example_is_signed() -> None:
    """The one claim that the service's wire reference spells out."""
    assert _signed(_signer(), TERMS).signature == (
        "UVx99FIh2M7SuedTguPawVCFdLzMoYHcKVcT9gOTL7omCFWMyZH8hyDbpLdDHgTn1+PFKH3AusXwaBiPOZV7Aw=="
    )


@given(st.binary(min_size=32, max_size=32), st.integers(1, MAX_AMOUNT), st.integers(1, 2**64 - 1))
def test_the_public_key_verifies(seed: bytes, amount: int, seqno: int) -> None:
    """What any seed signs, its public key accepts over the payload's hash; twice it is the same."""
    terms = replace(TERMS, amount=amount, seqno=seqno)
    by = LocalSigner(SigningKey(seed), vault=TERMS.vault, jetton_master=TERMS.jetton_master)
    first = _signed(by, terms)
    VerifyKey(by.public_key).verify(payload_of(terms).hash, base64.b64decode(first.signature))
    assert _signed(by, terms) == first == sign_terms(terms, SigningKey(seed))


def test_other_contracts_are_refused() -> None:
    """A signature for another vault or jetton is never made."""
    other = "0:" + "44" * 32
    for terms in (replace(TERMS, vault=other), replace(TERMS, jetton_master=other)):
        assert _refusal(_signer(), terms) == "contract_not_allowed"


def test_a_recipient_in_another_form_is_refused() -> None:
    """The same account in another text could not be told from another claim."""
    assert _refusal(_signer(), replace(TERMS, recipient="0:" + "AB" * 32)) == (
        "recipient_not_canonical"
    )


def test_a_seqno_is_signed_for_one_claim_while_that_may_be_paid() -> None:
    """Other terms under a signed seqno are refused until the first have surely expired."""
    by = _signer()
    first = _signed(by, TERMS)
    for other in (
        replace(TERMS, amount=TERMS.amount + 1),
        replace(TERMS, valid_until_s=TERMS.valid_until_s + VALIDITY_S),
    ):
        assert _refusal(by, other) == "seqno_already_signed"
    assert _signed(by, TERMS) == first
    for free in (
        replace(TERMS, recipient="0:" + "55" * 32, amount=7),
        replace(TERMS, seqno=2, amount=7),
    ):
        assert _signed(by, free).terms == free


def test_a_seqno_is_reissued_after_expiry() -> None:
    """Terms made after the first expired on the chain are signed, and then the first no more."""
    by = _signer()
    _signed(by, TERMS)
    later = TERMS.valid_until_s + EXPIRY_MARGIN_S + 1 + VALIDITY_S
    reissued = replace(TERMS, amount=7, valid_until_s=later)
    assert _signed(by, reissued).terms == reissued
    assert _refusal(by, TERMS) == "seqno_already_signed"


def test_a_signer_needs_canonical_contracts() -> None:
    """A misconfigured address is named at the start, not at the first claim."""
    with pytest.raises(AddressRefused, match=r"^vault"):
        LocalSigner(KEY, vault="nowhere", jetton_master=TERMS.jetton_master)
    with pytest.raises(AddressRefused, match=r"^jetton_master"):
        LocalSigner(KEY, vault=TERMS.vault, jetton_master="0:" + "AB" * 32)


def test_the_key_is_shown_nowhere() -> None:
    """Neither text of a signer holds the seed, and it is neither copied nor sent elsewhere."""
    by = _signer()
    for text in (repr(by), str(by), f"{by}", repr(_signed(by, TERMS))):
        assert SEED not in text
        assert repr(bytes(KEY)) not in text
    assert by.public_key.hex() in repr(by)
    assert not hasattr(by, "__dict__")
    for spread in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="stays in its process"):
            spread(by)


@pytest.mark.parametrize("text", [SEED, SEED.upper(), f" {SEED}\n"])
def test_the_key_is_read_from_variable_or_file(text: str, tmp_path: Path) -> None:
    """64 hex digits in either case, spaces around them aside."""
    file = tmp_path / "oracle.key"
    file.write_text(text, encoding="ascii")
    for environ in (
        {"ORACLE_PRIVATE_KEY_HEX": text},
        {"ORACLE_PRIVATE_KEY_HEX_FILE": str(file)},
        {"ORACLE_PRIVATE_KEY_HEX_FILE": str(file), "ORACLE_PRIVATE_KEY_HEX": " "},
    ):
        assert bytes(oracle_key(environ)) == bytes.fromhex(SEED)


@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_no_key_is_missing(text: str) -> None:
    """Blank counts as absent, as for every other variable."""
    with pytest.raises(OracleKeyUnusable, match=r"^ORACLE_PRIVATE_KEY_HEX missing$"):
        oracle_key({"ORACLE_PRIVATE_KEY_HEX": text})
    with pytest.raises(OracleKeyUnusable, match="missing"):
        oracle_key({})


@pytest.mark.parametrize(
    "text",
    [SEED[:-1], SEED + "a", "0x" + SEED[2:], SEED[:-1] + "g", SEED[:-2] + "\u0663\u0663", SEED * 2],
)
def test_another_text_is_no_key_and_not_shown(text: str, tmp_path: Path) -> None:
    """The error says what a key looks like, and nothing of what was given."""
    file = tmp_path / "oracle.key"
    file.write_text(text, encoding="utf-8")
    for environ in (
        {"ORACLE_PRIVATE_KEY_HEX": text},
        {"ORACLE_PRIVATE_KEY_HEX_FILE": str(file)},
    ):
        with pytest.raises(OracleKeyUnusable) as refused:
            oracle_key(environ)
        assert text[:16] not in "".join(traceback.format_exception(refused.value))


def test_a_key_given_twice_is_refused(tmp_path: Path) -> None:
    """Which of two would be used must not be a guess."""
    environ = {"ORACLE_PRIVATE_KEY_HEX": SEED, "ORACLE_PRIVATE_KEY_HEX_FILE": str(tmp_path / "k")}
    with pytest.raises(OracleKeyUnusable, match="given twice") as refused:
        oracle_key(environ)
    assert SEED not in "".join(traceback.format_exception(refused.value))


@pytest.mark.parametrize("path", [SEED, "/\0" + SEED, "."])
def test_an_unreadable_file_shows_neither_path_nor_key(path: str) -> None:
    """The key itself in the wrong variable is a path that doesn't exist, and stays unseen."""
    with pytest.raises(OracleKeyUnusable, match="_FILE: the file can't be read") as refused:
        oracle_key({"ORACLE_PRIVATE_KEY_HEX_FILE": path})
    assert SEED not in "".join(traceback.format_exception(refused.value))


def test_a_signature_is_over_the_hash() -> None:
    """The raw bytes of the signature, for whoever builds the message."""
    cell = payload_of(TERMS)
    assert base64.b64encode(sign_cell(cell, KEY)).decode() == _signed(_signer(), TERMS).signature
