"""Bodies from outside: read as typed values, or refused with the field named."""

import json
from typing import Annotated

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from aiba_domain.brokers.model import Stat
from aiba_entry.http.errors import InvalidRequest
from aiba_entry.http.readable import MAX_DEPTH
from aiba_entry.http.validation import (
    Body,
    ObjectId,
    RequestId,
    object_id,
    read_body,
    text,
    whole,
)

BROKER = "65a1b2c3d4e5f60718293a4b"


class Sample(Body):
    """A field of every kind."""

    request_id: RequestId | None = None
    broker_id: ObjectId
    stat: Stat | None = None
    name: Annotated[str, text(10, 2)] | None = None
    amount: Annotated[int, whole(1, 100)] = 1
    share: float | None = None
    auto_claim: bool = False
    tags: list[str] | None = None
    caps: dict[str, int] | None = None


def read(**fields: object) -> Sample:
    """Read a body with a good broker id and these fields."""
    return read_body(json.dumps({"brokerId": BROKER} | fields).encode(), Sample)


def faults(raw: bytes | str) -> dict[str, object]:
    """Return what is wrong with a body."""
    with pytest.raises(InvalidRequest) as caught:
        read_body(raw if isinstance(raw, bytes) else raw.encode(), Sample)
    assert caught.value.status == 400
    assert caught.value.code == "validation_error"
    details = caught.value.details or {}
    assert len(details) <= 16
    msgspec.json.encode(details)
    return dict(details)


def faults_of(**fields: object) -> dict[str, object]:
    """Return what is wrong with a body that has a good broker id and these fields."""
    return faults(json.dumps({"brokerId": BROKER} | fields))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"brokerId": ""}, {"brokerId": "required"}),
        ({"brokerId": None}, {"brokerId": "required"}),
        ({"brokerId": "x"}, {"brokerId": "objectId"}),
        ({"brokerId": 7}, {"brokerId": "objectId"}),
        ({"brokerId": BROKER + "0"}, {"brokerId": "objectId"}),
        ({"stat": "luck"}, {"stat": "enum"}),
        ({"name": "a"}, {"name": "minLength:2"}),
        ({"name": "a" * 11}, {"name": "maxLength:10"}),
        ({"name": 5}, {"name": "string"}),
        ({"name": "a\u0000b"}, {"name": "pattern"}),
        ({"name": "a\u001bb"}, {"name": "pattern"}),
        ({"amount": 0}, {"amount": "min:1"}),
        ({"amount": 101}, {"amount": "max:100"}),
        ({"amount": 10**30}, {"amount": "max:100"}),
        ({"amount": "5"}, {"amount": "integer"}),
        ({"amount": 1.5}, {"amount": "integer"}),
        ({"amount": True}, {"amount": "integer"}),
        ({"share": "x"}, {"share": "number"}),
        ({"autoClaim": 1}, {"autoClaim": "boolean"}),
        ({"autoClaim": "no"}, {"autoClaim": "boolean"}),
        ({"tags": "x"}, {"tags": "array"}),
        ({"tags": [1]}, {"tags": "string"}),
        ({"tags": ["a\u0000"]}, {"tags": "pattern"}),
        ({"caps": []}, {"caps": "object"}),
        ({"caps": {"a": "x"}}, {"caps": "integer"}),
        ({"caps": {"a\u0000": 1}}, {"caps": "pattern"}),
        ({"nope": 1}, {"nope": "unknown"}),
        ({"broker_id": BROKER}, {"broker_id": "unknown"}),
    ],
)
def test_a_fault_is_named_with_its_field(
    fields: dict[str, object], expected: dict[str, str]
) -> None:
    """Each wrong value is refused under its own name, in the wire's words."""
    assert faults_of(**fields) == expected


def test_all_faults_are_named_at_once() -> None:
    """One answer tells everything that is wrong with a body."""
    assert faults('{"amount":0,"stat":"luck","zz":1,"name":"\\u0007"}') == {
        "amount": "min:1",
        "stat": "enum",
        "zz": "unknown",
        "name": "pattern",
        "brokerId": "required",
    }


def test_values_are_read_as_clients_send_them() -> None:
    """Texts are trimmed, absent is absent in all its spellings, ids come out in lower case."""
    sample = read(brokerId=f" {BROKER.upper()}\ufeff", name=" ab ", stat="", amount=None, share=1)
    assert sample == Sample(broker_id=BROKER, name="ab", share=1.0)


@pytest.mark.parametrize(
    ("value", "expected"), [(True, True), ("true", True), (False, False), ("false", False)]
)
def test_d67_text_booleans_mean_what_they_say(value: object, expected: bool) -> None:  # noqa: FBT001
    """`"false"` is false: a client that sends texts never switches on what it switched off."""
    assert read(autoClaim=value).auto_claim is expected


def test_d30_key_is_neither_dropped_nor_made_up() -> None:
    """A key that is no valid one reaches the judge of keys as it came, an absent one as None."""
    assert read(requestId="two words").request_id == "two words"
    assert read(requestId="").request_id is None
    assert faults_of(requestId=7) == {"requestId": "string"}


@pytest.mark.parametrize(
    ("raw", "field"),
    [
        (f'{{"brokerId":"{BROKER}","name":"\\ud800"}}', "name"),
        (f'{{"brokerId":"{BROKER}","name":"\\udc00x"}}', "name"),
        (f'{{"brokerId":"{BROKER}","name":"a\x01b"}}', "name"),
        (f'{{"brokerId":"{BROKER}","amount":NaN}}', "amount"),
        (f'{{"brokerId":"{BROKER}","amount":-Infinity}}', "amount"),
        (f'{{"brokerId":"{BROKER}","share":1e999}}', "share"),
        (f'{{"brokerId":"{BROKER}","amount":{"9" * 5000}}}', "amount"),
        (f'{{"brokerId":"{BROKER}","amount":{"9" * 30}}}', "amount"),
        (f'{{"brokerId":"{BROKER}","caps":{{"x":"\\ud800"}}}}', "caps"),
        (f'{{"brokerId":"{BROKER}","\\ud800":1}}', "body"),
    ],
)
def test_unreadable_value_is_named(raw: str, field: str) -> None:
    """Lone surrogates, control characters and endless numbers are refused by field."""
    assert list(faults(raw)) == [field]


@pytest.mark.parametrize(
    "raw",
    [
        b"{",
        b"nope",
        b'{"a":1}}',
        b"\xff",
        b'{"name":"\xff"}',
        b"\xef\xbb\xbf{}",
        b"[" * 200_000,
        b'{"a":' * 100_000,
    ],
)
def test_d62_malformed_json_is_a_fault_of_the_body(raw: bytes) -> None:
    """What is no JSON is said to be that."""
    assert faults(raw) == {"body": "malformed JSON"}


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 200, 480, 700, 960, 1000, 3000])
@pytest.mark.parametrize("name", ["tags", "caps", "nope"])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_no_depth_is_too_much(depth: int, name: str, opening: str, closing: str) -> None:
    """Whatever of it the parser takes, the reader refuses; neither runs out of stack."""
    deep = opening * depth + "1" + closing * depth
    found = faults(f'{{"brokerId":"{BROKER}","{name}":{deep}}}')
    too_deep = {name: f"maxDepth:{MAX_DEPTH}"} if name != "nope" else {name: "unknown"}
    assert found in (too_deep, {"body": "malformed JSON"})
    assert depth > 900 or found == too_deep


def test_what_is_not_asked_for_is_not_looked_into(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long list costs its sender nothing; so it must cost nothing here."""
    looked: list[object] = []
    monkeypatch.setattr("aiba_entry.http.validation.fault_in", looked.append)
    assert faults_of(nope=[1, 2], tags=[1]) == {"nope": "unknown", "tags": "string"}
    assert looked == [BROKER, [1]]


@pytest.mark.parametrize("raw", ["[]", "null", "1", '"x"', "true"])
def test_body_is_an_object(raw: str) -> None:
    """JSON that is no object is refused."""
    assert faults(raw) == {"body": "object"}


def test_names_from_outside_are_sent_back_few_and_short() -> None:
    """An answer never grows with what a caller sends."""
    found = faults_of(**{f"{number}{'x' * 1000}": 1 for number in range(1000)})
    assert len(found) == 16
    assert all(len(name) <= 64 for name in found)


jsonish = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
names = st.sampled_from(
    ["brokerId", "stat", "name", "amount", "share", "autoClaim", "tags", "caps", "requestId"]
)


@given(st.dictionaries(names | st.text(), jsonish))
@example({"brokerId": "a" * 24, "name": "\ud800\udc00"})
def test_any_json_is_read_or_refused(fields: dict[str, object]) -> None:
    """No JSON object makes the reader fail in another way than by refusing it."""
    raw = json.dumps(fields).encode()
    try:
        sample = read_body(raw, Sample)
    except InvalidRequest:
        assert faults(raw)
    else:
        assert object_id(sample.broker_id) == sample.broker_id
        msgspec.json.encode(sample)


@given(st.binary() | st.text().map(lambda text: f'{{"name":{text}}}'.encode()))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    """No bytes make the reader fail in another way than by refusing them."""
    with pytest.raises(InvalidRequest):
        read_body(raw, Sample)


@given(st.text())
def test_object_id_is_24_hex_digits(value: str) -> None:
    """Only 24 hex digits are an id."""
    if len(value) == 24 and all(letter in "0123456789abcdefABCDEF" for letter in value):
        return
    with pytest.raises(InvalidRequest):
        object_id(value)
