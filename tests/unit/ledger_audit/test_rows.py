"""An entry's bytes: the same JSON whatever stands in it, since strangers hash them too."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.ledger_audit.books import fault_of
from aiba_domain.ledger_audit.rows import Row, line_of

ODD = st.none() | st.booleans() | st.floats(allow_nan=False) | st.integers() | st.text()
PLAIN = st.text(st.characters(min_codepoint=32, max_codepoint=127), max_size=6)
WHOLE = st.integers(-(2**63), 2**63 - 1)


def rows(
    *, numbers: st.SearchStrategy[Any], texts: st.SearchStrategy[Any]
) -> st.SearchStrategy[Row]:
    """Make entries of such numbers and texts."""
    kinds = (numbers, numbers, texts, numbers, *[texts] * 7)
    return st.tuples(*kinds).map(lambda values: Row(*values))


@given(
    rows(numbers=WHOLE, texts=PLAIN)
    | rows(numbers=WHOLE, texts=st.text(max_size=3))
    | rows(numbers=ODD, texts=ODD)
)
def test_an_entry_is_hashed_as_its_plain_json(row: Row) -> None:
    """What is written quickly is what the JSON library writes."""
    expected = json.dumps(list(row), separators=(",", ":"))
    assert line_of(row) == expected.encode("ascii")


@given(rows(numbers=ODD, texts=ODD), st.integers(0, 10))
def test_one_value_of_another_type_is_a_fault(row: Row, place: int) -> None:
    """An entry that is right but for the type of one value is told to be wrong in that."""
    right = Row(1, 2, "AIBA", 5, "chain", "player:1", "r", "a", "l", "s", "i")
    values: list[Any] = list(right)
    values[place] = row[place]
    fault = fault_of(Row(*values))
    is_right = type(row[place]) is type(right[place])
    assert is_right or fault == _NAMED[place]


_NAMED = [
    "its number or its instant is no integer",
    "its number or its instant is no integer",
    "one of its texts is none",
    "its amount is no integer",
    *["one of its texts is none"] * 7,
]
