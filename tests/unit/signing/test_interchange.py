"""Two memories become one that is at least as strict as either, or are refused by name."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_adapters.signing.memory_protection import MemoryProtection
from aiba_domain.money import MAX_AMOUNT
from aiba_domain.signing.faults import Faulty
from aiba_domain.signing.interchange import (
    MOST_NAMED,
    MergeRefused,
    Protection,
    merge,
    usage_keys,
)
from aiba_domain.signing.interchange_json import read, write
from aiba_domain.signing.model import EXPIRY_MARGIN_S, Mark, Network, Protected

VAULT = "0:" + "1" * 64
RECIPIENTS = tuple("0:" + digit * 64 for digit in "23")
DAYS = ("2026-01-01", "2026-01-02")

whos = st.tuples(st.just(VAULT), st.sampled_from(RECIPIENTS))
keys = st.tuples(st.just(VAULT), st.sampled_from(RECIPIENTS), st.integers(1, 3))


@st.composite
def records(draw: st.DrawFn) -> Protected:
    """Draw what is remembered of a signature."""
    number = draw(st.integers(0, 2))
    day = draw(st.sampled_from(("", *DAYS)))
    most = draw(st.integers(1, 5))
    return Protected(
        payload_hash=bytes([number]) * 32,
        valid_until_s=1_000 + number * draw(st.sampled_from((50, 500))),
        most=most,
        day=day,
        day_most=draw(st.integers(0, most)) if day else 0,
    )


@st.composite
def protections(draw: st.DrawFn) -> Protection:
    """Draw a memory whose watermarks aren't below its claims."""
    claims = draw(st.dictionaries(keys, records(), max_size=3))
    marks = draw(
        st.dictionaries(
            whos, st.builds(Mark, seqno=st.integers(0, 5), quarantined_until_s=st.integers(0, 9))
        )
    )
    scopes = [key for who in RECIPIENTS for day in DAYS for key in usage_keys(VAULT, who, day)]
    usage = draw(st.dictionaries(st.sampled_from(scopes), st.integers(1, MAX_AMOUNT), max_size=4))
    whole = Protection(network=Network.TESTNET, store="aa", sequence=3, time_s=5, usage=usage)
    return merge(replace(whole, marks=marks), replace(whole, claims=claims))


def merged(mine: Protection, theirs: Protection) -> Protection | None:
    """Merge, or return None for a contradiction."""
    try:
        return merge(mine, theirs)
    except MergeRefused:
        return None


@given(protections(), protections())
def test_a_merge_is_as_strict_as_both(mine: Protection, theirs: Protection) -> None:
    """No watermark, usage, quarantine, validity or amount is lower than in either."""
    both = merged(mine, theirs)
    if both is None:
        return
    for one in (mine, theirs):
        for who, mark in one.marks.items():
            assert both.marks[who].seqno >= mark.seqno
            assert both.marks[who].quarantined_until_s >= mark.quarantined_until_s
        for scope, amount in one.usage.items():
            assert both.usage[scope] >= amount
        for key, claim in one.claims.items():
            assert both.claims[key].valid_until_s >= claim.valid_until_s
            assert both.claims[key].most >= claim.most
    for vault, recipient, seqno in both.claims:
        assert both.marks[vault, recipient].seqno >= seqno
    assert (both.store, both.sequence) == (mine.store, mine.sequence)


@given(protections(), protections())
def test_two_payloads_stand_together_only_one_after_the_other(
    mine: Protection, theirs: Protection
) -> None:
    """A contradiction is two payloads of one seqno that may both have been payable."""
    contradict = False
    for key in mine.claims.keys() & theirs.claims.keys():
        one, other = mine.claims[key], theirs.claims[key]
        apart = abs(one.valid_until_s - other.valid_until_s)
        same = one.payload_hash == other.payload_hash
        contradict |= apart != 0 if same else apart <= EXPIRY_MARGIN_S
    assert (merged(mine, theirs) is None) is contradict


@given(protections(), protections())
def test_merging_is_the_same_from_either_side_and_again(
    mine: Protection, theirs: Protection
) -> None:
    """What is protected doesn't hang on who imports from whom, or how often."""
    one, other = merged(mine, theirs), merged(theirs, mine)
    assert (one is None) is (other is None)
    if one is None or other is None:
        return
    assert merge(one, theirs) == one
    assert one.marks == other.marks
    assert one.usage == other.usage
    hashes = [
        {key: (claim.payload_hash, claim.most) for key, claim in each.claims.items()}
        for each in (one, other)
    ]
    assert hashes[0] == hashes[1]


@given(protections())
def test_a_document_is_read_as_it_was_written(protection: Protection) -> None:
    """Nothing is lost on the way, and equal memories are equal texts."""
    text = write(protection)
    assert read(text) == protection
    assert write(read(text)) == text


@given(protections())
def test_a_store_holds_what_it_imported(protection: Protection) -> None:
    """Its own export says the same."""
    store = MemoryProtection(network=Network.TESTNET)
    store.run(lambda unit: unit.restore(merge(unit.dump(), protection)))
    held = store.run(lambda unit: unit.dump())
    assert (held.claims, held.usage) == (protection.claims, protection.usage)
    assert held.marks == protection.marks


def test_contradictions_are_named_up_to_some() -> None:
    """With vault, recipient and seqno; how many more there are is told too."""
    many = MOST_NAMED + 5
    memories = [
        Protection(
            network=Network.TESTNET,
            claims={
                (VAULT, RECIPIENTS[0], seqno): Protected(
                    payload_hash=bytes([number]) * 32, valid_until_s=1, most=1
                )
                for seqno in range(1, many + 1)
            },
        )
        for number in (1, 2)
    ]
    with pytest.raises(MergeRefused) as refused:
        merge(*memories)
    assert refused.value.faults[0] == (
        f"two payloads for vault {VAULT}, recipient {RECIPIENTS[0]}, seqno 1"
    )
    assert refused.value.faults[-1] == "and 5 more"
    assert len(refused.value.faults) == MOST_NAMED + 1


def test_every_fault_of_a_document_is_named() -> None:
    """By its path."""
    document = json.loads(write(Protection(network=Network.TESTNET)))
    document |= {
        "version": 2,
        "claims": [{"vault": 1}],
        "usage": [{"vault": "x", "scope": "y", "amount": 5}],
    }
    with pytest.raises(Faulty) as refused:
        read(json.dumps(document))
    paths = {fault.partition(": ")[0] for fault in refused.value.faults}
    assert {"version", "claims[0].seqno", "usage[0].vault", "usage[0].amount"} <= paths


@given(st.text(max_size=50) | st.recursive(st.none(), st.lists, max_leaves=5).map(json.dumps))
def test_any_text_is_a_document_or_refused(text: str) -> None:
    """Nothing else happens."""
    with pytest.raises(Faulty):
        read(text)
