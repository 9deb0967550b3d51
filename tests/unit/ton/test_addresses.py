"""One parser decides what is an address, and nothing else makes it fail."""

import base64
import json
import string
from binascii import crc_hqx
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pytoniq_core.boc.address import Address as LaxAddress

from aiba_adapters.ton.addresses import (
    Address,
    AddressProblem,
    AddressRefused,
    parse,
    parse_canonical,
)
from aiba_domain.errors import DomainError

VECTORS = Path(__file__).resolve().parents[2] / "vectors" / "claims.json"
BASE64 = string.ascii_letters + string.digits + "+/-_"
KNOWN = Address(0, bytes(range(32)))

addresses = st.builds(Address, st.sampled_from((0, -1)), st.binary(min_size=32, max_size=32))
forms: st.SearchStrategy[dict[str, bool]] = st.fixed_dictionaries(
    {"bounceable": st.booleans(), "testnet": st.booleans(), "url_safe": st.booleans()}
)


def _problem_of(text: object, *, allow_testnet: bool | None = None) -> AddressProblem:
    with pytest.raises(AddressRefused) as refused:
        parse(text, allow_testnet=allow_testnet)
    return refused.value.problem


def _address_or_refusal(text: object) -> Address | AddressRefused:
    try:
        return parse(text, allow_testnet=None)
    except AddressRefused as refusal:
        return refusal


def _friendly(tag: int, workchain: int, account: bytes = KNOWN.hash) -> str:
    """Write a friendly address with a true checksum, whatever it says."""
    body = bytes((tag, workchain & 0xFF)) + account
    return base64.urlsafe_b64encode(body + crc_hqx(body, 0).to_bytes(2, "big")).decode()


@given(addresses, forms)
def test_every_form_of_an_address_is_read_back(address: Address, form: dict[str, bool]) -> None:
    """Raw in either case, bounceable or not, either alphabet, either network: one value."""
    written = [address.raw, address.friendly(**form)]
    written.append(f"{address.workchain}:{address.hash.hex().upper()}")
    assert {parse(text, allow_testnet=True) for text in written} == {address}
    assert hash(parse(written[1], allow_testnet=None)) == hash(address)


@given(addresses, forms)
def test_the_forms_are_those_of_others(address: Address, form: dict[str, bool]) -> None:
    """What is written here, pytoniq-core writes too, and it reads the same address from it."""
    other = LaxAddress((address.workchain, address.hash))
    assert other.to_str(is_user_friendly=False) == address.raw
    assert address.friendly(**form) == other.to_str(
        is_bounceable=form["bounceable"],
        is_test_only=form["testnet"],
        is_url_safe=form["url_safe"],
    )


def test_the_addresses_of_the_vectors_are_read() -> None:
    """Every written form in the golden file of claims is an address."""
    cases = json.loads(VECTORS.read_text(encoding="utf-8"))["cases"]
    texts = {case[name] for case in cases for name in ("vault", "jettonMaster", "to")}
    assert len(texts) > 30
    for text in texts:
        address = parse(text, allow_testnet=True)
        lax = LaxAddress(text)
        assert (address.workchain, address.hash) == (lax.wc, lax.hash_part)


@given(addresses, forms)
def test_the_mark_of_the_test_network_is_judged(address: Address, form: dict[str, bool]) -> None:
    """A marked address is refused on the main network only; a plain or raw one is good on both."""
    text = address.friendly(**form)
    if form["testnet"]:
        assert _problem_of(text, allow_testnet=False) is AddressProblem.TESTNET
    else:
        assert parse(text, allow_testnet=False) == address
    assert parse(address.raw, allow_testnet=False) == address


@given(
    st.one_of(
        st.text(),
        st.text(alphabet=BASE64, min_size=48, max_size=48),
        st.binary(max_size=40).map(lambda raw: base64.b64encode(raw).decode()),
        st.from_regex(r"-?[0-9]{0,3}:[0-9a-fA-F]{60,66}\n?"),
        st.none() | st.binary() | st.integers() | st.lists(st.text()),
    )
)
@example("0:" + "\u0663" * 64)
@example("\ud800" * 48)
@example("\u0660:" + "0" * 64)
def test_no_input_fails_in_another_way(text: object) -> None:
    """Whatever is given is an address that others read the same, or it is refused as such."""
    found = _address_or_refusal(text)
    if isinstance(found, AddressRefused):
        assert isinstance(found, DomainError)
        assert found.code == "validation_error"
        assert found.details == {"address": found.problem.value}
    else:
        assert isinstance(text, str)
        lax = LaxAddress(text)
        assert (found.workchain, found.hash) == (lax.wc, lax.hash_part)


@given(addresses, forms, st.integers(0, 36 * 8 - 1))
def test_no_flipped_bit_goes_unseen(address: Address, form: dict[str, bool], bit: int) -> None:
    """The checksum sees a changed bit wherever it is, in itself too."""
    whole = bytearray(base64.urlsafe_b64decode(address.friendly(**{**form, "url_safe": True})))
    whole[bit // 8] ^= 1 << bit % 8
    text = base64.urlsafe_b64encode(whole).decode()
    assert _problem_of(text) is AddressProblem.CHECKSUM


@given(addresses, forms, st.integers(0, 47), st.sampled_from(BASE64))
def test_no_changed_character_goes_unseen(
    address: Address, form: dict[str, bool], place: int, character: str
) -> None:
    """Another character gives no other address."""
    text = address.friendly(**form)
    changed = text[:place] + character + text[place + 1 :]
    if changed != text and {*"+-", *"/_"} & {character} == set():
        assert _problem_of(changed) in (AddressProblem.CHECKSUM, AddressProblem.FORM)


@given(addresses, forms, st.integers(0, 47))
def test_no_part_of_an_address_is_one(address: Address, form: dict[str, bool], size: int) -> None:
    """A truncated text is refused, as is one with something before or behind it."""
    text = address.friendly(**form)
    expected = AddressProblem.FORM if size else AddressProblem.EMPTY
    assert _problem_of(text[:size]) is expected
    assert _problem_of(address.raw[:size]) is expected
    for whole in (text, address.raw):
        for mark in (" ", "\n", "\t", "=", "\u00a0", "\u200b", "0"):
            assert _problem_of(whole + mark) is AddressProblem.FORM
            assert _problem_of(mark + whole) in (AddressProblem.FORM, AddressProblem.WORKCHAIN)


@given(st.integers(0, 255))
def test_only_the_two_tags_and_their_marks_are_known(tag: int) -> None:
    """Any other first byte is refused, also with a true checksum."""
    text = _friendly(tag, 0)
    if tag in (0x11, 0x51, 0x91, 0xD1):
        assert parse(text, allow_testnet=True) == KNOWN
    else:
        assert _problem_of(text) is AddressProblem.TAG


@given(st.integers(-(2**31), 2**31 - 1))
@example(1)
@example(-2)
@example(300)
def test_only_workchains_that_exist_are_known(workchain: int) -> None:
    """Another workchain is refused in both forms, also one that a byte would cut down to 0."""
    if workchain not in (0, -1):
        assert _problem_of(f"{workchain}:{KNOWN.hash.hex()}") is AddressProblem.WORKCHAIN
    if workchain & 0xFF not in (0, 0xFF):
        assert _problem_of(_friendly(0x11, workchain)) is AddressProblem.WORKCHAIN


@pytest.mark.parametrize("number", ["-0", "00", "-01", "01"])
def test_a_workchain_is_written_in_one_way(number: str) -> None:
    """Other spellings of 0 and -1 are refused."""
    assert _problem_of(f"{number}:{KNOWN.hash.hex()}") is AddressProblem.WORKCHAIN


@pytest.mark.parametrize(
    "text",
    [
        "0:" + "0" * 63,
        "0:" + "0" * 65,
        "0x0:" + "0" * 64,
        "+0:" + "0" * 64,
        " 0:" + "0" * 64,
        ":" + "0" * 64,
        "0:" + "0" * 62 + "_0",
        "0:0:" + "0" * 64,
        "0:" + "g" * 64,
        "99999999999:" + "0" * 64,
    ],
)
def test_what_only_resembles_a_raw_address_is_refused(text: str) -> None:
    """Python's own readers of numbers would take some of these."""
    assert _problem_of(text) is AddressProblem.FORM


def test_the_two_alphabets_do_not_mix() -> None:
    """A text with characters of both was made by nobody's encoder."""
    whole = Address(0, b"\xff\xff\xfe" + bytes(29)).friendly(url_safe=False)
    assert "/" in whole
    mixed = whole.replace("/", "_", 1)
    assert parse(whole, allow_testnet=None) == parse(whole.replace("/", "_"), allow_testnet=None)
    assert _problem_of(mixed) is AddressProblem.FORM


def test_a_refusal_names_the_field() -> None:
    """So that a caller with several addresses learns which one is wrong."""
    with pytest.raises(AddressRefused, match=r"^vault: neither a raw"):
        parse("x", allow_testnet=False, field="vault")


@given(addresses, forms)
def test_only_the_canonical_text_is_canonical(address: Address, form: dict[str, bool]) -> None:
    """What is stored and signed has one text: raw, in lower case."""
    assert parse_canonical(address.raw) == address
    assert str(address) == address.raw
    upper = f"{address.workchain}:{address.hash.hex().upper()}"
    for text in {address.friendly(**form), upper} - {address.raw}:
        with pytest.raises(AddressRefused, match="to: a raw address"):
            parse_canonical(text, field="to")


@pytest.mark.parametrize(
    ("workchain", "account"),
    [(1, bytes(32)), (0, bytes(31)), (0, bytes(33)), (True, bytes(32)), (0, bytearray(32))],
)
def test_no_impossible_address_is_made(workchain: int, account: bytes) -> None:
    """The value checks itself, wherever it comes from."""
    with pytest.raises(AddressRefused):
        Address(workchain, account)
