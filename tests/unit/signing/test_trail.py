"""The log: one flipped byte anywhere is found, and so is a line left out, moved or put in."""

import asyncio
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nacl.signing import SigningKey

from aiba_adapters.signing.keys import is_signed
from aiba_adapters.signing.memory_protection import MemoryProtection
from aiba_domain.signing.model import Network
from aiba_domain.signing.trail import (
    MAX_LINE,
    START,
    Entry,
    HandOver,
    Kind,
    Sign,
    TrailBroken,
    Verified,
    checkpoint,
    key_of,
    read_line,
    verify_trail,
)
from tests.support.signers import answer, signer, terms

KEY = SigningKey(bytes([9]) * 32)
PUBLIC = bytes(KEY.verify_key)


def sign(message: bytes) -> bytes:
    """Sign as the log's key does."""
    return KEY.sign(message).signature


def chain(*kinds: Kind) -> list[bytes]:
    """Return the lines of a log with entries of these kinds."""
    lines, head = [], START
    for number, kind in enumerate(kinds, start=1):
        entry = (
            checkpoint(number, head, number, sign, PUBLIC)
            if kind is Kind.CHECKPOINT
            else Entry(
                number=number, previous=head, kind=kind, time_s=number, facts={"amount": "1"}
            )
        )
        line, head = entry.line()
        lines.append(line + b"\n")
    return lines


LOG = chain(Kind.CREATED, Kind.SIGNED, Kind.CHECKPOINT, Kind.REFUSED)


def check(lines: list[bytes]) -> Verified:
    """Verify lines under the log's key."""
    return verify_trail(lines, public_key=PUBLIC, genuine=is_signed)


def test_a_whole_log_is_verified() -> None:
    """And says what is in it."""
    found = check(LOG)
    assert (found.first, found.last, found.signed_to) == (1, 4, 3)
    assert found.head == read_line(LOG[-1][:-1])[1]
    assert found.counts == {"created": 1, "signed": 1, "checkpoint": 1, "refused": 1}
    assert found.key == PUBLIC
    assert verify_trail(LOG).signed_to == 0


def test_one_flipped_byte_is_found_wherever_it_is() -> None:
    """Each byte, in each of its bits, line ends included."""
    whole = b"".join(LOG)
    for position in range(len(whole)):
        for bit in range(8):
            spoilt = bytearray(whole)
            spoilt[position] ^= 1 << bit
            with pytest.raises(TrailBroken, match="line "):
                verify_trail(bytes(spoilt).splitlines(keepends=True))


@given(st.permutations(range(4)), st.integers(1, 4))
def test_lines_in_another_order_are_found(order: list[int], count: int) -> None:
    """Only a beginning of the log can pass for a log."""
    lines = [LOG[index] for index in order[:count]]
    ordered = all(after == before + 1 for before, after in pairwise(order[:count]))
    if ordered:
        assert check(lines).last == order[count - 1] + 1
    else:
        with pytest.raises(TrailBroken):
            check(lines)


def test_a_rewritten_log_is_found_by_its_checkpoints() -> None:
    """Whoever chains it anew can't sign it anew."""
    other = SigningKey(bytes([10]) * 32)
    forged = [*chain(Kind.CREATED, Kind.REFUSED)]
    head = read_line(forged[-1][:-1])[1]
    for key in (bytes(other.verify_key), PUBLIC):
        entry = checkpoint(3, head, 3, lambda message: other.sign(message).signature, key)
        with pytest.raises(TrailBroken, match="line 3"):
            check([*forged, entry.line()[0] + b"\n"])
    old = read_line(LOG[2][:-1])[0].facts
    moved = Entry(number=3, previous=head, kind=Kind.CHECKPOINT, time_s=3, facts=old)
    for facts in (old, {}, {**old, "signature": "zz"}, {**old, "signature": 5}):
        entry = Entry(number=3, previous=moved.previous, kind=moved.kind, time_s=3, facts=facts)
        with pytest.raises(TrailBroken, match="line 3"):
            check([*forged, entry.line()[0] + b"\n"])


@pytest.mark.parametrize("cut", [0, 1, 2, 3])
def test_a_cut_is_seen_but_for_its_end(cut: int) -> None:
    """A beginning passes: `last` and `signed_to` tell how far it goes, for whoever knows more."""
    if not cut:
        with pytest.raises(TrailBroken, match="empty"):
            check([])
        return
    assert check(LOG[:cut]).last == cut
    with pytest.raises(TrailBroken):
        check([*LOG[:cut], LOG[cut][:-1]])


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"x" * (MAX_LINE + 1),
        b"0" * 64 + b" {}\n",
        b"0" * 64 + b" {]}\n",
        b"0" * 64 + b' {"facts":{},"kind":"signed","n":1,"prev":"00","t":0}\n',
        b"0" * 64 + b' {"facts":{},"kind":"signed","n":1,"prev":5,"t":0}\n',
        b"0" * 64 + b' {"facts":5,"kind":"other","n":1,"prev":"","t":0}\n',
    ],
)
def test_what_is_no_entry_is_refused(line: bytes) -> None:
    """As a broken log, by its line."""
    with pytest.raises(TrailBroken, match="line 1"):
        verify_trail([line])


@given(st.binary(max_size=200))
def test_any_bytes_are_a_log_or_broken(data: bytes) -> None:
    """Nothing else happens."""
    with pytest.raises(TrailBroken):
        verify_trail(data.splitlines(keepends=True))


@given(st.sampled_from(Kind), st.integers(0, 2**32), st.text(max_size=20))
def test_an_entry_is_read_back_as_it_was_written(kind: Kind, time_s: int, text: str) -> None:
    """Whatever its facts are."""
    entry = Entry(number=1, previous=START, kind=kind, time_s=time_s, facts={text: text})
    line, digest = entry.line()
    assert read_line(line) == (entry, digest)
    assert line.isascii()


def test_the_longest_decision_fits_a_line() -> None:
    """With the largest numbers that terms can have."""
    store = MemoryProtection(network=Network.TESTNET)
    wanted = terms(199 - 1, 2**64 - 1, 2**63 - 1)
    asyncio.run(answer(signer(store), wanted))
    assert 0 < len(store.lines[-1]) < MAX_LINE // 4


# --- handing over ---

KEYS = [SigningKey(bytes([number]) * 32) for number in (9, 20, 21)]
"""A log's keys, one after another; 9 is the one of the tests above."""

Part = tuple[str, int]
"""A part of a log: what it is, and by which key: a checkpoint, or who takes over."""

NAMED, LOST = "named", "lost"


def public(number: int) -> bytes:
    """Return the public part of a key."""
    return bytes(KEYS[number].verify_key)


def signing(number: int) -> Sign:
    """Return what signs with a key."""
    return lambda message: KEYS[number].sign(message).signature


def handed(*parts: Part) -> list[bytes]:
    """Return the lines of a log that begins with the first key and has these parts."""
    lines = chain(Kind.CREATED)
    head, key = read_line(lines[0][:-1])[1], 0
    for number, (what, by) in enumerate(parts, start=2):
        if what in (NAMED, LOST):
            who = HandOver(
                before=public(key),
                key=public(by),
                sign=signing(by),
                sign_before=signing(key) if what == NAMED else None,
            )
            entry, key = who.entry(number, head, number), by
        else:
            entry = checkpoint(number, head, number, signing(by), public(by))
        line, head = entry.line()
        lines.append(line + b"\n")
    return lines


def under(number: int, lines: list[bytes]) -> Verified:
    """Verify lines by somebody who knows one key."""
    return verify_trail(lines, public_key=public(number), genuine=is_signed)


POINT = "checkpoint"
HANDED = handed((POINT, 0), (NAMED, 1), (POINT, 1), (NAMED, 2), (POINT, 2), (NAMED, 0), (POINT, 0))


@pytest.mark.parametrize("known", [0, 1, 2])
def test_a_log_is_followed_from_any_of_its_keys(known: int) -> None:
    """Through every hand-over, and back to a key that was there before."""
    found = under(known, HANDED)
    assert (found.last, found.signed_to, found.key) == (8, 8, public(0))
    assert found.counts == {"created": 1, "checkpoint": 4, "handed_over": 3}


def test_one_flipped_byte_of_a_hand_over_is_found() -> None:
    """Even where every hash after it is made anew: neither key has signed that."""
    lines = handed((POINT, 0), (NAMED, 1))
    entry = read_line(lines[-1][:-1])[0]
    for name in ("before", "key", "signature", "before_signature"):
        spoilt = bytearray.fromhex(str(entry.facts[name]))
        spoilt[0] ^= 1
        facts = {**entry.facts, name: spoilt.hex()}
        for wrong in (facts, {**facts, name: "00"}, {**facts, name: 5}):
            other = replace(entry, facts=wrong)
            with pytest.raises(TrailBroken, match="line 3"):
                under(0, [*lines[:-1], other.line()[0] + b"\n"])


@pytest.mark.parametrize(
    ("parts", "known"),
    [
        ([(POINT, 0), (NAMED, 1), (POINT, 0)], 0),
        ([(POINT, 0), (NAMED, 1), (POINT, 0)], 1),
        ([(POINT, 0), (POINT, 1)], 0),
        ([(POINT, 0), (NAMED, 1)], 2),
        ([(POINT, 0), (LOST, 1)], 0),
        ([(LOST, 1)], 0),
        ([(NAMED, 1), (LOST, 2)], 0),
        ([(NAMED, 1), (LOST, 2)], 1),
    ],
)
def test_no_other_key_signs_a_log(parts: list[Part], known: int) -> None:
    """Nor one that was handed over, nor one that nobody named to whoever knows only that one."""
    with pytest.raises(TrailBroken, match="line "):
        under(known, handed(*parts))


def test_a_key_in_the_place_of_a_lost_one_is_known_by_itself() -> None:
    """It vouches for all before it, as any checkpoint does."""
    lines = handed((POINT, 0), (LOST, 1), (POINT, 1), (NAMED, 2))
    assert [under(known, lines).signed_to for known in (1, 2)] == [5, 5]
    assert under(1, handed((POINT, 0), (LOST, 1))).signed_to == 3


@given(st.permutations(range(len(HANDED))), st.integers(1, len(HANDED)))
def test_no_lines_of_a_handed_log_are_left_out_or_moved(order: list[int], count: int) -> None:
    """Only what stood together in this order can pass."""
    taken = order[:count]
    if any(after != before + 1 for before, after in pairwise(taken)):
        with pytest.raises(TrailBroken):
            under(0, [HANDED[index] for index in taken])
    elif taken[0] == 0:
        assert under(0, [HANDED[index] for index in taken]).last == count


def test_the_key_of_a_log_is_read_off_its_entries() -> None:
    """Of those that name one."""
    keys = [key_of(read_line(line[:-1])[0]) for line in HANDED]
    expected = (None, 0, 1, 1, 2, 2, 0, 0)
    assert keys == [None if number is None else public(number) for number in expected]
