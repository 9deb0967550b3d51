"""Receipts: replay equals play, any change is found, JSON is exact and strict."""

import dataclasses
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiba_adapters import numpy_replay
from aiba_domain.battle.engine import Fighter, ModeRules
from aiba_domain.battle.modes import ModeTerms
from aiba_domain.battle.receipt import (
    BattleInputs,
    Emission,
    Receipt,
    battle_id,
    from_json,
    replay,
    replay_score,
    resolve,
    settle,
    to_json,
    verify,
)
from aiba_domain.battle.seed import SeedKey
from aiba_domain.economy.rewards import RewardRates
from aiba_domain.errors import InvalidInput
from aiba_domain.fairness import epochs as fairness
from tests.unit.battles import (
    COMMITMENT,
    EPOCH,
    ROOT,
    SECRET,
    battles,
    emissions,
    fight,
    is_bound,
    leaves,
    receipts,
    tampered,
)


@given(receipts)
def test_an_honest_receipt_equals_its_replay(receipt: Receipt) -> None:
    """Replaying the inputs gives every field again, and verifying finds nothing."""
    assert replay(receipt, SECRET) == receipt
    assert verify(receipt, SECRET) == ()


@given(battles, battles)
def test_a_battle_depends_on_nothing_but_its_inputs(one: BattleInputs, other: BattleInputs) -> None:
    """Deciding other battles in between changes nothing."""
    first = resolve(one, SECRET)
    resolve(other, SECRET)
    assert resolve(one, SECRET) == first


@given(receipts)
def test_json_brings_back_the_same_receipt(receipt: Receipt) -> None:
    """Also through text, also with the secret beside it, and writing is repeatable."""
    written = json.dumps(to_json(receipt))
    assert from_json(json.loads(written)) == receipt
    assert from_json({**json.loads(written), "revealedSecret": SECRET}) == receipt
    assert json.dumps(to_json(from_json(json.loads(written)))) == written


@given(receipts)
@settings(max_examples=25)
def test_no_result_and_no_field_of_the_seed_can_be_changed_unnoticed(receipt: Receipt) -> None:
    """Every value that came out, and every one that the draw was made from, is refused or found."""
    for path in filter(is_bound, leaves(to_json(receipt))):
        changed = tampered(receipt, path)
        try:
            found = verify(from_json(changed), SECRET)
        except InvalidInput:
            continue
        assert found, path


@given(receipts, st.integers(1, 10))
def test_a_lie_about_the_outcome_is_found(receipt: Receipt, extra: int) -> None:
    """Even whoever knows the secret can't state another score or reward."""
    outcome = dataclasses.replace(receipt.outcome, score=receipt.outcome.score + extra)
    grant = dataclasses.replace(receipt.grant, aiba=receipt.grant.aiba + extra)
    fields = {
        found.field
        for found in verify(dataclasses.replace(receipt, outcome=outcome, grant=grant), SECRET)
    }
    assert {"outcome.score", "grant.aiba"} <= fields


@given(receipts)
def test_another_secret_breaks_the_promise(receipt: Receipt) -> None:
    """A secret that wasn't committed to verifies nothing."""
    other = fairness.epoch_secret(ROOT, EPOCH + 1)
    fields = {found.field for found in verify(receipt, other)}
    assert {"inputs.commitment", "outcome.seedHex"} <= fields


@given(battles, emissions, emissions)
def test_a_reward_is_paid_whole_or_not_at_all(
    inputs: BattleInputs, aiba: Emission, neur: Emission
) -> None:
    """The grant is the proposal or 0, says why, and its NEUR parts sum to the whole."""
    outcome = resolve(inputs, SECRET)
    grant = settle(inputs, outcome, aiba=aiba, neur=neur)
    assert grant.player_neur + grant.leader_neur + grant.vault_neur == grant.neur
    assert min(grant.player_neur, grant.leader_neur, grant.vault_neur) >= 0
    if inputs.guild is None:
        assert grant.player_neur == grant.neur
    for proposed, judged, paid, reason in (
        (outcome.proposed_aiba, aiba, grant.aiba, grant.aiba_emission),
        (outcome.proposed_neur, neur, grant.neur, grant.neur_emission),
    ):
        assert reason is (judged if proposed else Emission.NOTHING)
        assert paid == (proposed if reason is Emission.GRANTED else 0)


@given(st.lists(battles, max_size=12))
def test_every_way_to_replay_gives_the_same_score(batch: list[BattleInputs]) -> None:
    """One at a time, in vectors, and without numpy: the same integers."""
    key = SeedKey(SECRET)
    expected = [resolve(inputs, SECRET).score for inputs in batch]
    assert [replay_score(inputs, key) for inputs in batch] == expected
    assert numpy_replay.replay_batch(batch, key) == expected


@given(st.lists(battles, max_size=4))
def test_replaying_a_batch_needs_no_numpy(batch: list[BattleInputs]) -> None:
    """The plain way is taken where the extra isn't installed."""
    key = SeedKey(SECRET)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(numpy_replay, "find_spec", lambda _name: None)
        plain = numpy_replay.replay_batch(batch, key)
    assert plain == numpy_replay.replay_batch(batch, key)


_EXAMPLE = BattleInputs(
    battle_id=battle_id("42", "req-1", 1_700_000_000_000),
    player_id="42",
    broker_id="65a1b2c3d4e5f60718293a4b",
    request_id="req-1",
    at=1_700_000_000_000,
    epoch=EPOCH,
    commitment=COMMITMENT,
    fighter=Fighter(intelligence=60, speed=40, risk=20, level=3),
    mode=ModeTerms(key="prediction", arena="prediction"),
    guild=None,
    policy_version=1,
    rates=RewardRates(),
    bonuses=None,
    anomaly_limit=220,
)


def _absurd() -> Receipt:
    honest = fight(_EXAMPLE, aiba=Emission.GRANTED, neur=Emission.GRANTED)
    rules = ModeRules(league_multiplier=1e300, variance_base=1e300)
    mode = dataclasses.replace(_EXAMPLE.mode, rules=rules)
    return dataclasses.replace(honest, inputs=dataclasses.replace(_EXAMPLE, mode=mode))


def test_verifying_nonsense_finds_it_instead_of_failing() -> None:
    """Inputs that give no score at all are a mismatch, not an exception."""
    assert [found.field for found in verify(_absurd(), SECRET)] == ["score"]


def test_a_batch_with_a_score_that_is_not_finite_is_refused() -> None:
    """In vectors as one at a time."""
    with pytest.raises(InvalidInput, match="score"):
        numpy_replay.replay_batch([_EXAMPLE, _absurd().inputs], SeedKey(SECRET))


def test_scores_beyond_64_bits_are_replayed_too() -> None:
    """No vector of integers holds them, and nothing is cut off."""
    rules = ModeRules(league_multiplier=1e30)
    huge = dataclasses.replace(_EXAMPLE, mode=dataclasses.replace(_EXAMPLE.mode, rules=rules))
    key = SeedKey(SECRET)
    assert numpy_replay.replay_batch([_EXAMPLE, huge], key) == [
        replay_score(_EXAMPLE, key),
        replay_score(huge, key),
    ]


def _written(*path: str, value: object) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads(
        json.dumps(to_json(fight(_EXAMPLE, aiba=Emission.GRANTED, neur=Emission.GRANTED)))
    )
    place = entry
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return entry


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("version", 2, "receipt.version"),
        ("version", True, "receipt.version"),
        ("surprise", 1, "receipt.surprise"),
        ("inputs", [], "receipt.inputs"),
        ("inputs.at", "now", "receipt.inputs.at"),
        ("inputs.at", True, "receipt.inputs.at"),
        ("inputs.at", 2**63, "receipt.inputs.at"),
        ("inputs.playerId", 42, "receipt.inputs.playerId"),
        ("inputs.requestId", "r" * 1_001, "receipt.inputs.requestId"),
        ("inputs.fighter.level", float("nan"), "receipt.inputs.fighter.level"),
        ("inputs.fighter.level", False, "receipt.inputs.fighter.level"),
        ("inputs.fighter.luck", 1, "receipt.inputs.fighter.luck"),
        ("inputs.fighter.speed", 40.0, "receipt"),
        ("inputs.mode.rewardMultiplierAiba", 1, "receipt.inputs.mode.rewardMultiplierAiba"),
        ("inputs.mode.rewardMultiplierAiba", "1.0", "receipt"),
        ("inputs.mode.rules", {"luck": 1}, "receipt.inputs.mode.rules.luck"),
        ("inputs.rates.aibaPerScore", "-2", "receipt.inputs.rates.aibaPerScore"),
        ("inputs.rates.starsPerWin", 1.0, "receipt.inputs.rates.starsPerWin"),
        ("inputs.bonuses", {}, "receipt.inputs.bonuses.boost"),
        ("outcome.isAnomaly", 0, "receipt.outcome.isAnomaly"),
        ("outcome.multiplier", "x", "receipt.outcome.multiplier"),
        ("outcome.multiplier", "1/\u00b2", "receipt.outcome.multiplier"),
        ("outcome.multiplier", "1/0", "receipt.outcome.multiplier"),
        ("inputs.rates.neurPerScore", "\u0661", "receipt.inputs.rates.neurPerScore"),
        ("grant.aibaEmission", "maybe", "receipt.grant.aibaEmission"),
    ],
)
def test_reading_names_what_is_wrong(path: str, value: object, field: str) -> None:
    """Unknown, missing and mistyped parts are refused by their path."""
    with pytest.raises(InvalidInput) as refusal:
        from_json(_written(*path.split("."), value=value))
    assert refusal.value.field == field


@pytest.mark.parametrize("value", [None, [], "receipt", 5, {}])
def test_what_is_no_receipt_is_refused(value: object) -> None:
    """Whatever JSON holds, reading ends in a refusal."""
    with pytest.raises(InvalidInput, match="receipt"):
        from_json(value)
