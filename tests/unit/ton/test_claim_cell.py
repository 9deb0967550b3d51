"""The cells of a claim are composed by hand, and equal to those of a whole TON library."""

import base64
import json
from pathlib import Path
from typing import Any

import google_crc32c
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytoniq_core.boc.address import Address as LibraryAddress
from pytoniq_core.boc.builder import Builder
from pytoniq_core.boc.cell import Cell
from pytoniq_core.crypto.crc import crc32c

from aiba_adapters.ton.addresses import Address, AddressProblem, AddressRefused, parse
from aiba_adapters.ton.claim_cell import (
    MAX_COINS,
    REWARD_CLAIM_OP,
    PayloadCell,
    body_of,
    payload_cell,
    payload_of,
    reward_claim,
)
from aiba_domain.claims.model import MAX_SEQNO, MAX_VALID_UNTIL, ClaimTerms
from aiba_domain.errors import InvalidInput
from aiba_domain.money import MAX_AMOUNT

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).resolve().parents[2] / "vectors" / "claims.json").read_text(encoding="utf-8")
)["cases"]

addresses = st.builds(Address, st.sampled_from((0, -1)), st.binary(min_size=32, max_size=32))
sizes = st.integers(1, 120).flatmap(lambda bits: st.integers(2 ** (bits - 1), 2**bits - 1))
fields = st.fixed_dictionaries(
    {
        "vault": addresses,
        "jetton_master": addresses,
        "recipient": addresses,
        "amount": sizes,
        "seqno": st.integers(0, MAX_SEQNO),
        "valid_until_s": st.integers(0, MAX_VALID_UNTIL),
    }
)
terms = st.builds(
    ClaimTerms,
    vault=addresses.map(str),
    jetton_master=addresses.map(str),
    recipient=addresses.map(str),
    amount=st.integers(1, MAX_AMOUNT),
    seqno=st.integers(1, MAX_SEQNO),
    valid_until_s=st.integers(1, MAX_VALID_UNTIL),
)
signatures = st.binary(min_size=64, max_size=64)

PLAIN = ClaimTerms(
    vault="0:" + "11" * 32,
    jetton_master="0:" + "22" * 32,
    recipient="0:" + "33" * 32,
    amount=1000,
    seqno=1,
    valid_until_s=1_700_000_000,
)


def _add_numbers(builder: Builder, claim: dict[str, Any]) -> None:
    builder.store_coins(claim["amount"])
    builder.store_uint(claim["seqno"], 64)
    builder.store_uint(claim["valid_until_s"], 32)


def _add_address(builder: Builder, address: Address) -> None:
    builder.store_address(LibraryAddress((address.workchain, address.hash)))


def _library_payload(claim: dict[str, Any]) -> Cell:
    builder = Builder()
    for name in ("vault", "jetton_master", "recipient"):
        _add_address(builder, claim[name])
    _add_numbers(builder, claim)
    cell: Cell = builder.end_cell()
    return cell


def _library_body(claim: dict[str, Any], signature: bytes) -> Cell:
    builder, inner = Builder(), Builder()
    builder.store_uint(REWARD_CLAIM_OP, 32)
    _add_address(builder, claim["recipient"])
    _add_numbers(builder, claim)
    inner.store_bytes(signature)
    builder.store_ref(inner.end_cell())
    cell: Cell = builder.end_cell()
    return cell


def _fields_of(case: dict[str, Any]) -> dict[str, Any]:
    named = {"vault": "vault", "jetton_master": "jettonMaster", "recipient": "to"}
    return {
        **{name: parse(case[key], allow_testnet=True) for name, key in named.items()},
        "amount": int(case["amount"]),
        "seqno": int(case["seqno"]),
        "valid_until_s": case["validUntil"],
    }


def _claimed(claim: dict[str, Any]) -> dict[str, Any]:
    """Return what of a claim its message holds."""
    return {name: claim[name] for name in ("recipient", "amount", "seqno", "valid_until_s")}


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["id"]))
def test_the_library_agrees_with_the_vectors(case: dict[str, Any]) -> None:
    """So what the properties compare with is right where it can be known."""
    claim = _fields_of(case)
    cell, body = (
        _library_payload(claim),
        _library_body(claim, base64.b64decode(case["signatureBase64"])),
    )
    assert cell.hash.hex() == case["payloadHashHex"]
    assert base64.b64encode(cell.to_boc(hash_crc32=True)).decode() == case["payloadBocBase64"]
    assert body.hash.hex() == case["claimBodyHashHex"]


@given(fields)
def test_the_payload_is_the_library_s(claim: dict[str, Any]) -> None:
    """Bit for bit: number of bits, hash, and each form of the bag, for whatever can be written."""
    ours, theirs = payload_cell(**claim), _library_payload(claim)
    assert ours.hash == theirs.hash
    assert ours.bits == len(theirs.bits)
    for index in (False, True):
        for crc in (False, True):
            assert ours.boc(crc=crc, index=index) == theirs.to_boc(has_idx=index, hash_crc32=crc)


@given(fields, signatures)
def test_the_message_is_the_library_s(claim: dict[str, Any], signature: bytes) -> None:
    """Body and signature cell, as hash and as bag."""
    ours, theirs = (
        reward_claim(**_claimed(claim), signature=signature),
        _library_body(claim, signature),
    )
    assert ours.hash == theirs.hash
    assert ours.boc() == theirs.to_boc(hash_crc32=True)
    assert ours.boc(crc=False) == theirs.to_boc()
    assert base64.b64decode(ours.boc_base64()) == ours.boc()


@given(terms, signatures)
def test_terms_become_the_cells_of_their_fields(given_terms: ClaimTerms, signature: bytes) -> None:
    """The quick way from a claim's terms to its cells is the long way through checked fields."""
    claim: dict[str, Any] = {
        "vault": parse(given_terms.vault, allow_testnet=False),
        "jetton_master": parse(given_terms.jetton_master, allow_testnet=False),
        "recipient": parse(given_terms.recipient, allow_testnet=False),
        "amount": given_terms.amount,
        "seqno": given_terms.seqno,
        "valid_until_s": given_terms.valid_until_s,
    }
    assert payload_of(given_terms) == payload_cell(**claim)
    expected = reward_claim(**_claimed(claim), signature=signature)
    assert body_of(given_terms, signature) == expected


@given(terms, terms)
def test_another_claim_has_another_hash(one: ClaimTerms, other: ClaimTerms) -> None:
    """A signature is good for exactly one claim."""
    assert (payload_of(one).hash == payload_of(other).hash) == (one == other)


def test_the_published_example_is_hit() -> None:
    """The one claim that the service's wire reference spells out."""
    cell = payload_of(PLAIN)
    assert cell.hash.hex() == "a48a7f5d97f1cb24f0627a445da9b324ca9a86e4bd9056263e86da22494db60c"
    assert cell.boc_base64() == (
        "te6cckEBAQEAdQAA5YACIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIiIjAAiIiIiIiIiIiIiIiIiIiIiIiI"
        "iIiIiIiIiIiIiIiIiIoAGZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmQH0AAAAAAAAAACyqfiARTXlOV"
    )


@given(st.binary(max_size=300))
def test_the_checksum_is_the_library_s(data: bytes) -> None:
    """The quick CRC32C is the slow one."""
    assert google_crc32c.value(data).to_bytes(4, "little") == crc32c(data)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", 0),
        ("amount", -1),
        ("amount", MAX_COINS + 1),
        ("amount", True),
        ("amount", 1.0),
        ("seqno", -1),
        ("seqno", MAX_SEQNO + 1),
        ("seqno", "1"),
        ("valid_until_s", -1),
        ("valid_until_s", MAX_VALID_UNTIL + 1),
        ("valid_until_s", None),
    ],
)
def test_a_number_out_of_its_range_is_named(field: str, value: object) -> None:
    """In the payload and in the message alike, nothing is cut off to fit."""
    claim = _fields_of(CASES[0]) | {field: value}
    for write in (
        lambda: payload_cell(**claim),
        lambda: reward_claim(**_claimed(claim), signature=bytes(64)),
    ):
        with pytest.raises(InvalidInput) as refused:
            write()
        assert refused.value.field == field


@pytest.mark.parametrize("signature", [b"", bytes(63), bytes(65), "x" * 64])
def test_a_signature_has_its_length(signature: bytes) -> None:
    """The vault reads 512 bits, no more and no less."""
    with pytest.raises(InvalidInput, match=r"^signature: 64 bytes$"):
        body_of(PLAIN, signature)


@pytest.mark.parametrize("field", ["vault", "jetton_master", "recipient"])
@pytest.mark.parametrize("form", ["upper", "friendly", "no address"])
def test_terms_hold_canonical_addresses(field: str, form: str) -> None:
    """Another text of the same account is refused with its field named, not quietly accepted."""
    address = Address(0, b"\xab" * 32)
    text = {"upper": f"0:{'AB' * 32}", "friendly": address.friendly(), "no address": "0:ab"}[form]
    values = {name: getattr(PLAIN, name) for name in ClaimTerms.__slots__}
    with pytest.raises(AddressRefused) as refused:
        payload_of(ClaimTerms(**(values | {field: text})))
    assert refused.value.field == field
    expected = AddressProblem.FORM if form == "no address" else AddressProblem.NOT_CANONICAL
    assert refused.value.problem is expected


def test_the_largest_claim_fits_its_cell() -> None:
    """Coins of 120 bits make 1,021 of the 1,023 bits a cell has."""
    claim = _fields_of(CASES[0]) | {"amount": MAX_COINS}
    cell: PayloadCell = payload_cell(**claim)
    assert cell.bits == 1021
