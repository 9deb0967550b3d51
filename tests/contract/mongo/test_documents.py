"""Records become documents and the same records again, and the indexes are ones MongoDB takes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import bson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_adapters.codec import decode_outcome
from aiba_adapters.mongo.documents import RECORDS, SHAPES
from aiba_adapters.mongo.reads import answer_id
from aiba_adapters.mongo.shapes.base import Shape
from aiba_adapters.mongo.shares import SHARES, document_id
from aiba_adapters.mongo.unit_of_work import _answer
from aiba_adapters.mongo.values import from_body, pack_int, to_body, unpack_int
from aiba_domain.claims.model import MAX_SEQNO
from aiba_domain.errors import InvariantViolation
from aiba_domain.moderation.model import Flag, Subject
from aiba_domain.ports import Remembered, Scope
from aiba_domain.testing import strategies
from aiba_domain.testing.contracts.store import claim

KINDS: Final = sorted(strategies.RECORDS, key=lambda kind: kind.__name__)
_FILTERS: Final = ("$exists", "$eq", "$gt", "$gte", "$lt", "$lte", "$type", "$and")


def through_bson(document: Mapping[str, Any]) -> dict[str, Any]:
    """Write a document as the wire has it, and read it back."""
    return bson.decode(bson.encode(document))


def test_every_kind_of_record_has_a_collection() -> None:
    """A new kind of record gets a shape, or this fails."""
    assert set(RECORDS) == set(strategies.RECORDS)
    assert len({shape.collection for shape in SHAPES}) == len(SHAPES)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_records_come_back_equal(kind: type, data: st.DataObject) -> None:
    """Every field of every record survives BSON, and so does what it is found by."""
    record = data.draw(strategies.RECORDS[kind])
    shape = RECORDS[kind]
    stored = through_bson(shape.of(record).stored())
    assert shape.record(stored) == record
    found_by = {name: value for name, value in shape.found_by(record).items() if value is not None}
    assert stored == {"_id": found_by.pop("id"), **found_by, "body": stored["body"]}


@given(kept=strategies.answers())
def test_answers_come_back_equal(kept: Remembered) -> None:
    """An answer's document gives the answer."""
    stored = through_bson(_answer(kept))
    scope = Scope(principal=stored["principal"], command=stored["command"], key=stored["key"])
    outcome = decode_outcome(scope.command, accepted=stored["accepted"], text=stored["reply"])
    back = Remembered(
        scope=scope, fingerprint=stored["fingerprint"], outcome=outcome, at=stored["at"]
    )
    assert back == kept


@given(number=st.integers(-(10**34) + 1, 10**34 - 1))
def test_integers_are_kept_to_the_last_digit(number: int) -> None:
    """Also beyond 2^53, where a double loses them, and beyond 2^63, where BSON has no integer."""
    back = unpack_int(through_bson({"n": pack_int(number)})["n"])
    assert back == number
    assert type(back) is int


def test_an_integer_that_cannot_be_kept_is_refused() -> None:
    """Rather a fault than a number that is nearly right."""
    with pytest.raises(InvariantViolation, match="35 digits"):
        pack_int(10**34)


def test_the_largest_seqnos_are_exact_and_sort_as_numbers() -> None:
    """2^64-1 is more than BSON's integers hold."""
    numbers = [1, 9, 10, 2**63 - 1, 2**63, MAX_SEQNO]
    stored = [RECORDS[type(claim("c"))].of(claim("c", seqno=each)).stored() for each in numbers]
    keys = [each["seqno"] for each in stored]
    assert keys == sorted(keys)
    assert from_body(type(claim("c")), through_bson(stored[-1])["body"]).terms.seqno == MAX_SEQNO


@given(names=st.dictionaries(st.text(), st.integers(-(2**70), 2**70) | st.text(), max_size=4))
def test_any_name_may_stand_in_a_mapping(names: dict[str, str | int]) -> None:
    """Dots, dollars, percents and NUL in names of evidence are just text."""
    flag = Flag(id="f", subject=Subject.PLAYER, subject_id="1", rule="r", at=1, evidence=names)
    assert from_body(Flag, through_bson(to_body(flag))) == flag


@given(one=strategies.answers(), other=strategies.answers())
def test_different_scopes_have_different_documents(one: Remembered, other: Remembered) -> None:
    """No separator in a principal or a key lets one answer stand for another's."""
    assert (answer_id(one.scope) == answer_id(other.scope)) == (one.scope == other.scope)
    moved = replace(one.scope, principal=one.scope.principal + one.scope.command, command="")
    assert answer_id(moved) != answer_id(one.scope) or moved == one.scope


@given(account=st.text(max_size=9), other=st.text(max_size=9), share=st.integers(0, SHARES - 1))
def test_shares_of_different_accounts_are_different_documents(
    account: str, other: str, share: int
) -> None:
    """Whatever is in an account's name."""
    accounts = {f"sink:{account}", f"sink:{other}", f"player:{account}", f"player:{other}"}
    keys = [document_id(each, share) for each in accounts]
    assert len(set(keys)) == len(accounts)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.collection)
def test_indexes_are_ones_that_mongodb_takes(shape: type[Shape]) -> None:
    """What the test server lets pass and MongoDB refuses is found here.

    Partial filters of other operators, partial with sparse, an expiry on a compound key, on `_id`
    or below 0, and two indexes of one name.
    """
    names = [index.document["name"] for index in shape.index_models()]
    assert len(set(names)) == len(names)
    for index in shape.index_models():
        options = index.document
        partial = options.get("partialFilterExpression")
        assert not (partial and options.get("sparse"))
        for condition in (partial or {}).values():
            if isinstance(condition, Mapping):
                assert set(condition) <= set(_FILTERS)
                assert condition.get("$exists", True) is True
        fields = list(options["key"])
        assert fields != ["_id"]
        if "expireAfterSeconds" in options:
            assert len(fields) == 1
            assert 0 <= options["expireAfterSeconds"] < 2**31
