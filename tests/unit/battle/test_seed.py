"""The seed of a battle: its message, its keyed hash, its draws."""

import hashlib
import hmac
from itertools import islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiba_domain.battle.prng import draws, first_draw, to_uint32
from aiba_domain.battle.resolve import BattleInputs
from aiba_domain.battle.seed import SeedFields, SeedKey, seed_hmac, seed_of, utf8
from aiba_domain.errors import InvalidInput
from tests.unit.battles import SECRET, battles, uint32


def _fields(**changes: object) -> SeedFields:
    texts: dict[str, Any] = {
        "telegram_id": "42",
        "broker_id": "65a1b2c3d4e5f60718293a4b",
        "mode_key": "prediction-pro",
        "arena": "prediction",
        "league": "pro",
        "request_id": "req-1",
    }
    return SeedFields(**texts | changes)


def test_the_documented_example() -> None:
    """The wire's own worked example comes out to the last digit."""
    message = _fields().message()
    digest = seed_hmac("test-secret", message)
    assert message == "42:65a1b2c3d4e5f60718293a4b:prediction-pro:prediction:pro:req-1:"
    assert digest == "52e8d84ccd6f74857f4e5484f830882abd1924d0c9faa6fcfd3499f0cf0bc0b9"
    assert seed_of(digest) == 1_390_991_436
    assert [draw / 2**32 for draw in islice(draws(1_390_991_436), 3)] == [
        0.41756801027804613,
        0.6036809026263654,
        0.6464266164693981,
    ]


@given(st.text(max_size=200), st.binary(max_size=300))
def test_prepared_keys_give_the_standard_hmac(secret: str, message: bytes) -> None:
    """Copying prepared hash states changes nothing, for keys of any length."""
    expected = hmac.new(utf8(secret), message, hashlib.sha256).hexdigest()
    assert SeedKey(secret).hexdigest(message) == expected


@given(battles)
def test_a_battle_is_seeded_by_its_seven_fields(inputs: BattleInputs) -> None:
    """The battle's own message is that of its fields in the documented order."""
    fields = _fields(
        telegram_id=inputs.player_id,
        broker_id=inputs.broker_id,
        mode_key=inputs.mode.key,
        arena=inputs.mode.arena,
        league=inputs.mode.league,
        request_id=inputs.request_id,
        opponent_id=inputs.guild.their_id if inputs.guild else "",
    )
    assert inputs.seed_message() == fields.message()


@given(battles, battles)
def test_no_two_battles_share_a_message(one: BattleInputs, other: BattleInputs) -> None:
    """Only the request id may hold the separator, so different fields give different texts."""

    def fields(inputs: BattleInputs) -> tuple[str, ...]:
        mode = inputs.mode
        rival = inputs.guild.their_id if inputs.guild else ""
        return (inputs.player_id, inputs.broker_id, mode.key, mode.arena, mode.league, rival)

    one_named = (*fields(one), one.request_id)
    other_named = (*fields(other), other.request_id)
    assert (one_named == other_named) is (one.seed_message() == other.seed_message())


@pytest.mark.parametrize("value", [None, 5, 1.5, b"x", ["a"]])
def test_only_texts_are_hashed(value: object) -> None:
    """Anything but a text is refused and named, never turned into one."""
    with pytest.raises(InvalidInput) as refusal:
        _fields(request_id=value).message()
    assert refusal.value.field == "request_id"


def test_lone_surrogates_become_the_replacement_character() -> None:
    """Half a pair is U+FFFD, a pair in two halves is its character."""
    assert utf8("a\ud800b") == b"a\xef\xbf\xbdb"
    assert utf8("\udc00\ud800") == b"\xef\xbf\xbd\xef\xbf\xbd"
    assert utf8("\ud83d\ude00") == "\U0001f600".encode()


def test_another_secret_gives_another_seed() -> None:
    """A seed can't be computed with a secret that isn't the epoch's."""
    assert seed_hmac(SECRET, "m") != seed_hmac(SECRET[::-1], "m")


@given(uint32)
def test_draws_are_32_bit_and_start_with_the_first(seed: int) -> None:
    """Every draw fits 32 bits, and the short way gives the first of them."""
    found = list(islice(draws(seed), 4))
    assert found[0] == first_draw(seed)
    assert all(0 <= draw < 2**32 for draw in found)


@pytest.mark.parametrize(
    ("number", "seed"),
    [(2**32 + 5, 5), (-1, 2**32 - 1), (1.9, 1), (-1.9, 2**32 - 1), (1e300, 0), (10**400, 0)],
)
def test_seeds_outside_32_bits_wrap(number: float, seed: int) -> None:
    """A fraction is dropped towards zero, then the number is taken modulo 2^32."""
    assert to_uint32(number) == seed & 0xFFFFFFFF


@pytest.mark.parametrize("number", [float("nan"), float("inf"), True, "1", None])
def test_what_is_no_finite_number_seeds_nothing(number: float) -> None:
    """Refused, not read as 0."""
    with pytest.raises(InvalidInput, match="seed"):
        to_uint32(number)
