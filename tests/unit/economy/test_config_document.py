"""The configuration document: what is shown, sent back, and read as a change."""

import json
from collections.abc import Mapping
from dataclasses import fields
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.economy.config import (
    NAMES,
    PLAIN,
    RATES,
    Places,
    changes_of,
    document_of,
    settings_of,
    wire_name,
)
from aiba_domain.economy.policy import EconomyPolicy, next_version
from aiba_domain.economy.rewards import RewardRates
from aiba_domain.errors import DomainError
from aiba_domain.testing import strategies
from aiba_domain.testing.strategies.commands import policy_changes

PLACES = Places.of([("prediction", "rookie"), ("arbitrage", "pro")])
BASE = EconomyPolicy()


def through_json(document: Mapping[str, object]) -> dict[str, object]:
    """Return a document as it is read from the wire: its decimals as JSON numbers."""
    text = json.dumps(document, default=float)
    read: dict[str, object] = json.loads(text, parse_float=Decimal)
    return read


def policies() -> st.SearchStrategy[EconomyPolicy]:
    """Policies as operators may make them."""

    def changed(changes: dict[str, object]) -> EconomyPolicy:
        try:
            return next_version(BASE, changes, 5)
        except DomainError:
            return BASE

    return policy_changes().map(changed)


def test_every_setting_has_a_name_on_the_wire() -> None:
    """A field that a policy gets is shown and can be changed, unless nothing uses it."""
    own = {part.name for part in fields(EconomyPolicy)}
    apart = {"version", "effective_at", "rewards", "emission_windows", "token_split"}
    apart |= {"oracle_last_updated_at", "oracle_ton_usd_at_update"}
    assert set(PLAIN.values()) == own - apart
    assert set(RATES.values()) == {part.name for part in fields(RewardRates)}
    assert set(settings_of(BASE)) == NAMES
    assert len(NAMES) == len(PLAIN) + len(RATES) + 3


@given(policy=strategies.policies() | policies())
def test_d51_a_document_sent_back_is_no_change(policy: EconomyPolicy) -> None:
    """Whatever the policy, and whatever way its numbers took."""
    document = document_of(policy)
    assert changes_of(through_json(document), policy, policy, PLACES) == {}


@given(base=policies(), theirs=policies(), data=st.data())
def test_an_edit_of_an_older_document_takes_nothing_back(
    base: EconomyPolicy, theirs: EconomyPolicy, data: st.DataObject
) -> None:
    """The fields that differ from the version edited become what they are; all others stay."""
    name = data.draw(st.sampled_from(sorted(PLAIN)))
    was, now = settings_of(base), settings_of(theirs)
    value = was[name]
    if isinstance(value, bool) or not isinstance(value, int):
        return
    # A client that keeps numbers in doubles shows no smaller difference.
    less = value - 1 if value <= 2**53 else value - 2**12
    edited = {**through_json(document_of(base)), name: less}
    if was[name] != now[name] and now[name] != less:
        with pytest.raises(DomainError, match="config changed meanwhile"):
            changes_of(edited, base, theirs, PLACES)
        return
    found = changes_of(edited, base, theirs, PLACES)
    assert found == ({} if now[name] == less else {PLAIN[name]: less})


@given(
    document=st.dictionaries(
        st.sampled_from(sorted(NAMES)) | st.text(max_size=4),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.decimals() | st.text(max_size=3),
            lambda inner: (
                st.lists(inner, max_size=2)
                | st.dictionaries(st.text(max_size=3), inner, max_size=2)
            ),
            max_leaves=4,
        ),
        max_size=4,
    )
)
def test_any_document_is_read_or_refused_by_name(document: dict[str, object]) -> None:
    """A refusal names fields of the document; what is read makes a policy or is refused too."""
    named: set[str] = set()
    try:
        changes = changes_of(document, BASE, BASE, PLACES)
        next_version(BASE, changes, 0)
    except DomainError as refusal:
        named = {wire_name(name) for name in refusal.details}
    for name in named:
        assert any(name == each or name.startswith(f"{each}.") for each in document), name


def test_d51_all_unknown_fields_are_named() -> None:
    """Not only the first of them."""
    with pytest.raises(DomainError) as refusal:
        changes_of({"a": 1, "b": 2, "trainNeurCost": 3}, BASE, BASE, PLACES)
    assert (refusal.value.code, set(refusal.value.details)) == ("unknown_fields", {"a", "b"})


def test_an_arena_that_is_gone_may_stay_in_a_map() -> None:
    """A map that holds a deleted mode's arena can be edited in its other entries."""
    policy = next_version(BASE, {"daily_cap_aiba_by_arena": {"gone": 1, "prediction": 2}}, 0)
    edited: dict[str, object] = {"dailyCapAibaByArena": {"gone": 1, "prediction": 3}}
    found = changes_of(edited, policy, policy, PLACES)
    assert found == {"daily_cap_aiba_by_arena": {"gone": 1, "prediction": 3}}


@pytest.mark.parametrize(
    "name", sorted(name for name, field in PLAIN.items() if type(getattr(BASE, field)) is int)
)
def test_d57_a_fraction_of_a_unit_is_refused_and_never_rounded(name: str) -> None:
    """By its name; a whole number may be written with its zeros."""
    for text in ("0.5", "1.000001", "-0.5", "1e-9"):
        with pytest.raises(DomainError) as refused:
            changes_of({name: Decimal(text)}, BASE, BASE, PLACES)
        assert refused.value.details == {name: "integer"}
    other = getattr(BASE, PLAIN[name]) + 1
    whole = Decimal(other).quantize(Decimal("1.00"))
    assert changes_of({name: whole}, BASE, BASE, PLACES) == {PLAIN[name]: other}
